"""The one door to an environment: what it is, and what stands between it and the policy.

The fields of `EnvConfig` between `max_episode_steps` and `geometry` are the wrappers, from the envs outwards, in the
order in which they stand. A new one is a file in `wrappers/` with a frozen dataclass that has `wrap(env, role, seed)`,
and a field here. What a policy remembers is none of them: it is the policy's carry, and replay hands out windows of
transitions.
"""

import importlib.util
import inspect
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, Literal

import tyro

from wellposed.envs.geometry import read
from wellposed.envs.gymnasium_edge import GymnasiumVecEnv
from wellposed.envs.registry import EnvEntry, find
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.curriculum import Curriculum
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.filter import Filter
from wellposed.envs.wrappers.pixels import Pixels
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.envs.wrappers.turned import with_geometry
from wellposed.errors import UserError, require
from wellposed.serialise import LATER
from wellposed.types import Geometry, Spec, VecEnv


def _argument(word: str) -> tuple[str, Any]:
    """`KEY=VALUE` as a name and a value: JSON where it is JSON (3, true, [1, 2]), else the text itself."""
    key, equals, text = word.partition("=")
    if not (key and equals):
        raise ValueError(f"{word!r} is not KEY=VALUE")
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text


_ARGUMENTS = tyro.constructors.PrimitiveConstructorSpec(
    nargs="*",
    metavar="KEY=VALUE...",
    instance_from_str=lambda words: dict(map(_argument, words)),
    is_instance=lambda value: isinstance(value, dict),
    str_from_instance=lambda value: [f"{key}={json.dumps(part)}" for key, part in value.items()],
)

_GEOMETRY = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="JSON",
    instance_from_str=lambda text: None if text[0] == "null" else read(json.loads(text[0]), "--env.geometry"),
    is_instance=lambda value: value is None or isinstance(value, Geometry),
    str_from_instance=lambda value: [json.dumps(value and asdict(value))],
)

_PARTS = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="JSON",
    instance_from_str=lambda text: _parts(json.loads(text[0])),
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda value: [json.dumps(value)],
)


def _parts(said: Any) -> tuple[tuple[int, ...], ...]:
    """The parts of a goal from JSON."""
    if not (isinstance(said, list) and all(isinstance(part, list) for part in said)):
        raise ValueError(f"{said!r} is not a list of lists of numbers")
    return tuple(tuple(int(number) for number in part) for part in said)


MOST_STEPS = 10_000_000  # of an episode


