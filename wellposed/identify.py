"""What transitions of a reality say of a simulator's dynamics: estimates with intervals, and what no data tell.

The simulator is put into each recorded state, takes the recorded action, and its reading is compared with what was
read. With normal errors, one standard deviation for each number, that is a likelihood of the parameters; its greatest
value is the estimate, its curvature the Fisher information. A direction of parameters along which nothing changes has
none, and is told as not identifiable instead of as a number.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import exp, log
from typing import Any

import numpy as np

from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.registry import find
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.errors import UserError, instead
from wellposed.recorded import OBSERVATION, Recording

RANGE = 4.0  # parameters are looked for between a quarter of the simulator's own value and four times that
LIMIT = log(RANGE)
NUDGES = (0.4, 0.2, 0.1)  # of logarithms, in the rounds of a search: contacts are rough on smaller ones
SEARCHES, DRAWS = 2, 4  # searches by drawing, and rounds of each
WIDEST, WIDER = 0.4, 8.0  # of a logarithm, and standard errors, as far as the first draws
SCAN = (-0.3, -0.2, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.2, 0.3)  # of each logarithm alone, after a search
LAST = 0.2  # over which slopes are taken for intervals
FARTHEST = 0.7  # the longest step of a round along a logarithm
SHARE = 0.01  # of a parameter's square that may lie along an axis that is not told
MOST = 500  # transitions that are simulated if nothing else is said
ENVS = 50  # transitions at a time
FACTORS = ("friction", "mass", "size", "damping", "gain")  # what acts smoothly, as a factor
ANGLE = "rad"
Errors = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Parameter:
    """A factor of the simulator's own value. Its interval is null where the data do not confine it."""

    name: str
    estimate: float  # of one that is not identifiable, where the search stopped
    low: float | None  # 95 %
    high: float | None
    identifiable: bool


@dataclass(frozen=True)
class Direction:
    """A product of powers of the parameters, as the data see them: one axis of the Fisher information."""

    exponents: dict[str, float]  # of each parameter, squares add up to 1
    half_width: float | None  # of the 95 % interval of the product's logarithm; null where the data do not tell it


@dataclass(frozen=True)
class Gap:
    """A typical error of the simulator's prediction of one quantity, over the recorded transitions."""

    quantity: str
    unit: str
    own: float  # with the simulator's own dynamics
    identified: float
    without: dict[str, float]  # identified, but for this parameter, which is the simulator's own


@dataclass(frozen=True)
class Identified:
    """What a recording says."""

    env: str
    episodes: int
    transitions: int
    steps: int
    parameters: list[Parameter]
    directions: list[Direction]  # the best known first
    gap: list[Gap]

    @property
    def unknown(self) -> list[str]:
        """The parameters that these data do not tell."""
        return [one.name for one in self.parameters if not one.identifiable]


@dataclass(frozen=True)
class Fit:
    """A greatest likelihood: logarithms of factors [p], and what is known of them."""

    at: np.ndarray
    axes: np.ndarray  # [p, p], in columns, the best known first
    half_width: np.ndarray  # [p], along each axis; above `LIMIT` where nothing is told
    known: np.ndarray  # bool [p]: of each parameter
    spread: np.ndarray  # [p], half-width of each parameter's interval
    scale: np.ndarray  # [k], standard deviation of the errors of each number


def identify(found: Recording, names: Sequence[str], steps: int = 1, threads: int = 2, most: int = MOST) -> Identified:
    """Estimate parameters of the dynamics.

    Args:
        found: transitions of a reality.
        names: which parameters, of `FACTORS`.
        steps: how many steps are predicted at once.
        threads: native threads for physics.
        most: transitions that are simulated; evenly spread where the recording has more.

    Raises:
        UserError: if there is no such parameter, the environment does not vary it, or the recording does not fit it.
    """
    if wrong := [name for name in names if name not in FACTORS]:
        raise UserError(f"{wrong[0]!r} is not identified as a factor{instead(wrong[0], FACTORS)}")
    if not names or len({*names}) < len(names):
        raise UserError(f"Name parameters, each once, of {', '.join(FACTORS)}.")
    starts, outcomes, episodes = found.transitions(steps)
    if not len(starts):
        raise UserError(f"The recording has no episode of more than {steps + found.about.delay} steps.")
    chosen = np.linspace(0, len(starts) - 1, min(most, len(starts))).round().astype(int)
    starts, outcomes, episodes = starts[chosen], outcomes[chosen], episodes[chosen]
    with closing(Simulator(found, names, starts, outcomes, steps, threads)) as simulator:
        fitted = fit(simulator.errors, simulator.floor, episodes, len(names))
        gap = _gap(simulator, fitted, names)
    parameters = [
        Parameter(name, exp(at), exp(at - half) if known else None, exp(at + half) if known else None, bool(known))
        for name, at, half, known in zip(names, fitted.at, fitted.spread, fitted.known, strict=True)
    ]
    directions = [
        Direction(dict(zip(names, map(float, axis), strict=True)), float(half) if half < LIMIT else None)
        for axis, half in zip(fitted.axes.T, fitted.half_width, strict=True)
    ]
    told = {"episodes": len(found.length), "transitions": len(starts), "steps": steps}
    return Identified(found.about.env.id, **told, parameters=parameters, directions=directions, gap=gap)


