"""wellposed: a laboratory for goal-conditioned robot learning.

    import wellposed as wp

    certificate = wp.certify("FetchReach-v4", gamma=0.95)             # can hindsight learn it?
    envs = wp.make_vec("FetchReach-v4", num_envs=4, threads=2)       # a gymnasium.vector.VectorEnv
    config = wp.default_config("FetchReach-v4")                       # a frozen dataclass
    run, summary = wp.train(config, "runs")                           # a recorded run
    # had it died: [(run, summary)] = wp.resume([run]) ends bit for bit as if nothing had happened
    verdict = wp.assess(run, episodes=100)                            # held-out episodes, with intervals
    wp.write_report([run], "report.html")                             # one self-contained page

An environment of your own is `my_env:make`, `my_env:Id-v0` or `file.py:make`. What is named here is loaded when it is
first used, so that importing the package costs nothing.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wellposed.agents import PPOConfig, SACConfig, TD3Config
    from wellposed.check import certify
    from wellposed.check.geometry import find_geometry
    from wellposed.config import OnPolicyRunConfig, RunConfig
    from wellposed.data import ReplayBuffer, ReplayConfig
    from wellposed.envs import make_vec, registered
    from wellposed.errors import UserError
    from wellposed.examination import examine
    from wellposed.plugin import allow_import
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
    "allow_import": "plugin",
    "assess": "verdict",
    "certify": "check",
    "default_config": "recipes",
    "examine": "examination",
    "find_geometry": "check.geometry",
    "list_runs": "runs.store",
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
    "allow_import",
    "assess",
    "certify",
    "default_config",
    "examine",
    "find_geometry",
    "list_runs",
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


# Whoever calls one of these names an environment, which permits its import; the package's own modules, which read names
# from files, call the functions behind them.
_NAMING = ("certify", "default_config", "find_geometry", "make_vec")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'wellposed' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"wellposed.{_HOME[name]}"), name)
    return _naming(found) if name in _NAMING else found


def _naming(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which permits the import of the environment that it is called with first."""

    @functools.wraps(function)
    def named(*args: Any, **kwargs: Any) -> Any:
        env = next(iter(inspect.signature(function).bind(*args, **kwargs).arguments.values()))
        importlib.import_module("wellposed.plugin").allow_import(env if isinstance(env, str) else env.id)
        return function(*args, **kwargs)

    return named
