"""Evidence made up by hand: a sound run, and the same with something else in its rows or settings."""

from dataclasses import replace
from typing import Any

from wellposed.config import override
from wellposed.diagnose import Evidence
from wellposed.recipes import default_config
from wellposed.runs.record import Estimate, EvaluationRow, Failure, MetricsRow
from wellposed.stats import wilson

# What a sound run of Reach showed at its end.
SOUND = {
    "train/critic_loss": 0.025, "train/entropy": 0.6, "train/temperature": 0.05,
    "rollout/moved_rate": 1.0, "time/updates_per_step": 0.5, "probe/reward_min": -1.0, "probe/reward_mean": -0.3,
    "probe/reward_max": 0.0, "probe/reward_least": -1.0, "probe/reward_greatest": 0.0,
    "probe/ends_at_goal": 0.0, "probe/reward_wrong": 0.0, "probe/terminated_wrong": 0.0, "probe/success_before": 0.6,
    "probe/success_gained": 0.08, "probe/goal_moved": 1.0, "probe/goals_future": 0.8, "probe/goals_original": 0.2,
    "probe/goals_past": 0.0, "probe/goals_foreign": 0.0, "probe/replay_age": 0.5, "probe/episode_length": 50.0,
    "rollout/action_max": 1.0, "probe/action_answered": 0.99, "probe/motion_observed": 0.96,
    "probe/observation_constant": 0.0, "probe/actor_dead": 0.1, "probe/critic_dead": 0.1, "probe/actor_rank": 13.0,
    "probe/critic_rank": 5.4, "probe/exploration": 0.3, "probe/goal_in_inputs": 0.99, "probe/greedy_saturation": 0.01,
    "probe/inputs_clipped": 0.001, "probe/q_min": -7.0, "probe/q_mean": -0.7, "probe/q_max": 0.2, "probe/q_spread": 1.2,
    "probe/target_at_bound": 0.0, "probe/td_error": 0.16, "probe/actor_step": 9e-4, "probe/critic_step": 3e-4,
    "probe/target_lag": 3e-3, "probe/actor_gradient": 0.2, "probe/critic_gradient": 1.5,
}  # fmt: skip
EVERY, ROWS = 800, 8


def evaluation(step: int, successes: int, solved: int = 1, episodes: int = 25) -> EvaluationRow:
    """An evaluation in which that many episodes succeeded, and that many were solved at reset."""
    rate, floor = wilson(successes, episodes), wilson(solved, episodes)
    means = ("episode_return", "final_distance", "action_change", "peak_action", "path_length")
    return EvaluationRow(
        step, step // 2, 1.0, episodes, rate.estimate, (rate.low, rate.high), floor.estimate, (floor.low, floor.high),
        Estimate(rate.estimate, (rate.low, rate.high)), {}, dict.fromkeys(means, Estimate(0.0, (0.0, 0.0))),
    )  # fmt: skip


def evidence(
    rows: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    successes: list[int] | None = None,
    failure: Failure | None = None,
    kinds: dict[str, list[float]] | None = None,
) -> Evidence:
    """A sound run with some metrics replaced: by a number, by a list of one for each row, or by None, which is none.

    `successes`: of 25 episodes at step 0 and at each row; `kinds`: success rates of each kind of goal there.
    """
    config = override(default_config("FetchReach-v4"), settings or {})
    steps = [EVERY * (i + 1) for i in range(ROWS)]
    found, counts = [], successes if successes is not None else [1, 2, 10, 20, 24, 25, 25, 25, 25]
    for i, step in enumerate(steps):
        metrics = SOUND | {
            "probe/replay_transitions": float(step), "probe/normaliser_count": float(step),
            "probe/actor_travel": 0.5 + 0.01 * i, "probe/critic_travel": 1.0 + 0.01 * i,
            "probe/target_travel": 1.0 + 0.01 * i, "rollout/success_rate": 0.9 * counts[i + 1] / 25,
        }  # fmt: skip
        for name, value in (rows or {}).items():
            metrics[name] = value[i] if isinstance(value, list) else value
        kept = {name: value for name, value in metrics.items() if value is not None}
        found.append(MetricsRow(step, step // 2, 1.0 + i, kept))
    judged = [evaluation(EVERY * i, n) for i, n in enumerate(counts)]
    for name, rates in (kinds or {}).items():
        judged = [
            replace(row, success_by_kind=row.success_by_kind | {name: Estimate(rate, (0.0, 1.0))})
            for row, rate in zip(judged, rates, strict=True)
        ]
    return Evidence(config, found, judged, failure)
