"""The exercises in which a reader predicts numbers before they are measured."""

from pathlib import Path

import numpy as np

from course.exercises.exercise import Measured, Predict, Quantity
from wellposed.runs.record import Estimate

Paths = dict[str, list[Path]]


def success(paths: list[Path], threads: int) -> Measured:
    """Success on held-out episodes, over the runs of one variant."""
    from wellposed.analysis.summary import summary_over_seeds
    from wellposed.verdict import EPISODES, stored_verdict

    rates = [stored_verdict(path, threads).trained.success_rate for path in paths]
    found = summary_over_seeds(rates, "rate", episodes=EPISODES)
    assert found.value is not None
    low, high = (np.nan if end is None else end for end in (found.low, found.high))
    return Measured(found.value, low, high, found.text)


def of_rate(rate: Estimate) -> Measured:
    """A success rate, with its interval."""
    from wellposed.stats import describe_rate

    return Measured(rate.value, *rate.ci95, describe_rate(rate.value, rate.ci95))


def ratio(one: list[Path], other: list[Path], quantity: str) -> Measured:
    """The ratio of what the runs of two variants took until they were solved, in steps, updates or seconds."""
    from wellposed.analysis.differences import ratio_of_times
    from wellposed.analysis.survival import Times
    from wellposed.runs.store import RunReader

    def times(paths: list[Path]) -> Times:
        ends = [summary for path in paths if (summary := RunReader(path).summary) is not None]
        used = [float(getattr(end.solved or end.final_evaluation, quantity)) for end in ends]
        return Times(used, [end.solved is not None for end in ends])

    found = ratio_of_times(times(one), times(other))
    value = found.at_least if found.at_least == found.at_most else np.nan
    text = f"{value:.2g}" if np.isfinite(value) else f"at least {found.at_least:.2g}"
    interval = f"{100 * found.confidence:.0f} % CI {found.low:.2g}-{found.high:.2g}"
    return Measured(value, found.low, found.high, f"{text} ({interval}, {len(one)} against {len(other)} seeds)")


def _clipping(paths: Paths, threads: int) -> dict[str, Measured]:
    return {f"success_{name}": success(paths[name], threads) for name in ("free", "free_30")}


def _needs(paths: Paths, _threads: int) -> dict[str, Measured]:
    return {f"{unit}_ratio": ratio(paths["ppo"], paths["sac"], key) for unit, key in _UNITS.items()}


def _hindsight(paths: Paths, threads: int) -> dict[str, Measured]:
    return {f"success_{name}": success(paths[name], threads) for name in ("with", "without")}


def _noise(paths: Paths, threads: int) -> dict[str, Measured]:
    from wellposed.verdict import assess

    found = {}
    for mm in (5, 10, 20):
        by_kind = assess(paths["recipe"][0], threads=threads, noise=mm / 1000).trained.success_by_kind
        for kind in ("air", "table"):
            found[f"{kind}_{mm}mm"] = of_rate(by_kind[kind])
    return found


def _interfaces(paths: Paths, threads: int) -> dict[str, Measured]:
    from course.measure.interface import InterfaceSettings, measure_interfaces
    from course.measure.kinds import Context

    names = {"smooth": {"smoothing": 0.7}, "late": {"delay": 2, "shown": True}}
    settings = InterfaceSettings("FetchPush-v4", [{}, *names.values()], list(paths))
    rows = measure_interfaces(settings, Context(threads, paths)).rows[1:]
    found = {}
    for name, row in zip(names, rows, strict=True):
        for kind, rate in (("retrofit", row.retrofit), ("retrained", row.retrained)):
            assert rate is not None
            found[f"{kind}_{name}"] = of_rate(rate)
    return found


def _trained_noisy(paths: Paths, threads: int) -> dict[str, Measured]:
    from course.measure.kinds import Context
    from course.measure.robustness import RobustnessSettings, measure_robustness

    settings = RobustnessSettings(list(paths), ["noise"])
    success = measure_robustness(settings, Context(threads, paths)).success
    found = {}
    for name, (variant, condition) in _NOISY.items():
        found[name] = of_rate(success[condition][variant])
    return found


def _conditions(paths: Paths, threads: int) -> dict[str, Measured]:
    from wellposed.verdict import stored_verdict

    found = {}
    for name, (path,) in paths.items():
        row = stored_verdict(path, threads).trained
        found[f"success_{name}"] = of_rate(Estimate(row.success_rate, row.success_ci95))
    return found


