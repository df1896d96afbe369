"""Exercises of chapter 5: the schedule of a curriculum, and the goals that it draws."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from course.exercises import trials
from course.exercises.exercise import (
    Counterexample,
    Function,
    Write,
    as_property,
    in_place_of,
    read_only,
    show,
    show_all,
    wrong_array,
)

LINE = "v = start + (end - start) (progress - begin) / (finish - begin), for begin <= progress <= finish"
LIFT = 0.45  # metres above the table up to which goals lie
DRAWS = 500


def one_value(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a scheduled value."""
    return None if isinstance(result, int) else wrong_array(result, (), "f", "one number, as a float")


def _scheduled(schedule: Function, cases: list[tuple[float, ...]]) -> Counterexample | None:
    """A counterexample for the first failing case (progress, start, end, begin, finish, value)."""
    for *args, value in cases:
        returned = schedule(*args)
        if not np.isclose(returned, value, rtol=1e-12, atol=1e-12):
            names = ("progress", "start", "end", "begin", "finish")
            return Counterexample(show_all(dict(zip(names, args, strict=True))), show(float(value)), show(returned))
    return None


@as_property(
    "until `begin` it stays where it starts",
    equation="progress <= begin: v = start",
    hint="A line knows no beginning: continued to the left it leaves the range in which the value means anything. How "
    "far has the schedule come, as a share, when progress is below begin?",
)
def _before(schedule: Function) -> Counterexample | None:
    return _scheduled(schedule, [(0, 0.25, 1, 100, 300, 0.25), (100, 0.25, 1, 100, 300, 0.25), (-5, 0, 1, 0, 10, 0)])


@as_property(
    "in between it is a straight line",
    equation=LINE,
    hint="The share of the way is counted from begin, not from 0, and over the way from begin to finish.",
)
def _line(schedule: Function) -> Counterexample | None:
    return _scheduled(
        schedule, [(200, 0, 1, 100, 300, 0.5), (150, 0.25, 1.25, 100, 300, 0.5), (250, 2, 6, 100, 300, 5)]
    )


@as_property(
    "from `finish` on it stays where it ends",
    equation="progress >= finish: v = end",
    hint="Training goes on after the curriculum is over. A value that goes on growing draws goals that the task does "
    "not have.",
)
def _after(schedule: Function) -> Counterexample | None:
    return _scheduled(schedule, [(300, 0.25, 1, 100, 300, 1), (301, 0.25, 1, 100, 300, 1), (10**6, 0, 0.5, 0, 10, 0.5)])


@as_property(
    "it goes downwards as well",
    equation=LINE + ", also where end < start",
    hint="Bounding the value by start and end presumes which of them is larger. Bound the share of the way instead.",
)
def _downwards(schedule: Function) -> Counterexample | None:
    cases = [(0, 1, 0.2, 10, 20, 1), (15, 1, 0.2, 10, 20, 0.6), (20, 1, 0.2, 10, 20, 0.2), (99, 1, 0.2, 10, 20, 0.2)]
    return _scheduled(schedule, cases)


@as_property(
    "where begin and finish are one, it jumps",
    equation="begin = finish: v = start before it, end from it on",
    hint="There is no way between the two, so nothing to divide by. Settle what lies outside before you divide.",
)
def _jump(schedule: Function) -> Counterexample | None:
    return _scheduled(schedule, [(49, 0.1, 0.9, 50, 50, 0.1), (50, 0.1, 0.9, 50, 50, 0.9), (51, 0.1, 0.9, 50, 50, 0.9)])


@as_property(
    "in the end it is exactly `end`",
    equation="progress >= finish: v = end, to the last bit",
    hint="start + (end - start) need not be end: each operation rounds. Goals of a curriculum that is over should be "
    "the task's own, bit for bit.",
)
def _exactly(schedule: Function) -> Counterexample | None:
    for start, end in ((1.0, 0.1), (1.0, 0.3), (0.9, 0.2)):
        if (found := schedule(20, start, end, 10, 20)) != end:
            given = {"progress": 20, "start": start, "end": end, "begin": 10, "finish": 20}
            return Counterexample(show_all(given), repr(end), repr(float(found)))
    return None


def _own_schedule() -> Function:
    from wellposed.envs.wrappers.curriculum import schedule

    return schedule


@dataclass(frozen=True)
class Variant:
    """The fields of a Fetch task that goals depend on, with the values of PickAndPlace."""

    has_object: bool = True
    target_range: float = 0.15
    target_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    target_in_the_air: bool = True


@dataclass(frozen=True)
class Scene:
    """The fields of a scene that goals depend on; unlike the real one it is created without MuJoCo."""

    initial_grip: np.ndarray = field(default_factory=lambda: read_only(np.array([1.3418, 0.7491, 0.5347])))
    object_height: float = 0.42469974945955385
    variant: Variant = field(default_factory=Variant)


