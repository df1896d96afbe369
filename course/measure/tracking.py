"""A position controller around a simulated hand against the linear theory of its loop (`analysis.closed_loop`)."""

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.analysis.closed_loop import Loop, dragged
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.control import Control
from wellposed.errors import UserError
from wellposed.types import VecEnv

AXIS = 1  # sidewards, where neither gravity nor the stretched arm is in the way
SPAN = 0.2  # metres from where the hand began to the farthest target
LEFT = 0.01  # share of the error after a step at which it has gone
TRIAL = 90  # steps in which an oscillation is seen to grow or to die
NUDGE = 0.001  # metres by which it is begun
DEAD = 0.05  # share of that below which it has died: contacts and rounding are left
HALVINGS = 7
BRACKET = (0.5, 1.6)  # of the predicted gain, between which the measured one is looked for


@dataclass(frozen=True)
class TrackingSettings:
    """The environment, and the loops: their gains, filters and delays, lists of the same length."""

    env: str
    gain: list[float]
    smoothing: list[float]
    delay: list[int]
    speed: float = 0.004  # metres that the target moves in a step at most

    def __post_init__(self) -> None:
        if not 0 < len(self.gain) == len(self.smoothing) == len(self.delay):
            raise UserError("gain, smoothing and delay must be lists of the same length, one entry for each loop.")
        if not 0 < self.speed < 0.05:
            raise UserError(f"speed must be a way in metres above 0 and below 0.05, got {self.speed}.")


@dataclass(frozen=True)
class TrackingRow:
    """One loop: what the theory says, and what the simulator does."""

    gain: float
    smoothing: float
    delay: int
    lag: float  # steps of delay that filter and delay cost together, at low frequency
    left: float  # share of an error that is left after a step: the largest pole
    largest_gain: float  # at which the loop ceases to be stable
    largest_gain_measured: float
    bound: float  # metres: largest error of a target of this speed
    measured: float  # of the target that is worst by the theory
    ratio: float  # measured over bound


@dataclass(frozen=True)
class Tracking:
    """The loops, and how far the simulator is from the theory."""

    env: str
    speed: float  # metres per step
    first: float  # metres that the hand moves in the step of an action of 1, by the theory
    response: float  # and per step of an action that is held
    rows: list[TrackingRow]
    furthest: float  # largest difference of a ratio from 1
    furthest_gain: float  # largest relative difference of a measured largest gain from the predicted one


def measure_tracking(settings: TrackingSettings, context: Context) -> Tracking:
    """Follow the worst target in each loop, and find the gain at which the loop begins to oscillate.

    Raises:
        UserError: if the environment does not say how it is driven (capability "drive"), or a loop is not stable.
    """
    rows = []
    with closing(make_env(_config(settings.env, 1.0, 0.0, 0), 1, "evaluation")) as env:
        length = env.task.drive.length  # type: ignore[attr-defined]
    hand = dragged(length)
    loops = zip(settings.gain, settings.smoothing, settings.delay, strict=True)
    for gain, smoothing, delay in context.over(list(loops), "loops"):
        rows.append(_row(settings, Loop(hand, length, gain, smoothing, delay)))
    gains = [abs(row.largest_gain_measured / row.largest_gain - 1) for row in rows]
    return Tracking(
        settings.env, settings.speed, hand.first, hand.response, rows, max(abs(r.ratio - 1) for r in rows), max(gains)
    )


def _row(settings: TrackingSettings, loop: Loop) -> TrackingRow:
    if loop.radius >= 1:
        told = f"gain {loop.gain:g}, smoothing {loop.smoothing:g} and delay {loop.delay}"
        raise UserError(f"The loop with {told} is unstable, so its error has no bound. Lower its gain or its delay.")
    bound = loop.error_bound(settings.speed)
    measured = _largest_error(settings, loop)
    return TrackingRow(
        gain=loop.gain,
        smoothing=loop.smoothing,
        delay=loop.delay,
        lag=loop.smoothing / (1 - loop.smoothing) + loop.delay,
        left=loop.radius,
        largest_gain=loop.largest_gain,
        largest_gain_measured=_largest_gain(settings.env, loop),
        bound=bound,
        measured=measured,
        ratio=measured / bound,
    )


def _config(env: str, gain: float, smoothing: float, delay: int) -> EnvConfig:
    control = Control(smoothing, delay, target="absolute", reach=SPAN, gain=gain)
    return EnvConfig(env, max_episode_steps=10 * TRIAL, control=control)


def follow(env: VecEnv, targets: np.ndarray) -> np.ndarray:
    """Errors [t, 2]: target less place at each step, of one env that follows targets [t] and one that mirrors them.

    Targets are metres from where the hand is when this begins.
    """
    geometry = env.spec.geometry
    assert geometry is not None
    sign, place = np.array([1.0, -1.0]), geometry.effector[AXIS]
    begin, found = env.now.truth["observation"][:, place], []
    for target in targets:
        found.append(sign * target - (env.now.truth["observation"][:, place] - begin))
        action = np.zeros((2, env.spec.action_dim), np.float64)
        action[:, AXIS] = sign * target / SPAN
        env.step(action)
    return np.array(found)


def _largest_error(settings: TrackingSettings, loop: Loop) -> float:
    """The largest error of the worst target, metres, mean of both directions."""
    after_a_step = np.abs(loop.errors(np.ones(TRIAL)))
    steps = int(np.flatnonzero(after_a_step > LEFT * after_a_step.max())[-1]) + 1
    targets = loop.worst_targets(settings.speed, steps)
    if np.abs(targets).max() > SPAN:
        raise UserError(f"The worst target goes {np.abs(targets).max():.2f} m away; lower speed.")
    config = _config(settings.env, loop.gain, loop.smoothing, loop.delay)
    with closing(make_env(config, 2, "evaluation")) as env:
        env.reset(seeding.training_env_seed(0))
        return float(np.abs(follow(env, targets)).max(axis=0).mean())


def _largest_gain(env_id: str, loop: Loop) -> float:
    """The gain at which an oscillation that was begun by a nudge of the target no longer dies, by bisection."""
    low, high = (factor * loop.largest_gain for factor in BRACKET)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        with closing(make_env(_config(env_id, middle, loop.smoothing, loop.delay), 2, "evaluation")) as env:
            env.reset(seeding.training_env_seed(0))
            errors = np.abs(follow(env, np.full(TRIAL, NUDGE)))
        third = TRIAL // 3
        grows = errors[-third:].max() > max(errors[third : 2 * third].max(), DEAD * NUDGE)
        low, high = (low, middle) if grows else (middle, high)
    return (low + high) / 2
