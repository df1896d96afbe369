"""A suite as somebody else would write it: a carriage on a turning beam, outside the package, found by entry point.

Put this directory on Python's path and `ToyBeam-v0` is registered. It is as unlike Fetch as may be: seven actions, an
image, goals on a circle, episodes that end at their goal or where the carriage runs off the beam.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from functools import partial
from typing import Any

import mujoco
import numpy as np

from wellposed.envs import EnvEntry, register
from wellposed.envs.vector import MujocoVecEnv
from wellposed.types import Field, Obs, Spec

GEARS = {"turn": (1.0, 0.5, -0.5, 0.25), "slide": (1.0, -0.5, 0.25)}
MODEL = f"""
<mujoco>
  <option timestep="0.01" gravity="0 0 0"/>
  <worldbody>
    <body>
      <joint name="turn" type="hinge" axis="0 0 1" damping="0.5"/>
      <geom type="capsule" fromto="-1 0 0 1 0 0" size="0.05" mass="0.1"/>
      <body>
        <joint name="slide" type="slide" axis="1 0 0" damping="0.5"/>
        <geom type="box" size="0.1 0.1 0.1" mass="0.1"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    {"".join(f'<motor joint="{joint}" gear="{gear}"/>' for joint, gears in GEARS.items() for gear in gears)}
  </actuator>
</mujoco>
"""
PIXELS = 8
END = 1.0  # metres from the middle at which the carriage runs off
TURN, PLACE = 0.5, 0.2  # radians and metres from the goal at which it counts as reached


class Carriage:
    """One env: angle, place, and the velocities of both are read off it."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, readings: np.ndarray):
        self.model, self.data, self.readings = model, data, readings

    def advance(self, control: np.ndarray) -> None:
        self.data.ctrl[:] = control
        mujoco.mj_step(self.model, self.data, 10)
        self.read()

    def read(self) -> None:
        self.readings[:] = [*self.data.qpos, *self.data.qvel]


class ToyBeam:
    model = mujoco.MjModel.from_xml_string(MODEL)
    readings = 4
    capabilities = frozenset({"state", "deterministic", "ends at goals"})
    spec = Spec(
        obs=(
            Field("camera", (PIXELS, PIXELS, 3), "image", "uint8"),
            Field("velocities", (2,)),
            Field("achieved_goal", (2,), "goal"),
            Field("desired_goal", (2,), "goal"),
        ),
        action_dim=7,
        max_episode_steps=30,
        reward_range=(-1.0, 0.0),
    )

    def simulate(self, data: mujoco.MjData, readings: np.ndarray) -> Carriage:
        return Carriage(self.model, data, readings)

    def restart(self, env: Carriage, rng: np.random.Generator) -> np.ndarray:
        mujoco.mj_resetData(self.model, env.data)
        env.data.qpos[:] = rng.uniform(-np.pi, np.pi), rng.uniform(-0.8 * END, 0.8 * END)
        mujoco.mj_forward(self.model, env.data)
        env.read()
        return np.array([rng.uniform(-np.pi, np.pi), rng.uniform(-0.8 * END, 0.8 * END)])

    def control(self, readings: np.ndarray, action: np.ndarray) -> np.ndarray:
        return action

    def observe(self, readings: np.ndarray, desired_goal: np.ndarray) -> Obs:
        achieved = np.stack([_angle(readings[:, 0]), readings[:, 1]], axis=1)
        camera = np.zeros((len(readings), PIXELS, PIXELS, 3), np.uint8)
        row = (achieved[:, 0] + np.pi) / (2 * np.pi) * (PIXELS - 1)
        column = (np.clip(achieved[:, 1] / END, -1, 1) + 1) / 2 * (PIXELS - 1)
        camera[np.arange(len(readings)), row.astype(int), column.astype(int), 0] = 255
        camera[..., 1] = (128 + 40 * np.clip(readings[:, 3], -3, 3))[:, None, None]
        return {
            "camera": camera,
            "velocities": readings[:, 2:].copy(),
            "achieved_goal": achieved,
            "desired_goal": desired_goal.copy(),
        }

    def failed(self, readings: np.ndarray) -> np.ndarray:
        return np.abs(readings[:, 1]) > END

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        return self.is_success(achieved_goal, desired_goal) - 1.0

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        return self.is_success(achieved_goal, desired_goal)

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """A turn is a turn: angles are compared on the circle, and places on a line of another scale."""
        apart = achieved_goal - desired_goal
        return (np.abs(_angle(apart[:, 0])) < TURN) & (np.abs(apart[:, 1]) < PLACE)

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        return ["inner" if abs(goal[1]) < END / 2 else "outer" for goal in desired_goal]


class ToyRail(ToyBeam):
    """The same on a shorter way, by images alone: no vector is shown, and success is a distance."""

    spec = ToyBeam.spec._replace(obs=tuple(field for field in ToyBeam.spec.obs if field.kind != "vector"))

    def restart(self, env: Carriage, rng: np.random.Generator) -> np.ndarray:
        goal = super().restart(env, rng) / [2 * np.pi, 1]
        env.data.qpos[0] /= 2 * np.pi
        mujoco.mj_forward(self.model, env.data)
        env.read()
        return goal

    def observe(self, readings: np.ndarray, desired_goal: np.ndarray) -> Obs:
        seen = super().observe(readings, desired_goal)
        return {**{field.name: seen[field.name] for field in self.spec.obs}, "achieved_goal": readings[:, :2].copy()}

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        return np.linalg.norm(achieved_goal - desired_goal, axis=1) < PLACE


def _angle(radians: np.ndarray) -> np.ndarray:
    """The same angle in [-pi, pi)."""
    return (radians + np.pi) % (2 * np.pi) - np.pi


def make(task: type[ToyBeam], num_envs: int, threads: int, max_episode_steps: int | None = None) -> Any:
    return MujocoVecEnv(task(), num_envs, threads=threads, max_episode_steps=max_episode_steps)


def register_all() -> None:
    for task in (ToyBeam, ToyRail):
        register(
            EnvEntry(
                id=f"{task.__name__}-v0",
                make=partial(make, task),
                tags=frozenset({"toy", "sparse"}),
                summary="turn a beam and slide a carriage on it to a goal",
                budget=10_000,
                capabilities=task.capabilities,
            )
        )
