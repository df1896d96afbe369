"""What runs take, known before they start: steps, updates, evaluations, bytes of replay, and peak memory.

All of it is arithmetic. Bytes of replay are exact, and resident only as rows come into use. The rest of a process
(Python, JAX, what compiling leaves behind, simulations, copies of weights and minibatches) follows from the sizes by
constants that were measured on one machine; `python -m benchmarks.plan` shows how well they hold on another. What
`wellposed plan` tells of memory and time was measured where it runs.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

from wellposed import envs
from wellposed.evaluate import EVALUATION_COPIES
from wellposed.recipe import AnyRunConfig, OnPolicyRunConfig, RunConfig
from wellposed.replay.size import (
    FrameBytes,
    Pixels,
    frame_bytes,
    open_bytes,
    replay_bytes,
    require_capacity,
    rollout_bytes,
    row_bytes,
    rows_entered,
)
from wellposed.types import Dims

PROCESS = 575 * 2**20  # one that trains the smallest agent on one copy: Python, JAX, MuJoCo, compiled code
COPY = 620 * 2**10  # one simulation of a Fetch task
NETWORKS = 11  # an actor, two critics, their slow copies; and Adam's two moments of each that learns
NETWORKS_WITHOUT_REPLAY = 6  # an actor and a critic, and Adam's two moments of each
LEARNERS = 5  # weights and optimisers: before and after an update, and while a checkpoint is written
BATCHES = 3  # the transitions of one compiled call: as rows, as arrays, and as JAX has them
LAYERS = 6  # numbers kept for each transition of a minibatch and each unit of a hidden layer
PARTS = 3  # the rows of a checkpoint: as arrays, as tensors, and as the bytes that are written


@dataclass(frozen=True)
class Budget:
    """One run, by arithmetic. Episodes are taken to last as long as they may; rows of shorter ones are more."""

    steps: int  # environment steps, summed over all copies
    updates: int
    evaluations: int
    replay_bytes: int  # when full, as allocated; where there is none, those of the one rollout
    rows_in_use: int  # of the ring, at the end; or steps of the rollout
    ring_in_use: int  # bytes of the ring's rows, which come into use one by one
    replay_in_use: int  # with the episodes under way
    checkpoint: int  # bytes held while the largest part of the replay is written
    frames: FrameBytes | None  # of a replay of pixels
    run_bytes: int  # all that this run adds to the memory of its process


def budget(config: AnyRunConfig, pixels: Pixels | None = None) -> Budget:
    """The arithmetic of one run.

    Raises:
        UserError: if there is no such environment, or the replay does not hold an episode.
    """
    dims = environment_dims(config.env)
    if isinstance(config, OnPolicyRunConfig):
        return _rollout_budget(config, dims)
    assert isinstance(config, RunConfig)
    return _replay_budget(config, dims, pixels)


def _replay_budget(config: RunConfig, dims: Dims, pixels: Pixels | None) -> Budget:
    """Of a run with a replay."""
    n, capacity = config.num_envs, config.replay.capacity
    require_capacity(capacity, dims)
    interval, steps = _whole(config.eval_every, n), _whole(config.total_steps, n)
    rows = min(capacity, rows_entered(steps, dims, n))
    ring = rows * row_bytes(dims)
    # Episodes that were under way at the checkpoint before enter with those of the interval.
    part = PARTS * row_bytes(dims) * min(rows, rows_entered(interval + n * dims.max_episode_steps, dims, n))
    frames = frame_bytes(pixels, capacity, rows, dims, n) if pixels else None
    in_use = ring + open_bytes(dims, n)
    called = config.agent.batch_size * config.updates_per_call * 2 * row_bytes(dims)  # each row with its successor
    return Budget(
        steps=steps,
        updates=_updates(config, dims, steps),
        evaluations=1 + -(-steps // interval),
        replay_bytes=replay_bytes(capacity, dims, n),
        rows_in_use=rows,
        ring_in_use=ring,
        replay_in_use=in_use,
        checkpoint=part,
        frames=frames,
        run_bytes=in_use + part + (frames.in_use if frames else 0) + _working_bytes(config, dims, NETWORKS, called),
    )


def _rollout_budget(config: OnPolicyRunConfig, dims: Dims) -> Budget:
    """Of a run without one: what it holds of its steps is one rollout, allocated at once and in every checkpoint."""
    size = config.num_envs * config.rollout_steps
    interval, steps = _whole(config.eval_every, size), _whole(config.total_steps, size)
    held = rollout_bytes(config.rollout_steps, dims, config.num_envs)
    return Budget(
        steps=steps,
        updates=steps // size * config.agent.epochs * (size // config.agent.batch_size),
        evaluations=1 + -(-steps // interval),
        replay_bytes=held,
        rows_in_use=size,
        ring_in_use=0,
        replay_in_use=held,
        checkpoint=PARTS * held,
        frames=None,
        run_bytes=held + PARTS * held + _working_bytes(config, dims, NETWORKS_WITHOUT_REPLAY, held),
    )


@cache
def environment_dims(env_id: str) -> Dims:
    """Sizes of an environment; it is made for that, once."""
    env = envs.make_vec(env_id)
    try:
        return envs.dims(env)
    finally:
        env.close()


def _whole(steps: int, num_envs: int) -> int:
    """The first number of steps, not less than that, that all copies take together."""
    return -(-steps // num_envs) * num_envs


def _updates(config: RunConfig, dims: Dims, steps: int) -> int:
    """Gradient updates that are due in so many steps, in whole calls, as `Training.due_batches` counts them."""
    if steps <= max(config.random_steps, config.num_envs * dims.max_episode_steps):  # no episode to learn from yet
        return 0
    return int(steps * config.updates_per_step // config.updates_per_call) * config.updates_per_call


def _working_bytes(config: AnyRunConfig, dims: Dims, networks: int, called: int) -> int:
    """Simulations, weights, and the `called` bytes of steps that one compiled call takes."""
    kept = config.agent.batch_size * sum(config.agent.hidden) * 4
    copies = config.num_envs + min(EVALUATION_COPIES, config.eval_episodes)
    learner = networks * 4 * _weights(config.agent.hidden, dims)
    return COPY * copies + LEARNERS * learner + BATCHES * called + LAYERS * kept


def _weights(hidden: tuple[int, ...], dims: Dims) -> int:
    """Numbers in a network of these layers, all that is observed as its inputs, two outputs for each action's."""
    sizes = [dims.observation + 2 * dims.goal + dims.action, *hidden, 2 * dims.action]
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))


