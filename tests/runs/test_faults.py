"""Every single call by which a run touches the disk fails in turn, in every way; the run goes on with nothing torn.

A scripted session stands in for training: it logs rows and saves snapshots that depend on nothing but their number, so
that the record of a session that was disturbed and taken up must equal the undisturbed one, byte for byte.
"""

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from tests.runs.test_store import CONFIG, EPISODE, EVALUATION, PROVENANCE, SUMMARY
from wellposed.errors import UserError
from wellposed.runs import checkpoint, disk
from wellposed.runs.record import MetricsRow, WarningRow
from wellposed.runs.store import RunReader, run_name
from wellposed.runs.writer import ReplayRows, RunWriter, Snapshot

pytestmark = pytest.mark.slow

MOMENTS = 4
CALLS = [(disk, name) for name, item in vars(disk).items() if callable(item) and item.__module__ == disk.__name__]
CALLS += [(EventFileWriter, "add_event"), (EventFileWriter, "close")]
KINDS = ("error", "short", "full", "death before", "death after")


class Death(BaseException):
    """The process is no more: nothing in it may touch the disk after this."""


@dataclass
class Faults:
    """Counts the calls, and lets the `at`-th go wrong."""

    kind: str = "none"
    at: int = -1
    names: list[str] = field(default_factory=list)
    dead: bool = False
    full: bool = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for owner, name in CALLS:
            monkeypatch.setattr(owner, name, self.wrap(name, getattr(owner, name)))

    def wrap(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise Death
            if self.full and name in ("write", "create"):
                raise OSError(errno.ENOSPC, "No space left on device")
            self.names.append(name)
            if len(self.names) - 1 != self.at:
                return original(*args, **kwargs)
            return self.fail(name, original, *args, **kwargs)

        return call

    def fail(self, name: str, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.kind == "error":
            raise OSError(errno.EIO, "Input/output error")
        if self.kind in ("short", "full"):
            self.full = True  # the disk takes a part, or nothing, and then no more
            if name == "write" and self.kind == "short":
                handle, content = args
                return original(handle, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        self.dead = True
        if self.kind == "death after":
            original(*args, **kwargs)
        raise Death


def snapshot(i: int) -> Snapshot:
    rows = np.arange(10 * (i - 1), 10 * i, dtype=np.float32).reshape(-1, 1)
    part = ReplayRows(10 * (i - 1), 10 * i, max(0, 10 * (i - 2)), {"rows": rows})
    return Snapshot(100 * i, 50 * i, 1.5 * i, 0.5, {"w": np.full(3, float(i))}, {"x": np.array(i)}, part)


def session(run: RunWriter, durable: list[int]) -> None:
    """Go on from wherever the run stands to its end; `durable` is told of every moment that was saved."""
    restored = run.restored
    begun = restored.manifest.number if restored else 0
    if run.reopened:
        run.go_on()
    for i in range(begun + 1, MOMENTS + 1):
        run.log_metrics(MetricsRow(100 * i, 50 * i, 1.5 * i, {"train/critic_loss": 1.0 / i}))
        run.log_warnings([WarningRow(100 * i, "mjWARN_CONTACTFULL", i)])
        run.log_evaluation(replace(EVALUATION, step=100 * i), [EPISODE, EPISODE])
        run.save(snapshot(i))
        durable.append(i)
    run.finish(SUMMARY)


def begin_or_take_up(folder: Path, durable: list[int]) -> None:
    path = folder / run_name(CONFIG)
    run = (
        RunWriter.reopen(path, PROVENANCE) if (path / "config.json").exists() else RunWriter(folder, CONFIG, PROVENANCE)
    )
    with run:
        restored = run.restored.manifest.number if run.restored else 0
        assert restored >= max(durable, default=0), "something durable was lost"
        session(run, durable)


def disturbed(folder: Path, faults: Faults) -> list[int]:
    """A session with a fault; the numbers of what was saved before it struck."""
    durable: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        faults.install(patch)
        with suppress(UserError, Death):  # a sentence or death; anything else is a defect
            begin_or_take_up(folder, durable)
    return durable


def record(folder: Path) -> dict[str, bytes]:
    """What a finished run left, but for what names processes and moments, and older checkpoints still to be removed."""
    path = folder / run_name(CONFIG)
    checkpoint.prune(path)
    kept = ("config.json", "summary.json", "*.jsonl", "checkpoints/*", "replay/*", ".*", "checkpoints/.*", "replay/.*")
    return {str(p.relative_to(path)): p.read_bytes() for pattern in kept for p in path.glob(pattern) if p.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[dict[str, bytes], list[str]]:
    folder, faults = tmp_path_factory.mktemp("whole"), Faults()
    assert disturbed(folder, faults) == list(range(1, MOMENTS + 1))
    return record(folder), faults.names


def test_every_call_is_on_the_way(undisturbed):
    """What is enumerated below is all there is: each function of the seam is used, many times."""
    assert set(undisturbed[1]) == {name for _, name in CALLS}
    assert len(undisturbed[1]) > 140


@pytest.mark.parametrize("kind", KINDS)
def test_after_any_fault_the_run_opens_and_ends_as_if_nothing_had_happened(tmp_path, undisturbed, kind):
    expected, names = undisturbed
    for at in range(len(names)):
        folder = tmp_path / str(at)
        faults = Faults(kind, at)
        durable = disturbed(folder, faults)
        path = folder / run_name(CONFIG)
        if (path / "summary.json").exists():  # the fault struck after the end, or where the record does not suffer
            assert RunReader(path).status == "finished", (kind, at, names[at])
        else:
            if (path / "config.json").exists():
                assert RunReader(path).status == "interrupted"
            begin_or_take_up(folder, durable)
        assert record(folder) == expected, (kind, at, names[at])


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_while_a_run_is_taken_up_does_no_harm_either(tmp_path, undisturbed, kind):
    expected, names = undisturbed
    half = len(names) * 2 // 3
    probe = Faults()
    disturbed(tmp_path / "probe", Faults("death before", half))
    disturbed(tmp_path / "probe", probe)
    for at in range(len(probe.names)):
        folder = tmp_path / str(at)
        durable = disturbed(folder, Faults("death before", half))
        durable += disturbed(folder, Faults(kind, at))
        if RunReader(folder / run_name(CONFIG)).status != "finished":
            begin_or_take_up(folder, durable)
        assert record(folder) == expected, (kind, at, probe.names[at])


def test_a_torn_row_would_be_seen(tmp_path, undisturbed):
    """The comparison is not blind: without the cut at the checkpoint's lengths, rows come twice."""
    _, names = undisturbed
    folder = tmp_path / "run"
    disturbed(folder, Faults("death before", len(names) * 2 // 3))
    rows = (folder / run_name(CONFIG)) / "metrics.jsonl"
    before = rows.read_bytes()
    begin_or_take_up(folder, [])
    assert not rows.read_bytes().startswith(before + before[-10:])
    assert rows.read_bytes() == undisturbed[0]["metrics.jsonl"]