class Simulator:
    """The recorded transitions, simulated with other dynamics."""

    def __init__(
        self,
        found: Recording,
        names: Sequence[str],
        starts: np.ndarray,
        outcomes: np.ndarray,
        steps: int,
        threads: int,
    ):
        varied = Dynamics(**dict.fromkeys(names, f"{1 / RANGE}..{RANGE}"))
        where: EnvConfig = replace(found.about.env, dynamics=varied)
        self._names, self._found, self._starts, self._steps = list(names), found, starts, steps
        self._env: Any = make_env(where, min(ENVS, len(starts)), "evaluation", threads=threads, to_limit=True)
        field = self._env.spec.field(OBSERVATION)
        shapes = {name: array.shape[1:] for name, array in self._env.snapshot().items()}
        if shapes != {name: array.shape[1:] for name, array in found.state.items()} or (
            found.obs[OBSERVATION].shape[1:] != field.shape or found.applied.shape[1:] != (self._env.spec.action_dim,)
        ):
            self.close()
            raise UserError(f"The recording does not fit {where.id}: its states or readings have other sizes.")
        # Near where angles jump, a small turn is a large difference: they are left out.
        self.quantities = {q: one for q, one in quantities_of(where.id, *field.shape).items() if one[0] != ANGLE}
        self._numbers = [i for _, numbers in self.quantities.values() for i in numbers]
        self._seen = found.obs[OBSERVATION][outcomes][:, self._numbers]
        floor = np.broadcast_to(np.array(field.floor or 0.0), field.shape)[self._numbers]
        self.floor = np.maximum(floor, 1e-9 * np.abs(self._seen).max(axis=0) + 1e-12)  # what is constant has no error

    def errors(self, logarithms: np.ndarray) -> np.ndarray:
        """Predicted less recorded readings [m, k], with these logarithms of factors [p]."""
        env, n, found = self._env, self._env.num_envs, []
        env.fix(dict(zip(self._names, np.exp(logarithms).tolist(), strict=True)))
        env.reset(seed=0)
        for first in range(0, len(self._starts), n):
            chosen = np.resize(self._starts[first : first + n], n)
            env.restore({name: array[chosen] for name, array in self._found.state.items()})
            step = env.step(self._found.applied[chosen])
            for later in range(1, self._steps):
                step = env.step(self._found.applied[chosen + later])
            found.append(step.next_truth[OBSERVATION][: len(self._starts) - first, self._numbers])
        return np.concatenate(found) - self._seen

    def close(self) -> None:
        """Stop the simulation."""
        self._env.close()


def fit(errors_of: Errors, floor: np.ndarray, episodes: np.ndarray, p: int) -> Fit:
    """The greatest likelihood of logarithms of factors [p], within `RANGE`.

    Errors are normal with a standard deviation for each number, estimated from what is left but at least its floor.
    What is left may be alike within an episode; intervals allow for that.

    Args:
        errors_of: errors of predictions [m, k] for logarithms [p].
        floor: the least standard deviation of each number [k].
        episodes: which each error is of, [m].
        p: number of parameters.
    """
    at, left = np.zeros(p), errors_of(np.zeros(p))
    for nudge in NUDGES:
        scale = _spread(left, floor)
        around = _around(errors_of, at, nudge)
        loss = [_loss(errors / scale) for _, errors in around]
        tries = at + _steps(_loss(left / scale), loss, _slopes(around, left, scale, nudge), left / scale, nudge)
        found = [(at, left), *around, *((there, errors_of(there)) for there in np.clip(tries, -LIMIT, LIMIT))]
        at, left = min(found, key=lambda one: _loss(one[1] / scale))
    scale = _spread(left, floor)
    slopes = _slopes(_around(errors_of, at, LAST), left, scale, LAST)
    for _ in range(SEARCHES):
        at = _searched(lambda there: _loss(errors_of(there) / scale), at, slopes)
    left = errors_of(at)
    scale = _spread(left, floor)
    slopes = _slopes(_around(errors_of, at, LAST), left, scale, LAST)
    return _known(at, slopes, (left / scale).ravel(), np.repeat(episodes, left.shape[1]), scale)


