"""Imperfect sensors: noise, bias, drift, resolution, readings that are lost or stuck, and delay.

They stand only between the environment and the policy. Reward, success and every metric are computed on the true state,
and the policy sees nothing without the sensors' errors.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from statistics import NormalDist
from typing import Annotated, Any, Literal, cast

import numpy as np
import tyro

from wellposed import seeding
from wellposed.envs.sensing import Sensing, sensing_of
from wellposed.envs.wrappers.wrapper import MOST_DELAY, Wrapper, begin_streams
from wellposed.errors import UserError, instead, require
from wellposed.serialise import LATER
from wellposed.types import Moment, Obs, Step, VecEnv

ROWS = 64  # readings for which random numbers are drawn at once; a call for each reading would cost more
LENGTHS = ("noise", "bias", "drift", "resolution")
SHARES = ("dropped", "stuck")
STEPS = ("lasting", "delay")


def assigned(words: Iterable[str]) -> dict[str, float]:
    """`NAME=NUMBER` as names and numbers. Raises ValueError if a word is something else."""
    found = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise ValueError(f"{word!r} is not NAME=NUMBER")
        found[name] = float(text)
    return found


_EACH = tyro.constructors.PrimitiveConstructorSpec(
    nargs="*",
    metavar="QUANTITY.FAULT=NUMBER...",
    instance_from_str=lambda words: assigned(words),
    is_instance=lambda value: isinstance(value, dict),
    str_from_instance=lambda value: [f"{name}={number!r}" for name, number in value.items()],
)


@dataclass(frozen=True)
class Sensors:
    """What measures the observations. Lengths are those of a measured position, in goal units (metres for Fetch).

    What else is measured is off in proportion: a velocity is the difference of two positions, an angle is seen by
    points a lever away (`SENSED` of Fetch); where nobody says how, in proportion to how much it varies.
    """

    noise: float = 0.0
    """Standard deviation of a measured position's error on each axis, in goal units (metres for Fetch)."""
    bias: float = field(default=0.0, metadata=LATER)
    """Standard deviation of an error that is drawn once for each episode."""
    drift: float = field(default=0.0, metadata=LATER)
    """Standard deviation of the step of an error that is a random walk from 0 in each episode."""
    resolution: float = field(default=0.0, metadata=LATER)
    """Distance between the readings that a sensor can give; 0 where it gives any."""
    dropped: float = field(default=0.0, metadata=LATER)
    """Probability that a quantity reads 0 from here on, for `lasting` readings."""
    stuck: float = field(default=0.0, metadata=LATER)
    """Probability that a quantity keeps its last reading from here on, for `lasting` readings."""
    lasting: int = field(default=1, metadata=LATER)
    """Readings for which a quantity is dropped or stuck."""
    delay: int = field(default=0, metadata=LATER)
    """Steps by which readings arrive late; an episode begins with its first reading, repeated."""
    each: Annotated[dict[str, float], _EACH] = field(default_factory=dict, hash=False, metadata=LATER)
    """What is otherwise for one quantity, in its own unit: object.noise=0.02 object_angle.bias=0.1."""

    def __post_init__(self) -> None:
        for name, value in ((one.name, getattr(self, one.name)) for one in fields(self) if one.name != "each"):
            _require_sound(name, f"env.sensors.{name}", value)
        for name, value in self.each.items():
            quantity, _, fault = name.rpartition(".")
            rule = f"takes QUANTITY.FAULT=NUMBER, a fault being one of {', '.join((*LENGTHS, *SHARES, *STEPS))}"
            require(bool(quantity) and fault in (*LENGTHS, *SHARES, *STEPS), "env.sensors.each", rule, name)
            _require_sound(fault, f"env.sensors.each {name}", value)

    def wrap(self, env: VecEnv, role: Literal["training", "evaluation"], seed: int) -> VecEnv:
        """The environment as these sensors show it. Raises UserError if it measures no quantity named in `each`."""
        if replace(self, lasting=1) == Sensors():
            return env
        return cast(VecEnv, SensedVecEnv(env, self, seed))

    def faults(self, sensing: Sensing) -> dict[str, np.ndarray]:
        """Each fault by name: lengths of every measured number in its scale [m], all else of every quantity [q].

        Raises:
            UserError: if `each` names a quantity that is not measured.
        """
        names = [quantity.name for quantity in sensing.quantities]
        lengths = {name: np.full(len(sensing.scale), float(getattr(self, name))) for name in LENGTHS}
        others = {name: np.full(len(names), float(getattr(self, name))) for name in (*SHARES, *STEPS)}
        for name, value in self.each.items():
            quantity, _, fault = name.rpartition(".")
            if quantity not in names:
                raise UserError(f"--env.sensors.each: nothing measures {quantity!r}{instead(quantity, names)}")
            which = names.index(quantity)
            if fault in LENGTHS:
                own = sensing.owner == which
                lengths[fault][own] = value / sensing.scale[own]
            else:
                others[fault][which] = value
        return lengths | others


