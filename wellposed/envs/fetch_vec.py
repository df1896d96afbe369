"""N copies of a Fetch task, stepped together: Gymnasium's VectorEnv on native threads.

Episodes equal those of gymnasium-robotics v4 with the same MuJoCo, seed and actions; the tests compare
them. What makes this faster is that nothing is looked up by name while stepping, all copies share one
model, and physics runs outside the GIL.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector.utils import batch_space

from wellposed.envs import fetch, goals
from wellposed.envs.physics import Physics
from wellposed.seeding import pack_generator, unpack_generator
from wellposed.types import GoalObs


class _Copy:
    """One simulation with the views and scratch memory that its step touches, made once."""

    __slots__ = ("data", "fingers", "jacobians", "mocap_pos", "mocap_quat", "qvel", "velocities")

    def __init__(self, scene: fetch.FetchScene, data: mujoco.MjData, velocity: np.ndarray):
        """`velocity` [9] is where the copy's hand linear, object linear and object angular velocities go."""
        self.data = data
        self.fingers = data.qpos[scene.finger_qpos]
        self.qvel = data.qvel
        self.mocap_pos, self.mocap_quat = data.mocap_pos[0], data.mocap_quat[0]
        self.jacobians = [np.zeros((3, scene.model.nv)) for _ in range(3)]
        self.velocities = [velocity[:3], velocity[3:6], velocity[6:]]

    def read_velocities(self, scene: fetch.FetchScene) -> None:
        """Site velocities as Jacobian times `qvel`, like the original: `cvel` would lag where sites do."""
        hand, linear, angular = self.jacobians
        mujoco.mj_jacSite(scene.model, self.data, hand, None, scene.grip_site)
        if scene.task.has_object:
            mujoco.mj_jacSite(scene.model, self.data, linear, angular, scene.object_site)
        for jacobian, velocity in zip(self.jacobians, self.velocities, strict=True):
            np.dot(jacobian, self.qvel, out=velocity)


