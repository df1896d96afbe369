"""The anatomy of a goal environment as data, and the same as text; `dissect` measures it."""

from dataclasses import dataclass
from typing import Literal

from wellposed.errors import UserError
from wellposed.runs.record import Estimate
from wellposed.stats import describe_rate


@dataclass(frozen=True)
class AnatomySettings:
    """The environment, and the numbers of resets and random episodes."""

    env: str  # a registered id, or the id of a Gymnasium goal environment
    resets: int = 10_000  # to estimate the share of goals that are solved at reset
    episodes: int = 1_000  # of random actions
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("resets", 1), ("episodes", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, got {getattr(self, name)}.")


@dataclass(frozen=True)
class Space:
    """Shape, dtype and bounds of an array."""

    shape: list[int]
    dtype: str
    low: float | None  # the lowest bound of any component; null if unbounded
    high: float | None


@dataclass(frozen=True)
class Interface:
    """Observation, goals and action of an environment, and how its episodes end."""

    observation: Space
    achieved_goal: Space
    desired_goal: Space
    action: Space
    max_episode_steps: int
    autoreset_mode: str
    terminates: bool  # whether an episode ended before its limit


@dataclass(frozen=True)
class Field:
    """One component of an observation, a goal or an action; unit and frame are empty if they are not known."""

    number: int  # its index, from 0
    name: str
    unit: str
    frame: str
    lowest: float  # during exploration
    highest: float


@dataclass(frozen=True)
class Rule:
    """Reward and success as functions of the distance between achieved and desired goal."""

    kind: Literal["sparse", "dense"]
    formula: str  # in words; empty if no formula fits
    lowest: float  # reward during exploration
    highest: float
    threshold: float | None  # distance below which a goal counts as reached, by bisection; null if there is none
    unit: str  # of the threshold
    norm: str  # the norm in which that distance is the same everywhere
    scatter: float | None  # relative spread of that distance over the rays that were searched


@dataclass(frozen=True)
class Agreement:
    """Comparison of the rewards of steps, of `compute_reward`, and of the formula."""

    transitions: int
    telling: int  # transitions whose reward would differ if it were computed from the goal achieved before the step
    recomputed_mismatches: int  # step reward differs from compute_reward
    formula_mismatches: int | None  # step reward differs from the formula; null without a formula
    largest_difference: float | None  # between any two of the three rewards
    goals: int  # arbitrary pairs of goals: far, near and equal ones
    goal_mismatches: int | None  # compute_reward of a pair differs from the formula
    goal_largest_difference: float | None
    success_mismatches: int | None  # success differs from the threshold, over steps and pairs
    mismatches: int  # sum of the four counts


@dataclass(frozen=True)
class Response:
    """The displacement of the effector per unit of one action component, along the axis that moves most."""

    component: str
    axis: str
    first_step: float  # displacement in the step of the action, mean over states and both signs
    first_step_spread: float  # standard deviation
    settled: float  # after that step and steps without action
    settled_spread: float
    held: float  # in each further step while the action is held
    held_spread: float
    half: float  # displacement per unit of action for half the action, relative to the full one; 1 if linear
    cross_talk: float  # largest mean displacement along another axis, relative


@dataclass(frozen=True)
class Motion:
    """The displacement of the end effector by actions, in the unit of goals."""

    states: int
    responses: list[Response]
    others: float  # largest displacement per unit by any other action component
    drift: list[float]  # mean displacement along each axis in a step without action
    random_play: list[float]  # displacement per unit of action along each axis, fitted to random actions


@dataclass(frozen=True)
class GripWidth:
    """The width between the fingers, in metres, for one value of their action, starting closed and starting open."""

    action: float
    closed_first_step: float
    closed_settled: float
    open_first_step: float
    open_settled: float


@dataclass(frozen=True)
class Gripper:
    """The response of the fingers to their action."""

    opens: Literal["positive", "negative", "neither"]  # the sign of the action that opens them
    widest: float  # metres
    narrowest: float
    widths: list[GripWidth]


@dataclass(frozen=True)
class Floor:
    """The share of goals that are reached before the first action."""

    resets: int
    solved: Estimate  # with its exact interval
    expected: float | None  # by integration over the distribution of goals; null if that is not known
    kinds: dict[str, Estimate]  # share for each kind of goal; empty if there is a single kind


@dataclass(frozen=True)
class Chance:
    """Statistics of episodes of random actions. Rates have exact intervals, the return a bootstrap interval."""

    episodes: int
    already_solved: Estimate  # at reset
    success: Estimate  # at the last step
    any_success: Estimate  # at any step, or at reset
    episode_return: Estimate  # undiscounted
    moved: Estimate  # share of episodes in which the achieved goal got farther than 1 cm from its start
    moved_steps: float  # share of steps in which it moved by more than 1 mm


@dataclass(frozen=True)
class Past:
    """What the step before adds to a linear prediction of the next observation from the present and the action."""

    open: int  # numbers of the observation of whose change the present leaves more than a tenth of the variance open
    explained: float  # share of what is left open that the step before explains: of them the largest
    half: int  # of how many of them it explains more than half


@dataclass(frozen=True)
class Anatomy:
    """Everything that was measured of an environment."""

    env: str
    interface: Interface
    fields: list[Field]  # of the observation
    goal_fields: list[Field]
    action_fields: list[Field]
    reward: Rule
    agreement: Agreement
    motion: Motion | None
    gripper: Gripper | None
    floor: Floor
    chance: Chance
    markov: str  # evidence of `wellposed check` on whether the past helps to predict the next observation
    unsaid: list[str]  # sentences: what this environment does not tell, and what could not be measured
    past: Past | None = None  # null if there were too few steps for the size of the observation


def describe(found: Anatomy) -> list[str]:
    """The anatomy as lines of text."""
    interface, rule, agreed = found.interface, found.reward, found.agreement
    lines = [f"{found.env}: {interface.max_episode_steps} steps an episode", ""]
    for title, fields in (
        ("Observation", found.fields),
        ("Goal", found.goal_fields),
        ("Action", found.action_fields),
    ):
        lines += [f"{title}, {len(fields)} components", *map(_field, fields), ""]
    lines += [f"Reward: {rule.kind}, from {rule.lowest:.4g} to {rule.highest:.4g}; {rule.formula or 'no formula'}."]
    if rule.threshold is not None:
        lines.append(f"Success: closer than {rule.threshold:.6g} {rule.unit}".rstrip() + f", {rule.norm}.")
    lines.append(
        f"Of {agreed.transitions:,} steps {agreed.recomputed_mismatches} differ from compute_reward and "
        f"{_count(agreed.formula_mismatches)} from the formula; of {agreed.goals} pairs of goals "
        f"{_count(agreed.goal_mismatches)}. In {agreed.telling:,} steps a reward that is one step late would differ."
    )
    lines += _motion(found.motion) if found.motion else []
    lines += _gripper(found.gripper) if found.gripper else []
    floor, chance = found.floor, found.chance
    expected = "" if floor.expected is None else f"; by integration {100 * floor.expected:.2f} %"
    lines += [
        f"Already solved at reset: {_rate(floor.solved)} of {floor.resets:,}{expected}.",
        *(f"  {kind}: {_rate(share)}" for kind, share in floor.kinds.items()),
        f"Random actions, {chance.episodes:,} episodes, {_rate(chance.already_solved)} solved at reset: success "
        f"{_rate(chance.success)}, at any step {_rate(chance.any_success)}, return {chance.episode_return.value:.4g}.",
        f"They move the achieved goal in {_rate(chance.moved)} of episodes and {chance.moved_steps:.1%} of steps.",
        f"Markov: {found.markov}." + (f" {_past(found.past)}" if found.past else ""),
        *found.unsaid,
    ]
    return lines


def _past(found: Past) -> str:
    return (
        f"The present leaves the change of {found.open} numbers open; the step before explains at most "
        f"{found.explained:.0%} of that, and more than half of it for {found.half}."
    )


def _rate(share: Estimate) -> str:
    return describe_rate(share.value, share.ci95)


def _count(mismatches: int | None) -> str:
    return "an unknown number" if mismatches is None else str(mismatches)


def _field(field: Field) -> str:
    seen = f"{field.lowest:.4g} to {field.highest:.4g}"
    return f"  {field.number:>2} {field.name:<27} {field.unit:<13} {seen:<24} {field.frame}".rstrip()


def _motion(motion: Motion) -> list[str]:
    """The displacement by each action component."""
    lines = [f"Displacement per unit of action, in {motion.states} states (one step; after a rest; each step if held):"]
    for one in motion.responses:
        pairs = (one.first_step, one.first_step_spread), (one.settled, one.settled_spread), (one.held, one.held_spread)
        means = "; ".join(f"{mean:.4f} +- {std:.4f}" for mean, std in pairs)
        lines.append(
            f"  {one.component}: {one.axis} {means}; per unit, half an action gives {one.half:.3f} of that; "
            f"cross-talk {one.cross_talk:.1%}"
        )
    lines.append(f"Without action it moves by {', '.join(f'{way:.1e}' for way in motion.drift)} in a step.")
    return lines


def _gripper(gripper: Gripper) -> list[str]:
    """The response of the fingers."""
    if gripper.opens == "neither":
        return ["Gripper: blocked; no action changes its width."]
    return [
        f"Gripper: {gripper.opens} actions open it, to {gripper.widest:.3f} m. From closed, in one step:",
        *(f"  action {row.action:g}: {row.closed_first_step:.4f} m" for row in gripper.widths if row.action > 0),
    ]
