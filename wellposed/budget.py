"""What runs take, computed before they start: steps, updates, evaluations, bytes of replay, and peak memory.

Bytes of replay are exact, and resident only once their rows are in use. The rest of a process (Python, JAX, compiled
code, simulations, copies of weights and minibatches) is estimated from sizes by constants that were measured on one
machine; `python -m benchmarks.plan` shows how well they hold on another. `wellposed plan` also measures memory and time
where it runs.
"""

from bisect import bisect_left
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

from wellposed.config import AnyRunConfig, OnPolicyRunConfig, RunConfig
from wellposed.data.rollout import rollout_bytes
from wellposed.data.rows import open_bytes, replay_bytes, require_capacity, row_bytes
from wellposed.envs.make import EnvConfig, make_env
from wellposed.errors import require
from wellposed.rollout.evaluate import evaluation_envs
from wellposed.types import Spec

PROCESS = 575 * 2**20  # one that trains the smallest agent in one env: Python, JAX, MuJoCo, compiled code
SIMULATION = 620 * 2**10  # one simulation of a Fetch task
NETWORKS = 11  # an actor, two critics and their targets; and Adam's two moments of each that learns
NETWORKS_WITHOUT_REPLAY = 6  # an actor and a critic, and Adam's two moments of each
LEARNERS = 5  # weights and optimisers: before and after an update, and while a checkpoint is written
BATCHES = 3  # the transitions of one compiled call: as rows, as NumPy arrays, and as JAX arrays
LAYERS = 6  # numbers kept per transition of a minibatch and hidden unit
PARTS = 3  # the rows of a checkpoint: as arrays, as tensors, and as the bytes that are written


