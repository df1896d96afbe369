"""The training loop, visible: collect, store, update, evaluate, record. No base class, no callbacks."""

import math
import signal
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from wellposed import config as configs
from wellposed import envs, seeding
from wellposed.agents import make_agent
from wellposed.envs.scripted import RandomPolicy
from wellposed.errors import UserError, require
from wellposed.evaluate import play_episodes, summarise
from wellposed.progress import RunProgress, TrainingProgress
from wellposed.recipe import RunConfig
from wellposed.replay import ReplayBuffer
from wellposed.runs import provenance
from wellposed.runs.record import EvaluationRow, MetricsRow, Solved, StopReason, Summary
from wellposed.runs.store import RunWriter, require_free
from wellposed.types import Agent, Batch, GoalObs, Metrics, successor

EVALUATION_COPIES = 25
MOVED = 0.01  # metres (goal units) from its start at which an achieved goal counts as moved


class Stopwatch:
    """Seconds of training, and of evaluation apart."""

    def __init__(self) -> None:
        self._start, self.paused = time.perf_counter(), 0.0  # seconds spent inside `pause`

    @property
    def seconds(self) -> float:
        """Training time so far: everything since the start but what `pause` held."""
        return time.perf_counter() - self._start - self.paused

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Time inside does not count as training."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.paused += time.perf_counter() - began


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Inside, the first Ctrl-C or SIGTERM only fills the list, so that loops end cleanly; a second one raises.

    Runs in other threads see the list: even then the program ends when the update or evaluation under way is over.
    """
    caught: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield caught  # signals are the main thread's
        return
    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Rollouts:
    """Statistics of the training episodes that ended since the last row; exploration noise included."""

    def __init__(self, obs: GoalObs):
        self._start, self._returns = obs["achieved_goal"].copy(), np.zeros(len(obs["achieved_goal"]))
        self._moved = np.zeros(len(self._returns), bool)
        self._ended: list[tuple[float, float, float]] = []

    def add(self, reward: np.ndarray, after: GoalObs, obs: GoalObs, ended: np.ndarray, info: dict) -> None:
        """Take in one step: true successors `after`, and `obs` from which the next step goes on."""
        self._returns += reward
        self._moved |= np.linalg.norm(after["achieved_goal"] - self._start, axis=1) > MOVED
        for i in np.flatnonzero(ended):
            self._ended.append((float(info["is_success"][i]), self._returns[i], float(self._moved[i])))
            self._start[i], self._returns[i], self._moved[i] = obs["achieved_goal"][i], 0.0, False

    def drain(self) -> Metrics:
        """Means over the ended episodes; empty if none ended."""
        if not self._ended:
            return {}
        means = np.mean(self._ended, axis=0)
        self._ended.clear()
        names = ("rollout/success_rate", "rollout/return", "rollout/moved_rate")
        return dict(zip(names, means.tolist(), strict=True))


def train(config: RunConfig, runs_dir: str | Path, *, threads: int = 2, quiet: bool = False) -> tuple[Path, Summary]:
    """Train one run and record it below `runs_dir`.

    Args:
        config: the run, in full.
        runs_dir: where its directory is made.
        threads: native threads for physics; the result does not depend on it.
        quiet: no progress bar and no line per evaluation.

    Returns:
        The run's directory and how it ended.

    Raises:
        UserError: if the directory is taken, the disk refuses, or training diverges.
    """
    [result] = train_side_by_side([config], runs_dir, threads=threads, quiet=quiet)
    return result


def train_side_by_side(
    runs: Sequence[RunConfig], runs_dir: str | Path, *, threads: int = 2, quiet: bool = False
) -> Generator[tuple[Path, Summary]]:
    """Train several runs in this process, `threads` at a time, each recorded as its own and bit for bit as if alone.

    Arguments and errors are those of `train`. A run that fails does not stop the others: its error is raised when they
    are done. After Ctrl-C those under way end at their next update, and no other is begun.

    Yields:
        Each run's directory and how it ended, in the order of `runs`, as soon as it and those before it are done.
    """
    require(threads >= 1, "threads", "must be at least 1", threads)
    require_free(Path(runs_dir), [configs.to_dict(config) for config in runs])
    # XLA's own queue would run `act` and `update` one after another, on threads that spin while they wait; we overlap
    # by threads of our own. Results do not depend on it, and where JAX has computed before it comes too late to help.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    at_once = max(1, min(len(runs), threads))
    errors: list[UserError] = []
    with (
        TrainingProgress(quiet) as progress,
        interruptible() as interrupted,
        ThreadPoolExecutor(at_once, "run") as pool,
    ):
        share = max(1, threads // at_once)
        futures = [pool.submit(_train_one, config, Path(runs_dir), share, progress, interrupted) for config in runs]
        try:
            for future in futures:
                try:
                    result = future.result()
                except UserError as error:
                    errors.append(error)
                    continue
                if result is not None:
                    yield result
        finally:
            interrupted.append(0)  # whatever ends this early, the threads hear of it
    if errors:
        raise UserError("\n".join(str(error) for error in errors))


def _train_one(
    config: RunConfig, runs_dir: Path, threads: int, progress: TrainingProgress, interrupted: list[int]
) -> tuple[Path, Summary] | None:
    """Build the environments, open the record, train, finish; None if there is no time to begin."""
    if interrupted:
        return None
    clock = Stopwatch()
    with ExitStack() as stack:
        make = lambda n: stack.enter_context(closing(envs.make_vec(config.env, n, threads=threads)))  # noqa: E731
        env, eval_env = make(config.num_envs), make(min(EVALUATION_COPIES, config.eval_episodes))
        origin = provenance.collect(
            threads=threads,
            autoreset_mode=env.metadata["autoreset_mode"].value,
            devices=[f"{device} ({device.device_kind})" for device in jax.devices()],
        )
        run = stack.enter_context(RunWriter(runs_dir, configs.to_dict(config), origin))
        bar = stack.enter_context(progress.follow(f"{config.env} seed {config.seed}", config.total_steps))
        summary = off_policy_loop(config, run, env, eval_env, clock, bar, interrupted)
        run.finish(summary)
        return run.path, summary


class Explorer:
    """Behaviour while training: uniform actions at first, then the policy's own noise with uniform actions mixed in."""

    def __init__(self, config: RunConfig, agent: Agent, action_dim: int):
        self.config, self.agent = config, agent
        self._rng = seeding.generator(config.seed, "random actions")
        self._uniform = RandomPolicy(action_dim, self._rng)

    def act(self, obs: GoalObs, step: int) -> np.ndarray:
        """Actions [n, action_dim] at environment step `step` of the run."""
        actions = self._uniform.act(obs)
        if step < self.config.random_steps:
            return actions
        keep = self._rng.random((len(actions), 1)) >= self.config.random_share
        return np.where(keep, self.agent.act(obs, deterministic=False), actions)


