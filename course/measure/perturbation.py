"""Two closed forms against experiment: what another world does to a return, and what hindsight learns under noise."""

from dataclasses import dataclass

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.analysis.perturbation import hindsight_bias, return_bound, success_bound, total_variation, values
from wellposed.data.episodes import ReplayBuffer, ReplayConfig
from wellposed.errors import UserError
from wellposed.runs.record import Estimate
from wellposed.stats import wilson
from wellposed.types import Field, Spec, Step

RADIUS = 0.05  # metres from a goal at which it counts as reached
# A hand on a line: metres from the goal to either end, of a cell, of a full action, of the noise of a step.
END, CELL, STEP, UNSTEADY = 0.2, 0.002, 0.033, 0.01
HORIZON = 50  # steps of an episode
PURSUED = 0.3  # metres from where the action aims to the farthest goal that is pursued
NEAR = 0.01  # metres: width of the cell of goals that are looked at together
FEWEST = 10_000  # episodes with which no such cell stays empty
BESIDE = 0.06  # metres from where the action aims to a goal that it does not reach without noise


@dataclass(frozen=True)
class PerturbationSettings:
    """The other worlds, and the noise under which hindsight learns."""

    gains: list[float]  # of the hand's actuator, each a factor of the world in which the policy is at home
    drops: list[float]  # chances that a step ends all success, each of a world of its own
    noise: list[float]  # metres: standard deviation of the place that an action reaches, given what was seen
    gamma: float = 0.95
    k: int = 4
    episodes: int = 200_000  # of one step each, for each noise
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.gains, default=1.0) <= 0 or min(self.noise, default=0.0) < 0:
            raise UserError("gains must be factors above 0, and noise lengths in metres from 0 on.")
        if not all(0 < drop < 1 for drop in self.drops):
            raise UserError(f"drops must be probabilities above 0 and below 1, got {self.drops}.")
        if not 0 < self.gamma < 1 or self.k < 0 or self.episodes < FEWEST or self.seed < 0:
            told = f"gamma must lie between 0 and 1, k and seed must be 0 or more, and episodes at least {FEWEST:,}."
            raise UserError(told)


@dataclass(frozen=True)
class WorldRow:
    """One policy in its own world and in another one. Changes are the largest over all starts."""

    world: str  # what is otherwise in it
    variation: float  # total variation between the transitions, at the state where it is largest
    change: float  # of the discounted return
    bound: float  # on it
    ratio: float  # change over bound
    success_change: float  # of the probability of success after HORIZON steps
    success_bound: float


@dataclass(frozen=True)
class LearntRow:
    """The value of aiming at one place with a goal that lies `distance` from it."""

    noise: float  # metres
    distance: float  # metres
    chance: float  # of success, the truth
    predicted: float  # of what is learnt from relabelled transitions
    learnt: Estimate  # from the laboratory's replay


@dataclass(frozen=True)
class Perturbation:
    """All worlds and all noises."""

    gamma: float
    k: int
    episodes: int
    worlds: list[WorldRow]
    largest_ratio: float  # of a change of return over its bound
    hindsight: list[LearntRow]
    furthest: float  # largest difference between what is learnt and what is predicted


def measure_perturbation(settings: PerturbationSettings, context: Context) -> Perturbation:
    """Compute returns in all worlds, and sample the replay under each noise."""
    own = hand_on_a_line(1.0)
    worlds = [_world(settings, f"gain {gain:g}", *own, hand_on_a_line(gain)[0]) for gain in settings.gains]
    held = dropping(0.0)
    worlds += [_world(settings, f"drops {drop:g}", *held, dropping(drop)[0]) for drop in settings.drops]
    hindsight = [row for noise in context.over(settings.noise, "noise") for row in _learnt(settings, noise)]
    return Perturbation(
        settings.gamma,
        settings.k,
        settings.episodes,
        worlds,
        max((row.ratio for row in worlds), default=0.0),
        hindsight,
        max((abs(row.learnt.value - row.predicted) for row in hindsight), default=0.0),
    )


