"""wellposed: a laboratory for goal-conditioned robot learning.

    import wellposed as wp

    certificate = wp.certify("FetchReach-v4", gamma=0.95)             # can hindsight learn it?
    envs = wp.make_vec("FetchReach-v4", num_envs=4, threads=2)       # a gymnasium.vector.VectorEnv
    config = wp.default_config("FetchReach-v4")                       # a frozen dataclass
    run, summary = wp.train(config, "runs")                           # a recorded run
    # had it died: [(run, summary)] = wp.resume([run]) ends bit for bit as if nothing had happened
    verdict = wp.assess(run, episodes=100)                            # held-out episodes, with intervals
    wp.write_report([run], "report.html")                             # one self-contained page
    policy = wp.load_policy(run)                                      # policy(obs) in any loop of Gymnasium's

What is named here is loaded when it is first used, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wellposed.agents import PPOConfig, SACConfig, TD3Config
    from wellposed.check import certify
    from wellposed.config import OnPolicyRunConfig, RunConfig
    from wellposed.data import ReplayBuffer, ReplayConfig
    from wellposed.deploy import load_policy
    from wellposed.envs import make_vec, registered
    from wellposed.errors import UserError
    from wellposed.examination import examine
    from wellposed.export import export_policy
    from wellposed.recipes import default_config
    from wellposed.report.page import write_report
    from wellposed.rollout.evaluate import play_episodes, summarise
    from wellposed.runs.store import RunReader, list_runs
    from wellposed.side_by_side import resume, train_side_by_side
    from wellposed.training import train
    from wellposed.verdict import assess, load_run

_HOME = {
    "OnPolicyRunConfig": "config",
    "PPOConfig": "agents",
    "ReplayBuffer": "data",
    "ReplayConfig": "data",
    "RunConfig": "config",
    "RunReader": "runs.store",
    "SACConfig": "agents",
    "TD3Config": "agents",
    "UserError": "errors",
    "assess": "verdict",
    "certify": "check",
    "default_config": "recipes",
    "examine": "examination",
    "export_policy": "export",
    "list_runs": "runs.store",
    "load_policy": "deploy",
    "load_run": "verdict",
    "make_vec": "envs",
    "play_episodes": "rollout.evaluate",
    "registered": "envs",
    "resume": "side_by_side",
    "summarise": "rollout.evaluate",
    "train": "training",
    "train_side_by_side": "side_by_side",
    "write_report": "report.page",
}

__all__ = [
    "OnPolicyRunConfig",
    "PPOConfig",
    "ReplayBuffer",
    "ReplayConfig",
    "RunConfig",
    "RunReader",
    "SACConfig",
    "TD3Config",
    "UserError",
    "assess",
    "certify",
    "default_config",
    "examine",
    "export_policy",
    "list_runs",
    "load_policy",
    "load_run",
    "make_vec",
    "play_episodes",
    "registered",
    "resume",
    "summarise",
    "train",
    "train_side_by_side",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'wellposed' has no attribute {name!r}")
    return getattr(importlib.import_module(f"wellposed.{_HOME[name]}"), name)