def off_policy_loop(
    config: RunConfig, run: RunWriter, env: Any, eval_env: Any, clock: Stopwatch, progress: RunProgress,
    interrupted: list[int],
) -> Summary:  # fmt: skip
    """Act, learn while physics runs, store, evaluate, record; until there is a reason to stop.

    A step of the environments runs in a thread of its own beside the updates (physics and XLA both let go of the GIL).
    Its actions are older than they are, and they sample a replay that does not hold it yet: who finishes first changes
    nothing, so the same seed gives the same weights.
    """
    dims = envs.dims(env)
    agent = make_agent(config.algo, config.agent, dims, config.seed)
    replay = ReplayBuffer(config.replay, dims, config.num_envs, env.compute_reward, env.compute_terminated)
    explorer, sampling = Explorer(config, agent, dims.action), seeding.generator(config.seed, "replay")
    eval_seeds = seeding.evaluation_env_seeds(config.seed, config.eval_episodes, "monitoring")
    learnt: Metrics = {}
    step, next_eval = 0, config.eval_every
    stop: StopReason | None = None
    evaluations = [evaluate_and_log(run, agent, eval_env, eval_seeds, step, clock, progress)]
    obs, _ = env.reset(seed=seeding.training_env_seed(config.seed))
    rollouts = Rollouts(obs)
    with ThreadPoolExecutor(1, "collect") as collector:
        while stop is None:
            batches = due_batches(config, agent, replay, sampling, step + config.num_envs)
            first = list(islice(batches, 1))  # drawn now: beside the step the two would wait for Python's lock
            stepping = collector.submit(env.step, explorer.act(obs, step))
            step += config.num_envs
            learnt |= learn(agent, chain(first, batches), interrupted)
            obs = take_in(stepping.result(), obs, replay, rollouts, agent)
            if interrupted:
                stop = "interrupted"
            elif step >= config.total_steps:
                stop = "budget"
            if step >= next_eval or stop:
                next_eval = step + config.eval_every
                run.log_metrics(metrics_row(step, agent.updates, clock, learnt | rollouts.drain()))
                evaluations.append(evaluate_and_log(run, agent, eval_env, eval_seeds, step, clock, progress))
                if stop is None and reached(config.until_success, evaluations):
                    stop = "solved"
            progress.advance(step, agent.updates, clock.seconds)
    return summary_of(config, stop, evaluations, clock)