def hand_on_a_line(gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Transitions [s, s] of a hand whose policy moves it to the goal at 0, and whether a cell is within RADIUS [s].

    A step moves it by `gain` times what is asked for, at most STEP, and by normal noise of UNSTEADY; walls stop it.
    """
    from scipy.special import ndtr

    cells = np.arange(-END, END + CELL / 2, CELL)
    mean = cells - gain * np.clip(cells, -STEP, STEP)
    edges = np.concatenate([[-np.inf], cells[:-1] + CELL / 2, [np.inf]])
    transition = np.diff(ndtr((edges - mean[:, None]) / UNSTEADY), axis=1)
    return transition, np.abs(cells) <= RADIUS


def dropping(chance: float) -> tuple[np.ndarray, np.ndarray]:
    """Transitions [2, 2] of a hand that holds its object at the goal, and drops it for good; where it is held [2]."""
    return np.array([[1 - chance, chance], [0.0, 1.0]]), np.array([True, False])


def _world(
    settings: PerturbationSettings, name: str, own: np.ndarray, there: np.ndarray, other: np.ndarray
) -> WorldRow:
    policy, reward = np.ones((len(own), 1)), there[:, None] - 1.0
    at_home, away = (values(world[:, None], reward, policy, settings.gamma) for world in (own, other))
    variation = total_variation(own, other)
    span = float(min(np.ptp(at_home), np.ptp(away)))  # the bound holds with either
    change, bound = float(np.abs(at_home - away).max()), return_bound(settings.gamma, variation, span)
    succeeded = [np.linalg.matrix_power(world, HORIZON) @ there for world in (own, other)]
    return WorldRow(
        name,
        variation,
        change,
        bound,
        change / bound if bound else 0.0,
        float(np.abs(succeeded[0] - succeeded[1]).max()),
        success_bound(HORIZON, variation),
    )


def _learnt(settings: PerturbationSettings, noise: float) -> list[LearntRow]:
    """What is learnt of goals around where the action aims, and of goals beside it."""
    goal, reached = _replayed(settings, noise)
    places = noise * np.linspace(-6, 6, 4801)  # where the action leads, from where it aims
    p = np.exp(-(np.linspace(-6, 6, 4801) ** 2) / 2)
    p /= p.sum()
    found = []
    for distance in (0.0, BESIDE):
        apart = np.abs(places - distance)
        y = np.clip((RADIUS - apart) / NEAR + 0.5, 0, 1)  # share of the cell's goals that a place reaches
        w = (apart <= NEAR / 2) / NEAR
        bias = hindsight_bias(settings.k, 1 / (2 * PURSUED), y, w, p)
        chosen = reached[np.abs(goal - distance) <= NEAR / 2]
        rate = wilson(int(chosen.sum()), len(chosen))
        estimate = Estimate(rate.estimate, (rate.low, rate.high))
        found.append(LearntRow(noise, distance, float(p @ y), float(p @ y) + bias, estimate))
    return found


def _replayed(settings: PerturbationSettings, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Goals and whether they were reached, of transitions that the laboratory's replay hands out, [episodes] each.

    All episodes take one step with one action, which leads to a place that is off by `noise`; goals that are pursued
    are uniform.
    """
    n, rng = settings.episodes, seeding.generator(settings.seed, "hindsight under noise")
    goals = tuple(Field(name, (1,), "goal") for name in ("achieved_goal", "desired_goal"))
    replay = ReplayBuffer(
        ReplayConfig(capacity=2 * n, k=settings.k),
        Spec(goals, 1, 1),
        n,
        lambda achieved, desired: -(np.abs(achieved - desired)[:, 0] > RADIUS).astype(float),
        lambda achieved, _: np.zeros(len(achieved)),
    )
    pursued, never = rng.uniform(-PURSUED, PURSUED, (n, 1)), np.zeros(n, bool)
    places = noise * rng.standard_normal((n, 1))
    before = {"achieved_goal": np.zeros((n, 1)), "desired_goal": pursued}
    after = before | {"achieved_goal": places}
    action, success = np.zeros((n, 1)), np.abs(places - pursued)[:, 0] <= RADIUS
    reward = success - 1.0
    replay.add(Step(before, before, action, action, reward, never, ~never, success, after, after, {}))
    batch = replay.sample(1, n, rng)
    return batch.obs["desired_goal"][0, :, 0], batch.reward[0] == 0
