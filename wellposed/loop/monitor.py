"""What is recorded of a run while it trains: evaluations, metrics, warnings, findings; and when the run is over.

Nothing here changes what is learnt: without it the weights are the same.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from wellposed import agents, seeding
from wellposed.arrays import Arrays, merged, part_of, require_finite, scalars_of
from wellposed.config import AnyRunConfig
from wellposed.diagnose import Evidence, diagnose, tell
from wellposed.errors import UserError
from wellposed.interrupts import Stopwatch
from wellposed.progress import RunProgress
from wellposed.rollout.collector import EpisodeStatistics
from wellposed.rollout.evaluate import play_episodes, summarise
from wellposed.runs.record import EvaluationRow, MetricsRow, Solved, StopReason, Summary, WarningRow
from wellposed.runs.store import RunReader
from wellposed.runs.writer import ReplayRows, Restored, RunWriter, Snapshot
from wellposed.types import Agent, Metrics, Step, VecEnv

WATCHED = 64  # newest rows that a diagnosis during training looks at, to bound memory


class Monitor:
    """The record of one run under way: what was seen since the last row, and the newest rows."""

    def __init__(self, config: AnyRunConfig, agent: Agent, env: VecEnv, eval_env: VecEnv, clock: Stopwatch):
        self.config, self.agent, self.env, self.eval_env, self.clock = config, agent, env, eval_env, clock
        self.seeds = seeding.evaluation_env_seeds(config.seed, config.eval_episodes, "monitoring")
        self.statistics = EpisodeStatistics(env.spec, env.now)
        self.declared = agents.find(config.algo).metrics.keys()
        self.learnt: Metrics = {}  # of the last update since the last row
        self.warned: dict[str, int] = {}
        self.newest = deque[MetricsRow](maxlen=WATCHED), deque[EvaluationRow](maxlen=WATCHED)
        self.said: set[str] = set()  # rules of the diagnosis whose finding was printed
        self.evaluations: list[EvaluationRow] = []  # the last two

    def take_in(self, step: Step, at: int) -> None:
        """Take in one step of all envs, which ended at environment step `at`.

        Raises NotFiniteError if an observation or a reward is not finite.
        """
        require_finite("observation", step.next_obs, f"after step {at}")
        require_finite("reward", {"the reward": step.reward}, f"after step {at}")
        for name, count in step.warnings.items():
            self.warned[name] = self.warned.get(name, 0) + count
        self.statistics.add(step, self.env.now)

    def learn(self, metrics: Metrics) -> None:
        """Take in the metrics of updates. Raises NotFiniteError if one is not finite."""
        if undeclared := metrics.keys() - self.declared:
            raise ValueError(f"{self.config.algo} does not declare what it logs: {', '.join(sorted(undeclared))}")
        self.learnt = metrics
        losses = {name: np.array(value) for name, value in metrics.items()}
        require_finite("loss", losses, f"at update {self.agent.updates}")

    def evaluation_due(self, at: int) -> bool:
        """Whether an evaluation is due at environment step `at`."""
        if not self.evaluations:
            return True
        last, every = self.evaluations[-1].step, self.config.eval_every
        if self.config.eval_first is not None:  # intervals that double
            every = min(every, max(self.config.eval_first, last))
        return at > last and at >= min(last + every, self.config.total_steps)

    def reason_to_stop(self, at: int) -> StopReason | None:
        """Why the run is over at environment step `at`, if it is."""
        if at >= self.config.total_steps:
            return "budget"
        return "solved" if reached(self.config.until_success, self.evaluations) else None

    def evaluate(
        self, at: int, record: RunWriter, progress: RunProgress, stop: list[int], probe: Callable[[], Metrics]
    ) -> None:
        """Play the evaluation episodes greedily and append the rows of environment step `at`; off the training clock.

        If it is interrupted it leaves no trace: the evaluation is still due when the run is resumed.
        """
        seconds = self.clock.seconds

        def abandon_if_stopped() -> None:
            if stop:
                raise _AbandonedError

        with self.clock.pause():
            try:
                episodes = play_episodes(self.agent, self.eval_env, self.seeds, on_step=abandon_if_stopped)
            except _AbandonedError:
                return
            row = summarise(episodes, step=at, updates=self.agent.updates, seconds=seconds)
            rows, evaluations = self.newest
            if at:
                rows.append(self.metrics_row(at, seconds, probe()))
                record.log_metrics(rows[-1])
                record.log_warnings([WarningRow(at, kind, n) for kind, n in sorted(self.warned.items())])
                self.warned = {}
            record.log_evaluation(row, episodes)
            record.on_evaluation(RunReader(record.path), row, rows[-1].metrics if at else {})
            evaluations.append(row)
            self.evaluations = [*self.evaluations[-1:], row]
            progress.evaluated(row)
            self.say_news(progress)

    def say_news(self, progress: RunProgress) -> None:
        """Print the findings about the newest rows that were not printed before."""
        if progress.quiet:
            return
        rows, evaluations = self.newest
        for finding in diagnose(Evidence(self.config, list(rows), list(evaluations), failure=None)).findings:
            if finding.name not in self.said:
                self.said.add(finding.name)
                progress.say(tell(finding))

    def metrics_row(self, at: int, seconds: float, probe: Metrics) -> MetricsRow:
        """The last update's metrics, the episodes since the last row, rates, and what a probe found."""
        rates = {
            "time/steps_per_second": at / seconds,
            "time/updates_per_second": self.agent.updates / seconds,
            "time/updates_per_step": self.agent.updates / at,
        }
        rates |= self.env.metrics()
        return MetricsRow(at, self.agent.updates, seconds, self.learnt | self.statistics.drain() | rates | probe)

    def state(self) -> Arrays:
        """What was seen since the last row, as named arrays."""
        scalars = lambda values: {name: np.array(value) for name, value in values.items()}  # noqa: E731
        return merged(statistics=self.statistics.state(), learnt=scalars(self.learnt), warned=scalars(self.warned))

    def load_state(self, state: Arrays, evaluations: list[EvaluationRow]) -> None:
        """Take over what `state` returned, and the evaluations of the record.

        Raises UserError if it does not fit this configuration.
        """
        self.statistics.load_state(part_of(state, "statistics"))
        self.learnt = scalars_of(part_of(state, "learnt"), float)
        self.warned = scalars_of(part_of(state, "warned"), int)
        if unknown := self.learnt.keys() - self.declared:
            raise UserError(f"The checkpoint holds metrics that {self.config.algo} does not log: {sorted(unknown)}.")
        self.evaluations = evaluations[-2:]

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


def snapshot(run: Any, own: Arrays, replay: ReplayRows) -> Snapshot:
    """A run (`OffPolicy` or `OnPolicy`) between two updates.

    `own` is the state of its loop besides agent, environments and monitor; `replay` what entered the replay since the
    last checkpoint. Raises NotFiniteError if a weight is not finite; the checkpoint before is kept.
    """
    agent = run.agent.state()
    require_finite("weight", agent, f"after update {run.agent.updates}")
    loop = own | merged(env=run.env.get_state(), monitor=run.monitor.state())
    return Snapshot(run.step, run.agent.updates, run.clock.seconds, run.clock.paused, agent, loop, replay)


def restore(run: Any, saved: Restored) -> None:
    """Take over what `snapshot` saved, except the loop's own state.

    Raises UserError if it does not fit this configuration, or an environment does not replay to the saved state.
    """
    run.agent.load_state(saved.agent)
    try:
        run.env.set_state(part_of(saved.loop, "env"))
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(f"The saved state of the environments does not fit: {error}.") from error
    run.monitor.load_state(part_of(saved.loop, "monitor"), saved.evaluations)
    run.step = saved.manifest.step
    run.clock.set(saved.manifest.seconds, saved.manifest.evaluation_seconds)
