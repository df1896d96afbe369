"""Policies under action interfaces: as retrofit, retrained, and written by hand; success against smoothness.

All play the same held-out episodes. A retrofit is a policy that was trained under one interface and plays under
another; a retrained one learnt under the one it plays under.
"""

from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from course.measure.kinds import Context
from wellposed import envs, seeding
from wellposed.analysis.differences import difference
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.through import through
from wellposed.envs.wrappers.control import Control
from wellposed.errors import UserError, instead
from wellposed.rollout.evaluate import EVALUATION_ENVS, play_episodes
from wellposed.runs.record import EpisodeRow, Estimate
from wellposed.stats import Interval, bootstrap_mean, over_seeds
from wellposed.types import Policy
from wellposed.verdict import load_run

Group = list[list[EpisodeRow]]  # episodes of each run


@dataclass(frozen=True)
class InterfaceSettings:
    """The environment, the interfaces, and the runs that play."""

    env: str
    controls: list[
        dict[str, bool | float | int | str]
    ]  # settings of `env.control`; {} is none. The first is the reference
    # "experiment.variant"s: the first plays under every interface, the others where they were trained. None: the policy
    # that was written by hand alone.
    of: list[str]
    episodes: int = 100  # held-out episodes for each run and interface
    seed: int = 0  # of the episodes

    def __post_init__(self) -> None:
        if not self.controls:
            raise UserError("controls must hold at least one interface, as {} for none.")
        for one in self.controls:
            control_of(one)
        if self.episodes < 1 or self.seed < 0:
            raise UserError(f"episodes must be at least 1 and seed not negative, got {self.episodes} and {self.seed}.")


@dataclass(frozen=True)
class Point:
    """How well and how smoothly a policy plays under an interface: means over its runs.

    Action components lie in [-1, 1]; for Fetch 1 asks for a displacement of 5 cm in a step of 40 ms.
    """

    policy: str  # "by hand", "retrofit" or "retrained"
    control: str
    runs: int  # 0 for the policy that was written by hand
    success: Estimate
    change: Estimate  # mean squared change of the applied action, per step and component
    jerk: Estimate  # mean squared second difference of it
    energy: Estimate  # steps at full action, in an episode
    time: Estimate | None  # steps to the first success; null where no episode has one
    front: bool  # no other point has at least this success with less change


@dataclass(frozen=True)
class InterfaceRow:
    """Success under one interface; null where there is no such policy."""

    control: str
    by_hand: Estimate
    retrofit: Estimate | None
    retrained: Estimate | None
    gained: Estimate | None  # by training under it: retrained less retrofit
    change_ratio: float | None  # change of the retrained policy over that of the reference
    time_ratio: float | None  # and its steps to success over the reference's


@dataclass(frozen=True)
class InterfaceComparison:
    """All policies under all interfaces."""

    env: str
    episodes: int
    rows: list[InterfaceRow]  # in the order of the controls
    points: list[Point]


def control_of(settings: dict[str, Any]) -> Control:
    """A control from its settings; raises UserError if there is no such setting or its value is out of range."""
    known = [field.name for field in fields(Control)]
    for name in settings:
        if name not in known:
            raise UserError(f"There is no setting env.control.{name}{instead(name, known)}")
    return replace(Control(), **settings)


def describe(control: Control) -> str:
    """The settings that are on: "smoothing 0.7, delay 2"."""
    on = [f for f in fields(Control) if getattr(control, f.name) != getattr(Control(), f.name)]
    return ", ".join(f"{f.name} {getattr(control, f.name)}" for f in on) or "none"