@dataclass(frozen=True)
class GoalSpread:
    """The distribution of goals: how far they reach, and the share in the air."""

    reach: float
    air: float


SCENE = Scene()
START = np.array([1.25, 0.875, SCENE.object_height])  # the position of the object, not below the hand


def one_place(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a goal."""
    return wrong_array(result, (3,), "f", "one goal (x, y, z), as floats")


def _goals(sample_goal: Function, reach: float, air: float, n: int = DRAWS) -> np.ndarray:
    """Goals [n, 3], drawn from one generator."""
    rng = np.random.default_rng(0)
    return np.array([sample_goal(SCENE, rng, START, GoalSpread(reach, air)) for _ in range(n)])


def _counterexample(given: str, due: str, found: Any) -> Counterexample:
    return Counterexample(f"{given}, object at {show(START)}, hand at {show(SCENE.initial_grip)}", due, show(found))


@as_property(
    "with no reach the goal is where the object rests",
    equation="reach = 0: goal = start",
    hint="The easiest problem is the solved one. Which point do all goals shrink towards?",
)
def _no_reach(sample_goal: Function) -> Counterexample | None:
    for air in (0.0, 1.0):
        if not np.allclose(goal := _goals(sample_goal, 0.0, air, 1)[0], START, rtol=0, atol=1e-12):
            return _counterexample(f"reach = 0, air = {air:g}", show(START), goal)
    return None


@as_property(
    "with full reach goals lie around the hand, and everywhere in their range",
    equation="reach = 1: x and y uniform within target_range of the hand",
    hint="The task's own goals do not know where the object is. Their range is a square around the hand, as long and "
    "wide as twice target_range.",
)
def _full_reach(sample_goal: Function) -> Counterexample | None:
    away = (_goals(sample_goal, 1.0, 0.0) - SCENE.initial_grip)[:, :2]
    span = SCENE.variant.target_range
    if np.abs(away).max() > span + 1e-9:
        return _counterexample(
            "reach = 1, air = 0", f"|goal - hand| <= {span} in x and in y", away[np.abs(away).max(axis=1).argmax()]
        )
    shares = np.array([np.mean(away[:, i] * sign > span / 2) for i in range(2) for sign in (1, -1)])
    if np.abs(shares - 0.25).max() > 5 * np.sqrt(0.25 * 0.75 / DRAWS):  # five standard errors
        return _counterexample(
            f"reach = 1, air = 0, {DRAWS} goals", "a quarter of them in the outer quarter of each side", shares
        )
    return None


@as_property(
    "a goal on the table has the table's height, to the last bit",
    equation="not lifted: z = object_height",
    hint="Who is in the air is told by z > object_height. A goal that is a hair too high counts as one in the air.",
)
def _on_the_table(sample_goal: Function) -> Counterexample | None:
    for reach in (1.0, 0.3):
        heights = _goals(sample_goal, reach, 0.0, 200)[:, 2]
        if (wrong := heights[heights != SCENE.object_height]).size:
            return _counterexample(f"reach = {reach:g}, air = 0", f"z = {SCENE.object_height!r}", repr(float(wrong[0])))
    return None


@as_property(
    "so many goals are in the air as `air` says",
    equation="each goal is lifted with the probability `air`, by a coin of its own",
    hint="`air` is a share of the goals, not of the height: lifting all of them a little is another problem. And each "
    "goal throws the coin anew.",
)
def _share(sample_goal: Function) -> Counterexample | None:
    for air in (0.0, 0.2, 0.5, 1.0):
        share = float(np.mean(_goals(sample_goal, 1.0, air)[:, 2] > SCENE.object_height + 1e-6))
        if abs(share - air) > 5 * np.sqrt(air * (1 - air) / DRAWS):  # five standard errors; none at 0 and 1
            return _counterexample(
                f"reach = 1, air = {air:g}, {DRAWS} goals", f"a share in the air of about {air:g}", share
            )
    return None


@as_property(
    "goals in the air are lifted by anything up to 0.45 m",
    equation="lifted: z = object_height + u, u uniform over 0 .. 0.45 m",
    hint="All heights up to the highest are alike, so half of the lifted goals lie in the lower half.",
)
def _heights(sample_goal: Function) -> Counterexample | None:
    return _uniform_heights(sample_goal, 1.0)


def _uniform_heights(sample_goal: Function, reach: float) -> Counterexample | None:
    shares = (_goals(sample_goal, reach, 1.0)[:, 2] - SCENE.object_height) / (LIFT * reach)
    found = np.array([np.mean((shares > low / 4) & (shares <= (low + 1) / 4)) for low in range(4)])
    if np.abs(found - 0.25).max() > 5 * np.sqrt(0.25 * 0.75 / DRAWS):
        given = f"reach = {reach:g}, air = 1, {DRAWS} goals"
        return _counterexample(
            given, f"a quarter of them in each quarter of the heights up to {LIFT * reach:g} m", found
        )
    return None


@as_property(
    "reach draws goals towards the object, along the table",
    equation="goal = start + reach (g - start), g a goal with full reach",
    hint="Every goal lies on the way from the object to the goal that the task would have drawn: towards the object, "
    "not towards the hand.",
)
def _towards_object(sample_goal: Function) -> Counterexample | None:
    reach, span = 0.25, SCENE.variant.target_range
    centre = START + reach * (SCENE.initial_grip - START)
    away = (_goals(sample_goal, reach, 0.0) - centre)[:, :2]
    if np.abs(away).max() > reach * span + 1e-9:
        worst = away[np.abs(away).max(axis=1).argmax()] + centre[:2]
        return _counterexample(f"reach = {reach}", f"x and y within {reach * span:g} m of {show(centre[:2])}", worst)
    if np.abs(away).max() < 0.9 * reach * span:
        return _counterexample(
            f"reach = {reach}, {DRAWS} goals", f"goals up to {reach * span:g} m from {show(centre[:2])}", away.max()
        )
    return None


@as_property(
    "reach draws goals down as well",
    equation="goal = start + reach (g - start), in z too: heights up to reach 0.45 m",
    hint="A goal near the object in x and y but high above it is not an easy one.",
)
def _down(sample_goal: Function) -> Counterexample | None:
    return _uniform_heights(sample_goal, 0.5)


@as_property(
    "all randomness comes from the generator that is handed in",
    equation="equal generators give equal goals, and others give others",
    hint="Every env has a generator of its own, and a run repeats bit for bit because of it.",
)
def _generator(sample_goal: Function) -> Counterexample | None:
    drawn = [sample_goal(SCENE, np.random.default_rng(seed), START, GoalSpread(1.0, 0.5)) for seed in (1, 1, 2)]
    if not np.array_equal(drawn[0], drawn[1]):
        return Counterexample("two generators of the same seed", show(drawn[0]), show(drawn[1]))
    if np.array_equal(drawn[0], drawn[2]):
        return Counterexample("generators of two different seeds", "different goals", f"twice {show(drawn[0])}")
    return None


def _own_sample_goal() -> Function:
    from wellposed.envs.suites.fetch.task import sample_goal

    return sample_goal


EXERCISES = (
    Write(
        id="5.1",
        title="The curriculum's schedule",
        function="schedule",
        parameters=("progress", "start", "end", "begin", "finish"),
        imports="import math",
        task="""
A value that goes from `start` to `end` while training goes on.

progress: where training is, in environment steps or stages.
start, end: the values, floats; end may be below start.
begin, finish: from where to where the value moves, in the units of progress; begin <= finish.
Returns a float:

    until begin     start
    in between      start + (end - start) (progress - begin) / (finish - begin)
    from finish on  end, to the last bit

Where begin = finish it jumps there.
""",
        properties=(_before, _line, _after, _downwards, _jump, _exactly),
        form=one_value,
        own=_own_schedule,
        put=in_place_of("wellposed.envs.wrappers.curriculum.schedule"),
        trial=trials.train("FetchReach-v4", {"env.curriculum.kind": "linear", "env.curriculum.finish": 3_000}),
    ),
    Write(
        id="5.2",
        title="Where goals lie",
        function="sample_goal",
        parameters=("scene", "rng", "start", "spread"),
        task="""
A goal of PickAndPlace, drawn nearer to the object and less often in the air than the task itself would.

scene: scene.initial_grip, where the hand is at reset, [3] metres; scene.object_height, the height of an object
on the table; scene.variant.target_range, metres.
rng: a NumPy generator; all randomness comes from it.
start: where the object rests, [3] metres, at scene.object_height.
spread: spread.reach and spread.air, both in 0 .. 1; (1, 0.5) is the task itself.
Returns the goal, floats [3], in metres:

    goal = start + spread.reach (g - start),

where g is the task's own goal: x and y uniform within target_range of the hand, z = object_height exactly, or,
with the probability spread.air, z = object_height + u with u uniform over 0 .. 0.45.
""",
        properties=(
            _no_reach,
            _full_reach,
            _share,
            _on_the_table,
            _heights,
            _towards_object,
            _down,
            _generator,
        ),
        form=one_place,
        own=_own_sample_goal,
        put=in_place_of("wellposed.envs.suites.fetch.task.sample_goal"),
        trial=trials.draw_goals,
    ),
)
