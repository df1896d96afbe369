"""Made-up trials, and a tiny recipe."""

from dataclasses import replace

from wellposed.analysis.study import Trial
from wellposed.config import RunConfig, override
from wellposed.recipes import default_config
from wellposed.runs.record import Estimate, Solved

BUDGET = 1000


def trial(seed: int, solved_at: int | None, success: float = 1.0, diverged: bool = False) -> Trial:
    """A run that reached the bar at a step, or used up the budget, or diverged half-way."""
    solved = None if solved_at is None else Solved(0.95, solved_at, solved_at // 2, solved_at / 100)
    end = solved_at or (BUDGET // 2 if diverged else BUDGET)
    rate = Estimate(success, (max(0.0, success - 0.1), success))
    return Trial(seed, f"run{seed}", solved, diverged, end, end // 2, end / 100, rate, 100, "abc", False, "a processor")


def tiny(algo: str = "sac") -> RunConfig:
    """Reach with a network and a budget that train in no time."""
    settings = {"num_envs": 4, "total_steps": 320, "random_steps": 160, "eval_every": 160, "eval_episodes": 4}
    settings |= {"agent.hidden": [16, 16], "agent.batch_size": 16}
    return replace(override(default_config("FetchReach-v4", algo), settings), until_success=0.95)