@dataclass(frozen=True)
class EnvConfig:
    """An environment, and how a policy sees and moves it."""

    id: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """A registered environment (`wellposed envs` lists them), any goal environment of Gymnasium, my_env:make or
    file.py:make."""
    kwargs: Annotated[dict[str, Any], _ARGUMENTS] = field(default_factory=dict, hash=False, metadata=LATER)
    """Arguments of the environment itself: size=3 color=red walls=[[0,1],[2,1]]."""
    max_episode_steps: int | None = field(default=None, metadata=LATER)
    """Steps after which an episode is cut; the environment's own number if not given."""
    dynamics: Dynamics = field(default_factory=Dynamics, metadata=LATER)
    """What is drawn of the dynamics for each episode, in training and in evaluation."""
    control: Control = field(default_factory=Control, metadata=LATER)
    """What becomes of an action on its way to the simulator."""
    sensors: Sensors = field(default_factory=Sensors, metadata=LATER)
    """What measures the observations."""
    filter: Filter = field(default_factory=Filter, metadata=LATER)
    """What filters the readings of the sensors."""
    pixels: Pixels = field(default_factory=Pixels, metadata=LATER)
    """What a camera shows instead of the state."""
    curriculum: Curriculum = field(default_factory=Curriculum, metadata=LATER)
    """How the goals of training grow; evaluation has the task's own."""
    geometry: Annotated[Geometry | None, _GEOMETRY] = field(default=None, metadata=LATER)
    """The environment's symmetries as a JSON object; what it declares itself if not given."""
    goal_parts: Annotated[tuple[tuple[int, ...], ...], _PARTS] = field(default=(), metadata=LATER)
    """The numbers of a goal by the thing that they are of, as [[0, 1, 2], [3, 4, 5]] for two blocks; what the
    environment declares itself if not given."""

    def __post_init__(self) -> None:
        require(isinstance(self.kwargs, dict), "env.kwargs", "must be arguments by name", self.kwargs)
        steps = self.max_episode_steps
        rule = f"must be 1 to {MOST_STEPS:,}"
        require(steps is None or 1 <= steps <= MOST_STEPS, "env.max_episode_steps", rule, steps)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments with which the environment itself is made."""
        limit = {} if self.max_episode_steps is None else {"max_episode_steps": self.max_episode_steps}
        return self.kwargs | limit


def make_env(
    config: EnvConfig,
    num_envs: int,
    role: Literal["training", "evaluation"],
    *,
    threads: int = 1,
    seed: int = 0,
    to_limit: bool = False,
) -> VecEnv:
    """`num_envs` envs of one environment, with everything that stands around them.

    Args:
        config: what to make.
        num_envs: how many, at least 1.
        role: a curriculum is for training only.
        threads: native threads for the physics, or worker processes of a Gymnasium environment; results do not depend
            on it.
        to_limit: where success ends an episode, let it go on to its limit.
        seed: of the run, for what is random around the envs; their own seeds come with `reset`.

    Raises:
        UserError: if the id is unknown, the environment is no well-posed goal environment, or it does not allow what
            the configuration asks of it.
    """
    if num_envs < 1 or threads < 1:
        raise UserError(f"num_envs and threads must be at least 1, got {num_envs} and {threads}.")
    own, entry = config.arguments, find(config.id)
    if not installed(entry):
        raise UserError(
            f"{config.id} needs the extra {entry.extra}: `make setup EXTRAS=dev,{entry.extra}` in a checkout, or "
            f"`pip install 'wellposed[{entry.extra}]'`."
        )
    try:
        inspect.signature(entry.make).bind(num_envs=num_envs, threads=threads, **own)
    except TypeError as error:
        raise UserError(f"--env.kwargs does not fit {config.id}: {error}.") from error
    env = entry.make(num_envs=num_envs, threads=threads, **own)
    if to_limit and "ends at goals" in env.capabilities:
        env.keep_running()  # type: ignore[attr-defined]
    env.spec = with_parts(env.spec, config.goal_parts)
    if (geometry := config.geometry or env.spec.geometry) is not None:
        env = with_geometry(env, geometry)
    for wrapper in wrappers(config):
        env = wrapper.wrap(env, role, seed)
    return env


def with_parts(spec: Spec, parts: tuple[tuple[int, ...], ...]) -> Spec:
    """The spec of an environment whose goals have these parts; () leaves it as it is.

    Raises:
        UserError: if they are not all numbers of a goal, each once.
    """
    if not parts:
        return spec
    size = spec.size("desired_goal")
    known = sorted(number for part in parts for number in part) == list(range(size)) and all(parts)
    require(known, "env.goal_parts", f"must hold each of the numbers 0 to {size - 1} of a goal once", parts)
    return spec._replace(goal_parts=parts)


def installed(entry: EnvEntry) -> bool:
    """Whether what an environment needs beside this package is installed."""
    return not entry.extra or importlib.util.find_spec(entry.module or entry.extra) is not None


def wrappers(config: EnvConfig) -> list[Any]:
    """The configurations of the wrappers, in the order in which they stand around the envs."""
    names = [field.name for field in fields(config)]
    first, last = names.index("max_episode_steps") + 1, names.index("geometry")
    return [getattr(config, name) for name in names[first:last]]


def make_vec(env_id: str, num_envs: int = 1, *, threads: int = 1, **kwargs: Any) -> GymnasiumVecEnv:
    """`num_envs` envs of a goal environment as one `gymnasium.vector.VectorEnv`.

    Args:
        env_id: a registered id, or any goal environment Gymnasium knows, or MODULE:NAME or FILE.py:NAME.
        num_envs: how many, at least 1.
        threads: as of `make_env`.
        kwargs: passed to the environment, e.g. `max_episode_steps`.

    Raises:
        UserError: if the id is unknown, or the environment is not a well-posed goal environment.
    """
    return GymnasiumVecEnv(make_env(EnvConfig(env_id, kwargs), num_envs, "evaluation", threads=threads))
