"""Where a run stands, and what every loop does beside collecting and learning.

It evaluates, writes rows, says what looks wrong, knows when to stop, and can be written down and taken up again.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

from wellposed import seeding
from wellposed.arrays import Arrays, check_arrays, merged, part_of, require_finite
from wellposed.collect import Rollouts, Step, numbers
from wellposed.diagnose import Evidence, diagnose, tell
from wellposed.envs.wrappers.curriculum import stage_metrics
from wellposed.errors import UserError
from wellposed.evaluate import play_episodes, summarise
from wellposed.interrupts import Stopwatch
from wellposed.progress import RunProgress
from wellposed.recipe import AnyRunConfig
from wellposed.runs.record import METRICS, EvaluationRow, MetricsRow, Solved, StopReason, Summary, WarningRow
from wellposed.runs.writer import ReplayRows, Restored, RunWriter, Snapshot
from wellposed.types import Agent, GoalObs, GoalVecEnv, Metrics

WATCHED = 64  # newest rows that a diagnosis under way looks at; all of them would be memory that only grows


class Standing:
    """What both loops hold of a run: environments, clock, the step it is at, and what was seen since the last row."""

    def __init__(self, config: AnyRunConfig, agent: Agent, env: GoalVecEnv, eval_env: GoalVecEnv, clock: Stopwatch):
        self.config, self.agent, self.env, self.eval_env, self.clock = config, agent, env, eval_env, clock
        self.eval_seeds = seeding.evaluation_env_seeds(config.seed, config.eval_episodes, "monitoring")
        self.obs, _ = env.reset(seed=seeding.training_env_seed(config.seed))
        self.rollouts = Rollouts(self.obs)
        self.step = 0  # environment steps
        self.learnt: Metrics = {}  # of the last update since the last row
        self.warned: dict[str, int] = {}
        self.newest = deque[MetricsRow](maxlen=WATCHED), deque[EvaluationRow](maxlen=WATCHED)
        self.told: set[str] = set()  # rules of the diagnosis whose finding was said
        self.evaluations: list[EvaluationRow] = []  # the last two; all of them would be memory that only grows

    def evaluation_is_due(self) -> bool:
        """Whether it is time for an evaluation, and it was not done yet."""
        if not self.evaluations:
            return True
        last = self.evaluations[-1].step
        return self.step > last and self.step >= min(last + self.config.eval_every, self.config.total_steps)

    def reason_to_stop(self) -> StopReason | None:
        """Why the run is over, if it is."""
        if self.step >= self.config.total_steps:
            return "budget"
        return "solved" if reached(self.config.until_success, self.evaluations) else None

    def learn(self, metrics: Metrics) -> None:
        """Take in what updates have told, if all of it is finite."""
        self.learnt = metrics
        losses = {name: np.array(value) for name, value in metrics.items()}
        require_finite("loss", losses, f"at update {self.agent.updates}")

    def take_in(self, step: Step) -> GoalObs:
        """Go on to where one step of all copies led, if all of it is finite; returns what was observed before it."""
        when, before = f"after step {self.step}", self.obs
        require_finite("observation", step.after, when)
        require_finite("reward", {"the reward": step.reward}, when)
        for name, count in step.warnings.items():
            self.warned[name] = self.warned.get(name, 0) + count
        self.rollouts.add(step)
        self.obs = step.obs
        return before

    def evaluate(
        self, record: RunWriter, progress: RunProgress, interrupted: list[int], probe: Callable[[], Metrics]
    ) -> None:
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
                rows.append(self.metrics_row(seconds, probe()))
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
            if finding.name not in self.told:
                self.told.add(finding.name)
                progress.say(tell(finding))

    def metrics_row(self, seconds: float, probe: Metrics) -> MetricsRow:
        """The last update's metrics, the rollouts since the last row, rates, and what a probe found."""
        rates = {
            "time/steps_per_second": self.step / seconds,
            "time/updates_per_second": self.agent.updates / seconds,
            "time/updates_per_step": self.agent.updates / self.step,
        }
        rates |= stage_metrics(self.env)
        return MetricsRow(self.step, self.agent.updates, seconds, self.learnt | self.rollouts.drain() | rates | probe)

    def snapshot(self, own: Arrays, replay: ReplayRows) -> Snapshot:
        """Everything as it is now, unless a weight is not finite: then the checkpoint before is kept.

        Args:
            own: what the loop itself depends on beside this, under names of its own.
            replay: what entered the replay since the last checkpoint.
        """
        agent = self.agent.state()
        require_finite("weight", agent, f"after update {self.agent.updates}")
        scalars = lambda values: {name: np.array(value) for name, value in values.items()}  # noqa: E731
        loop = own | merged(
            obs=self.obs,
            env=self.env.get_state(),
            rollouts=self.rollouts.state(),
            learnt=scalars(self.learnt),
            warned=scalars(self.warned),
        )
        return Snapshot(self.step, self.agent.updates, self.clock.seconds, self.clock.paused, agent, loop, replay)

    def restore(self, saved: Restored) -> None:
        """Take over what `snapshot` wrote down.

        Raises:
            UserError: if it does not fit this configuration, or the environments do not lead there again.
        """
        manifest, loop = saved.manifest, saved.loop
        self.agent.load_state(saved.agent)
        try:
            self.env.set_state(part_of(loop, "env"))
        except (ValueError, KeyError, IndexError) as error:
            raise UserError(f"The saved state of the environments does not fit: {error}.") from error
        self.rollouts.load_state(part_of(loop, "rollouts"))
        check_arrays(merged(obs=self.obs), merged(obs=part_of(loop, "obs")))
        self.obs = part_of(loop, "obs")
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
