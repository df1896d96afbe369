"""What is recorded of a run while it trains: evaluations, metrics, warnings, findings; and when the run is over.

Nothing here changes what is learnt: without it the weights are the same.
"""

import copy
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

import jax
import numpy as np

from wellposed import agents, seeding
from wellposed.arrays import Arrays, merged, part_of, require_finite, scalars_of
from wellposed.config import AnyRunConfig
from wellposed.diagnose import Evidence, diagnose, tell
from wellposed.errors import UserError
from wellposed.interrupts import Stopwatch
from wellposed.progress import RunProgress
from wellposed.rollout.collector import EpisodeStatistics
from wellposed.rollout.evaluate import TEST_ENVS, play_episodes, summarise
from wellposed.runs.record import EpisodeRow, EvaluationRow, MetricsRow, Solved, StopReason, Summary, WarningRow
from wellposed.runs.store import RunReader
from wellposed.runs.writer import ReplayRows, Restored, RunWriter, Snapshot
from wellposed.stats import above_bar, at_least, most_trials, sequential_test, tested
from wellposed.types import Agent, Metrics, Step, VecEnv

WATCHED = 64  # newest rows that a diagnosis during training looks at, to bound memory


class Look(NamedTuple):
    """An evaluation under way, of the weights of environment step `at`, and what was seen until then."""

    at: int
    updates: int
    seconds: float  # of training until then
    metrics: MetricsRow | None  # None at the start
    warnings: list[WarningRow]
    episodes: Future[list[EpisodeRow]]


class Monitor:
    """The record of one run under way: what was seen since the last row, and the newest rows."""

    def __init__(self, config: AnyRunConfig, agent: Agent, env: VecEnv, eval_env: VecEnv, clock: Stopwatch):
        self.config, self.agent, self.env, self.eval_env, self.clock = config, agent, env, eval_env, clock
        episodes = config.eval_episodes if config.tested_bar is None else most_trials(config.tested_bar)
        self.seeds = seeding.evaluation_env_seeds(config.seed, episodes, "monitoring")
        self.look: Look | None = None
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
        """Whether an evaluation is to begin at environment step `at`; not while one is under way."""
        if self.look is not None:
            return False
        last = self.evaluations[-1] if self.evaluations else None
        return last is None or self._due(at, last.step, last.success_rate)

    def _due(self, at: int, last: int, success: float) -> bool:
        """Whether one is due, with the last at step `last`."""
        config, every = self.config, self.config.eval_every
        if config.eval_first is not None:  # intervals that double
            every = min(every, max(config.eval_first, last))
        if config.tested_bar is not None and success >= config.tested_bar / 2:
            every = max(1, every // 2)
        return at > last and at >= min(last + every, config.total_steps)

    @property
    def reason_to_stop(self) -> StopReason | None:
        """Why the run is over, if it is: its evaluations say."""
        if self.evaluations and self.evaluations[-1].step >= self.config.total_steps:
            return "budget"
        return "solved" if reached(self.config, self.evaluations) else None

    def begin(self, at: int, beside: Executor, stop: list[int], probe: Callable[[], Metrics]) -> None:
        """Begin to play the evaluation episodes in a thread, greedily, with the weights of environment step `at`."""
        bar, seconds = self.config.tested_bar, self.clock.seconds

        def enough(rows: list[EpisodeRow]) -> bool:
            return bar is not None and above_bar(sum(row.success for row in rows), len(rows), bar) is not None

        def abandon_if_stopped() -> None:
            if stop:
                raise _AbandonedError

        with self.clock.pause():
            given = as_it_is(self.agent), self.eval_env, self.seeds, abandon_if_stopped
            episodes = beside.submit(play_episodes, *given, enough=enough)
            metrics = self.metrics_row(at, seconds, probe()) if at else None
            warnings = [WarningRow(at, kind, n) for kind, n in sorted(self.warned.items())]
            self.look = Look(at, self.agent.updates, seconds, metrics, warnings, episodes)
            if at:
                self.warned = {}

    def conclude(self, at: int, record: RunWriter, progress: RunProgress) -> None:
        """Append the rows of the evaluation under way once it is played; off the training clock.

        Training waits for it if the rule says so, another may be due at step `at`, or there is nothing left to train.
        An evaluation that was interrupted leaves no trace: it is begun again when the run is resumed.
        """
        look = self.look
        if look is None:
            return
        waits = self.config.tested_bar is None or at >= self.config.total_steps or self._due(at, look.at, success=1.0)
        if not (waits or look.episodes.done()):
            return
        with self.clock.pause():
            try:
                episodes = look.episodes.result()
            except _AbandonedError:
                return
            self.look = None
            row = summarise(episodes, step=look.at, updates=look.updates, seconds=look.seconds)
            rows, evaluations = self.newest
            if look.metrics is not None:
                rows.append(look.metrics)
                record.log_metrics(look.metrics)
                record.log_warnings(look.warnings)
            record.log_evaluation(row, episodes)
            record.on_evaluation(RunReader(record.path), row, look.metrics.metrics if look.metrics else {})
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
        """How the run ended, from its last evaluation: what was trained after it is dropped."""
        last, seconds, solved = self.evaluations[-1], self.clock.seconds, None
        rate = self.config.until_success
        if rate is not None and reached(self.config, self.evaluations):
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


def as_it_is(agent: Agent) -> Agent:
    """A copy that later updates do not change. JAX's arrays never change, so both share them."""
    shared = [leaf for leaf in jax.tree.leaves(vars(agent)) if isinstance(leaf, jax.Array)]
    return copy.deepcopy(agent, {id(array): array for array in shared})


def reached(config: AnyRunConfig, evaluations: list[EvaluationRow]) -> bool:
    """Whether the newest evaluations say that `until_success` is reached, by the run's rule."""
    bar = config.until_success
    if bar is None or not evaluations:
        return False
    if config.stop_rule == "test":
        last = evaluations[-1]
        return above_bar(round(last.success_rate * last.episodes), last.episodes, bar) is True
    last_two = evaluations[-2:]
    return len(last_two) == 2 and all(row.success_rate >= bar for row in last_two)


def chance_of_passing(config: AnyRunConfig) -> str:
    """How often an evaluation passes policies at the bar and below, by the run's rule, as a sentence; "" without a bar.

    Below: with one and a half times and with twice the failures.
    """
    bar, episodes = config.until_success, config.eval_episodes
    if bar is None:
        return ""
    if config.stop_rule == "test":
        how, chance = "a sequential test", lambda rate: sequential_test(rate, bar, TEST_ENVS)[0]
    else:
        how = f"two evaluations in a row, of the same {episodes} episodes"
        chance = lambda rate: at_least(rate, bar, episodes)  # noqa: E731
    rates = [max(0.0, 1 - failures * (1 - tested(bar))) for failures in (1, 1.5, 2)]
    told = ", ".join(f"{100 * chance(rate):.2g} % at a true rate of {100 * rate:.4g} %" for rate in rates)
    return f"--until-success {bar:g} is decided by {how}; the chance that an evaluation passes: {told}."


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
    if run.agent.updates != saved.manifest.updates:
        raise UserError(
            f"The checkpoint does not fit together: its networks had {run.agent.updates} updates, its manifest counts "
            f"{saved.manifest.updates}. It was edited by hand."
        )
    try:
        run.env.set_state(part_of(saved.loop, "env"))
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(f"The saved state of the environments does not fit: {error}.") from error
    run.monitor.load_state(part_of(saved.loop, "monitor"), saved.evaluations)
    run.step = saved.manifest.step
    run.clock.set(saved.manifest.seconds, saved.manifest.evaluation_seconds)