def runs_at_once(runs: int, threads: int) -> int:
    """How many runs are under way together."""
    return max(1, min(runs, threads))


@dataclass(frozen=True)
class Demand:
    """Runs that one process is to train, and the memory that takes."""

    runs: tuple[AnyRunConfig, ...]
    threads: int
    pixels: Pixels | None = None
    measured: int = 0  # bytes that were measured beyond the arithmetic, or below it

    @property
    def together(self) -> int:
        """How many runs are under way at a time."""
        return runs_at_once(len(self.runs), self.threads)

    @property
    def budgets(self) -> list[Budget]:
        """The arithmetic of each run."""
        return [budget(config, self.pixels) for config in self.runs]

    @property
    def peak(self) -> int:
        """Peak memory of the process in bytes: of the runs that may come together, the largest."""
        sizes = sorted(one.run_bytes for one in self.budgets)
        return PROCESS + self.measured + sum(sizes[-self.together :])

    @property
    def refused(self) -> int | None:
        """Bytes of the largest replay, if the system does not even grant its address space."""
        largest = max(one.replay_bytes + (one.frames.once if one.frames else 0) for one in self.budgets)
        try:
            np.empty(largest, np.uint8)  # given back before any of it is touched
        except (MemoryError, ValueError):
            return largest
        return None

    def fits(self, limit: int) -> bool:
        """Whether the process stays within `limit` bytes."""
        return self.peak <= limit and self.refused is None

    def largest_capacity(self, limit: int) -> int | None:
        """The most rows of replay with which it fits, no run getting more than it asked for; None if none does."""
        with_replay = [config for config in self.runs if isinstance(config, RunConfig)]
        if not with_replay:
            return None
        least = 1 + max(environment_dims(config.env).max_episode_steps for config in with_replay)
        most = max(config.replay.capacity for config in with_replay)
        too_large = bisect_left(range(least, most + 1), True, key=lambda rows: not self.at_most(rows).fits(limit))
        return least + too_large - 1 if too_large else None

    def at_most(self, capacity: int) -> "Demand":
        """The same with replays of no more than so many rows."""

        def smaller(config: AnyRunConfig) -> AnyRunConfig:
            if not isinstance(config, RunConfig):
                return config
            return replace(config, replay=replace(config.replay, capacity=min(config.replay.capacity, capacity)))

        return replace(self, runs=tuple(smaller(config) for config in self.runs))
