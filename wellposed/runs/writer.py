"""Writing a run: rows that only grow, and checkpoints from which it goes on bit for bit after any death.

The order of writing is what makes that true. Rows are flushed, then the replay's new part and the state are written,
then the manifest, which holds the length of every file of rows. Until the manifest is there the checkpoint before
counts; whoever resumes cuts the rows to the lengths that its manifest names, and writes the rest again.
"""

import os
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wellposed import serialise
from wellposed.arrays import Arrays, merged, part_of
from wellposed.errors import UserError
from wellposed.runs import checkpoint, disk, lock
from wellposed.runs.checkpoint import LINES, Manifest, ReplayPart
from wellposed.runs.files import JsonLines, explained, write_json
from wellposed.runs.record import (
    SCHEMA,
    EpisodeRow,
    EvaluationRow,
    Failure,
    MetricsRow,
    Provenance,
    Resumption,
    Summary,
    WarningRow,
    encode,
)
from wellposed.runs.store import RunReader, env_id, refuse_existing, run_name
from wellposed.runs.tensorboard import ScalarWriter


@dataclass(frozen=True)
class ReplayRows:
    """What entered the replay since the last checkpoint, counted in all rows that ever entered it."""

    first: int
    end: int
    oldest: int  # the first row the replay still holds
    arrays: Arrays


@dataclass(frozen=True)
class Snapshot:
    """All that a training run is between two updates."""

    step: int
    updates: int
    seconds: float
    evaluation_seconds: float
    agent: Arrays
    loop: Arrays  # environments, random streams, statistics, episodes under way
    replay: ReplayRows


@dataclass(frozen=True)
class Restored:
    """The checkpoint that a resumed run goes on from, all of it checked."""

    manifest: Manifest
    agent: Arrays
    loop: Arrays
    replay: list[tuple[int, Arrays]]  # each part and the number of its first row
    evaluations: list[EvaluationRow]