class FetchVecEnv(gym.vector.VectorEnv):
    """`num_envs` copies of a Fetch task behind Gymnasium's VectorEnv interface, same-step autoreset.

    Copy i, reset with seed s, plays the episodes that `gymnasium.make(id)` plays for seed s + i, episode
    after episode, whatever the number of threads.

    Observations are float64. Observation [10] without and [25] with an object: hand position (m), object
    position and position relative to the hand (m), finger positions (m), object Euler angles (rad), object
    linear velocity relative to the hand and angular velocity, hand velocity, finger velocities. Velocities
    are displacements per environment step of 40 ms (m or rad), as in gymnasium-robotics.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "autoreset_mode": gym.vector.AutoresetMode.SAME_STEP,
        "render_fps": 25,
        "render_modes": [],
    }
    effector = slice(0, 3)

    def __init__(
        self,
        task: fetch.FetchTask,
        num_envs: int = 1,
        *,
        dense: bool = False,
        threads: int = 1,
        max_episode_steps: int = fetch.MAX_EPISODE_STEPS,
    ):
        self.scene, self.dense, self.max_episode_steps = fetch.load_scene(task), dense, max_episode_steps
        self.physics = Physics(self.scene.model, num_envs, threads)
        self.num_envs = num_envs
        obs_dim = 25 if task.has_object else 10
        box = lambda n: gym.spaces.Box(-np.inf, np.inf, (n,), np.float64)  # noqa: E731
        self.single_observation_space = gym.spaces.Dict(
            {"observation": box(obs_dim), "achieved_goal": box(3), "desired_goal": box(3)}
        )
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._dt = fetch.SUBSTEPS * self.scene.model.opt.timestep
        self._velocity = np.zeros((num_envs, 9))
        self._copies = [_Copy(self.scene, d, v) for d, v in zip(self.physics.data, self._velocity, strict=True)]
        self._obs = {"observation": np.zeros((num_envs, obs_dim))} | {
            key: np.zeros((num_envs, 3)) for key in ("achieved_goal", "desired_goal")
        }
        # The hand's pose as the last physics step left it. It lags `qpos` by one substep where the gripper
        # is free, so it cannot be recomputed from a restored state and belongs to the state itself.
        self._hand_pose = np.zeros((num_envs, 7))
        self._elapsed = np.zeros(num_envs, np.int64)
        self._rngs = [seeding.np_random(None)[0] for _ in range(num_envs)]

    def reset(self, *, seed: int | list[int] | None = None, options: dict | None = None) -> tuple[GoalObs, dict]:
        """Start a new episode in every copy. A list gives one seed per copy; None goes on with the streams."""
        if seed is not None:
            seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
            if len(seeds) != self.num_envs:
                raise ValueError(f"{self.num_envs} copies need {self.num_envs} seeds, got {len(seeds)}")
            self._rngs = [seeding.np_random(s)[0] for s in seeds]
        self._reset_copies(range(self.num_envs))
        return self._copy_obs(), {}

    def step(self, actions: np.ndarray) -> tuple[GoalObs, np.ndarray, np.ndarray, np.ndarray, dict]:
        """One environment step (40 ms) of every copy with actions [num_envs, 4] in [-1, 1], clipped as by the original.

        Raises:
            ValueError: if the actions have another shape or hold a NaN or an infinity.
        """
        actions = np.asarray(actions)
        if actions.shape != self.action_space.shape:
            raise ValueError(f"actions must have shape {self.action_space.shape}, got {actions.shape}")
        if not np.isfinite(actions).all():
            raise ValueError("actions must be finite numbers; the policy that made them has diverged")
        applied = np.clip(actions, -1.0, 1.0)
        self._advance(applied)
        self._elapsed += 1
        achieved, desired = self._obs["achieved_goal"], self._obs["desired_goal"]
        reward = self.compute_reward(achieved, desired).astype(np.float64)
        terminated = np.zeros(self.num_envs, bool)  # a Fetch task never ends by itself
        truncated = self._elapsed >= self.max_episode_steps
        everywhere = np.ones(self.num_envs, bool)
        info: dict[str, Any] = {"is_success": self.is_success(achieved, desired), "_is_success": everywhere}
        info |= {"applied_action": applied, "_applied_action": everywhere}
        ended = np.flatnonzero(terminated | truncated)
        if ended.size:
            self._hand_over(ended, info)
            self._reset_copies(ended)
        return self._copy_obs(), reward, terminated, truncated, info

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> np.ndarray:
        """The reward [n] of having achieved `achieved_goal` [n, 3] when `desired_goal` [n, 3] was wanted."""
        if self.dense:
            return goals.dense_reward(achieved_goal, desired_goal)
        return goals.sparse_reward(achieved_goal, desired_goal, fetch.DISTANCE_THRESHOLD)

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> np.ndarray:
        """Always False [n]: a Fetch task has no terminal state."""
        return np.zeros(achieved_goal.shape[:-1], bool)

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """True [n] where the goal is closer than 5 cm."""
        return goals.success(achieved_goal, desired_goal, fetch.DISTANCE_THRESHOLD)

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the next step and the next reset depend on: physics, goals, clocks, random streams."""
        return {
            "physics": self.physics.get_state(),
            "hand_pose": self._hand_pose.copy(),
            "elapsed": self._elapsed.copy(),
            "rng": np.stack([pack_generator(rng) for rng in self._rngs]),
        } | self._copy_obs()

    def set_state(self, state: dict[str, np.ndarray]) -> GoalObs:
        """Go on from a `get_state`, bit for bit; returns the observations of that moment.

        Raises:
            ValueError: if the state is of another task or another number of copies.
        """
        current = self.get_state()
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in current.items()}:
            raise ValueError("this state belongs to another task or another number of copies")
        self.physics.set_state(state["physics"])
        self._hand_pose[:] = state["hand_pose"]
        self._elapsed[:] = state["elapsed"]
        for rng, packed in zip(self._rngs, state["rng"], strict=True):
            unpack_generator(rng, packed)
        for key, value in self._obs.items():
            value[:] = state[key]
        return self._copy_obs()

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the physics threads."""
        self.physics.close()

    def _advance(self, actions: np.ndarray) -> None:
        """Apply actions and run the physics of all copies, then read the observations."""
        scene, model, hand = self.scene, self.scene.model, self.scene.hand_body
        # In float32 where the actions are: the original scales before it widens.
        mocap_pos = self._hand_pose[:, :3] + actions[:, :3] * fetch.POSITION_SCALE
        mocap_quat = self._hand_pose[:, 3:] + fetch.HAND_DOWN
        fingers = actions[:, 3]
        blocked, copies = scene.task.gripper_blocked, self._copies

        def advance_copy(i: int) -> None:
            copy = copies[i]
            data = copy.data
            copy.mocap_pos[:] = mocap_pos[i]
            copy.mocap_quat[:] = mocap_quat[i]
            if blocked:
                mujoco.mj_step(model, data, fetch.SUBSTEPS)
                copy.fingers[:] = 0.0
                # What the original's mj_forward changes of an observation, at a quarter of its price.
                mujoco.mj_kinematics(model, data)
                mujoco.mj_comPos(model, data)
            else:
                data.ctrl[0] = copy.fingers[1] + fingers[i]  # actuators: left, then right
                data.ctrl[1] = copy.fingers[0] + fingers[i]
                mujoco.mj_step(model, data, fetch.SUBSTEPS)
            self._hand_pose[i, :3] = data.xpos[hand]
            self._hand_pose[i, 3:] = data.xquat[hand]
            copy.read_velocities(scene)

        self.physics.for_each(advance_copy)
        self._observe(range(self.num_envs))

    def _observe(self, indices: Any) -> None:
        """Write the observation and achieved goal of the given copies into `self._obs`."""
        scene, rows = self.scene, np.asarray(indices)
        datas = [self.physics.data[i] for i in rows]
        grip = np.array([d.site_xpos[scene.grip_site] for d in datas])
        finger_pos = np.array([d.qpos[scene.finger_qpos] for d in datas])
        finger_vel = np.array([d.qvel[scene.finger_qvel] for d in datas]) * self._dt
        velocity = self._velocity[rows] * self._dt
        hand_vel = velocity[:, :3]
        if not scene.task.has_object:
            self._obs["observation"][rows] = np.concatenate([grip, finger_pos, hand_vel, finger_vel], axis=1)
            self._obs["achieved_goal"][rows] = grip
            return
        position = np.array([d.site_xpos[scene.object_site] for d in datas])
        rotation = np.array([d.site_xmat[scene.object_site] for d in datas]).reshape(-1, 3, 3)
        self._obs["observation"][rows] = np.concatenate(
            [grip, position, position - grip, finger_pos, fetch.euler_from_matrix(rotation),
             velocity[:, 3:6] - hand_vel, velocity[:, 6:], hand_vel, finger_vel], axis=1,
        )  # fmt: skip
        self._obs["achieved_goal"][rows] = position

    def _reset_copies(self, indices: Any) -> None:
        """Begin a new episode in the given copies: object first, then goal, from each copy's own stream."""
        scene, hand = self.scene, self.scene.hand_body
        for i in indices:
            data = self.physics.data[i]
            mujoco.mj_resetData(scene.model, data)
            data.time = scene.initial_time
            data.qpos[:] = scene.initial_qpos
            data.qvel[:] = scene.initial_qvel
            if scene.task.has_object:
                data.qpos[scene.object_qpos][:2] = fetch.sample_object(scene, self._rngs[i])
            mujoco.mj_forward(scene.model, data)
            self._obs["desired_goal"][i] = fetch.sample_goal(scene, self._rngs[i])
            self._hand_pose[i] = np.concatenate([data.xpos[hand], data.xquat[hand]])
            self._copies[i].read_velocities(scene)
        self._elapsed[indices] = 0
        self._observe(indices)

    def _hand_over(self, ended: np.ndarray, info: dict[str, Any]) -> None:
        """Put the last observation and info of ended episodes where Gymnasium's vector interface has them."""
        mask = np.zeros(self.num_envs, bool)
        mask[ended] = True
        final_obs = np.full(self.num_envs, None, dtype=object)
        for i in ended:
            final_obs[i] = {key: value[i].copy() for key, value in self._obs.items()}
        final_info = {"is_success": info["is_success"] & mask, "_is_success": mask}
        info |= {"final_obs": final_obs, "_final_obs": mask, "final_info": final_info, "_final_info": mask}

    def _copy_obs(self) -> GoalObs:
        return {key: value.copy() for key, value in self._obs.items()}