def _around(errors_of: Errors, at: np.ndarray, nudge: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points a nudge up along each logarithm, and then down, with their errors."""
    moves = np.concatenate([nudge * np.eye(len(at)), -nudge * np.eye(len(at))])
    return [(at + move, errors_of(at + move)) for move in moves]


def _loss(errors: np.ndarray) -> float:
    """Twice minus the logarithm of the likelihood, of errors in standard deviations."""
    return float(np.sum(_tamed(errors) ** 2))


def _searched(loss: Callable[[np.ndarray], float], at: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The lowest point that is found by drawing around the best ones, with a covariance that follows them.

    Slopes of contacts are rough, and steps along them end in a valley beside the lowest one. The first covariance is
    that of the information, many times as wide.

    Source: Hansen & Ostermeier (2001), "Completely Derandomized Self-Adaptation in Evolution Strategies", Evolutionary
    Computation 9, reduced to its update by the best points.
    """
    rng, p = np.random.default_rng(0), len(at)
    information, axes = np.linalg.eigh(slopes.T @ slopes)
    wide = np.minimum(WIDEST, WIDER / np.sqrt(np.maximum(information, 1e-12)))
    covariance = axes * wide**2 @ axes.T
    best, mean = (loss(at), at), at
    for _ in range(DRAWS):
        points = np.clip(rng.multivariate_normal(mean, covariance, 6 + 3 * p), -LIMIT, LIMIT)
        found = sorted([*((loss(point), tuple(point)) for point in points), (best[0], tuple(best[1]))])
        chosen = np.array([point for _, point in found[: 2 + p]])
        covariance = 0.5 * covariance + 0.5 * (chosen - mean).T @ (chosen - mean) / len(chosen)
        best, mean = (found[0][0], chosen[0]), chosen.mean(axis=0)
    for j in range(p):  # what one parameter alone would still gain, far away
        moved = [best[1] + step * np.eye(p)[j] for step in SCAN]
        best = min([best, *((loss(point), point) for point in np.clip(moved, -LIMIT, LIMIT))], key=lambda one: one[0])
    return best[1]


def _slopes(
    around: list[tuple[np.ndarray, np.ndarray]], left: np.ndarray, scale: np.ndarray, nudge: float
) -> np.ndarray:
    """Slopes of the tamed errors by each logarithm, [m k, p], from errors a nudge up, and then down, along each."""
    up, down = np.split(np.stack([(errors / scale).ravel() for _, errors in around], axis=1), 2, axis=1)
    return _slope_of_tamed(left / scale)[:, None] * (up - down) / (2 * nudge)


def _steps(here: float, loss: list[float], slopes: np.ndarray, errors: np.ndarray, nudge: float) -> np.ndarray:
    """Steps to try, [3, p]: that of Gauss and Newton, the shortest if there are several, half of it, and a parabola's.

    The second one goes to the lowest point of the parabola along each logarithm: it sees the shape of the loss itself,
    where contacts make slopes rough.
    """
    newton = np.clip(np.linalg.lstsq(slopes, -_tamed(errors), rcond=1e-6)[0], -FARTHEST, FARTHEST)
    up, down = np.split(np.array(loss), 2)
    bend = up + down - 2 * here
    lowest = np.where(bend > 0, (down - up) / (2 * np.maximum(bend, 1e-12)), np.sign(down - up))
    return np.stack([newton, newton / 2, nudge * np.clip(lowest, -2, 2)])


def _tamed(errors: np.ndarray) -> np.ndarray:
    """Numbers whose squares, halved, are sqrt(1 + e^2) - 1 of each error, [m k]: minus the logarithm of the likelihood.

    It is normal for small errors and has the tails of an exponential distribution: contacts come a step early or late.
    """
    return (np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1))).ravel()


def _slope_of_tamed(errors: np.ndarray) -> np.ndarray:
    """By how much tamed errors grow with errors, [m k]."""
    here = np.abs(errors).ravel()
    return np.divide(here / np.sqrt(1 + here**2), np.abs(_tamed(here)), out=np.ones_like(here), where=here > 1e-6)