class RunWriter:
    """A run's directory, held by this process until `close`.

    Args:
        runs_dir: where run directories live; made if missing.
        config: the full resolved configuration as JSON data, with keys env, algo and seed.
        provenance: where the run comes from.

    Raises:
        UserError: if the directory holds a run already, or another process is writing it.
    """

    def __init__(self, runs_dir: Path, config: dict[str, Any], provenance: Provenance):
        path = runs_dir / run_name(config)
        with explained(path, "create"):
            disk.make_folder(path)
        self._take(path, config)
        try:
            refuse_existing(path)
            self.provenance = provenance
            write_json(path / "provenance.json", encode(provenance))
            write_json(path / "config.json", {"schema": SCHEMA, "hash": self._hash, "config": config})
            self._begin(None)
        except BaseException:
            self.close()
            raise

    @classmethod
    def reopen(cls, path: Path, now: Provenance) -> "RunWriter":
        """Take up a run that was cut short, at its newest whole checkpoint, or at the beginning if it has none.

        What was written after that checkpoint is cut off: it will be written again. `now` is where the process comes
        from that takes it up; `restored` holds the checkpoint, and `resumed` says in sentences what was lost.

        Raises:
            UserError: if the run is finished or diverged, another process is writing it, or its rows are damaged.
        """
        reader, run = RunReader(path), cls.__new__(cls)
        run._take(path, reader.config)
        try:
            if (status := reader.status) in ("finished", "diverged"):
                why = reader.failure.detail if reader.failure else "There is nothing left to train."
                raise UserError(f"{path} is {status}. {why}")
            if reader.schema != SCHEMA:
                raise UserError(
                    f"{path} was cut short in an older version of wellposed. This version evaluates its checkpoint but "
                    "cannot train on from it. Train it anew, or resume it with the version that its provenance names."
                )
            _refuse_links(path)
            there, restored = reader.provenance, run._newest_whole(reader)
            run._begin(restored)
            step = restored.manifest.step if restored else 0
            run.resumed = " ".join([*run._damaged, f"Goes on from step {step:,}; {run._cut()}."])
            took_up = Resumption(
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
            run.provenance = replace(there, resumed=[*there.resumed, took_up])
            write_json(path / "provenance.json", encode(run.provenance))
        except BaseException:
            run.close()
            raise
        return run

    def _take(self, path: Path, config: dict[str, Any]) -> None:
        """Lock the directory; nothing is written yet."""
        self.path, self.config, self._hash = path, config, serialise.content_hash(config)
        self.restored: Restored | None = None
        self.resumed = ""  # where a run that was taken up goes on, and what is made again
        self._damaged: list[str] = []
        self._number, self._parts, self._opened = 0, [], ExitStack()
        self._lock = lock.acquire(path / "lock")

    def _newest_whole(self, reader: RunReader) -> Restored | None:
        """The newest checkpoint of which every file is what was saved; newer ones are named as lost, and removed.

        Raises:
            UserError: if there are checkpoints and none is whole. To begin anew would throw their record away.
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
            raise UserError(
                f"{self.path} has no whole checkpoint to go on from; nothing was changed. {self._damaged[0]}"
            )
        return None

    def _begin(self, restored: Restored | None) -> None:
        """Open what is appended to, cut to what the checkpoint counted."""
        keep = dict.fromkeys(LINES, 0)
        if restored:
            self._number, self._parts = restored.manifest.number, restored.manifest.replay
            keep |= restored.manifest.lines
        for folder in (checkpoint.CHECKPOINTS, checkpoint.REPLAY):
            with explained(self.path / folder, "create"):
                disk.make_folder(self.path / folder)
        checkpoint.prune(self.path)
        with ExitStack() as opened:  # whatever fails here, what was opened before is closed
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
        """How much of the record came after the checkpoint."""
        cut = [f"{lines.cut} of {name}" for name, lines in self._lines.items() if lines.cut]
        return f"rows written after that are made again: {', '.join(cut)}" if cut else "no row was lost"

    @property
    def replay_end(self) -> int:
        """How many of all rows that ever entered the replay are on disk."""
        return self._parts[-1].end if self._parts else 0

    def log_metrics(self, row: MetricsRow) -> None:
        """Append a row of training metrics."""
        self._lines["metrics"].append(encode(row))
        self._scalars.add(row.metrics, row.step)

    def log_warnings(self, rows: list[WarningRow]) -> None:
        """Append what the simulator complained of."""
        for row in rows:
            self._lines["warnings"].append(encode(row))

    def log_evaluation(self, row: EvaluationRow, episodes: list[EpisodeRow]) -> None:
        """Append an evaluation and its episodes."""
        for episode in episodes:
            self._lines["episodes"].append({"step": row.step} | encode(episode))
        self._lines["evaluations"].append(encode(row))
        self._scalars.add({"eval/success_rate": row.success_rate}, row.step)

    def save(self, moment: Snapshot) -> None:
        """Make this moment the one that the run goes on from after any death; older checkpoints are pruned.

        Raises:
            UserError: if the disk refuses; the checkpoint before still counts.
        """
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

    def finish(self, summary: Summary) -> None:
        """Write how the run ended; after this it is finished."""
        timing = {
            "wall_clock_seconds": summary.seconds + summary.evaluation_seconds,
            "steps_per_second": summary.steps_per_second,
            "updates_per_second": summary.updates_per_second,
        }
        write_json(self.path / "provenance.json", encode(replace(self.provenance, **timing)))
        write_json(self.path / "summary.json", encode(summary))

    def fail(self, failure: Failure) -> None:
        """Write why the run was given up; the checkpoints before stay."""
        write_json(self.path / "failure.json", encode(failure))

    def close(self) -> None:
        """Close all files and let go of the lock."""
        try:
            self._opened.close()
        finally:
            os.close(self._lock)

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse_links(path: Path) -> None:
    """Raises UserError if a part of a run directory lies elsewhere: what is written there would leave the directory."""
    for entry in os.scandir(path):
        if entry.is_symlink():
            raise UserError(f"{entry.path} is a link, which no run has; the run is not taken up.")
