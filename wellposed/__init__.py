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

An environment of your own is `my_env:make`, `my_env:Id-v0` or `file.py:make`. What is named here is loaded when it is
first used, so that importing the package costs nothing.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wellposed.agents import PPOConfig as PPOConfig
    from wellposed.agents import SACConfig as SACConfig
    from wellposed.agents import TD3Config as TD3Config
    from wellposed.check import certify as certify
    from wellposed.check.geometry import find_geometry as find_geometry
    from wellposed.config import OnPolicyRunConfig as OnPolicyRunConfig
    from wellposed.config import RunConfig as RunConfig
    from wellposed.data import ReplayBuffer as ReplayBuffer
    from wellposed.data import ReplayConfig as ReplayConfig
    from wellposed.deploy import load_policy as load_policy
    from wellposed.envs import make_vec as make_vec
    from wellposed.envs import registered as registered
    from wellposed.errors import UserError as UserError
    from wellposed.examination import examine as examine
    from wellposed.export import export_policy as export_policy
    from wellposed.plugin import allow_import as allow_import
    from wellposed.recipes import default_config as default_config
    from wellposed.report.page import write_report as write_report
    from wellposed.rollout.evaluate import play_episodes as play_episodes
    from wellposed.rollout.evaluate import summarise as summarise
    from wellposed.runs.store import RunReader as RunReader
    from wellposed.runs.store import list_runs as list_runs
    from wellposed.side_by_side import resume as resume
    from wellposed.side_by_side import train_side_by_side as train_side_by_side
    from wellposed.training import train as train
    from wellposed.verdict import assess as assess
    from wellposed.verdict import load_run as load_run

_NAMES = {  # of each module
    "agents": "PPOConfig SACConfig TD3Config",
    "check": "certify",
    "check.geometry": "find_geometry",
    "config": "OnPolicyRunConfig RunConfig",
    "data": "ReplayBuffer ReplayConfig",
    "deploy": "load_policy",
    "envs": "make_vec registered",
    "errors": "UserError",
    "examination": "examine",
    "export": "export_policy",
    "plugin": "allow_import",
    "recipes": "default_config",
    "report.page": "write_report",
    "rollout.evaluate": "play_episodes summarise",
    "runs.store": "RunReader list_runs",
    "side_by_side": "resume train_side_by_side",
    "training": "train",
    "verdict": "assess load_run",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


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