def _require_sound(fault: str, setting: str, value: float) -> None:
    """Raises UserError if a fault's size is out of its range."""
    if fault in LENGTHS:
        require(0 <= value < np.inf, setting, "is a length in goal units, 0 or more", value)
    elif fault in SHARES:
        require(0 <= value <= 1, setting, "is a probability, 0 to 1", value)
    else:
        least = int(fault == "lasting")
        rule = f"is a number of steps, {least} to {MOST_DELAY:,}"
        require(least <= value <= MOST_DELAY and value == int(value), setting, rule, value)


def sensors_from(words: Iterable[str]) -> Sensors:
    """Sensors from `FAULT=NUMBER` and `QUANTITY.FAULT=NUMBER`, as a command line gives them.

    Raises:
        UserError: if a word is neither, or a number is out of its range.
    """
    try:
        given = assigned(words)
    except ValueError as error:
        raise UserError(f"--sensors: {error}.") from error
    known = {*LENGTHS, *SHARES, *STEPS}
    own = {name: value for name, value in given.items() if "." not in name}
    if unknown := own.keys() - known:
        wrong = sorted(unknown)[0]
        raise UserError(f"--sensors: there is no fault {wrong!r}{instead(wrong, sorted(known))}")
    for name in own.keys() & {*STEPS}:
        _require_sound(name, f"sensors {name}", own[name])
    settings: dict[str, Any] = {name: int(value) if name in STEPS else value for name, value in own.items()}
    return Sensors(**settings, each={name: value for name, value in given.items() if "." in name})


