"""The off-policy loop, visible: collect, store, update, evaluate, record. No base class, no callbacks.

Between two updates everything the loop depends on can be written down (`Training.save`) and taken up again
(`Training.restore`), and the run that goes on from there is bit for bit the one that was never stopped.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

import numpy as np

from wellposed import envs, seeding
from wellposed.agents import make_agent
from wellposed.arrays import check_arrays, merged, part_of
from wellposed.collect import Explorer, Step, take_step
from wellposed.interrupts import Stopwatch
from wellposed.loop.standing import Standing
from wellposed.probe import take_probe
from wellposed.progress import RunProgress
from wellposed.recipe import RunConfig
from wellposed.replay import ReplayBuffer
from wellposed.runs.record import Summary
from wellposed.runs.writer import ReplayRows, Restored, RunWriter
from wellposed.types import Batch, GoalVecEnv, Metrics, OffPolicyLearner


class Training:
    """One run of an algorithm with a replay under way."""

    def __init__(self, config: RunConfig, env: GoalVecEnv, eval_env: GoalVecEnv, clock: Stopwatch):
        self.dims = dims = envs.dims(env)
        self.config, self.env = config, env
        self.agent: OffPolicyLearner = make_agent(config.algo, config.agent, dims, config.seed)
        self.replay = ReplayBuffer(config.replay, dims, config.num_envs, env.compute_reward, env.compute_terminated)
        self.explorer = Explorer(config, self.agent, dims.action)
        self.sampling = seeding.generator(config.seed, "replay")
        self.now = Standing(config, self.agent, env, eval_env, clock)  # its step counts that of `pending`
        self.pending: Step | None = None  # taken by the environments, but not yet by replay, statistics and `now`

    def run(self, record: RunWriter, progress: RunProgress, interrupted: list[int]) -> Summary | None:
        """Act, learn while physics runs, store, evaluate, record; until there is a reason to stop.

        Returns:
            How the run ended; None if it was interrupted, and saved.

        Raises:
            NotFiniteError: at the first number that is not finite. The checkpoint before it is kept.
            UserError: if the disk refuses.
        """
        now = self.now
        with ThreadPoolExecutor(1, "collect") as collector:
            while True:
                if self.pending is None and now.evaluation_is_due() and not interrupted:
                    self.evaluate(record, progress, interrupted)
                    self.save(record)
                if interrupted:
                    self.save(record)
                    return None
                if self.pending is None and (stop := now.reason_to_stop()) is not None:
                    return now.summary(stop)
                self.advance(collector, interrupted)
                progress.advance(now.step, self.agent.updates, now.clock.seconds)

    def advance(self, collector: ThreadPoolExecutor, interrupted: list[int]) -> None:
        """One step of all copies, and the updates that are due with it.

        A step of the environments runs in a thread of its own beside the updates (physics and XLA both let go of the
        GIL). Its actions are older than they are, and they sample a replay that does not hold it yet: who finishes
        first changes nothing, so the same seed gives the same weights. Interrupted between two updates, the step stays
        `pending`; what is due then follows when the run is taken up again.
        """
        now = self.now
        if self.pending is not None:
            self.learn(self.due_batches(now.step), interrupted)
        else:
            batches = self.due_batches(now.step + self.config.num_envs)
            first = list(islice(batches, 1))  # drawn now: beside the step the two would wait for Python's lock
            stepping = collector.submit(take_step, self.env, self.explorer.act(now.obs, now.step))
            now.step += self.config.num_envs
            self.learn(chain(first, batches), interrupted)
            self.pending = stepping.result()
        if not interrupted:
            self.take_in(self.pending)
            self.pending = None

    def due_batches(self, step: int) -> Iterator[Batch]:
        """The batches of all whole calls of `update` that are due at environment step `step`, drawn one at a time."""
        config = self.config
        if step <= config.random_steps or not self.replay.transitions:
            return
        due = step * config.updates_per_step - self.agent.updates
        for _ in range(int(due // config.updates_per_call)):
            yield self.replay.sample(config.updates_per_call, config.agent.batch_size, self.sampling)

    def learn(self, batches: Iterator[Batch], interrupted: list[int]) -> None:
        """Update on all batches, or until interrupted."""
        for batch in batches:
            self.now.learn(self.agent.update(batch))
            if interrupted:
                break

    def take_in(self, step: Step) -> None:
        """Hand one step of all copies to statistics, replay and normaliser."""
        before = self.now.take_in(step)
        self.replay.add(before, step.action, step.reward, step.after, step.terminated, step.truncated)
        self.agent.observe(step.after)

    def evaluate(self, record: RunWriter, progress: RunProgress, interrupted: list[int]) -> None:
        """Evaluate and append the rows of this moment, a probe of the replay among them."""
        self.now.evaluate(record, progress, interrupted, self.probe)

    def probe(self) -> Metrics:
        """What the learner is handed at this moment, and what it has become."""
        return take_probe(self.config, self.dims, self.agent, self.replay, self.env, self.now.step)

    def save(self, record: RunWriter) -> None:
        """Write everything down, unless a weight is not finite: then the checkpoint before is kept."""
        first, rows = self.replay.part(record.replay_end)
        own = merged(
            pending={} if self.pending is None else self.pending.arrays(),
            replay=self.replay.state(),
            streams={name: seeding.pack_generator(rng) for name, rng in self.streams.items()},
        )
        record.save(self.now.snapshot(own, ReplayRows(first, self.replay.end, self.replay.oldest, rows)))

    @property
    def streams(self) -> dict[str, np.random.Generator]:
        """The loop's own random streams; the agent and the environments have theirs."""
        return {"random actions": self.explorer.rng, "replay": self.sampling}

    def restore(self, saved: Restored) -> None:
        """Take over a checkpoint.

        Raises:
            UserError: if it does not fit this configuration, or the environments do not lead there again.
        """
        self.now.restore(saved)
        self.replay.load_state(part_of(saved.loop, "replay"), saved.replay)
        packed = part_of(saved.loop, "streams")
        check_arrays({name: seeding.pack_generator(rng) for name, rng in self.streams.items()}, packed)
        for name, rng in self.streams.items():
            seeding.unpack_generator(rng, packed[name])
        if pending := part_of(saved.loop, "pending"):
            self.pending = Step.from_arrays(pending, self.now.obs, self.env.single_action_space.shape[0])
