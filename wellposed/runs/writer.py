"""Writing a run: append-only rows, and checkpoints from which it continues bit for bit however it was interrupted.

The order of writing makes that true. Rows are flushed, then the replay's new part and the state are written, then the
manifest, which holds the length of every file of rows. Until the manifest is there the checkpoint before it counts;
resuming cuts the rows to the lengths in its manifest and writes the rest again.
"""

# protobuf makes its classes when it is imported:
# pyright: reportAttributeAccessIssue=false

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from wellposed import serialise
from wellposed.arrays import Arrays, merged, part_of
from wellposed.errors import UserError
from wellposed.runs import checkpoint, disk, lock, record
from wellposed.runs.checkpoint import LINES, Manifest, ReplayPart
from wellposed.runs.files import JsonLines, explained, write_json
from wellposed.runs.store import RunReader, env_id, refuse_existing, run_name
from wellposed.types import Metrics


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
    def reopen(cls, path: Path, now: record.Provenance) -> "RunWriter":
        """Resume a run at its newest intact checkpoint, or from the beginning if it has none.

        What was written after that checkpoint is cut off and will be written again. `now` is the provenance of this
        process; `restored` holds the checkpoint, and `resumed` says in sentences what was lost.

        Raises UserError if the run is finished or diverged, another process is writing it, or its rows are damaged.
        """
        reader, run = RunReader(path), cls.__new__(cls)
        run._take(path, reader.config)
        try:
            if (status := reader.status) in ("finished", "diverged"):
                why = reader.failure.detail if reader.failure else "There is nothing left to train."
                raise UserError(f"{path} is {status}. {why}")
            if reader.schema != record.SCHEMA:
                raise UserError(
                    f"{path} was interrupted in an older version of wellposed, which stored replay and environments "
                    "in another form: it can be evaluated but not resumed. Train it again, or resume it with the "
                    "commit in its provenance.json."
                )
            _refuse_links(path)
            there, restored = reader.provenance, run._newest_whole(reader)
            run._begin(restored)
            step = restored.manifest.step if restored else 0
            run.resumed = " ".join([*run._damaged, f"Resumed at step {step:,}; {run._cut()}."])
            this = record.Resumption(
                step,
                run.resumed,
                now.command,
                now.commit,
                now.dirty,
                now.packages,
                now.cpu,
                now.started,
                now.flags,
                now.environment,
            )
            run.provenance = replace(there, resumed=[*there.resumed, this])
            write_json(path / "provenance.json", record.encode(run.provenance))
        except BaseException:
            run.close()
            raise
        return run

    def _take(self, path: Path, config: dict[str, Any]) -> None:
        """Lock the directory; nothing is written yet."""
        self.path, self.config, self._hash = path, config, serialise.content_hash(config)
        self.restored: Restored | None = None
        self.resumed = ""  # where a resumed run continues, and what is written again
        self.on_evaluation: OnEvaluation = unobserved
        self._damaged: list[str] = []
        self._number, self._parts, self._opened = 0, [], ExitStack()
        self._lock = lock.acquire(path / "lock")

    def _newest_whole(self, reader: RunReader) -> Restored | None:
        """The newest checkpoint whose files are all intact; newer ones are removed and named as lost.

        Raises UserError if there are checkpoints but none is intact: starting again would discard the record.
        """
        found = checkpoint.manifests(self.path)
        for i, path in enumerate(found):
            try:
                manifest, state = reader.load_state(path)
                parts = [(part.first, checkpoint.load(self.path, part.stored)) for part in manifest.replay]
            except UserError as error:
                self._damaged.append(str(error))
                continue
            for newer in found[:i]:
                with explained(newer, "remove"):
                    disk.remove(newer)
            agent, loop = (part_of(state, name) for name in ("agent", "loop"))
            return Restored(manifest, agent, loop, parts, [])
        if found:
            raise UserError(f"{self.path} has no intact checkpoint; nothing was changed. {self._damaged[0]}")
        return None

    def _begin(self, restored: Restored | None) -> None:
        """Open the append-only files, cut to the lengths in the checkpoint."""
        keep = dict.fromkeys(LINES, 0)
        if restored:
            self._number, self._parts = restored.manifest.number, restored.manifest.replay
            keep |= restored.manifest.lines
        for folder in (checkpoint.CHECKPOINTS, checkpoint.REPLAY):
            with explained(self.path / folder, "create"):
                disk.make_folder(self.path / folder)
        checkpoint.prune(self.path)
        with ExitStack() as opened:  # closes what was opened if anything below fails
            self._lines = {
                name: opened.enter_context(closing(JsonLines(self.path / f"{name}.jsonl", keep[name])))
                for name in LINES
            }
            self._scalars = opened.enter_context(closing(ScalarWriter(self.path / "tensorboard")))
            if restored:
                reader = RunReader(self.path)
                self.restored = replace(restored, evaluations=reader.evaluations)
                for row in reader.metrics:
                    self._scalars.add(row.metrics, row.step)
                for row in self.restored.evaluations:
                    self._scalars.add({"eval/success_rate": row.success_rate}, row.step)
            self._opened = opened.pop_all()

    def _cut(self) -> str:
        """How many rows came after the checkpoint."""
        cut = [f"{lines.cut} of {name}" for name, lines in self._lines.items() if lines.cut]
        return f"rows written after that are written again: {', '.join(cut)}" if cut else "no row was lost"

    @property
    def replay_end(self) -> int:
        """How many of all rows that ever entered the replay are on disk."""
        return self._parts[-1].end if self._parts else 0

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
        for lines in self._lines.values():
            lines.sync()
        number, new = self._number + 1, moment.replay
        parts = [part for part in self._parts if part.end > new.oldest]
        if new.end > new.first:
            stored = checkpoint.store(self.path, f"{checkpoint.REPLAY}/{number:06d}.safetensors", new.arrays)
            parts.append(ReplayPart(new.first, new.end, stored))
        state = merged(agent=moment.agent, loop=moment.loop)
        file = f"{checkpoint.CHECKPOINTS}/{number:06d}_step_{moment.step:010d}.safetensors"
        manifest = Manifest(
            number=number,
            env=env_id(self.config),
            algo=self.config["algo"],
            config_hash=self._hash,
            step=moment.step,
            updates=moment.updates,
            seconds=moment.seconds,
            evaluation_seconds=moment.evaluation_seconds,
            state=checkpoint.store(self.path, file, state),
            replay=parts,
            lines={name: lines.size for name, lines in self._lines.items()},
        )
        checkpoint.commit(self.path, manifest)
        self._number, self._parts = number, parts
        checkpoint.prune(self.path)

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
            os.close(self._lock)

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


def _refuse_links(path: Path) -> None:
    """Raises UserError if a part of a run directory is a link: writing there would leave the directory."""
    for entry in os.scandir(path):
        if entry.is_symlink():
            raise UserError(f"{entry.path} is a link, which no run has; the run is not resumed.")
