"""A run without a replay: act, store, learn from whole rollouts. `wellposed.training` evaluates it until its end."""

from concurrent.futures import Executor

from wellposed import agents, seeding
from wellposed.arrays import merged, part_of
from wellposed.config import OnPolicyRunConfig
from wellposed.data.rollout import RolloutBuffer
from wellposed.interrupts import Stopwatch
from wellposed.loop.monitor import Monitor, restore, snapshot
from wellposed.probe import probe_rollout
from wellposed.rollout.collector import Explorer
from wellposed.runs.writer import ReplayRows, Restored, RunWriter
from wellposed.types import Metrics, OnPolicyAgent, VecEnv

NO_REPLAY = ReplayRows(0, 0, 0, {})


class OnPolicy:
    """The whole state of a run without a replay."""

    def __init__(self, config: OnPolicyRunConfig, env: VecEnv, eval_env: VecEnv, clock: Stopwatch):
        self.config, self.env, self.clock = config, env, clock
        self.agent: OnPolicyAgent = agents.make_agent(config.algo, config.agent, env.spec, config.seed)
        self.rollout = RolloutBuffer(config.rollout_steps, env.spec, config.num_envs)
        env.reset(seed=seeding.training_env_seed(config.seed))
        self.explorer = Explorer(self.agent, config.num_envs, env.spec.action_dim, config.seed)
        self.monitor = Monitor(config, self.agent, env, eval_env, clock)
        self.step = 0  # environment steps

    @property
    def between(self) -> bool:
        """Whether no rollout is under way: the run is evaluated and ends only then, after learning from the last."""
        return not self.rollout.under_way

    def advance(self, _beside: Executor, _stop: list[int]) -> None:
        """One step of all envs, and all updates on the rollout if that was its last."""
        self.collect()
        if self.rollout.full:
            self.learn()

    def collect(self) -> None:
        """One step of all envs."""
        step = self.env.step(self.explorer.act(self.env.now.obs, self.step))
        self.step += self.config.num_envs
        self.monitor.take_in(step, self.step)
        self.explorer.forget(step.ended)
        self.rollout.add(step)

    def learn(self) -> None:
        """All updates on the rollout; then the input statistics take it in.

        They must not change before: the updates compute the probability of its actions as when these were drawn.
        """
        rollout, settings = self.rollout, self.config.agent
        values, next_values = self.agent.values(rollout.before), self.agent.values(rollout.after)
        steps = rollout.with_advantages(values, next_values, settings.gamma, settings.gae_lambda)
        self.monitor.learn(self.agent.update(steps))
        self.agent.observe(rollout.after)

    def probe(self) -> Metrics:
        """What the newest rollout shows, and what the learner has become."""
        return probe_rollout(self.config, self.agent, self.rollout, self.env)

    def save(self, record: RunWriter) -> None:
        """Write a checkpoint."""
        own = merged(rollout=self.rollout.state(), explorer=self.explorer.state())
        record.save(snapshot(self, own, NO_REPLAY))

    def restore(self, saved: Restored) -> None:
        """Take over a checkpoint; raises UserError if it does not fit."""
        restore(self, saved)
        self.rollout.load_state(part_of(saved.loop, "rollout"))
        self.explorer.load_state(part_of(saved.loop, "explorer"))
