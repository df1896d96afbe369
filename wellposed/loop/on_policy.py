"""The on-policy loop, visible: collect, store, update, evaluate, record. No base class, no callbacks.

Between two steps of the environments everything the loop depends on can be written down (`OnPolicyTraining.save`) and
taken up again (`restore`), and the run that goes on from there is bit for bit the one that was never stopped.
"""

from wellposed import envs
from wellposed.agents import make_agent
from wellposed.arrays import merged, part_of
from wellposed.collect import take_step
from wellposed.interrupts import Stopwatch
from wellposed.loop.standing import Standing
from wellposed.probe import probe_rollout
from wellposed.progress import RunProgress
from wellposed.recipe import OnPolicyRunConfig
from wellposed.replay.rollout import RolloutBuffer
from wellposed.runs.record import Summary
from wellposed.runs.writer import ReplayRows, Restored, RunWriter
from wellposed.types import GoalVecEnv, Metrics, OnPolicyLearner

NO_REPLAY = ReplayRows(0, 0, 0, {})


class OnPolicyTraining:
    """One run of an algorithm without a replay under way."""

    def __init__(self, config: OnPolicyRunConfig, env: GoalVecEnv, eval_env: GoalVecEnv, clock: Stopwatch):
        self.dims = dims = envs.dims(env)
        self.config, self.env = config, env
        self.agent: OnPolicyLearner = make_agent(config.algo, config.agent, dims, config.seed)
        self.rollout = RolloutBuffer(config.rollout_steps, dims, config.num_envs)
        self.now = Standing(config, self.agent, env, eval_env, clock)

    def run(self, record: RunWriter, progress: RunProgress, interrupted: list[int]) -> Summary | None:
        """Act, store, learn from whole rollouts, evaluate, record; until there is a reason to stop.

        Evaluated and stopped is only between rollouts: the last one is finished and learnt from.

        Returns:
            How the run ended; None if it was interrupted, and saved.

        Raises:
            NotFiniteError: at the first number that is not finite. The checkpoint before it is kept.
            UserError: if the disk refuses.
        """
        now = self.now
        while True:
            if not self.rollout.under_way and now.evaluation_is_due() and not interrupted:
                self.evaluate(record, progress, interrupted)
                self.save(record)
            if interrupted:
                self.save(record)
                return None
            if not self.rollout.under_way and (stop := now.reason_to_stop()) is not None:
                return now.summary(stop)
            self.collect()
            if self.rollout.full:
                self.learn()
            progress.advance(now.step, self.agent.updates, now.clock.seconds)

    def collect(self) -> None:
        """One step of all copies, by the policy as it is."""
        action = self.agent.sample(self.now.obs)
        step = take_step(self.env, action)
        self.now.step += self.config.num_envs
        before = self.now.take_in(step)
        self.rollout.add(before, action, step.reward, step.after, step.terminated, step.truncated)

    def learn(self) -> None:
        """All updates on the rollout. Input statistics stay as they were while it was collected, then take it in.

        So the probability of its actions, which the updates compute anew, is the one that they were drawn with.
        """
        rollout, settings = self.rollout, self.config.agent
        values, next_values = self.agent.values(rollout.obs), self.agent.values(rollout.after)
        steps = rollout.with_advantages(values, next_values, settings.gamma, settings.gae_lambda)
        self.now.learn(self.agent.update(steps))
        self.agent.observe(rollout.after)

    def evaluate(self, record: RunWriter, progress: RunProgress, interrupted: list[int]) -> None:
        """Evaluate and append the rows of this moment, a probe of the newest rollout among them."""
        self.now.evaluate(record, progress, interrupted, self.probe)

    def probe(self) -> Metrics:
        """What the newest rollout shows of the problem and of what the learner has become."""
        return probe_rollout(self.dims, self.agent, self.rollout, self.env)

    def save(self, record: RunWriter) -> None:
        """Write everything down, unless a weight is not finite: then the checkpoint before is kept."""
        record.save(self.now.snapshot(merged(rollout=self.rollout.state()), NO_REPLAY))

    def restore(self, saved: Restored) -> None:
        """Take over a checkpoint.

        Raises:
            UserError: if it does not fit this configuration, or the environments do not lead there again.
        """
        self.now.restore(saved)
        self.rollout.load_state(part_of(saved.loop, "rollout"))