def _spread(left: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """The standard deviation of each number's errors [k], by their median, so that a few large ones do not set it."""
    return np.maximum(1.4826 * np.median(np.abs(left), axis=0), floor)


def half_widths(slopes: np.ndarray, z: float, limit: float) -> np.ndarray:
    """Half-widths of the intervals of parameters [p], from slopes of readings whose standard deviation is 1, [m, p].

    The Fisher information is slopes' slopes. Along one of its axes with the eigenvalue w the half-width is z / sqrt(w).
    Where it exceeds `limit` the data tell nothing, and a parameter that changes along such an axis has an infinite one.

    Args:
        slopes: of each reading by each parameter.
        z: half-width of an interval in standard deviations.
        limit: the half-width from which on a direction counts as not told, in the unit of the parameters.
    """
    information, axes = np.linalg.eigh(slopes.T @ slopes)
    told = information > (z / limit) ** 2
    variance = (axes[:, told] ** 2 / information[told]).sum(axis=1)
    hidden = (axes[:, ~told] ** 2).sum(axis=1) > SHARE
    return np.where(hidden, np.inf, z * np.sqrt(variance))


def _known(at: np.ndarray, slopes: np.ndarray, errors: np.ndarray, episodes: np.ndarray, scale: np.ndarray) -> Fit:
    """What is known around a greatest likelihood: the wider of two intervals, of single readings and of episodes.

    That of episodes comes from how far the estimate moves when each of them is left out; a single one says nothing.

    Source: MacKinnon, Nielsen & Webb (2023), "Fast and reliable jackknife and bootstrap methods for cluster-robust
    inference", Journal of Applied Econometrics 38, CV3.
    """
    from scipy.special import stdtrit

    each, limit = np.unique(episodes), LIMIT
    z = float(stdtrit(max(len(each) - 1, 1), 0.975))
    alone = half_widths(slopes, z, limit)
    information, axes = np.linalg.eigh(slopes.T @ slopes)
    told = axes[:, information > (z / limit) ** 2]
    curvature = (1 + errors**2) ** -1.5 / _slope_of_tamed(errors) ** 2  # of the loss, over the squares of the slopes
    along_told, pull = slopes @ told, _tamed(errors)
    bends = [_gram(along_told[episodes == one], curvature[episodes == one]) for one in each]
    pulls = [along_told[episodes == one].T @ pull[episodes == one] for one in each]
    least = 1e-12 * np.eye(told.shape[1])  # where a single episode told all, leaving it out moves the estimate anywhere
    others = [sum(bends) - bend + least for bend in bends]
    moved = np.stack([told @ np.linalg.solve(rest, by) for rest, by in zip(others, pulls, strict=True)])
    alike = (moved**2).sum(axis=0) * (len(each) - 1) / len(each)
    spread = np.maximum(alone, z * np.sqrt(alike)) if len(each) > 1 else alone
    along = z / np.sqrt(np.maximum(information, 1e-12))
    return Fit(at, axes[:, ::-1], along[::-1], spread < limit, spread, scale)


def _gram(slopes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted sums of products of slopes, [p, p]."""
    return (weight[:, None] * slopes).T @ slopes


def _gap(simulator: Simulator, fitted: Fit, names: Sequence[str]) -> list[Gap]:
    """Errors of each quantity: with the simulator's own dynamics, identified, and without one parameter at a time."""
    own = np.zeros(len(names))
    apart = {name: np.where(np.arange(len(names)) == j, 0.0, fitted.at) for j, name in enumerate(names)}
    errors = {key: simulator.errors(at) for key, at in {"": own, "all": fitted.at, **apart}.items()}
    found = []
    first = 0
    for quantity, (unit, numbers) in simulator.quantities.items():
        own_numbers = slice(first, first := first + len(numbers))
        typical = {key: float(np.sqrt(np.mean(np.sum(e[:, own_numbers] ** 2, axis=1)))) for key, e in errors.items()}
        found.append(Gap(quantity, unit, typical.pop(""), typical.pop("all"), typical))
    return found


def quantities_of(env_id: str, numbers: int) -> dict[str, tuple[str, list[int]]]:
    """The quantities of an observation: unit and numbers of each; of an environment that names none, all as one."""
    known = find(env_id).quantities
    if known is None or len(known.observation) != numbers:
        return {OBSERVATION: ("", list(range(numbers)))}
    found: dict[str, tuple[str, list[int]]] = {}
    for i, one in enumerate(known.observation):
        name = one.name[:-2] if one.name[-2:] in (" x", " y", " z") else one.name
        found.setdefault(name, (one.unit, []))[1].append(i)
    return found


def table(found: Identified) -> list[str]:
    """What is known of each parameter, and the errors, as lines."""
    lines = [f"{found.env}: {found.transitions:,} transitions of {found.episodes} episodes"]
    for one in found.parameters:
        told = f"{one.estimate:.3f} (95 % CI {one.low:.3f}-{one.high:.3f})" if one.identifiable else "not identifiable"
        lines.append(f"{one.name:<10} {told}")
    for one in found.directions:
        if one.half_width is None:
            powers = " ".join(f"{name}^{power:.2f}" for name, power in one.exponents.items() if abs(power) >= 0.1)
            lines.append(f"these data hardly change along {powers}: what stays the same there is all that they tell")
    lines.append("typical error of a prediction    own dynamics    identified")
    return lines + [
        f"{one.quantity + ', ' + one.unit:<28} {one.own:>15.4g} {one.identified:>13.4g}" for one in found.gap
    ]