def due_batches(
    config: RunConfig, agent: Agent, replay: ReplayBuffer, rng: np.random.Generator, step: int
) -> Iterator[Batch]:
    """The batches of all whole calls of `update` that are due at environment step `step`, drawn one at a time."""
    if step <= config.random_steps or not replay.transitions:
        return
    due = step * config.updates_per_step - agent.updates
    for _ in range(int(due // config.updates_per_call)):
        yield replay.sample(config.updates_per_call, config.agent.batch_size, rng)


def learn(agent: Agent, batches: Iterator[Batch], interrupted: list[int]) -> Metrics:
    """Update on all batches; the metrics of the last call, none if there was no batch."""
    metrics: Metrics = {}
    for batch in batches:
        metrics = agent.update(batch)
        require_finite(metrics, agent.updates)
        if interrupted:
            break
    return metrics


def take_in(result: tuple, obs: GoalObs, replay: ReplayBuffer, rollouts: Rollouts, agent: Agent) -> GoalObs:
    """Store the step that began at `obs` and came back from `env.step` as `result`; the observations to go on from."""
    next_obs, reward, terminated, truncated, info = result
    after = successor(next_obs, info)
    replay.add(obs, info["applied_action"], reward, after, terminated, truncated)
    rollouts.add(reward, after, next_obs, terminated | truncated, info)
    agent.observe(after)
    return next_obs


def metrics_row(step: int, updates: int, clock: Stopwatch, metrics: Metrics) -> MetricsRow:
    """The metrics of this moment, rates added."""
    seconds = clock.seconds
    rates = {
        "time/steps_per_second": step / seconds,
        "time/updates_per_second": updates / seconds,
        "time/updates_per_step": updates / step,
    }
    return MetricsRow(step, updates, seconds, metrics | rates)


def evaluate_and_log(
    run: RunWriter, agent: Agent, env: Any, seeds: list[int], step: int, clock: Stopwatch, progress: RunProgress
) -> EvaluationRow:
    """Play the evaluation episodes greedily, append them to the record, save the agent; off the training clock."""
    with clock.pause():
        seconds = clock.seconds
        episodes = play_episodes(agent, env, seeds)
        row = summarise(episodes, step=step, updates=agent.updates, seconds=seconds)
        run.log_evaluation(row, episodes)
        run.save_checkpoint(agent.state(), step, agent.updates)
        progress.evaluated(row)
    return row


def reached(rate: float | None, evaluations: list[EvaluationRow]) -> bool:
    """Whether the last two evaluations are both at the rate or above."""
    last_two = evaluations[-2:]
    return rate is not None and len(last_two) == 2 and all(e.success_rate >= rate for e in last_two)


def require_finite(metrics: Metrics, updates: int) -> None:
    """Stop at the first NaN or infinity, which every later update would spread.

    Raises:
        UserError: naming the metrics and the moment.
    """
    broken = [name for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        raise UserError(
            f"Training diverged: {', '.join(broken)} is not finite at update {updates}. The record up to "
            "the last evaluation is intact. Lower --agent.learning-rate; where the reward is -1/0, keep "
            "--agent.bound-targets on."
        )


def summary_of(config: RunConfig, stop: StopReason, evaluations: list[EvaluationRow], clock: Stopwatch) -> Summary:
    """How the run ended, from its last evaluation."""
    last, seconds, solved = evaluations[-1], clock.seconds, None
    if config.until_success is not None and reached(config.until_success, evaluations):
        solved = Solved(config.until_success, last.step, last.updates, last.seconds)
    return Summary(
        stop_reason=stop,
        step=last.step,
        updates=last.updates,
        seconds=seconds,
        steps_per_second=last.step / seconds,
        updates_per_second=last.updates / seconds,
        evaluation_seconds=clock.paused,
        solved=solved,
        final_evaluation=last,
    )
