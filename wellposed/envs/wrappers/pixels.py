"""Pictures instead of the state: what a policy sees is a camera's frame, the robot's own numbers, and the goal.

Reward, success and hindsight stay on the true state, and so does a critic that is told it (`agent.critic_sees`). No
number that is made of an object's pose, or of what is achieved, is among what the policy sees, unless `leak` is asked.

One frame is a key of the observation. Replay stores it once, as bytes; a policy that needs several reads windows of
transitions (`agent.inputs.memory`).
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import copy
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import mujoco
import numpy as np

from wellposed import seeding
from wellposed.envs.rendering import Canvas, View, working_backend
from wellposed.envs.wrappers.wrapper import Wrapper, begin_streams, require_capability
from wellposed.errors import UserError, instead, require
from wellposed.serialise import LATER
from wellposed.types import Field, Moment, Obs, Step, VecEnv

CAMERA, OWN = "camera", "own"  # keys of what is seen
SIZES = (8, 512)  # least and greatest, in pixels
AMBIENT, DIFFUSE = 0.3, 0.5  # light from everywhere, and from the camera
UNSET = (0.5, 0.5, 0.5, 1.0)  # the colour of a part that has its material's
HIDDEN = 5  # a group of parts that MuJoCo draws only if asked
DARKEST, BRIGHTEST = 0.3, 2.0  # light that is drawn for an episode, as a share of the task's
# What a policy gets instead of the frames of all envs [n, ...].
SHOWN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "frames": lambda frames: frames,
    "blank": np.zeros_like,
    "others": lambda frames: np.roll(frames, 1, axis=0),
}


@dataclass(frozen=True)
class Pixels:
    """What a camera shows of the environment, and what differs from episode to episode."""

    size: int = field(default=0, metadata=LATER)
    """Width and height of the frame that the policy sees instead of the state, in pixels; 0 shows the state."""
    own: bool = field(default=True, metadata=LATER)
    """Show the robot's own numbers as well: where its hand is, how far open, how fast."""
    moved: float = field(default=0.0, metadata=LATER)
    """Standard deviation by which the camera is moved along each axis in each episode, in metres."""
    turned: float = field(default=0.0, metadata=LATER)
    """Standard deviation by which the camera is turned around and up in each episode, in degrees."""
    light: float = field(default=0.0, metadata=LATER)
    """Standard deviation of the light's strength in each episode, as a share of the task's own."""
    colour: float = field(default=0.0, metadata=LATER)
    """Standard deviation of red, green and blue of each part in each episode, of 1."""
    shown: Literal["frames", "blank", "others"] = field(default="frames", metadata=LATER)
    """What the policy gets: the frames, black ones, or those of the next env. With the latter two it must fail, unless
    what the picture should tell has leaked into the numbers."""
    leak: bool = field(default=False, metadata=LATER)
    """Show the policy what is achieved, too, when it acts: a leak on purpose, to measure what it is worth."""

    def __post_init__(self) -> None:
        low, high = SIZES
        rule = f"must be 0, or {low} to {high} pixels"
        require(self.size == 0 or low <= self.size <= high, "env.pixels.size", rule, self.size)
        require(self.shown in SHOWN, "env.pixels.shown", "is frames, blank or others", self.shown)
        require(bool(self.size) or not self.leak, "env.pixels.leak", "needs pictures (--env.pixels.size)", self.leak)
        for name in ("moved", "turned", "light", "colour"):
            value = getattr(self, name)
            require(0 <= value < np.inf, f"env.pixels.{name}", "must be 0 or more", value)

    @property
    def varies(self) -> bool:
        """Whether episodes look different."""
        return any((self.moved, self.turned, self.light, self.colour))

    def wrap(self, env: VecEnv, role: Literal["training", "evaluation"], seed: int) -> VecEnv:
        """The environment as its camera shows it. Raises UserError if it cannot be drawn for a policy."""
        if not self.size:
            return env
        require_capability(env, "pixels", "env.pixels.size", "that says how it is seen")
        return cast(VecEnv, SeenVecEnv(env, self, seed))


