"""A plan: what runs will take and whether they fit, by arithmetic and by ten seconds of the runs themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wellposed.config import AnyRunConfig, RunConfig
from wellposed.errors import require
from wellposed.planning import memory
from wellposed.planning.budget import Budget, Demand, environment_dims
from wellposed.planning.calibrate import Calibration, calibrate
from wellposed.planning.memory import readable
from wellposed.planning.room import Room, UnderWay, find_room, refusal
from wellposed.replay.size import Pixels
from wellposed.rollout.evaluate import EVALUATION_COPIES

NO_PIXELS = (
    "Training from pixels is not built yet: frames are counted, stored once, but not the memory of rendering or of an "
    "encoder, and no time can be foretold."
)


@dataclass(frozen=True)
class Seconds:
    """Expected wall-clock seconds of all runs, from the start of the process to its end."""

    total: float
    start: float  # imports, building, compiling
    training: float  # steps and updates side by side
    collecting: float  # the steps, were they alone: a part of `training`
    updating: float  # the updates, were they alone
    evaluation: float
    checkpoints: float


@dataclass(frozen=True)
class Plan:
    """What runs that differ in their seed only will take."""

    env: str
    algo: str
    seeds: list[int]
    side_by_side: int  # runs at a time, in one process
    capacity: int | None  # rows of the replay; null where there is none
    each: Budget  # of one run
    arithmetic: int  # peak memory of the process in bytes, from sizes alone
    peak: int  # the same as expected: measured, and what the replay will still take
    calibrated: bool  # whether it was measured
    seconds: Seconds | None
    until_success: bool  # the runs may end sooner
    free: memory.Free | None
    others: list[UnderWay]
    fits: bool | None  # None where the system does not tell what is free
    verdict: str


def make_plan(runs: Sequence[AnyRunConfig], runs_dir: Path, *, threads: int = 2, pixels: Pixels | None = None) -> Plan:
    """Plan runs that differ in their seed only, as `train_side_by_side` would do them.

    Runs that do not even fit by arithmetic are not measured, nor is what is not built yet (pixels).

    Args:
        runs: one or several.
        runs_dir: where to look for other runs under way.
        threads: runs at a time.
        pixels: frames to be counted as well.

    Raises:
        UserError: if the configuration cannot run.
    """
    require(threads >= 1, "threads", "must be at least 1", threads)
    asked, room, seconds = Demand(tuple(runs), threads, pixels), find_room([runs_dir]), None
    fits = None if room is None else asked.fits(room.bytes)
    calibrated = fits is not False and pixels is None
    if calibrated:
        seen = calibrate(runs, threads)
        asked = replace(asked, measured=_peak(asked, seen) - asked.peak)
        seconds = expected_seconds(asked, seen)
        room = find_room([runs_dir])
        fits = None if room is None else asked.fits(room.bytes)
    config = runs[0]
    return Plan(
        env=config.env,
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
        free=room.free if room else None,
        others=room.others if room else [],
        fits=fits,
        verdict=_verdict(asked, room, fits),
    )


def _peak(asked: Demand, seen: Calibration) -> int:
    """Peak memory from what a process that trains was seen to hold, and what its replays will still take.

    What compiling took and gave back may serve the replay, so the two peaks do not add.
    """
    if seen.held is None:
        return asked.peak
    each = asked.budgets[0]
    growth = asked.together * (each.ring_in_use + each.checkpoint) - seen.replay_in_use
    return max(seen.held.peak, seen.held.now + growth)


def expected_seconds(asked: Demand, seen: Calibration) -> Seconds:
    """The seconds of all runs from the rates that were seen; the next runs begin when the first are done."""
    config, each, rates = asked.runs[0], asked.budgets[0], seen.rates
    waves = -(-len(asked.runs) // asked.together)
    longest = environment_dims(config.env).max_episode_steps
    alone, late = 0, 0.0  # steps without updates, and updates that are caught up later, with no step beside
    if isinstance(config, RunConfig):
        alone = min(each.steps, max(config.random_steps, config.num_envs * longest)) if each.updates else each.steps
        late = alone * config.updates_per_step if each.updates else 0.0
    training = alone * rates.collect + late * rates.update + (each.steps - alone) * rates.together
    at_a_time = -(-config.eval_episodes // EVALUATION_COPIES)
    parts = {
        "training": training,
        # The first one has nothing to probe.
        "evaluation": each.evaluations * at_a_time * rates.evaluation + (each.evaluations - 1) * rates.probe,
        "checkpoints": each.evaluations * rates.checkpoint,
    }
    start = seen.imports + rates.start
    waited = {name: waves * seconds for name, seconds in parts.items()}
    return Seconds(
        total=start + sum(waited.values()),
        start=start,
        collecting=waves * each.steps * rates.collect,
        updating=waves * each.updates * rates.update,
        **waited,
    )


def _verdict(asked: Demand, room: Room | None, fits: bool | None) -> str:
    """Whether the runs fit, in sentences."""
    notes = [NO_PIXELS] if asked.pixels else []
    if room is None:
        told = "What is free cannot be known here: only Linux tells, in /proc. Nothing is refused."
    elif fits:
        told = f"It fits: {readable(asked.peak)} at the peak; {room.describe()}."
    else:
        told = refusal(asked, room)
    if room and (unknown := [other.pid for other in room.others if other.growth is None]):
        notes.append(f"What the runs of process {', '.join(map(str, unknown))} will still take is not known.")
    return " ".join([told, *notes])


def lines(plan: Plan) -> list[str]:
    """The plan as a short table, and the verdict."""
    each, n = plan.each, len(plan.seeds)
    many = "" if n == 1 else f", each of {n} runs, {plan.side_by_side} at a time"
    rows = [
        ("environment steps", f"{each.steps:,}{many}"),
        ("updates", f"{each.updates:,}, {each.updates / each.steps:.3g} a step"),
        ("evaluations", f"{each.evaluations:,}, each with a checkpoint"),
    ]
    size = f"{each.replay_bytes:,} bytes ({readable(each.replay_bytes)})"
    if plan.capacity is None:
        rows.append(("rollout", f"{size} for {each.rows_in_use:,} steps; there is no replay"))
    else:
        rows.append(("replay", f"{size} for {plan.capacity:,} rows"))
        rows.append(("  in use at the end", f"{readable(each.replay_in_use)}, {each.rows_in_use:,} rows"))
    if frames := each.frames:
        for name, size in (("stored once", frames.once), ("stored per transition", frames.per_transition)):
            rows.append((f"frames, {name}", f"{size:,} bytes ({readable(size)})"))
        rows.append(("  stored once, in use", f"{readable(frames.in_use)} at the end"))
    how = "measured, and what the replay will still take" if plan.calibrated else "by arithmetic"
    rows.append(("peak memory", f"{readable(plan.peak)} ({how})"))
    rows += _time_rows(plan)
    if plan.free:
        rows.append(("free now", f"{readable(plan.free.bytes)} ({plan.free.source})"))
        taken = readable(sum(other.growth or 0 for other in plan.others))
        count = sum(len(other.runs) for other in plan.others)
        rows.append(("other runs", f"{count} under way, which will still take {taken}" if count else "none under way"))
    return [f"{plan.env}, {plan.algo}", *(f"{name:<29} {value}" for name, value in rows), plan.verdict]


def _time_rows(plan: Plan) -> list[tuple[str, str]]:
    if (seconds := plan.seconds) is None:
        return [("expected time", "not measured, for it does not fit" if plan.fits is False else "not known")]
    at_most = "at most " if plan.until_success else ""
    alone = f"steps alone {seconds.collecting:,.1f} s, updates alone {seconds.updating:,.1f} s"
    return [
        ("expected time", f"{at_most}{seconds.total:,.0f} s on this machine as it is now"),
        ("  start and compiling", f"{seconds.start:,.1f} s"),
        ("  training", f"{seconds.training:,.1f} s ({alone})"),
        ("  evaluation", f"{seconds.evaluation:,.1f} s"),
        ("  checkpoints", f"{seconds.checkpoints:,.1f} s"),
    ]