def measure_interfaces(settings: InterfaceSettings, context: Context) -> InterfaceComparison:
    """Play the same held-out episodes with every policy under every interface that it is to be seen under.

    Raises:
        UserError: if a run cannot be loaded or is of another environment, or the environment has no policy by hand.
    """
    controls = [control_of(one) for one in settings.controls]
    retrained = {load_run(context.runs[of][0])[0].env.control: of for of in settings.of[1:]}
    if unplayed := [describe(control) for control in retrained if control not in controls]:
        raise UserError(f"No interface of this measurement is that of the runs trained under {'; '.join(unplayed)}.")
    points = []
    for control in context.over(controls, "interfaces"):
        points.append(_point("by hand", control, [_play(settings, control, context.threads)], 0))
        for policy, of in (("retrofit", settings.of[:1]), ("retrained", [retrained.get(control)])):
            for paths in (context.runs[name] for name in of if name is not None):
                group = [_play(settings, control, context.threads, path) for path in paths]
                points.append(_point(policy, control, group, len(paths)))
    points = [replace(one, front=on) for one, on in zip(points, on_front(points), strict=True)]
    return InterfaceComparison(settings.env, settings.episodes, [_row(points, describe(c)) for c in controls], points)


def _play(settings: InterfaceSettings, control: Control, threads: int, run: Path | None = None) -> list[EpisodeRow]:
    """The held-out episodes under a control, of a run or of the policy that was written by hand."""
    where, agent = EnvConfig(settings.env), None
    if run is not None:
        config, agent, _ = load_run(run)
        where = config.env
        if where.id != settings.env:
            raise UserError(f"{run} was trained on {where.id}, and this measurement is of {settings.env}.")
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    num_envs = min(EVALUATION_ENVS, len(seeds))
    control = replace(control, shown=where.control.shown)  # a policy is shown what it was trained to see
    with closing(make_env(replace(where, control=control), num_envs, "evaluation", threads=threads)) as env:
        policy: Policy = agent or through(_by_hand(settings.env), env)
        return play_episodes(policy, env, seeds)


def _by_hand(env_id: str) -> Policy:
    oracle = envs.find(env_id).oracle
    if oracle is None:
        raise UserError(f"{env_id} has no policy that was written by hand.")
    return oracle()


def _point(policy: str, control: Control, group: Group, runs: int) -> Point:
    change, jerk, energy = (_mean(group, f"action_{name}") for name in ("change", "jerk", "energy"))
    assert change is not None
    assert jerk is not None
    assert energy is not None
    rates = over_seeds(np.array([np.mean([row.success for row in rows]) for rows in group]), len(group[0]))
    time = _mean(group, "time_to_success")
    return Point(policy, describe(control), runs, _estimate(rates), change, jerk, energy, time, False)


def _mean(group: Group, name: str) -> Estimate | None:
    """The mean of a measure over runs, each the mean of its episodes; of one run, over its episodes."""
    known = [[value for row in rows if (value := getattr(row, name)) is not None] for rows in group]
    known = [values for values in known if values]
    if not known:
        return None
    means = np.array([np.mean(values) for values in known])
    return _estimate(over_seeds(means) if np.ptp(means) > 0 else bootstrap_mean(np.array(known[0])))


def _estimate(found: Interval) -> Estimate:
    return Estimate(found.estimate, (found.low, found.high))


def on_front(points: list[Point]) -> list[bool]:
    """Which points no other one dominates: at least their success with no more change, and one of them better."""
    pairs = [(point.success.value, -point.change.value) for point in points]
    better = lambda one, other: one[0] >= other[0] and one[1] >= other[1] and one != other  # noqa: E731
    return [not any(better(other, one) for other in pairs) for one in pairs]


def _row(points: list[Point], control: str) -> InterfaceRow:
    here = {point.policy: point for point in points if point.control == control}
    reference = next((point for point in points if point.policy == "retrofit"), None)
    retrofit, retrained = here.get("retrofit"), here.get("retrained")
    gained = None
    if retrofit and retrained:
        gained = _estimate(difference(*(Interval(p.success.value, *p.success.ci95) for p in (retrained, retrofit))))
    return InterfaceRow(
        control=control,
        by_hand=here["by hand"].success,
        retrofit=retrofit and retrofit.success,
        retrained=retrained and retrained.success,
        gained=gained,
        change_ratio=retrained and reference and retrained.change.value / reference.change.value,
        time_ratio=_time_ratio(retrained, reference),
    )


def _time_ratio(retrained: Point | None, reference: Point | None) -> float | None:
    times = [point and point.time for point in (retrained, reference)]
    return None if None in times else times[0].value / times[1].value  # type: ignore[union-attr]
