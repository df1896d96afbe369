"""A run with a replay: act, learn while physics runs, store. `wellposed.training` evaluates it until its end.

Between two updates the whole state of the run can be saved (`save`) and restored (`restore`), and a restored run ends
bit for bit as if it had never stopped.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from itertools import chain, islice

import numpy as np

from wellposed import agents, seeding
from wellposed.arrays import check_arrays, merged, part_of
from wellposed.config import RunConfig
from wellposed.data.episodes import ReplayBuffer
from wellposed.interrupts import Stopwatch
from wellposed.loop.monitor import Monitor, restore, snapshot
from wellposed.probe import take_probe
from wellposed.rollout.collector import Explorer, pack_step, unpack_step
from wellposed.runs.writer import ReplayRows, Restored, RunWriter
from wellposed.types import Batch, Metrics, OffPolicyAgent, Step, VecEnv


class OffPolicy:
    """The whole state of a run with a replay."""

    def __init__(self, config: RunConfig, env: VecEnv, eval_env: VecEnv, clock: Stopwatch):
        self.config, self.env, self.clock = config, env, clock
        self.agent: OffPolicyAgent = agents.make_agent(config.algo, config.agent, env.spec, config.seed)
        self.replay = ReplayBuffer(config.replay, env.spec, config.num_envs, env.compute_reward, env.compute_terminated)
        env.reset(seed=seeding.training_env_seed(config.seed))
        behaviour = config.seed, config.random_steps, config.random_share
        self.explorer = Explorer(self.agent, config.num_envs, env.spec.action_dim, *behaviour)
        again = f", draw {config.replay.draw}" if config.replay.draw else ""
        self.sampling = seeding.generator(config.seed, f"replay{again}")
        self.monitor = Monitor(config, self.agent, env, eval_env, clock)
        self.step = 0  # environment steps, that of `pending` included
        self.pending: Step | None = None  # taken, but not yet in replay, statistics and agent

    @property
    def between(self) -> bool:
        """Whether no step of the environments waits for its updates: evaluations begin only then."""
        return self.pending is None

    def advance(self, beside: Executor, stop: list[int]) -> None:
        """One step of all envs, and the updates that are due with it.

        The environments step in a thread of their own during the updates (physics and XLA both release the GIL). The
        actions were chosen before the updates, and these sample a replay without the step, so the order in which the
        two finish changes nothing: the same seed gives the same weights. If interrupted between two updates, the step
        stays `pending`; the remaining updates follow when the run is resumed.
        """
        if self.pending is not None:
            self.learn(self.due_batches(self.step), stop)
        else:
            batches = self.due_batches(self.step + self.config.num_envs)
            first = list(islice(batches, 1))  # drawn now: during the step it would wait for the GIL
            stepping = beside.submit(self.env.step, self.explorer.act(self.env.now.obs, self.step))
            self.step += self.config.num_envs
            self.learn(chain(first, batches), stop)
            self.pending = stepping.result()
        if not stop:
            self.take_in(self.pending)
            self.pending = None

    def due_batches(self, at: int) -> Iterator[Batch]:
        """The batches of all whole calls of `update` that are due at environment step `at`, drawn one at a time."""
        config = self.config
        if at <= config.random_steps or not self.replay.transitions:
            return
        due = at * config.updates_per_step - self.agent.updates
        for _ in range(int(due // config.updates_per_call)):
            yield self.draw()

    def draw(self) -> Batch:
        """The minibatches of one call of `update`."""
        calls, size = self.config.updates_per_call, self.config.agent.batch_size
        return self.replay.sample(calls, size, self.sampling, self.agent.window, self.agent.looks)

    def learn(self, batches: Iterator[Batch], stop: list[int]) -> None:
        """Update on all batches, or until stopped."""
        for batch in batches:
            self.monitor.learn(self.agent.update(batch))
            if stop:
                break

    def take_in(self, step: Step) -> None:
        """Pass one step of all envs to statistics, replay, memory and input statistics."""
        self.monitor.take_in(step, self.step)
        self.replay.add(step)
        self.explorer.forget(step.ended)
        self.agent.observe(step.after)

    def probe(self) -> Metrics:
        """What the learner is given at this moment, and what it has become."""
        return take_probe(self.config, self.agent, self.replay, self.env, self.step)

    def save(self, record: RunWriter) -> None:
        """Write a checkpoint."""
        first, rows = self.replay.part(record.replay_end)
        own = merged(
            pending={} if self.pending is None else pack_step(self.pending),
            replay=self.replay.state(),
            explorer=self.explorer.state(),
            sampling={"replay": seeding.pack_generator(self.sampling)},
        )
        record.save(snapshot(self, own, ReplayRows(first, self.replay.end, self.replay.oldest, rows)))

    def restore(self, saved: Restored) -> None:
        """Take over a checkpoint; raises UserError if it does not fit."""
        restore(self, saved)
        replay = part_of(saved.loop, "replay")
        if saved.lost:  # what is intact of its end
            _, end = replay["held"]
            replay["held"] = np.array([saved.replay[0][0] if saved.replay else end, end])
        self.replay.load_state(replay, saved.replay)
        self.explorer.load_state(part_of(saved.loop, "explorer"))
        packed = part_of(saved.loop, "sampling")
        check_arrays({"replay": seeding.pack_generator(self.sampling)}, packed)
        seeding.unpack_generator(self.sampling, packed["replay"])
        if pending := part_of(saved.loop, "pending"):
            self.pending = unpack_step(pending, self.env.now, self.env.spec.action_dim)