def seen_otherwise(own: Pixels, words: Iterable[str]) -> Pixels:
    """A run's pixels with some settings changed, by `NAME=VALUE` from a command line.

    Raises:
        UserError: if the run sees no pictures, or a word is something else.
    """
    known = ["moved", "turned", "light", "colour", "shown"]
    given: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name not in known:
            raise UserError(f"--pixels takes NAME=VALUE, got {word!r}{instead(name, known)}")
        try:
            given[name] = text if name == "shown" else float(text)
        except ValueError as error:
            raise UserError(f"--pixels {name} takes a number, got {text!r}.") from error
    if given and not own.size:
        raise UserError("--pixels is for runs whose policy sees pictures (--env.pixels.size in training).")
    return replace(own, **given)


class Eye:
    """Takes frames of a task's physics, and of nothing that its view hides. Only the thread that made it may use it."""

    def __init__(self, model: mujoco.MjModel, view: View, size: int):
        # A frame is so small that Mesa's own threads cost more than they save; read when the first context is made.
        os.environ.setdefault("LP_NUM_THREADS", "0")
        model = trimmed(model, view)
        self._view, self._canvas = view, Canvas(model, size, working_backend(), view.camera)
        flags = mujoco.mjtRndFlag
        for flag in (flags.mjRND_SKYBOX, flags.mjRND_REFLECTION, flags.mjRND_SHADOW):
            self._canvas.scene.flags[flag] = 0
        self._model, self.parts = model, np.flatnonzero(model.geom_group != HIDDEN)
        self._colours, self._light = model.geom_rgba[self.parts].copy(), model.vis.headlight.diffuse.copy()

    def look(self, qpos: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """A frame, uint8 [size, size, 3], of joint positions [nq].

        `other`: how this episode looks different, as `drawn` returns it.
        """
        if other is not None:
            self._vary(other)
        self._canvas.pose(qpos)
        return self._canvas.picture()

    def _vary(self, other: np.ndarray) -> None:
        """Move the camera, and change light and colours."""
        camera, place = self._view.camera, np.array(self._view.camera.look_at) + other[:3]
        self._canvas.place(
            camera._replace(
                look_at=tuple(place), azimuth=camera.azimuth + other[3], elevation=camera.elevation + other[4]
            )
        )
        self._model.vis.headlight.diffuse[:] = self._light * other[5]
        colours = self._colours[:, :3] + other[6:].reshape(-1, 3)
        self._model.geom_rgba[self.parts, :3] = np.clip(colours, 0, 1)

    def close(self) -> None:
        """Release the OpenGL context."""
        self._canvas.close()


def trimmed(model: mujoco.MjModel, view: View) -> mujoco.MjModel:
    """A copy of a model in which only the parts of a view are drawn, by one light at the camera, without shadows."""
    model = copy.copy(model)
    model.vis.quality.offsamples = model.vis.quality.shadowsize = 0
    model.light_active[:] = 0
    head = model.vis.headlight
    head.active, head.ambient[:], head.diffuse[:], head.specular[:] = 1, AMBIENT, DIFFUSE, 0.0
    made_of = (model.geom_matid >= 0) & (model.geom_rgba == UNSET).all(axis=1)
    model.geom_rgba[made_of] = model.mat_rgba[model.geom_matid[made_of]]  # so that colours can vary from those
    model.geom_group[hidden_parts(model, view)] = HIDDEN
    return model


def hidden_parts(model: mujoco.MjModel, view: View) -> list[int]:
    """The geoms of a model that its view hides, by index."""
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_BODY, body) or "" for body in range(model.nbody)]
    return [i for i in range(model.ngeom) if not any(part in names[model.geom_bodyid[i]] for part in view.shown)]


def drawn(config: Pixels, parts: int, rng: np.random.Generator) -> np.ndarray:
    """How an episode looks: the camera's move [3] and turns [2], the light, and the change of each part's colour."""
    draws = rng.standard_normal(6 + 3 * parts)
    scale = np.array([config.moved] * 3 + [config.turned] * 2 + [config.light] + [config.colour] * 3 * parts)
    other = scale * draws
    other[5] = np.clip(1 + other[5], DARKEST, BRIGHTEST)
    return other


