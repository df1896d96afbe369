"""Writing a run: append-only rows, and checkpoints from which it continues bit for bit however it was interrupted.

The order of writing makes that true. Rows are flushed, then the replay's new part and the state are written, then the
manifest, which holds the length of every file of rows. Until the manifest is there the checkpoint before it counts;
resuming cuts the rows to the lengths in its manifest and writes the rest again.
"""

# protobuf makes its classes when it is imported:
# pyright: reportAttributeAccessIssue=false

import os
import stat
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from wellposed import serialise
from wellposed.arrays import Arrays, merged, part_of
from wellposed.errors import UserError
from wellposed.runs import checkpoint, disk, lock, record
from wellposed.runs.checkpoint import LINES, Manifest, ReplayPart, StoredArrays
from wellposed.runs.files import JsonLines, UnreadableError, ends_with_row, explained, remove_parts, write_json
from wellposed.runs.provenance import changes_since
from wellposed.runs.store import RunReader, env_id, refuse_ended, refuse_existing, run_name
from wellposed.types import Metrics

RESUMABLE = 4  # the oldest schema version whose interrupted runs can be resumed


@dataclass(frozen=True)
class ReplayRows:
    """Rows that entered the replay since the last checkpoint, counted from the first that ever entered it."""

    first: int
    end: int
    oldest: int  # the first row the replay still holds
    arrays: Arrays


@dataclass(frozen=True)
class Snapshot:
    """The whole state of a training run between two updates."""

    step: int
    updates: int
    seconds: float
    evaluation_seconds: float
    agent: Arrays
    loop: Arrays  # environments, random streams, statistics, episodes under way
    replay: ReplayRows


@dataclass(frozen=True)
class Restored:
    """The checkpoint that a resumed run continues from, checked."""

    manifest: Manifest
    agent: Arrays
    loop: Arrays
    replay: list[tuple[int, Arrays]]  # each part and the number of its first row
    evaluations: list[record.EvaluationRow]
    parts: list[ReplayPart]  # where these parts lie
    lost: int  # rows of the replay that were damaged and are left out


# Told after each evaluation: the run, the row, and the metrics of training since the evaluation before.
OnEvaluation = Callable[[RunReader, record.EvaluationRow, Metrics], None]


def unobserved(run: RunReader, row: record.EvaluationRow, metrics: Metrics) -> None:
    """Nobody is told."""