def rows_entered(steps: int, spec: Spec, num_envs: int) -> int:
    """Rows that enter the ring in `steps` environment steps, if every episode has full length.

    Shorter episodes add more final states, at most one for each transition.
    """
    return num_envs * (steps // num_envs // spec.max_episode_steps) * (spec.max_episode_steps + 1)


@dataclass(frozen=True)
class Pixels:
    """Camera frames that a replay is to hold beside the numbers: uint8 red, green and blue."""

    height: int
    width: int
    stack: int  # frames in one observation

    def __post_init__(self) -> None:
        size = f"{self.height} {self.width}"
        require(self.height > 0 and self.width > 0, "pixels", "takes a height and a width greater than 0", size)
        require(self.stack > 0, "frame_stack", "must be greater than 0", self.stack)


@dataclass(frozen=True)
class FrameBytes:
    """What frames add to a replay, kept in one of two ways."""

    one_frame: int
    once: int  # each frame once, for every row of the ring and of the episodes under way; stacks are made by index
    per_transition: int  # for the same transitions, the stack before and the stack after each
    in_use: int  # of `once`, what is touched at the end of the run


def frame_bytes(pixels: Pixels, capacity: int, rows_in_use: int, spec: Spec, num_envs: int) -> FrameBytes:
    """The bytes of frames for a ring of `capacity` rows that holds whole episodes."""
    one, longest = pixels.height * pixels.width * 3, spec.max_episode_steps
    under_way = num_envs * (longest + 1)
    transitions = capacity // (longest + 1) * longest + num_envs * longest
    twice = 2 * pixels.stack * transitions
    return FrameBytes(one, (capacity + under_way) * one, twice * one, (rows_in_use + under_way) * one)


@dataclass(frozen=True)
class Budget:
    """One run. Episodes are taken to have full length; shorter ones need more rows for the same steps."""

    steps: int  # environment steps, summed over all envs
    updates: int
    evaluations: int
    replay_bytes: int  # as allocated; without a replay, those of the one rollout
    rows_in_use: int  # of the replay, at the end; or steps of the rollout
    ring_in_use: int  # bytes of these rows, which come into use one by one
    replay_in_use: int  # the same with the episodes under way
    checkpoint: int  # bytes needed while the largest part of the replay is written
    frames: FrameBytes | None  # of a replay with pixels
    run_bytes: int  # all that this run adds to the memory of its process


def budget(config: AnyRunConfig, pixels: Pixels | None = None) -> Budget:
    """The budget of one run.

    Raises:
        UserError: if there is no such environment, or the replay is too small for an episode.
    """
    spec = environment_spec(config.env)
    if isinstance(config, OnPolicyRunConfig):
        return _rollout_budget(config, spec)
    assert isinstance(config, RunConfig)
    return _replay_budget(config, spec, pixels)


def _replay_budget(config: RunConfig, spec: Spec, pixels: Pixels | None) -> Budget:
    """The budget of a run with a replay."""
    n, capacity = config.num_envs, config.replay.capacity
    require_capacity(capacity, spec)
    interval, steps = _whole(config.eval_every, n), _whole(config.total_steps, n)
    rows = min(capacity, rows_entered(steps, spec, n))
    ring = rows * row_bytes(spec)
    # Episodes that were under way at the previous checkpoint enter with those of the interval.
    part = PARTS * row_bytes(spec) * min(rows, rows_entered(interval + n * spec.max_episode_steps, spec, n))
    frames = frame_bytes(pixels, capacity, rows, spec, n) if pixels else None
    in_use = ring + open_bytes(spec, n)
    called = config.agent.batch_size * config.updates_per_call * 2 * row_bytes(spec)  # each row with its successor
    return Budget(
        steps=steps,
        updates=_updates(config, spec, steps),
        evaluations=1 + -(-steps // interval),
        replay_bytes=replay_bytes(capacity, spec, n),
        rows_in_use=rows,
        ring_in_use=ring,
        replay_in_use=in_use,
        checkpoint=part,
        frames=frames,
        run_bytes=in_use + part + (frames.in_use if frames else 0) + _working_bytes(config, spec, NETWORKS, called),
    )


def _rollout_budget(config: OnPolicyRunConfig, spec: Spec) -> Budget:
    """The budget of a run without a replay: it holds one rollout, allocated at once and stored in every checkpoint."""
    size = config.num_envs * config.rollout_steps
    interval, steps = _whole(config.eval_every, size), _whole(config.total_steps, size)
    held = rollout_bytes(config.rollout_steps, spec, config.num_envs)
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
        run_bytes=held + PARTS * held + _working_bytes(config, spec, NETWORKS_WITHOUT_REPLAY, held),
    )


@cache
def environment_spec(config: EnvConfig) -> Spec:
    """The spec of an environment, which is made once to ask for it."""
    with closing(make_env(config, 1, "training")) as env:
        return env.spec


def _whole(steps: int, num_envs: int) -> int:
    """The steps rounded up to a multiple of the envs."""
    return -(-steps // num_envs) * num_envs


def _updates(config: RunConfig, spec: Spec, steps: int) -> int:
    """Gradient updates due within `steps`, in whole calls, as training counts them."""
    if steps <= max(config.random_steps, config.num_envs * spec.max_episode_steps):  # no episode to learn from
        return 0
    return int(steps * config.updates_per_step // config.updates_per_call) * config.updates_per_call


def too_short(config: AnyRunConfig, spec: Spec) -> str:
    """Why a run with a replay would learn nothing: no episode ends in time to be learnt from. "" where one does."""
    limit, envs, budget = spec.max_episode_steps, config.num_envs, config.total_steps
    if not isinstance(config, RunConfig) or _whole(budget, envs) > envs * limit:
        return ""
    fewer = f"Take at most --num-envs {most}, or " if (most := (budget - 1) // limit) else "Take "
    return (
        f"No episode may end in time to be learnt from: {envs} envs take {envs * limit:,} steps to the end of "
        f"their first episodes of {limit:,}, and the budget is {budget:,}. {fewer}--total-steps above {envs * limit}."
    )


def _working_bytes(config: AnyRunConfig, spec: Spec, networks: int, called: int) -> int:
    """Simulations, weights, and minibatches; `called`: bytes of transitions in one compiled call."""
    kept = config.agent.batch_size * sum(config.agent.hidden) * 4
    envs = config.num_envs + evaluation_envs(config)
    learner = networks * 4 * _weights(config.agent.hidden, spec)
    return SIMULATION * envs + LEARNERS * learner + BATCHES * called + LAYERS * kept


def _weights(hidden: tuple[int, ...], spec: Spec) -> int:
    """Weights of a network with these hidden layers, all observations as inputs, and two outputs per action."""
    seen = sum(spec.size(field.name) for field in spec.obs)
    sizes = [seen + spec.action_dim, *hidden, 2 * spec.action_dim]
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))


def runs_at_once(runs: int, threads: int) -> int:
    """How many runs train side by side."""
    return max(1, min(runs, threads))


@dataclass(frozen=True)
class Demand:
    """Runs that are to be trained, each in a process of its own, and the memory they need."""

    runs: tuple[AnyRunConfig, ...]
    threads: int
    pixels: Pixels | None = None
    measured: int = 0  # measured bytes minus those by arithmetic

    @property
    def together(self) -> int:
        """How many runs train at a time."""
        return runs_at_once(len(self.runs), self.threads)

    @property
    def budgets(self) -> list[Budget]:
        """The budget of each run."""
        return [budget(config, self.pixels) for config in self.runs]

    @property
    def peak(self) -> int:
        """Peak memory of all processes in bytes, with the largest runs side by side."""
        sizes = sorted(one.run_bytes for one in self.budgets)
        return self.together * PROCESS + self.measured + sum(sizes[-self.together :])

    @property
    def refused(self) -> int | None:
        """Bytes of the largest replay, if the system refuses to allocate it."""
        largest = max(one.replay_bytes + (one.frames.once if one.frames else 0) for one in self.budgets)
        try:
            np.empty(largest, np.uint8)  # freed before any page is touched
        except (MemoryError, ValueError):
            return largest
        return None

    def fits(self, limit: int) -> bool:
        """Whether the processes stay within `limit` bytes."""
        return self.peak <= limit and self.refused is None

    def fewer_at_a_time(self, limit: int) -> "Demand":
        """The same runs, as many at a time as `limit` bytes hold; one at least."""
        count = self.together
        while count > 1 and replace(self, threads=count).peak > limit:
            count -= 1
        return self if count == self.together else replace(self, threads=count)

    def largest_capacity(self, limit: int) -> int | None:
        """The largest replay in rows, and no larger than asked for, with which the process fits; None if none does."""
        with_replay = [config for config in self.runs if isinstance(config, RunConfig)]
        if not with_replay:
            return None
        least = 1 + max(environment_spec(config.env).max_episode_steps for config in with_replay)
        most = max(config.replay.capacity for config in with_replay)
        too_large = bisect_left(range(least, most + 1), True, key=lambda rows: not self.at_most(rows).fits(limit))
        return least + too_large - 1 if too_large else None

    def at_most(self, capacity: int) -> "Demand":
        """The same runs with replays of at most `capacity` rows."""
        runs = [
            replace(config, replay=replace(config.replay, capacity=min(config.replay.capacity, capacity)))
            if isinstance(config, RunConfig)
            else config
            for config in self.runs
        ]
        return replace(self, runs=tuple(runs))