class SeenVecEnv(Wrapper):
    """The observation is a frame, the robot's own numbers, and the goal; the truth stays.

    Each env has a stream of its own for how its episodes look, begun by the run's seed and its episode's seed.
    """

    def __init__(self, env: VecEnv, config: Pixels, seed: int):
        super().__init__(env)
        self.config, self._seed, self._view = config, seed, cast(Any, env).task.view
        # OpenGL belongs to one thread, and envs are stepped by more than one.
        self._thread = ThreadPoolExecutor(1, "camera")
        self._eye: Eye = self._thread.submit(Eye, cast(Any, env).task.model, self._view, config.size).result()
        hidden = ("observation",) if config.leak else ("observation", "achieved_goal")
        kept = tuple(one for one in env.spec.obs if one.name not in hidden)
        seen = (Field(CAMERA, (config.size, config.size, 3), "image", "uint8"), *self._own_field(), *kept)
        self.spec = env.spec._replace(obs=seen, truth=env.spec.goals)
        self._kept = [one.name for one in kept]
        n = env.num_envs
        self._rngs = [seeding.generator(seed, f"camera of env {i}") for i in range(n)]
        self._looks = np.tile(drawn(Pixels(), len(self._eye.parts), self._rngs[0]), (n, 1))
        self._frames = np.zeros((n, *seen[0].shape), np.uint8)
        self._seen: Obs = {}

    def _own_field(self) -> tuple[Field, ...]:
        """What the robot knows of itself, if that is shown."""
        own = list(self._view.own)
        if not (self.config.own and own):
            return ()
        whole = self.env.spec.field("observation")
        of = lambda numbers: tuple(np.broadcast_to(numbers, whole.shape)[own].tolist()) if numbers else ()  # noqa: E731
        return (Field(OWN, (len(own),), floor=of(whole.floor), origin=of(whole.origin), shows=self._view.own),)

    @property
    def now(self) -> Moment:
        """All envs as seen, and as they are."""
        return Moment(self._seen, self.env.now.truth)

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own."""
        chosen, _ = begin_streams(self._rngs, self._seed, "camera", seed, mask)
        self.env.reset(seed, mask)
        self._begin(np.flatnonzero(chosen))
        return self.now

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own."""
        before, step = self._seen, self.env.step(action)
        self._take(range(self.num_envs), self.env.ended_at)
        after = self._seen = self._shown(step.next_obs)
        if (ended := np.flatnonzero(step.ended)).size:
            self._begin(ended)
        return step._replace(obs=before, next_obs=after)

    def get_state(self) -> dict[str, np.ndarray]:
        """That of the environment, how the episodes look, and the random streams; frames are taken again."""
        streams = np.stack([seeding.pack_generator(rng) for rng in self._rngs])
        return self.env.get_state() | {"camera_streams": streams, "camera_looks": self._looks.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As the environment's own."""
        if state["camera_looks"].shape != self._looks.shape:
            raise ValueError("this state belongs to another environment or another number of envs")
        self.env.set_state({key: value for key, value in state.items() if not key.startswith("camera_")})
        for rng, packed in zip(self._rngs, state["camera_streams"], strict=True):
            seeding.unpack_generator(rng, packed)
        self._looks = state["camera_looks"].copy()
        self._take(range(self.num_envs))
        self._seen = self._shown(self.env.now.obs)
        return self.now

    def close(self) -> None:
        """Release the camera, and close the environment."""
        self._thread.submit(self._eye.close).result()
        self._thread.shutdown()
        self.env.close()

    def _begin(self, envs: np.ndarray) -> None:
        """Episodes have begun in these envs [k]."""
        for i in envs if self.config.varies else ():
            self._looks[i] = drawn(self.config, len(self._eye.parts), self._rngs[i])
        self._take(envs)
        self._seen = self._shown(self.env.now.obs)

    def _take(self, envs: Iterable[int], ended_at: dict[int, np.ndarray] | None = None) -> None:
        """Take a frame of each of these envs; of episodes that have just ended, where they ended."""
        data, ended = self.env.physics.data, ended_at or {}

        def take() -> np.ndarray:
            frames = self._frames.copy()  # those that were handed out stay as they are
            for i in envs:
                look = self._looks[i] if self.config.varies else None
                frames[i] = self._eye.look(ended[i] if i in ended else data[i].qpos, look)
            return frames

        self._frames = self._thread.submit(take).result()

    def _shown(self, obs: Obs) -> Obs:
        """What the policy sees of observations [n, ...]."""
        given = SHOWN[self.config.shown](self._frames)
        own = {OWN: obs["observation"][:, list(self._view.own)]} if self.config.own and self._view.own else {}
        return {CAMERA: given} | own | {name: obs[name] for name in self._kept}