class RunWriter:
    """A run's directory below `runs_dir`, held by this process until `close`.

    `config` is the full configuration as JSON data. Raises UserError if the directory holds a run already, or another
    process is writing it.
    """

    def __init__(self, runs_dir: Path, config: dict[str, Any], provenance: record.Provenance):
        path = runs_dir / run_name(config)
        with explained(path, "create"):
            disk.make_folder(path)
        self._take(path, config)
        try:
            refuse_existing(path)
            self.provenance = provenance
            write_json(path / "provenance.json", record.encode(provenance))
            write_json(path / "config.json", {"schema": record.SCHEMA, "hash": self._hash, "config": config})
            self._begin(None)
        except BaseException:
            self.close()
            raise

    @classmethod
    def reopen(cls, path: Path, now: record.Provenance, salvage: bool = False) -> "RunWriter":
        """Resume a run at its newest intact checkpoint, or from the beginning if it has none.

        Nothing is changed yet: that is done by `go_on`, once `restored` has been taken over. `now` is the provenance of
        this process. With `salvage`, a checkpoint whose state is intact counts even if parts of its replay are damaged:
        the replay is then what is intact of its end, and the record says so.

        Raises UserError if the run is finished or diverged, another process is writing it, or its rows are damaged.
        """
        reader, run = RunReader(path), cls.__new__(cls)
        run._take(path, reader.config)
        try:
            refuse_ended(reader)
            if reader.schema < RESUMABLE:
                raise UserError(
                    f"{path} was interrupted in an older version of wellposed, which stored replay and environments "
                    "in another form: it can be evaluated but not resumed. Train it again, or resume it with the "
                    "commit in its provenance.json."
                )
            _require_own_files(path)
            run.provenance, run._now = reader.provenance, now
            run.restored = run._newest_intact(reader, salvage)
        except BaseException:
            run.close()
            raise
        return run

    @property
    def reopened(self) -> bool:
        """Whether it is a run that was interrupted before."""
        return self._now is not None

    def go_on(self) -> str:
        """Continue a reopened run: cut off what was written after its checkpoint; it will be written again.

        Returns:
            Where it continues and what was lost, in sentences, as they are recorded.
        """
        restored, now = self.restored, self._now
        assert now is not None
        self._begin(restored)
        step, salvaged = (restored.manifest.step, restored.lost > 0) if restored else (0, False)
        lost = [f"{restored.lost:,} rows of the replay were damaged and are left out."] if restored and salvaged else []
        note = " ".join([*self._damaged, *lost, f"Resumed at step {step:,}; {self._cut()}.", *self._changed(now)])
        told = {part.name for part in fields(record.Resumption)} - {"step", "note", "salvaged"}
        this = record.Resumption(step=step, note=note, salvaged=salvaged, **{name: getattr(now, name) for name in told})
        self.provenance = replace(self.provenance, resumed=[*self.provenance.resumed, this])
        write_json(self.path / "provenance.json", record.encode(self.provenance))
        self.restored = None  # it holds a copy of the replay
        return note

    def _changed(self, now: record.Provenance) -> list[str]:
        """What numbers may depend on and is not as it was in the process before, in a sentence."""
        before = self.provenance.resumed[-1] if self.provenance.resumed else self.provenance
        found = changes_since(before, now)
        return [f"Numbers may differ from an undisturbed run, for these changed: {'; '.join(found)}."] if found else []

    def _take(self, path: Path, config: dict[str, Any]) -> None:
        """Lock the directory; nothing is written yet."""
        self.path, self.config, self._hash = path, config, serialise.content_hash(config)
        self.restored: Restored | None = None
        self._now: record.Provenance | None = None  # of the process that resumes it
        self.on_evaluation: OnEvaluation = unobserved
        self._damaged: list[str] = []
        self.complaints: list[str] = []  # what went wrong without harm to the record
        self._number, self._parts, self._opened = 0, [], ExitStack()
        self.replay_end = 0  # how many of all rows that ever entered the replay are on disk
        self._lock = lock.acquire(path / "lock")
        self._lock.keep_alive()

    def _newest_intact(self, reader: RunReader, salvage: bool) -> Restored | None:
        """The newest intact checkpoint; what is wrong with newer ones is kept in `_damaged`.

        Raises UserError if there are checkpoints but none is intact: starting again would discard the record.
        """
        found = checkpoint.manifests(self.path)
        for path in found:
            try:
                return self._intact(reader, path, salvage)
            except UnreadableError as error:
                raise UserError(f"{error} Nothing was changed.") from error
            except UserError as error:
                self._damaged.append(str(error))
        if found:
            advice = " Its weights are intact: with --salvage it goes on without the damaged part of the replay."
            told = advice if not salvage and any(map(partial(self._can_be_salvaged, reader), found)) else ""
            raise UserError(f"{self.path} has no intact checkpoint; nothing was changed. {self._damaged[0]}{told}")
        return None

    def _intact(self, reader: RunReader, path: Path, salvage: bool) -> Restored:
        """A checkpoint, every file of which was looked at; raises UserError if it is damaged."""
        manifest, state = reader.load_state(path)
        for name, size in manifest.lines.items():
            if not ends_with_row(self.path / f"{name}.jsonl", size):
                raise UserError(f"{path} counts {size} bytes of {name}.jsonl, which are not there as whole rows.")
        parts: list[tuple[ReplayPart, Arrays]] = []
        for part in reversed(manifest.replay):
            try:
                parts.insert(0, (part, _finite(checkpoint.load(self.path, part.stored), part.stored.file)))
            except UserError as error:
                if not salvage or isinstance(error, UnreadableError):
                    raise
                break
        agent, loop = (part_of(state, name) for name in ("agent", "loop"))
        checkpoint.require_counted(manifest, parts, loop.get("replay/held"))
        held = [part for part, _ in parts]
        lost = manifest.replay[-1].end - manifest.replay[0].first if manifest.replay else 0
        lost -= held[-1].end - held[0].first if held else 0
        for arrays in (agent, part_of(loop, "env"), part_of(loop, "rollout")):
            _finite(arrays, manifest.state.file)
        rows = [(part.first, arrays) for part, arrays in parts]
        return Restored(manifest, agent, loop, rows, reader.evaluations_until(manifest), held, lost)

    def _can_be_salvaged(self, reader: RunReader, path: Path) -> bool:
        """Whether of a checkpoint only parts of the replay are damaged."""
        try:
            self._intact(reader, path, salvage=True)
        except UserError:
            return False
        return True

    def _begin(self, restored: Restored | None) -> None:
        """Open the append-only files, cut to the lengths in the checkpoint."""
        keep = dict.fromkeys(LINES, 0)
        if restored:
            self._number, self._parts = restored.manifest.number, restored.parts
            self.replay_end = restored.manifest.replay[-1].end if restored.manifest.replay else 0
            keep |= restored.manifest.lines
        for folder in (checkpoint.CHECKPOINTS, checkpoint.REPLAY):
            with explained(self.path / folder, "create"):
                disk.make_folder(self.path / folder)
        with ExitStack() as opened:  # closes what was opened if anything below fails
            self._lines = {
                name: opened.enter_context(closing(JsonLines(self.path / f"{name}.jsonl", keep[name])))
                for name in LINES
            }
            with explained(self.path, "write"):
                disk.sync_folder(self.path)  # a checkpoint counts their rows, so their names must be there
            self._drop_later(restored)
            for lines in self._lines.values():
                lines.shorten()
            self._tidy()
            self._scalars = opened.enter_context(closing(ScalarWriter(self.path / "tensorboard")))
            if restored:
                for row in RunReader(self.path).metrics:
                    self._scalars.add(row.metrics, row.step)
                for row in restored.evaluations:
                    self._scalars.add({"eval/success_rate": row.success_rate}, row.step)
            self._opened = opened.pop_all()

    def _drop_later(self, restored: Restored | None) -> None:
        """Remove the damaged checkpoints that are newer than the one a run continues from."""
        with explained(self.path, "tidy"):
            for path in checkpoint.manifests(self.path):
                if restored and int(path.name.split("_")[0]) > restored.manifest.number:
                    disk.remove(path)

    def _tidy(self) -> None:
        """Remove what is no longer needed; that it cannot be removed harms nothing."""
        try:
            for folder in (self.path, *(self.path / name for name in checkpoint.OWN)):
                remove_parts(folder)
            checkpoint.prune(self.path)
        except (UserError, OSError) as error:
            self.complaints.append(f"Older checkpoints were not removed: {error}")

    def _cut(self) -> str:
        """How many rows came after the checkpoint."""
        cut = [f"{lines.cut} of {name}" for name, lines in self._lines.items() if lines.cut]
        return f"rows written after that are written again: {', '.join(cut)}" if cut else "no row was lost"

    def log_metrics(self, row: record.MetricsRow) -> None:
        """Append a row of training metrics."""
        self._lines["metrics"].append(record.encode(row))
        self._scalars.add(row.metrics, row.step)

    def log_warnings(self, rows: list[record.WarningRow]) -> None:
        """Append the simulator's warnings."""
        for row in rows:
            self._lines["warnings"].append(record.encode(row))

    def log_evaluation(self, row: record.EvaluationRow, episodes: list[record.EpisodeRow]) -> None:
        """Append an evaluation and its episodes."""
        for episode in episodes:
            self._lines["episodes"].append({"step": row.step} | record.encode(episode))
        self._lines["evaluations"].append(record.encode(row))
        self._scalars.add({"eval/success_rate": row.success_rate}, row.step)

    def save(self, moment: Snapshot) -> None:
        """Write a checkpoint, delete older ones. Raises UserError if the disk refuses; then the one before counts."""
        self._lock.require_mine()
        for lines in self._lines.values():
            lines.sync()
        number, new = self._number + 1, moment.replay
        parts = [part for part in self._parts if part.end > new.oldest]
        if new.end > new.first:
            stored = checkpoint.store(self.path, f"{checkpoint.REPLAY}/{number:06d}.safetensors", new.arrays)
            parts.append(ReplayPart(new.first, new.end, stored))
        manifest = Manifest(
            number=number,
            env=env_id(self.config),
            algo=self.config["algo"],
            config_hash=self._hash,
            step=moment.step,
            updates=moment.updates,
            seconds=moment.seconds,
            evaluation_seconds=moment.evaluation_seconds,
            state=StoredArrays("", 0, ""),  # not written yet
            replay=parts,
            lines={name: lines.size for name, lines in self._lines.items()},
        )
        checkpoint.commit(self.path, manifest, merged(agent=moment.agent, loop=moment.loop))
        self._number, self._parts, self.replay_end = number, parts, max(self.replay_end, new.end)
        self._tidy()

    def finish(self, summary: record.Summary) -> None:
        """Write how the run ended."""
        timing = {
            "wall_clock_seconds": summary.seconds + summary.evaluation_seconds,
            "steps_per_second": summary.steps_per_second,
            "updates_per_second": summary.updates_per_second,
        }
        write_json(self.path / "provenance.json", record.encode(replace(self.provenance, **timing)))
        write_json(self.path / "summary.json", record.encode(summary))

    def fail(self, failure: record.Failure) -> None:
        """Write why the run ended early; the checkpoints stay."""
        write_json(self.path / "failure.json", record.encode(failure))

    def close(self) -> None:
        """Close all files and release the lock."""
        try:
            self._opened.close()
        finally:
            self._lock.release()

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ScalarWriter:
    """Writes named scalars into one TensorBoard event file of `folder`."""

    def __init__(self, folder: Path):
        """`folder` is made if it is missing; older events in it are deleted, for the rows hold the same."""
        self._folder = folder
        with explained(folder, "create"):
            for old in folder.glob("events.*"):
                disk.remove(old)
            self._writer = EventFileWriter(str(folder))

    def add(self, scalars: dict[str, float], step: int) -> None:
        """Add scalars at an environment step."""
        values = [{"tag": name, "simple_value": value} for name, value in scalars.items()]
        with explained(self._folder, "write to"):
            self._writer.add_event(Event(wall_time=time.time(), step=step, summary={"value": values}))

    def close(self) -> None:
        """Flush and close."""
        with explained(self._folder, "write to"):
            self._writer.close()


def _require_own_files(path: Path) -> None:
    """Raises UserError if anything in a run directory is also elsewhere: what is written here would change it there."""
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            found = os.lstat(entry := os.path.join(folder, name))
            if stat.S_ISLNK(found.st_mode):
                raise UserError(f"{entry} is a link, which no run has; the run is not resumed.")
            if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
                raise UserError(
                    f"{entry} is a hard link: its content has another name too, and resuming would change it there. "
                    f"Copy the run with `cp -r`, and resume the copy."
                )


def _finite(arrays: Arrays, file: str) -> Arrays:
    """The arrays, if they are finite: what is saved always is. Raises UserError otherwise."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(f"{file} is damaged: {name} is not finite.")
    return arrays
