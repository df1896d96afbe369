"""The training loop, visible: collect, store, update, evaluate, record. No base class, no callbacks.

Between two updates everything the loop depends on can be written down (`Training.save`) and taken up again
(`Training.restore`), and the run that goes on from there is bit for bit the one that was never stopped.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

import numpy as np

from wellposed import envs, seeding
from wellposed.agents import make_agent
from wellposed.arrays import Arrays, check_arrays, merged, part_of, require_finite
from wellposed.collect import Explorer, Rollouts, Step, numbers, take_step
from wellposed.diagnose import Evidence, diagnose, tell
from wellposed.envs.curriculum import stage_metrics
from wellposed.errors import UserError
from wellposed.evaluate import play_episodes, summarise
from wellposed.interrupts import Stopwatch
from wellposed.probe import take_probe
from wellposed.progress import RunProgress
from wellposed.recipe import RunConfig
from wellposed.replay import ReplayBuffer
from wellposed.runs.record import METRICS, EvaluationRow, MetricsRow, Solved, StopReason, Summary, WarningRow
from wellposed.runs.writer import ReplayRows, Restored, RunWriter, Snapshot
from wellposed.types import Batch, GoalVecEnv, Metrics

WATCHED = 64  # newest rows that a diagnosis under way looks at; all of them would be memory that only grows


class Training:
    """One run under way: what it is made of, and where it stands."""

    def __init__(self, config: RunConfig, env: GoalVecEnv, eval_env: GoalVecEnv, clock: Stopwatch):
        self.dims = dims = envs.dims(env)
        self.config, self.env, self.eval_env = config, env, eval_env
        self.agent = make_agent(config.algo, config.agent, dims, config.seed)
        self.replay = ReplayBuffer(config.replay, dims, config.num_envs, env.compute_reward, env.compute_terminated)
        self.explorer = Explorer(config, self.agent, dims.action)
        self.sampling = seeding.generator(config.seed, "replay")
        self.eval_seeds = seeding.evaluation_env_seeds(config.seed, config.eval_episodes, "monitoring")
        self.obs, _ = env.reset(seed=seeding.training_env_seed(config.seed))
        self.rollouts = Rollouts(self.obs)
        self.clock = clock
        self.step = 0  # environment steps, those of `pending` included
        self.pending: Step | None = None  # taken by the environments, but not yet by replay, statistics and `obs`
        self.learnt: Metrics = {}  # of the last update since the last row
        self.warned: dict[str, int] = {}
        self.newest = deque[MetricsRow](maxlen=WATCHED), deque[EvaluationRow](maxlen=WATCHED)
        self.told: set[str] = set()  # rules of the diagnosis whose finding was said
        self.evaluations: list[EvaluationRow] = []  # the last two; all of them would be memory that only grows

    def run(self, record: RunWriter, progress: RunProgress, interrupted: list[int]) -> Summary | None:
        """Act, learn while physics runs, store, evaluate, record; until there is a reason to stop.

        Returns:
            How the run ended; None if it was interrupted, and saved.

        Raises:
            NotFiniteError: at the first number that is not finite. The checkpoint before it is kept.
            UserError: if the disk refuses.
        """
        with ThreadPoolExecutor(1, "collect") as collector:
            while True:
                if self.evaluation_is_due() and not interrupted:
                    self.evaluate(record, progress, interrupted)
                    self.save(record)
                if interrupted:
                    self.save(record)
                    return None
                if (stop := self.reason_to_stop()) is not None:
                    return self.summary(stop)
                self.advance(collector, interrupted)
                progress.advance(self.step, self.agent.updates, self.clock.seconds)

    def evaluation_is_due(self) -> bool:
        """Whether this is a moment to evaluate, and it was not done yet."""
        if not self.evaluations:
            return True
        last = self.evaluations[-1].step
        due = self.step > last and self.step >= min(last + self.config.eval_every, self.config.total_steps)
        return due and self.pending is None

    def reason_to_stop(self) -> StopReason | None:
        """Why the run is over, if it is."""
        if self.pending is not None:
            return None
        if self.step >= self.config.total_steps:
            return "budget"
        return "solved" if reached(self.config.until_success, self.evaluations) else None

    def advance(self, collector: ThreadPoolExecutor, interrupted: list[int]) -> None:
        """One step of all copies, and the updates that are due with it.

        A step of the environments runs in a thread of its own beside the updates (physics and XLA both let go of the
        GIL). Its actions are older than they are, and they sample a replay that does not hold it yet: who finishes
        first changes nothing, so the same seed gives the same weights. Interrupted between two updates, the step stays
        `pending`; what is due then follows when the run is taken up again.
        """
        if self.pending is not None:
            self.learn(self.due_batches(self.step), interrupted)
        else:
            batches = self.due_batches(self.step + self.config.num_envs)
            first = list(islice(batches, 1))  # drawn now: beside the step the two would wait for Python's lock
            stepping = collector.submit(take_step, self.env, self.explorer.act(self.obs, self.step))
            self.step += self.config.num_envs
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
        """Update on all batches, or until interrupted; `learnt` keeps the metrics of the last call."""
        for batch in batches:
            self.learnt = self.agent.update(batch)
            losses = {name: np.array(value) for name, value in self.learnt.items()}
            require_finite("loss", losses, f"at update {self.agent.updates}")
            if interrupted:
                break

    def take_in(self, step: Step) -> None:
        """Hand one step of all copies to replay, statistics and normaliser, if all of it is finite."""
        when = f"after step {self.step}"
        require_finite("observation", step.after, when)
        require_finite("reward", {"the reward": step.reward}, when)
        for name, count in step.warnings.items():
            self.warned[name] = self.warned.get(name, 0) + count
        self.replay.add(self.obs, step.action, step.reward, step.after, step.terminated, step.truncated)
        self.agent.observe(step.after)
        self.rollouts.add(step)
        self.obs = step.obs

    def evaluate(self, record: RunWriter, progress: RunProgress, interrupted: list[int]) -> None:
        """Play the evaluation episodes greedily, then append the rows of this moment; off the training clock.

        Interrupted meanwhile, it leaves no trace: the evaluation is still due when the run is taken up again.
        """
        seconds = self.clock.seconds

        def stop_if_interrupted() -> None:
            if interrupted:
                raise _AbandonedError

        with self.clock.pause():
            try:
                episodes = play_episodes(self.agent, self.eval_env, self.eval_seeds, on_step=stop_if_interrupted)
            except _AbandonedError:
                return
            row = summarise(episodes, step=self.step, updates=self.agent.updates, seconds=seconds)
            rows, evaluations = self.newest
            if self.step:
                rows.append(self.metrics_row(seconds))
                record.log_metrics(rows[-1])
                record.log_warnings([WarningRow(self.step, kind, n) for kind, n in sorted(self.warned.items())])
                self.warned = {}
            record.log_evaluation(row, episodes)
            evaluations.append(row)
            self.evaluations = [*self.evaluations[-1:], row]
            progress.evaluated(row)
            self.tell_news(progress)

    def tell_news(self, progress: RunProgress) -> None:
        """Say what the newest rows show to be wrong and was not said before. Training goes on whatever it is."""
        if progress.quiet:
            return
        rows, evaluations = self.newest
        for finding in diagnose(Evidence(self.config, list(rows), list(evaluations), failure=None)).findings:
            if finding.rule not in self.told:
                self.told.add(finding.rule)
                progress.say(tell(finding))

    def metrics_row(self, seconds: float) -> MetricsRow:
        """The last update's metrics, the rollouts since the last row, rates, and what a probe finds."""
        rates = {
            "time/steps_per_second": self.step / seconds,
            "time/updates_per_second": self.agent.updates / seconds,
            "time/updates_per_step": self.agent.updates / self.step,
        }
        rates |= stage_metrics(self.env)
        probe = take_probe(self.config, self.dims, self.agent, self.replay, self.env, self.step)
        return MetricsRow(self.step, self.agent.updates, seconds, self.learnt | self.rollouts.drain() | rates | probe)

    def save(self, record: RunWriter) -> None:
        """Write everything down, unless a weight is not finite: then the checkpoint before is kept."""
        agent = self.agent.state()
        require_finite("weight", agent, f"after update {self.agent.updates}")
        first, rows = self.replay.part(record.replay_end)
        part = ReplayRows(first, self.replay.end, self.replay.oldest, rows)
        clock = self.clock
        record.save(
            Snapshot(self.step, self.agent.updates, clock.seconds, clock.paused, agent, self.loop_state(), part)
        )

    def loop_state(self) -> Arrays:
        """What the loop itself depends on, as named arrays: all but the agent and the rows of the replay."""
        scalars = lambda values: {name: np.array(value) for name, value in values.items()}  # noqa: E731
        return merged(
            obs=self.obs,
            pending={} if self.pending is None else self.pending.arrays(),
            env=self.env.get_state(),
            replay=self.replay.state(),
            rollouts=self.rollouts.state(),
            streams={name: seeding.pack_generator(rng) for name, rng in self.streams.items()},
            learnt=scalars(self.learnt),
            warned=scalars(self.warned),
        )

    @property
    def streams(self) -> dict[str, np.random.Generator]:
        """The loop's own random streams; the agent and the environments have theirs."""
        return {"random actions": self.explorer.rng, "replay": self.sampling}

    def restore(self, saved: Restored) -> None:
        """Take over a checkpoint.

        Raises:
            UserError: if it does not fit this configuration, or the environments do not lead there again.
        """
        manifest, loop = saved.manifest, saved.loop
        self.agent.load_state(saved.agent)
        try:
            self.env.set_state(part_of(loop, "env"))
        except (ValueError, KeyError, IndexError) as error:
            raise UserError(f"The saved state of the environments does not fit: {error}.") from error
        self.replay.load_state(part_of(loop, "replay"), saved.replay)
        self.rollouts.load_state(part_of(loop, "rollouts"))
        check_arrays(merged(obs=self.obs), merged(obs=part_of(loop, "obs")))
        self.obs = part_of(loop, "obs")
        packed = part_of(loop, "streams")
        check_arrays({name: seeding.pack_generator(rng) for name, rng in self.streams.items()}, packed)
        for name, rng in self.streams.items():
            seeding.unpack_generator(rng, packed[name])
        if pending := part_of(loop, "pending"):
            self.pending = Step.from_arrays(pending, self.obs, self.env.single_action_space.shape[0])
        self.learnt = numbers(part_of(loop, "learnt"), float)
        self.warned = numbers(part_of(loop, "warned"), int)
        if unknown := self.learnt.keys() - METRICS.keys():
            raise UserError(f"The checkpoint holds metrics that have no meaning here: {', '.join(sorted(unknown))}.")
        self.step, self.evaluations = manifest.step, saved.evaluations[-2:]
        self.clock = Stopwatch(manifest.seconds, manifest.evaluation_seconds)

    def summary(self, stop: StopReason) -> Summary:
        """How the run ended, from its last evaluation."""
        last, seconds, solved = self.evaluations[-1], self.clock.seconds, None
        rate = self.config.until_success
        if rate is not None and reached(rate, self.evaluations):
            solved = Solved(rate, last.step, last.updates, last.seconds)
        return Summary(
            stop_reason=stop,
            step=last.step,
            updates=last.updates,
            seconds=seconds,
            steps_per_second=last.step / seconds,
            updates_per_second=last.updates / seconds,
            evaluation_seconds=self.clock.paused,
            solved=solved,
            final_evaluation=last,
        )


class _AbandonedError(Exception):
    """An evaluation was interrupted."""


def reached(rate: float | None, evaluations: list[EvaluationRow]) -> bool:
    """Whether the last two evaluations are both at the rate or above."""
    last_two = evaluations[-2:]
    return rate is not None and len(last_two) == 2 and all(e.success_rate >= rate for e in last_two)
