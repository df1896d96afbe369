"""N copies of a Fetch task, stepped together on native threads: Gymnasium's VectorEnv."""

from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector.utils import batch_space

from wellposed.envs import fetch, fetch_sim, goals
from wellposed.envs.physics import Physics
from wellposed.seeding import pack_generator, unpack_generator
from wellposed.types import GoalObs, clipped_actions


class FetchVecEnv(gym.vector.VectorEnv):
    """`num_envs` copies of a Fetch task behind Gymnasium's VectorEnv interface, same-step autoreset.

    Copy i, reset with seed s, plays the episodes that `gymnasium.make(id)` plays for seed s + i, episode
    after episode, whatever the number of threads.

    Observations are float64. What each of the 10 or 25 numbers is, and in which unit and frame, `quantities` says.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "autoreset_mode": gym.vector.AutoresetMode.SAME_STEP,
        "render_fps": 25,
        "render_modes": [],
    }

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
        self.geometry = fetch.geometry(self.scene)
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
        # What the last step left behind. Where the gripper is free it lags `qpos` by one substep, so it cannot be
        # recomputed from a restored state and belongs to the state itself.
        self._readings = np.zeros((num_envs, fetch_sim.readings_width(task)))
        pairs = zip(self.physics.data, self._readings, strict=True)
        self._copies = [fetch_sim.FetchSimulation(self.scene, data, row) for data, row in pairs]
        self.goal_spread = fetch.OWN_SPREAD  # of the episodes that begin from now on, in every copy
        self._goals = np.zeros((num_envs, 3))
        self._elapsed = np.zeros(num_envs, np.int64)
        self._rngs = [seeding.np_random(None)[0] for _ in range(num_envs)]

    def reset(self, *, seed: int | list[int] | None = None, options: dict | None = None) -> tuple[GoalObs, dict]:
        """Start a new episode in every copy. A list gives one seed per copy; None goes on with the streams.

        `options={"reset_mask": mask}` resets only the copies where the mask [num_envs] is true, as in Gymnasium.
        """
        chosen = np.flatnonzero((options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        if seed is not None:
            seeds = seed if isinstance(seed, list) else [int(seed) + i for i in range(self.num_envs)]
            if len(seeds) != self.num_envs:
                raise ValueError(f"{self.num_envs} copies need {self.num_envs} seeds, got {len(seeds)}")
            for i in chosen:
                if seeds[i] is not None:
                    self._rngs[i] = seeding.np_random(seeds[i])[0]
        self._reset_copies(chosen)
        return self._observe(), {}

    def step(self, actions: np.ndarray) -> tuple[GoalObs, np.ndarray, np.ndarray, np.ndarray, dict]:
        """One environment step (40 ms) of every copy with actions [num_envs, 4] in [-1, 1], clipped as by the original.

        Raises:
            ValueError: if the actions have another shape.
            NotFiniteError: if one of them is a NaN or an infinity, or the simulation broke.
        """
        applied = clipped_actions(actions, self.action_space.shape)
        self._advance(applied)
        self._elapsed += 1
        obs = self._observe()
        achieved, desired = obs["achieved_goal"], obs["desired_goal"]
        reward = self.compute_reward(achieved, desired).astype(np.float64)
        terminated = np.zeros(self.num_envs, bool)  # a Fetch task never ends by itself
        truncated = self._elapsed >= self.max_episode_steps
        everywhere = np.ones(self.num_envs, bool)
        info: dict[str, Any] = {"is_success": self.is_success(achieved, desired), "_is_success": everywhere}
        info |= {"applied_action": applied, "_applied_action": everywhere}
        info["physics_warnings"] = self.physics.take_warnings()  # before a reset clears them
        ended = np.flatnonzero(terminated | truncated)
        if ended.size:
            self._hand_over(obs, ended, info)
            self._reset_copies(ended)
            obs = self._observe()
        return obs, reward, terminated, truncated, info

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

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """PickAndPlace: "table" for goals at the height of an object on it, "air" above; else one kind, ""."""
        if not self.scene.task.target_in_the_air:
            return [""] * len(desired_goal)
        return ["air" if goal[2] > self.scene.object_height else "table" for goal in desired_goal]

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the next step and the next reset depend on: physics, goals, clocks, random streams."""
        return {
            "physics": self.physics.get_state(),
            "readings": self._readings.copy(),
            "desired_goal": self._goals.copy(),
            "elapsed": self._elapsed.copy(),
            "rng": np.stack([pack_generator(rng) for rng in self._rngs]),
        }

    def set_state(self, state: dict[str, np.ndarray]) -> GoalObs:
        """Go on from a `get_state`, bit for bit; returns the observations of that moment.

        Raises:
            ValueError: if the state is of another task or another number of copies.
        """
        current = self.get_state()
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in current.items()}:
            raise ValueError("this state belongs to another task or another number of copies")
        if not ((state["elapsed"] >= 0) & (state["elapsed"] < self.max_episode_steps)).all():
            raise ValueError("this state is of episodes that were over")
        self.physics.set_state(state["physics"])
        self._readings[:] = state["readings"]
        self._goals[:] = state["desired_goal"]
        self._elapsed[:] = state["elapsed"]
        for rng, packed in zip(self._rngs, state["rng"], strict=True):
            unpack_generator(rng, packed)
        return self._observe()

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the physics threads."""
        self.physics.close()

    def _advance(self, actions: np.ndarray) -> None:
        """Apply actions [n, 4] and run the physics of all copies."""
        position, quaternion = self._readings[:, fetch_sim.HAND_POSITION], self._readings[:, fetch_sim.HAND_QUATERNION]
        # In float32 where the actions are: the original scales before it widens.
        mocap_pos, mocap_quat = position + actions[:, :3] * fetch.POSITION_SCALE, quaternion + fetch.HAND_DOWN
        fingers, copies = actions[:, 3], self._copies
        self.physics.for_each(lambda i: copies[i].advance(mocap_pos[i], mocap_quat[i], fingers[i]))

    def _observe(self) -> GoalObs:
        """Goal observations of all copies, as new arrays."""
        task = self.scene.task
        achieved = self._readings[:, fetch_sim.OBJECT if task.has_object else fetch_sim.GRIP].copy()
        observation = fetch_sim.observation(task, self._readings, self._dt)
        return {"observation": observation, "achieved_goal": achieved, "desired_goal": self._goals.copy()}

    def _reset_copies(self, indices: Iterable[int]) -> None:
        """Begin a new episode in the given copies: object first, then goal, from each copy's own stream."""
        scene = self.scene

        def restart(i: int) -> None:
            start, position = scene.initial_grip, None
            if scene.task.has_object:
                position = fetch.sample_object(scene, self._rngs[i])
                start = np.array([*position, scene.object_height])
            self._copies[i].restart(position)
            self._goals[i] = fetch.sample_goal(scene, self._rngs[i], start, self.goal_spread)
            self._elapsed[i] = 0

        self.physics.for_each(restart, indices)

    def _hand_over(self, obs: GoalObs, ended: np.ndarray, info: dict[str, Any]) -> None:
        """Put the last observation and info of ended episodes where Gymnasium's vector interface has them."""
        mask = np.zeros(self.num_envs, bool)
        mask[ended] = True
        final_obs = np.full(self.num_envs, None, dtype=object)
        for i in ended:
            final_obs[i] = {key: value[i].copy() for key, value in obs.items()}
        final_info = {"is_success": info["is_success"] & mask, "_is_success": mask}
        info |= {"final_obs": final_obs, "_final_obs": mask, "final_info": final_info, "_final_info": mask}