class Draws:
    """Standard normal numbers for each env, from a stream of its own, drawn for `ROWS` readings at once."""

    def __init__(self, rngs: list[np.random.Generator], width: int):
        self.rngs, self._width = rngs, width
        self._began = np.stack([seeding.pack_generator(rng) for rng in rngs])  # the streams before the present rows
        self._rows = np.zeros((len(rngs), ROWS, width))
        self._next = np.zeros(len(rngs), np.int64)

    def begin(self, i: int) -> None:
        """Draw rows for env i from where its stream stands."""
        self._began[i] = seeding.pack_generator(self.rngs[i])
        self._rows[i] = self.rngs[i].standard_normal((ROWS, self._width))
        self._next[i] = 0

    def take(self, envs: np.ndarray) -> np.ndarray:
        """The next row of each of these envs [k, width]."""
        at = self._next[envs]
        if (at == ROWS).any():
            for i in envs[at == ROWS]:
                self.begin(int(i))
            at = self._next[envs]
        self._next[envs] = at + 1
        return self._rows[envs, at]

    def state(self) -> dict[str, np.ndarray]:
        """The streams, and how many rows were taken."""
        return {"sensors": self._began.copy(), "sensors_row": self._next.copy()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        for i, (rng, packed) in enumerate(zip(self.rngs, state["sensors"], strict=True)):
            seeding.unpack_generator(rng, packed)
            self.begin(i)
        self._next = state["sensors_row"].copy()


class SensedVecEnv(Wrapper):
    """Observations are measured; the truth stays.

    A reading is made of what is true, bias, drift and noise, and then rounded to the resolution. It arrives late by the
    delay, and on its way it may be lost or stuck. Each env has its own stream, begun by the run's seed and its
    episode's seed: the errors in an episode do not depend on the number of envs, nor on earlier episodes.
    """

    def __init__(self, env: VecEnv, sensors: Sensors, seed: int):
        super().__init__(env)
        self.spec = env.spec._replace(truth=env.spec.goals)
        self._sensing, self._seed = sensing_of(env), seed
        self._faults = sensors.faults(self._sensing)
        n, m, q = env.num_envs, len(self._sensing.scale), len(self._sensing.quantities)
        self._uses = {name: bool(self._faults[name].any()) for name in (*LENGTHS, *SHARES, "delay")}
        width = m * (self._uses["noise"] + self._uses["drift"]) + 2 * q * self._outages
        self._draws = Draws([seeding.generator(seed, f"sensors of copy {i}") for i in range(n)], width)
        # A standard normal number is below this with the chance of an outage.
        self._below = _quantiles(np.stack([self._faults[name] for name in SHARES]))
        self._lasting = self._faults["lasting"].astype(int)
        late = int(self._faults["delay"].max()) - self._faults["delay"].astype(int)[self._sensing.owner]
        self._arrives = late * m + np.arange(m)  # where in a flat queue each number is that arrives next
        self._bias, self._drift, self._last = np.zeros((3, n, m))
        self._left = np.zeros((n, 2, q), np.int64)  # readings for which a quantity is still dropped, or stuck
        self._queue = np.zeros((n, int(self._faults["delay"].max()) + 1, m))  # the next to arrive first
        self._everyone = np.arange(n)
        self._measured: Obs = {}

    @property
    def _outages(self) -> bool:
        return self._uses["dropped"] or self._uses["stuck"]

    @property
    def now(self) -> Moment:
        """All envs as measured, and as they are."""
        return Moment(self._measured, self.env.now.truth)

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own."""
        chosen, _ = begin_streams(self._draws.rngs, self._seed, "sensors", seed, mask)
        obs = self.env.reset(seed, mask).obs
        self._measured = {key: value.copy() for key, value in (self._measured or obs).items()}
        self._begin(np.flatnonzero(chosen), obs)
        return self.now

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own."""
        before, step = self._measured, self.env.step(action)
        after = self._measured = self._measure(step.next_obs, self._everyone, first=False)
        if (ended := np.flatnonzero(step.ended)).size:
            self._measured = {key: value.copy() for key, value in after.items()}
            self._begin(ended, self.env.now.obs)
        return step._replace(obs=before, next_obs=after)

    def drawn(self) -> dict[str, np.ndarray]:
        """The biases of the episodes under way, in the unit of each quantity, and what the environment drew."""
        if not self._uses["bias"]:
            return self.env.drawn()
        own, first = self._bias * self._sensing.scale, 0
        found = dict(self.env.drawn())
        for quantity in self._sensing.quantities:
            for j in range(len(quantity.scale)):
                found[f"bias.{quantity.name}.{j}"] = own[:, first + j].copy()
            first += len(quantity.scale)
        return found

    def get_state(self) -> dict[str, np.ndarray]:
        """That of the environment, the current measurement, the random streams, and what the sensors remember."""
        measured = {f"sensed_{key}": value.copy() for key, value in self._measured.items()}
        own = {f"sensors_{name}": getattr(self, f"_{name}").copy() for name in _REMEMBERED}
        return self.env.get_state() | self._draws.state() | own | measured

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As the environment's own."""
        own = {f"_{name}": state[f"sensors_{name}"] for name in _REMEMBERED}
        if any(array.shape != getattr(self, name).shape for name, array in own.items()):
            raise ValueError("this state belongs to other sensors or another number of envs")
        inner = {key: value for key, value in state.items() if not key.startswith(("sensors", "sensed_"))}
        obs = self.env.set_state(inner).obs
        measured = {key: state[f"sensed_{key}"].copy() for key in obs}
        if any(measured[key].shape != value.shape for key, value in obs.items()):
            raise ValueError("this state belongs to another environment or another number of envs")
        self._draws.load(state)
        for name, array in own.items():
            setattr(self, name, array.copy())
        self._measured = measured
        return self.now

    def _begin(self, envs: np.ndarray, obs: Obs) -> None:
        """Episodes begin in these envs [k]: measure them in the observations [n, ...] of all."""
        for i in envs:
            if self._uses["bias"]:
                self._bias[i] = self._faults["bias"] * self._draws.rngs[i].standard_normal(self._bias.shape[1])
            self._draws.begin(int(i))
        self._drift[envs], self._left[envs] = 0.0, 0
        measured = self._measure({key: value[envs] for key, value in obs.items()}, envs, first=True)
        for key, value in measured.items():
            self._measured[key][envs] = value

    def _measure(self, obs: Obs, envs: np.ndarray, *, first: bool) -> Obs:
        """One measurement of these envs [k], as new arrays [k, ...]; `first`: of an episode."""
        uses, faults, m = self._uses, self._faults, self._bias.shape[1]
        draws, error = self._draws.take(envs), self._bias[envs]
        if uses["noise"]:
            error = error + faults["noise"] * draws[:, :m]
        if uses["drift"]:
            begin = m * uses["noise"]
            drift = self._drift[envs] = self._drift[envs] + faults["drift"] * draws[:, begin : begin + m]
            error = error + drift
        if uses["resolution"] or uses["delay"] or self._outages:
            true = self._sensing.measured(obs)
            error = self._arriving(self._rounded(true + error), draws, envs, first) - true
        return self._sensing.added(obs, error)

    def _rounded(self, reading: np.ndarray) -> np.ndarray:
        """Readings [n, m] to the nearest that the sensor can give."""
        if not self._uses["resolution"]:
            return reading
        step = self._faults["resolution"]
        whole = np.where(step > 0, step, 1.0)
        return np.where(step > 0, np.round(reading / whole) * whole, reading)

    def _arriving(self, reading: np.ndarray, draws: np.ndarray, envs: np.ndarray, first: bool) -> np.ndarray:
        """What arrives [k, m] when these envs make these readings."""
        if self._uses["delay"]:
            if first:
                self._queue[envs] = reading[:, None]
            else:  # all envs step at once
                self._queue[:, :-1] = self._queue[:, 1:]
                self._queue[:, -1] = reading
            reading = self._queue[envs].reshape(len(envs), -1)[:, self._arrives]
        if self._outages:
            out = self._out(draws, envs)[:, :, self._sensing.owner]
            if not first:  # nothing was read yet that could be read again
                reading = np.where(out[:, 1], self._last[envs], reading)
            self._last[envs] = reading
            reading = np.where(out[:, 0], 0.0, reading)
        return reading

    def _out(self, draws: np.ndarray, envs: np.ndarray) -> np.ndarray:
        """Where a quantity is dropped, and where it is stuck, bool [k, 2, q]."""
        begins = draws[:, -self._below.size :].reshape(-1, *self._below.shape) < self._below
        left = self._left[envs]
        left = np.where((left == 0) & begins, self._lasting, left)
        self._left[envs] = np.maximum(left - 1, 0)
        return left > 0


_REMEMBERED = ("bias", "drift", "last", "left", "queue")
_quantiles = np.vectorize(lambda p: -np.inf if p <= 0 else np.inf if p >= 1 else NormalDist().inv_cdf(p))
