"""A plan: what runs will take and whether they fit, from arithmetic and from ten seconds of the runs themselves.

The ten seconds run in a separate process, `python -m wellposed.plan`, for each run at a time. It trains as the run
would, in a directory that is removed afterwards. One thing is different: updates that become due during the random
steps are skipped, so that the time goes into what takes most of a run.
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
from typing import NamedTuple

import numpy as np

from wellposed import plugin, serialise
from wellposed.budget import Budget, Demand, Pixels, budget, environment_spec, runs_at_once, too_short
from wellposed.config import AnyRunConfig, RunConfig, read_config
from wellposed.data.rows import row_bytes
from wellposed.errors import UserError, require
from wellposed.launch.local import cores_in_order, shares_of
from wellposed.launch.work import pin
from wellposed.loop.off_policy import OffPolicy
from wellposed.loop.on_policy import OnPolicy
from wellposed.memory import Free, Held, Room, UnderWay, find_room, held, held_by_children, readable, refusal
from wellposed.progress import TrainingProgress
from wellposed.report import template
from wellposed.rollout.evaluate import EVALUATION_ENVS
from wellposed.settings import own_settings
from wellposed.training import new_run, opened

SECONDS = 10.0
LEAST = 0.3  # least share of them for steps and updates side by side, however long compiling took
COLLECTING, UPDATING = 0.1, 0.05  # shares for steps alone and for updates alone
NEVER: list[int] = []  # signals received: never any
NO_PIXELS = (
    "Frames that are asked for with --pixels are counted and not rendered, so no time can be predicted; a run with "
    "--env.pixels.size is planned whole."
)


@dataclass(frozen=True)
class Rates:
    """Seconds that the parts of a run take, with the other runs side by side."""

    start: float  # building and compiling
    collect: float  # one environment step, without an update beside it
    update: float  # one gradient update, without a step beside it; 0 in a run without updates
    together: float  # one environment step and the updates that are due with it
    evaluation: float  # the episodes that are played at a time
    probe: float  # the row of metrics of an evaluation
    checkpoint: float


@dataclass(frozen=True)
class Calibration:
    """Measured times and memory of the processes that train side by side."""

    imports: float  # seconds from the start of the process until its imports are done
    rates: Rates  # means over the runs side by side
    held: Held | None  # None where the system does not report it
    replay_in_use: int  # bytes of all replays at that moment
    stepping: str  # in what processes or threads envs were stepped, in words


@dataclass(frozen=True)
class Seconds:
    """Expected wall-clock seconds of all runs, from the start of the first process to the end of the last."""

    total: float
    start: float  # imports, building, compiling
    training: float  # steps and updates side by side
    collecting: float  # the steps, were they alone: a part of `training`
    updating: float  # the updates, were they alone
    evaluation: float
    checkpoints: float


@dataclass(frozen=True)
class Plan:
    """What runs that differ only in their seed will take."""

    env: str
    algo: str
    seeds: list[int]
    side_by_side: int  # runs at a time, each in a process of its own
    capacity: int | None  # rows of the replay; null without one
    each: Budget  # of one run
    arithmetic: int  # peak memory of all processes in bytes, from sizes alone
    peak: int  # the same from measured memory, plus what the replay will still take
    calibrated: bool  # whether times and memory were measured
    seconds: Seconds | None
    until_success: bool  # whether the runs may end sooner
    stepping: str | None  # in what processes or threads envs are stepped, in words; None where nothing was measured
    free: Free | None
    others: list[UnderWay]
    fits: bool | None  # None where the system does not report free memory
    verdict: str


def make_plan(runs: Sequence[AnyRunConfig], runs_dir: Path, *, threads: int = 2, pixels: Pixels | None = None) -> Plan:
    """Plan runs that differ only in their seed, as `train_side_by_side` would train them.

    Runs that do not fit by arithmetic are not measured, and neither are frames that `pixels` asks for.

    Args:
        runs: one or several.
        runs_dir: where to look for other runs under way.
        threads: runs at a time.
        pixels: camera frames to count as well.

    Raises:
        UserError: if the configuration cannot run.
    """
    require(threads >= 1, "threads", "must be at least 1", threads)
    room, seconds, stepping = find_room([runs_dir]), None, None
    asked = Demand(tuple(runs), threads, pixels)
    if room is not None:
        asked = asked.fewer_at_a_time(room.bytes)
    fits = None if room is None else asked.fits(room.bytes)
    calibrated = fits is not False and pixels is None
    if calibrated:
        seen = calibrate(runs, asked.threads)
        asked = replace(asked, measured=_peak(asked, seen) - asked.peak)
        seconds, stepping = expected_seconds(asked, seen), seen.stepping
        room = find_room([runs_dir])
        fits = None if room is None else asked.fits(room.bytes)
    config = runs[0]
    return Plan(
        env=config.env.id,
        algo=config.algo,
        seeds=[run.seed for run in runs],
        side_by_side=asked.together,
        capacity=config.replay.capacity if isinstance(config, RunConfig) else None,
        each=asked.budgets[0],
        arithmetic=asked.peak - asked.measured,
        peak=asked.peak,
        calibrated=calibrated,
        seconds=seconds,
        until_success=config.until_success is not None,
        stepping=stepping,
        free=room.free if room else None,
        others=room.others if room else [],
        fits=fits,
        verdict=_verdict(asked, room, fits),
    )


def _peak(asked: Demand, seen: Calibration) -> int:
    """Peak memory: what training processes were measured to hold, and what their replays will still take.

    Memory that compiling gave back can serve the replay, so the two peaks do not add up.
    """
    if seen.held is None:
        return asked.peak
    each = asked.budgets[0]
    growth = asked.together * (each.ring_in_use + each.checkpoint) - seen.replay_in_use
    return max(seen.held.peak, seen.held.now + growth)


def expected_seconds(asked: Demand, seen: Calibration) -> Seconds:
    """The seconds of all runs from the measured rates; the next runs begin when the first have ended."""
    config, each, rates = asked.runs[0], asked.budgets[0], seen.rates
    waves = -(-len(asked.runs) // asked.together)
    longest = environment_spec(config.env).max_episode_steps
    alone, late = 0, 0.0  # steps without updates, and the updates that are caught up after them
    if isinstance(config, RunConfig):
        alone = min(each.steps, max(config.random_steps, config.num_envs * longest)) if each.updates else each.steps
        late = alone * config.updates_per_step if each.updates else 0.0
    training = waves * (alone * rates.collect + late * rates.update + (each.steps - alone) * rates.together)
    at_a_time = 1 if config.tested_bar is not None else -(-config.eval_episodes // EVALUATION_ENVS)
    # The first evaluation has nothing to probe.
    evaluation = waves * (each.evaluations * at_a_time * rates.evaluation + (each.evaluations - 1) * rates.probe)
    start, checkpoints = waves * (seen.imports + rates.start), waves * each.evaluations * rates.checkpoint
    return Seconds(
        total=start + training + evaluation + checkpoints,
        start=start,
        training=training,
        collecting=waves * each.steps * rates.collect,
        updating=waves * each.updates * rates.update,
        evaluation=evaluation,
        checkpoints=checkpoints,
    )


def _verdict(asked: Demand, room: Room | None, fits: bool | None) -> str:
    """Whether the runs fit, in sentences."""
    config = asked.runs[0]
    notes = list(filter(None, [too_short(config, environment_spec(config.env)), NO_PIXELS if asked.pixels else ""]))
    if room is None:
        told = "Free memory is unknown here: only Linux reports it, in /proc. Nothing is refused."
    elif fits:
        told = f"It fits: {readable(asked.peak)} at the peak; {room.describe()}."
    else:
        told = refusal(asked, room)
    if room and (unknown := [other.pid for other in room.others if other.growth is None]):
        notes.append(f"What the runs of process {', '.join(map(str, unknown))} will still take is not known.")
    return " ".join([told, *notes])


def lines(plan: Plan) -> list[str]:
    """The plan as a short table, and its verdict."""
    return template("plan.txt.j2").render(plan=plan).splitlines()


def calibrate(runs: Sequence[AnyRunConfig], threads: int, seconds: float = SECONDS) -> Calibration:
    """Measure the first runs, as many as train side by side, each in a process and on cores of its own.

    Raises:
        UserError: saying why they could not be measured; training would fail the same way.
    """
    first = runs[: runs_at_once(len(runs), threads)]
    shares = shares_of(cores_in_order(), len(first), threads)
    with ThreadPoolExecutor(len(first)) as pool:
        found = list(pool.map(lambda run, cores: _calibrate_one(run, cores, seconds), first, shares))
    means = np.mean([list(asdict(one.rates).values()) for one in found], axis=0).tolist()
    all_held = [one.held for one in found if one.held is not None]
    now, peak = (sum(getattr(one, name) for one in all_held) for name in ("now", "peak"))
    return Calibration(
        imports=max(one.imports for one in found),
        rates=Rates(*means),
        held=Held(now, peak) if len(all_held) == len(found) else None,
        replay_in_use=sum(one.replay_in_use for one in found),
        stepping=found[0].stepping,
    )


def _calibrate_one(run: AnyRunConfig, cores: Sequence[int], seconds: float) -> Calibration:
    """Measure one run in a process of its own."""
    about = {"run": serialise.to_dict(run), "cores": cores, "seconds": seconds, "began": time.time()}
    command = [sys.executable, "-m", "wellposed.plan", *plugin.words()]
    ran = subprocess.run(command, input=json.dumps(about), capture_output=True, text=True, env=plugin.environment())
    if ran.returncode:
        said = ran.stderr.strip().splitlines()[-1:] or [f"exit code {ran.returncode}"]
        raise UserError(f"The run could not be measured: {said[0]}")
    return serialise.from_dict(Calibration, json.loads(ran.stdout.splitlines()[-1]), "the calibration")


def main() -> int:
    """The separate process: the run as JSON on standard input, the calibration on standard output."""
    asked = json.loads(sys.stdin.read())
    pin(asked["cores"])
    plugin.load_named(sys.argv[1:])
    imports, threads = time.time() - asked["began"], len(asked["cores"])
    run = read_config(asked["run"], "the run to measure")
    try:
        with own_settings(), tempfile.TemporaryDirectory() as folder:
            found = measure(run, threads, Path(folder), asked["seconds"])
    except (UserError, FloatingPointError) as error:
        print(error, file=sys.stderr)
        return 1
    own, workers = held(os.getpid()), found.workers
    there = None if own is None else Held(own.now + workers.now, own.peak + workers.peak)
    print(json.dumps(asdict(Calibration(imports, found.rates, there, found.replay_in_use, found.stepping))))
    return 0


class Trial(NamedTuple):
    """What a trial of a run in this process found."""

    rates: Rates
    replay_in_use: int  # bytes
    stepping: str  # as in `Calibration`
    workers: Held  # memory of the processes in which envs were stepped


def measure(config: AnyRunConfig, threads: int, folder: Path, seconds: float) -> Trial:
    """Try one run in this process, for so many seconds."""
    began, episodes = time.perf_counter(), min(EVALUATION_ENVS, config.eval_episodes)
    short = replace(config, eval_episodes=episodes, stop_rule="twice")
    if isinstance(short, RunConfig):
        short = replace(short, random_steps=0 if budget(config).updates else sys.maxsize)
    opening = opened(new_run(short, folder), threads)
    follow = TrainingProgress(True).follow("", 1)
    with opening as (record, run, *_), follow as progress, ThreadPoolExecutor(1) as beside:
        opening = time.perf_counter() - began

        def evaluate() -> None:
            run.monitor.begin(run.step, beside, NEVER, run.probe)
            run.monitor.conclude(run.step, record, progress)

        save = lambda: run.save(record)  # noqa: E731
        first = _seconds(evaluate) + _seconds(save)
        end = began + seconds - first - UPDATING * seconds
        if isinstance(run, OffPolicy):
            compiling, collect, update, together = _with_replay(run, seconds, end)
            in_use = min(run.replay.end, run.config.replay.capacity) * row_bytes(run.replay.spec)
        else:
            compiling, collect, update, together = _with_rollouts(run, seconds, end)
            in_use = 0
        compiling += _seconds(run.probe)  # the first with something to probe
        probe, both, checkpoint = _seconds(run.probe), _seconds(evaluate), _seconds(save)
        evaluation = max(0.0, both - probe)
        workers = held_by_children(os.getpid())
    start = opening + max(0.0, first - evaluation - checkpoint) + compiling
    rates = Rates(start, collect, update, together, evaluation, probe, checkpoint)
    return Trial(rates, in_use, run.env.stepping, workers)


def _with_replay(run: OffPolicy, seconds: float, end: float) -> tuple[float, float, float, float]:
    """Seconds of compiling, of one step alone, of one update alone, and of one step with its updates, until `end`."""
    learns = run.config.random_steps == 0
    with ThreadPoolExecutor(1) as collector:
        compiling = _seconds(lambda: _advance(run, collector, 0.0, lambda: True))
        collect = _advance(run, collector, COLLECTING * seconds, lambda: run.replay.transitions > 0)
        if not run.replay.transitions:
            _cut_episodes(run)
        run.step = 0  # so that nothing is caught up
        if learns:
            compiling += _seconds(lambda: _advance(run, collector, np.inf, lambda: run.agent.updates > 0))
        left = max(LEAST * seconds, end - time.perf_counter())
        together = _advance(run, collector, left, lambda: False)
        update = _update_alone(run, UPDATING * seconds) if learns else 0.0
    return compiling, collect, update, together


def _with_rollouts(run: OnPolicy, seconds: float, end: float) -> tuple[float, float, float, float]:
    """The same for a run whose steps and updates alternate."""

    def collect() -> None:
        run.collect()
        while run.rollout.under_way:
            run.collect()

    compiling = _seconds(collect) + _seconds(run.learn)
    began, first, collecting = time.perf_counter(), (run.step, run.agent.updates), 0.0
    while run.step == first[0] or time.perf_counter() < max(end, began + LEAST * seconds):
        collecting += _seconds(collect)
        run.learn()
    total, steps = time.perf_counter() - began, run.step - first[0]
    updates = run.agent.updates - first[1]
    return compiling, collecting / steps, (total - collecting) / updates, total / steps


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _advance(run: OffPolicy, collector: ThreadPoolExecutor, seconds: float, enough: Callable[[], bool]) -> float:
    """Step all envs and update, for `seconds` or until `enough`; returns seconds per environment step."""
    began, first = time.perf_counter(), run.step
    while run.step - first < 3 * run.config.num_envs or time.perf_counter() - began < seconds:
        run.advance(collector, NEVER)
        if enough():
            break
    return (time.perf_counter() - began) / (run.step - first)


def _cut_episodes(run: OffPolicy) -> None:
    """End the episodes under way here: long ones would leave nothing to learn from within seconds."""
    step = run.env.step(run.explorer.act(run.env.now.obs, run.step))
    run.take_in(step._replace(truncated=np.ones_like(step.truncated)))


def _update_alone(run: OffPolicy, seconds: float) -> float:
    """Seconds of one gradient update with its sampling, without a step beside it."""
    began, first = time.perf_counter(), run.agent.updates
    while run.agent.updates == first or time.perf_counter() - began < seconds:
        run.learn(iter([run.draw()]), NEVER)
    return (time.perf_counter() - began) / (run.agent.updates - first)


if __name__ == "__main__":
    sys.exit(main())
