"""Some seconds of the runs themselves, in a process of its own: the times and the memory from which a plan is made.

What runs there is the loop that trains (`Training` or `OnPolicyTraining`), with its environments, agent, evaluations
and checkpoints, in a directory that is removed afterwards. Only the order is another: the updates that are due after
the random steps are not caught up, so that the ten seconds go into what takes most of a run.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from wellposed import serialise
from wellposed.collect import take_step
from wellposed.config import AnyRunConfig, RunConfig, read_config
from wellposed.errors import UserError
from wellposed.loop import OnPolicyTraining, Training
from wellposed.planning import memory
from wellposed.planning.budget import budget, runs_at_once
from wellposed.progress import TrainingProgress
from wellposed.replay.size import row_bytes
from wellposed.rollout.evaluate import EVALUATION_COPIES
from wellposed.runs.writer import RunWriter
from wellposed.training import Job, opened, overlap_by_threads

SECONDS = 10.0
LEAST = 0.3  # share of that for steps and updates together, however long compiling took
COLLECTING, UPDATING = 0.1, 0.05  # shares for each alone
NEVER: list[int] = []  # nobody interrupts


@dataclass(frozen=True)
class Rates:
    """Seconds that the parts of a run took, side by side with the others of its kind."""

    start: float  # building and compiling: once a process
    collect: float  # one environment step, no update beside it
    update: float  # one gradient update, no step beside it; 0 where the run takes none
    together: float  # one environment step and the updates that are due with it
    evaluation: float  # as many episodes as are played at a time
    probe: float  # the row of metrics of an evaluation
    checkpoint: float


@dataclass(frozen=True)
class Calibration:
    """What a process that trains was seen to take."""

    imports: float  # seconds from its start until it can build
    rates: Rates  # means over the runs that were side by side
    held: memory.Held | None  # None where the system does not tell
    replay_in_use: int  # bytes of all rings at that moment


def calibrate(runs: Sequence[AnyRunConfig], threads: int, seconds: float = SECONDS) -> Calibration:
    """Measure the runs that would be begun first, as many as are side by side, in a process of its own.

    Raises:
        UserError: saying why they could not be measured; it would have stopped the runs too.
    """
    first = [serialise.to_dict(config) for config in runs[: runs_at_once(len(runs), threads)]]
    asked = json.dumps({"runs": first, "threads": threads, "seconds": seconds, "began": time.time()})
    there = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "wellposed.planning.calibrate"]
    ran = subprocess.run(command, input=asked, capture_output=True, text=True, env=there)
    if ran.returncode:
        said = ran.stderr.strip().splitlines()[-1:] or [f"exit code {ran.returncode}"]
        raise UserError(f"The run could not be measured: {said[0]}")
    return serialise.from_dict(Calibration, json.loads(ran.stdout.splitlines()[-1]), "the calibration")


def main() -> int:
    """In the process of its own: the question on standard input, the answer on standard output."""
    asked = json.loads(sys.stdin.read())
    imports = time.time() - asked["began"]
    runs = [read_config(data, "the run to measure") for data in asked["runs"]]
    overlap_by_threads()
    share = max(1, asked["threads"] // len(runs))
    try:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(runs)) as pool:
            found = list(pool.map(lambda config: measure(config, share, Path(folder), asked["seconds"]), runs))
    except (UserError, FloatingPointError) as error:
        print(error, file=sys.stderr)
        return 1
    means = np.mean([list(asdict(rates).values()) for rates, _ in found], axis=0).tolist()
    answer = Calibration(imports, Rates(*means), memory.held(os.getpid()), sum(in_use for _, in_use in found))
    print(json.dumps(asdict(answer)))
    return 0


def measure(config: AnyRunConfig, threads: int, folder: Path, seconds: float) -> tuple[Rates, int]:
    """The rates of one run in this process, and the bytes that its ring then has in use."""
    began, short = time.perf_counter(), replace(config, eval_episodes=min(EVALUATION_COPIES, config.eval_episodes))
    if isinstance(short, RunConfig):
        short = replace(short, random_steps=0 if budget(config).updates else sys.maxsize)
    job = Job(short, lambda origin: RunWriter(folder, serialise.to_dict(short), origin))
    with opened(job, threads) as (record, training), TrainingProgress(True) as bars:
        progress = bars.follow("", 1)
        opening = time.perf_counter() - began
        evaluate = lambda: training.evaluate(record, progress, NEVER)  # noqa: E731
        save = lambda: training.save(record)  # noqa: E731
        first = _seconds(evaluate) + _seconds(save)
        end = began + seconds - first - UPDATING * seconds
        if isinstance(training, Training):
            compiling, collect, update, together = _with_replay(training, seconds, end)
            in_use = min(training.replay.end, training.config.replay.capacity) * row_bytes(training.replay.dims)
        else:
            compiling, collect, update, together = _with_rollouts(training, seconds, end)
            in_use = 0
        compiling += _seconds(training.probe)  # the first that finds something to probe
        probe, both, checkpoint = _seconds(training.probe), _seconds(evaluate), _seconds(save)
        evaluation = max(0.0, both - probe)
    start = opening + max(0.0, first - evaluation - checkpoint) + compiling
    return Rates(start, collect, update, together, evaluation, probe, checkpoint), in_use


def _with_replay(training: Training, seconds: float, end: float) -> tuple[float, float, float, float]:
    """Seconds of compiling; of one step alone, one update alone, one step and the updates due; until about `end`."""
    learns = training.config.random_steps == 0
    with ThreadPoolExecutor(1) as collector:
        compiling = _seconds(lambda: _advance(training, collector, 0.0, lambda: True))
        collect = _advance(training, collector, COLLECTING * seconds, lambda: training.replay.transitions > 0)
        if not training.replay.transitions:
            _cut_episodes(training)
        training.now.step = 0  # what would have been caught up is forgotten
        if learns:
            compiling += _seconds(lambda: _advance(training, collector, np.inf, lambda: training.agent.updates > 0))
        left = max(LEAST * seconds, end - time.perf_counter())
        together = _advance(training, collector, left, lambda: False)
        update = _update_alone(training, UPDATING * seconds) if learns else 0.0
    return compiling, collect, update, together


def _with_rollouts(training: OnPolicyTraining, seconds: float, end: float) -> tuple[float, float, float, float]:
    """The same where steps and updates take turns."""

    def collect() -> None:
        training.collect()
        while training.rollout.under_way:
            training.collect()

    compiling = _seconds(collect) + _seconds(training.learn)
    began, first, collecting = time.perf_counter(), (training.now.step, training.agent.updates), 0.0
    while training.now.step == first[0] or time.perf_counter() < max(end, began + LEAST * seconds):
        collecting += _seconds(collect)
        training.learn()
    total, steps = time.perf_counter() - began, training.now.step - first[0]
    updates = training.agent.updates - first[1]
    return compiling, collecting / steps, (total - collecting) / updates, total / steps


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _advance(training: Training, collector: ThreadPoolExecutor, seconds: float, enough: Callable[[], bool]) -> float:
    """Step all copies, with what is due, for that long or until it is enough; seconds for each environment step."""
    began, first = time.perf_counter(), training.now.step
    while training.now.step - first < 3 * training.config.num_envs or time.perf_counter() - began < seconds:
        training.advance(collector, NEVER)
        if enough():
            break
    return (time.perf_counter() - began) / (training.now.step - first)


def _cut_episodes(training: Training) -> None:
    """Let the episodes under way end here: long ones would leave nothing to learn from within seconds."""
    step = take_step(training.env, training.explorer.act(training.now.obs, training.now.step))
    training.take_in(step._replace(truncated=np.ones_like(step.truncated)))


def _update_alone(training: Training, seconds: float) -> float:
    """Seconds of one gradient update, its batch drawn, with no step beside it."""
    began, first, config = time.perf_counter(), training.agent.updates, training.config
    while training.agent.updates == first or time.perf_counter() - began < seconds:
        batch = training.replay.sample(config.updates_per_call, config.agent.batch_size, training.sampling)
        training.learn(iter([batch]), NEVER)
    return (time.perf_counter() - began) / (training.agent.updates - first)


if __name__ == "__main__":
    sys.exit(main())