# Quantities of 7.3: the variant and the condition of each.
_NOISY = {
    "plain_10mm": ("plain", "noise 0.01"),
    "plain_20mm": ("plain", "noise 0.02"),
    "noisy_clean": ("noise_1cm", "clean"),
    "noisy_10mm": ("noise_1cm", "noise 0.01"),
    "noisy_20mm": ("noise_1cm", "noise 0.02"),
}
_UNITS = {"steps": "step", "updates": "updates", "seconds": "seconds"}

EXERCISES = (
    Predict(
        id="2.3",
        title="Without clipping",
        question="""
PPO learns dense Reach with five seeds, within the 20,000 environment steps of its recipe, and its ratio is not
clipped at all. What share of held-out goals is reached at the end, in the mean over the seeds: with the ten passes
over each rollout that the recipe has, and with thirty?
""",
        quantities=(
            Quantity("success_free", "share of held-out goals reached, ten passes", 0.0, 1.0),
            Quantity("success_free_30", "share of held-out goals reached, thirty passes", 0.0, 1.0),
        ),
        experiment={
            "title": "What does clipping protect from?",
            "env": "FetchReachDense-v4",
            "seeds": "0-4",
            "until_success": 0.98,
            "base": {"algo": "ppo", "eval_every": 1_600, "eval_episodes": 25, "agent.clip": 1e6},
            "variants": {"free": {}, "free_30": {"agent.epochs": 30}},
        },
        measure=_clipping,
    ),
    Predict(
        id="3.3",
        title="PPO against SAC",
        question="""
Both learn dense Reach until two evaluations in a row succeed in 98 % of the episodes, five seeds each. PPO uses
every step of its policy ten times and forgets it, SAC keeps all of them. By what factor does PPO need more
environment steps than SAC, more gradient updates, and more seconds? A factor below 1 means that PPO needs less.
""",
        quantities=(
            Quantity("steps_ratio", "environment steps of PPO over those of SAC", 0.01, 100.0),
            Quantity("updates_ratio", "gradient updates of PPO over those of SAC", 0.01, 100.0),
            Quantity("seconds_ratio", "seconds of PPO over those of SAC", 0.01, 100.0),
        ),
        experiment={
            "title": "How much does SAC need on dense Reach, and PPO beside it?",
            "env": "FetchReachDense-v4",
            "seeds": "0-4",
            "until_success": 0.98,
            "base": {"eval_episodes": 60},
            "variants": {
                "sac": {"total_steps": 20_000, "eval_every": 512, "replay.k": 0},
                "ppo": {"algo": "ppo"},
            },
        },
        measure=_needs,
    ),
    Predict(
        id="4.3",
        title="Without hindsight",
        question="""
SAC learns sparse Reach with five seeds and 3,200 environment steps each: once with four goals in hindsight for
each original one (k = 4), as it does by default, and once without any (k = 0). What share of held-out goals is
reached at the end, in the mean over the seeds?
""",
        quantities=(
            Quantity("success_with", "share of held-out goals reached with hindsight", 0.0, 1.0),
            Quantity("success_without", "share of held-out goals reached without", 0.0, 1.0),
        ),
        experiment={
            "title": "What is sparse Reach without hindsight?",
            "env": "FetchReach-v4",
            "seeds": "0-4",
            "until_success": 1.0,
            "base": {"total_steps": 3_200},
            "variants": {"with": {}, "without": {"replay.k": 0}},
        },
        measure=_hindsight,
    ),
    Predict(
        id="5.3",
        title="Sensors that err",
        question="""
A policy has learnt sparse PickAndPlace with exact sensors. Now every position that a sensor gives is off by a normal
error, drawn anew at each step: that of the hand, of the object, and with it of what counts as achieved; velocities
and angles are off accordingly. With which success rate does it still reach held-out goals in the air and on the
table, at standard deviations of 5, 10 and 20 mm? Success is judged by the true positions; the threshold is 50 mm.
""",
        quantities=tuple(
            Quantity(f"{kind}_{mm}mm", f"success {where}, sensors off by {mm} mm", 0.0, 1.0)
            for mm in (5, 10, 20)
            for kind, where in (("air", "in the air"), ("table", "on the table"))
        ),
        experiment={
            "title": "What do sensors that err cost?",
            "env": "FetchPickAndPlace-v4",
            "seeds": "0",
            "until_success": 0.99,
            "base": {"total_steps": 300_000, "eval_every": 12_000, "eval_episodes": 50},
            "variants": {"recipe": {}},
        },
        measure=_noise,
    ),
    Predict(
        id="6.3",
        title="Interfaces that a policy did not learn under",
        question="""
A policy has learnt sparse Push with the bare interface, 100,000 steps. Now its actions pass a filter that keeps 0.7 of
the action before, or they arrive two steps late. Two further policies have learnt under that filter and under that
delay from the start, the second one shown the actions under way. With which success rate does each reach the held-out
goals? A filter that keeps s costs a slow motion what a delay of s / (1 - s) steps costs.
""",
        quantities=tuple(
            Quantity(f"{kind}_{name}", f"success {how} {what}", 0.0, 1.0)
            for name, what in (("smooth", "the filter"), ("late", "the delay"))
            for kind, how in (("retrofit", "without having learnt under"), ("retrained", "having learnt under"))
        ),
        experiment={
            "title": "What does a policy lose under another interface, and what does training under it return?",
            "env": "FetchPush-v4",
            "seeds": "0",
            "until_success": None,
            "base": {"total_steps": 100_000, "eval_every": 5_000, "eval_episodes": 60},
            "variants": {
                "plain": {},
                "smooth": {"env.control.smoothing": 0.7},
                "late": {"env.control.delay": 2, "env.control.shown": True},
            },
        },
        measure=_interfaces,
    ),
    Predict(
        id="7.3",
        title="Trained under noise",
        question="""
One policy has learnt sparse Push with exact sensors, 100,000 steps. Another one has learnt as long with every position
off by a normal error of 10 mm, drawn anew at each step; only its critic was told the true ones. Both play the same
held-out episodes. With which success rate does the first one reach the goals at errors of 10 and 20 mm, and the second
one without errors, at 10 and at 20 mm? Success is judged by the true positions; the threshold is 50 mm.
""",
        quantities=(
            Quantity("plain_10mm", "success of the one trained without errors, at 10 mm", 0.0, 1.0),
            Quantity("plain_20mm", "success of the same, at 20 mm", 0.0, 1.0),
            Quantity("noisy_clean", "success of the one trained at 10 mm, without errors", 0.0, 1.0),
            Quantity("noisy_10mm", "success of the same, at 10 mm", 0.0, 1.0),
            Quantity("noisy_20mm", "success of the same, at 20 mm", 0.0, 1.0),
        ),
        experiment={
            "title": "What does training under noise return, and what does it cost?",
            "env": "FetchPush-v4",
            "seeds": "0",
            "until_success": None,
            "base": {"total_steps": 100_000, "eval_every": 5_000, "eval_episodes": 60},
            "variants": {"plain": {}, "noise_1cm": {"env.sensors.noise": 0.01, "agent.critic_sees": "truth"}},
        },
        measure=_trained_noisy,
    ),
    Predict(
        id="8.3",
        title="A maze without one condition",
        question="""
A ball is pushed by forces through a maze of the shape of a U, to goals that `wellposed check` calls ready; a run has
50,000 steps. Three further runs lack one condition each: the discount looks two steps ahead (0.5 instead of 0.95); no
goal is taken in hindsight; actions arrive five steps late, and what is under way is not shown. With which success rate
does each reach the held-out goals? Where the ball begins, some goals are near.
""",
        quantities=(
            Quantity("success_posed", "success with all conditions", 0.0, 1.0),
            Quantity("success_near_sighted", "success with a discount of 0.5", 0.0, 1.0),
            Quantity("success_without_hindsight", "success without hindsight", 0.0, 1.0),
            Quantity("success_late", "success with actions five steps late", 0.0, 1.0),
        ),
        experiment={
            "title": "Which condition does a maze need?",
            "env": "PointMaze_UMaze-v3",
            "seeds": "0",
            "until_success": None,
            "base": {"total_steps": 50_000, "eval_every": 5_000, "eval_episodes": 30, "agent.gamma": 0.95},
            "variants": {
                "posed": {},
                "near_sighted": {"agent.gamma": 0.5},
                "without_hindsight": {"replay.k": 0},
                "late": {"env.control.delay": 5},
            },
        },
        measure=_conditions,
    ),
)
