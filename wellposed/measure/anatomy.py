"""The anatomy of a goal environment as data: what the measurement is told, and what it finds."""

from dataclasses import dataclass
from typing import Literal

from wellposed.errors import UserError
from wellposed.runs.record import Estimate


@dataclass(frozen=True)
class AnatomySettings:
    """What is dissected, and how long chance is watched."""

    env: str  # a registered id, or a goal environment that Gymnasium knows
    resets: int = 10_000  # for the share of goals solved at reset
    episodes: int = 1_000  # of random actions
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("resets", 1), ("episodes", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, got {getattr(self, name)}.")


@dataclass(frozen=True)
class Space:
    """An array that goes in or out."""

    shape: list[int]
    dtype: str
    low: float | None  # the lowest bound of any number; null: none
    high: float | None


@dataclass(frozen=True)
class Interface:
    """What an environment exchanges with a learner."""

    observation: Space
    achieved_goal: Space
    desired_goal: Space
    action: Space
    max_episode_steps: int
    autoreset_mode: str
    terminates: bool  # whether an episode was seen to end before its limit


@dataclass(frozen=True)
class Field:
    """One number of an observation, a goal or an action; unit and frame are empty where nobody says what it is."""

    number: int  # its place, from 0
    name: str
    unit: str
    frame: str
    lowest: float  # seen in exploration
    highest: float


@dataclass(frozen=True)
class Rule:
    """Reward and success as functions of the distance between achieved and desired goal."""

    kind: Literal["sparse", "dense"]
    formula: str  # in words; empty where no distance was found that says it
    lowest: float  # reward seen
    highest: float
    threshold: float | None  # distance below which a goal counts as reached, by bisection; null where there is none
    unit: str  # of the threshold
    norm: str  # in which success ends everywhere at that distance
    scatter: float | None  # of that distance over the rays along which it was sought, relative


@dataclass(frozen=True)
class Agreement:
    """Rewards of steps, of `compute_reward`, and of the formula, held against each other."""

    transitions: int
    telling: int  # of these, steps whose reward is another than that of the goal achieved before them
    recomputed_mismatches: int  # step reward against compute_reward
    formula_mismatches: int | None  # step reward against the formula; null without one
    largest_difference: float | None  # between any two of the three
    goals: int  # arbitrary pairs of goals, far ones, near ones, equal ones
    goal_mismatches: int | None  # compute_reward of such a pair against the formula
    goal_largest_difference: float | None
    success_mismatches: int | None  # success against the threshold, over the steps and the pairs
    mismatches: int  # of all these kinds together


@dataclass(frozen=True)
class Response:
    """How the effector answers one component of the action, along the axis that answers most; per unit of action."""

    component: str
    axis: str
    first_step: float  # displacement in the step of the action, mean over the states and both signs
    first_step_spread: float  # standard deviation of that
    settled: float  # after that step and a rest
    settled_spread: float
    held: float  # in each further step, where the action is held
    held_spread: float
    half: float  # displacement per unit of half the action, relative to that of the whole one; 1: linear
    cross_talk: float  # largest mean displacement along another axis, relative


@dataclass(frozen=True)
class Motion:
    """What an action does to the end effector, in the unit of goals."""

    states: int
    responses: list[Response]
    others: float  # largest displacement by a component that moves no axis, per unit
    drift: list[float]  # mean displacement along each axis in a step of no action
    random_play: list[float]  # displacement per unit of action along each axis, fitted to steps of random actions


@dataclass(frozen=True)
class GripWidth:
    """The width between the fingers under one value of their action, from closed and from open, in metres."""

    action: float
    closed_first_step: float
    closed_settled: float
    open_first_step: float
    open_settled: float


@dataclass(frozen=True)
class Gripper:
    """What the fingers do."""

    opens: Literal["positive", "negative", "neither"]  # which sign of the action
    widest: float  # metres
    narrowest: float
    widths: list[GripWidth]


@dataclass(frozen=True)
class Floor:
    """Goals that are reached before the first action."""

    resets: int
    solved: Estimate  # share, exact interval
    expected: float | None  # by integration over what goals are drawn from; null where that is not known
    kinds: dict[str, Estimate]  # share for each kind of goal; empty where there is but one


@dataclass(frozen=True)
class Chance:
    """What random actions come to. Rates have exact intervals, the return a bootstrap interval."""

    episodes: int
    already_solved: Estimate  # at reset, of these episodes
    success: Estimate  # at the last step
    any_success: Estimate  # at some step, or at reset
    episode_return: Estimate  # undiscounted
    moved: Estimate  # share of episodes in which the achieved goal got farther than 1 cm from where it began
    moved_steps: float  # share of steps in which it moved by more than 1 mm


@dataclass(frozen=True)
class Anatomy:
    """All of it."""

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
    markov: str  # what `wellposed check` finds of whether the past says more of the next observation than the present
    unsaid: list[str]  # sentences: what nobody says of this environment, and what was not measured therefore
