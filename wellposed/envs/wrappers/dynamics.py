"""Other dynamics: friction, masses, sizes and the like, drawn anew for each episode.

The rest of an episode stays what it is: start, goal and sensors' errors come from streams of their own. So two
environments that differ in these settings alone play pairs of episodes that differ in the named parameters alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from wellposed import seeding
from wellposed.envs.wrappers.wrapper import Wrapper, begin_streams, require_capability
from wellposed.errors import UserError, instead, require
from wellposed.serialise import LATER
from wellposed.types import Moment, Step, VecEnv


class Domain(NamedTuple):
    """The values that a parameter may take: any between two, or one of several."""

    values: tuple[float, ...]
    between: bool  # the two values are the ends of a range

    def draw(self, rng: np.random.Generator) -> float:
        """A value, uniform."""
        if self.between:
            return float(rng.uniform(self.values[0], self.values[1]))
        return self.values[int(rng.integers(len(self.values)))]


def domain(text: str) -> Domain:
    """`0.5..1.5` is any value between, `0.5,1,2` one of these, `0.7` this one.

    Raises:
        ValueError: if the text is something else.
    """
    between = ".." in text
    values = tuple(float(part) for part in text.split(".." if between else ","))
    if not np.isfinite(values).all() or (between and not (len(values) == 2 and values[0] <= values[1])):
        raise ValueError(f"{text!r} is no range")
    return Domain(values, between)


@dataclass(frozen=True)
class Dynamics:
    """What is drawn of the dynamics for each episode: LOW..HIGH, uniform; A,B,C, one of these; or one number.

    All are factors of the environment's own value but `table_height`. Not every environment can vary each.
    """

    friction: str = field(default="1", metadata=LATER)
    """Factor of sliding friction, of all contacts."""
    mass: str = field(default="1", metadata=LATER)
    """Factor of the object's mass and inertia; of all bodies' where no object is known."""
    size: str = field(default="1", metadata=LATER)
    """Factor of the object's lengths; its mass stays."""
    damping: str = field(default="1", metadata=LATER)
    """Factor of the damping of all joints."""
    gain: str = field(default="1", metadata=LATER)
    """Factor of actuators' gain, and of the stiffness of a spring that moves the hand."""
    table_height: str = field(default="0", metadata=LATER)
    """Displacement of the table upwards, in metres; the object starts on it, goals stay where they are."""
    rate: str = field(default="1", metadata=LATER)
    """Factor of the rate of control: 0.5 is half as many environment steps in a second."""

    def __post_init__(self) -> None:
        for one in fields(self):
            text, name = getattr(self, one.name), f"env.dynamics.{one.name}"
            rule = "takes LOW..HIGH, A,B,C or a number"
            try:
                values = domain(text).values
            except (ValueError, AttributeError):
                raise UserError(f"--{name.replace('_', '-')} {rule}, got {text!r}.") from None
            require(one.name == "table_height" or min(values) > 0, name, "is a factor, greater than 0", text)

    @property
    def domains(self) -> dict[str, Domain]:
        """The parameters that are not the environment's own, and their values."""
        return {f.name: domain(text) for f in fields(self) if (text := getattr(self, f.name)) != f.default}

    def wrap(self, env: VecEnv, role: Literal["training", "evaluation"], seed: int) -> VecEnv:
        """The environment with these dynamics.

        Raises:
            UserError: if it cannot vary them.
        """
        if not self.domains:
            return env
        first = next(iter(self.domains)).replace("_", "-")
        require_capability(env, "dynamics", f"env.dynamics.{first}", "whose MuJoCo model is at hand")
        return cast(VecEnv, DynamicsVecEnv(env, self.domains, seed))


def dynamics_from(words: Iterable[str]) -> Dynamics:
    """Dynamics from `NAME=RANGE`, as a command line gives them. Raises UserError if a word is something else."""
    known, given = [one.name for one in fields(Dynamics)], {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name not in known:
            raise UserError(f"--dynamics takes NAME=RANGE, got {word!r}{instead(name, known)}")
        given[name] = text
    return Dynamics(**given)


class DynamicsVecEnv(Wrapper):
    """Each episode has its own values. Those of env i come from a stream that the run's and the episode's seed begin.

    Its state holds the values of the episodes under way and of the next ones.
    """

    def __init__(self, env: VecEnv, domains: dict[str, Domain], seed: int):
        super().__init__(env)
        self._domains, self._seed = list(domains.values()), seed
        self._varied = cast(Any, env).vary(list(domains))
        self._rngs = [seeding.generator(seed, f"dynamics of copy {i}") for i in range(env.num_envs)]
        self._draw(np.ones(env.num_envs, bool))

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own, with values of new episodes."""
        chosen, given = begin_streams(self._rngs, self._seed, "dynamics", seed, mask)
        self._draw(given)
        moment = self.env.reset(seed, mask)
        self._draw(chosen)
        return moment

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own."""
        step = self.env.step(action)
        if step.ended.any():
            self._draw(step.ended)
        return step

    def fix(self, values: dict[str, float]) -> None:
        """From the next reset on, every episode has these values of the parameters that vary."""
        self._domains = [Domain((values[name],), False) for name in self._varied.names]
        self._draw(np.ones(self.num_envs, bool))

    def drawn(self) -> dict[str, np.ndarray]:
        """The values of the episodes under way, and what the environment drew."""
        return self.env.drawn() | {
            f"dynamics.{name}": self._varied.now[:, j].copy() for j, name in enumerate(self._varied.names)
        }

    def get_state(self) -> dict[str, np.ndarray]:
        """That of the environment, the values, and the random streams."""
        streams = np.stack([seeding.pack_generator(rng) for rng in self._rngs])
        own = {"dynamics": self._varied.now, "dynamics_next": self._varied.next, "dynamics_streams": streams}
        return self.env.get_state() | {name: array.copy() for name, array in own.items()}

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As the environment's own."""
        values, following = state["dynamics"], state["dynamics_next"]
        if {values.shape, following.shape} != {self._varied.now.shape}:
            raise ValueError("this state belongs to other dynamics or another number of envs")
        self._varied.next[:] = values
        for i in range(self.num_envs):
            self._varied.begin(i)
        inner = {name: array for name, array in state.items() if not name.startswith("dynamics")}
        moment = self.env.set_state(inner)
        self._varied.next[:] = following
        for rng, packed in zip(self._rngs, state["dynamics_streams"], strict=True):
            seeding.unpack_generator(rng, packed)
        return moment

    def _draw(self, chosen: np.ndarray) -> None:
        """Draw the values of the next episodes of the chosen envs [n]."""
        for i in np.flatnonzero(chosen):
            self._varied.next[i] = [one.draw(self._rngs[i]) for one in self._domains]
