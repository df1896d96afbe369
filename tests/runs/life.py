"""The life of a run as a state machine: trained, killed anywhere, resumed, moved, copied, damaged, salvaged, by two.

    python -m tests.runs.life --steps 20000

A scripted session stands in for training: its rows and checkpoints depend on nothing but the number of the moment. So
the model of a run is the list of its rows, and where it must go on follows from the files that are whole. The suite
runs a slice (test_life.py).
"""

import argparse
import copy
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.runs.test_faults import KINDS, Death, Faults, snapshot
from tests.runs.test_store import CONFIG, EPISODE, EVALUATION, PROVENANCE, SUMMARY
from wellposed.errors import UserError
from wellposed.runs import lock, writer
from wellposed.runs.record import MetricsRow
from wellposed.runs.store import RunReader, run_name
from wellposed.runs.writer import RunWriter

MOMENTS = 6
ROWS = [100 * i for i in range(1, MOMENTS + 1)]  # the model of a run: the steps of its rows
OURS = re.compile(r"(\d{6})_step_(\d{10})\.json")
MOST_PLACES = 3
WHICH = st.integers(0, MOST_PLACES - 1)


class Silent:
    """TensorBoard's writer, which is no part of the record, without its thread."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def add_event(self, event: Any) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def quicken(patch: pytest.MonkeyPatch) -> None:
    """Leave out what takes time and decides nothing here: a process dies, the power stays."""
    patch.setattr(os, "fsync", lambda _: None)
    patch.setattr(lock, "PATIENCE", 0.0)
    patch.setattr(writer, "EventFileWriter", Silent)


@dataclass
class Saved:
    """A checkpoint as its manifest's text tells it, whoever reads it."""

    moment: int
    own: set[str]  # manifest and state, by their place in the run
    parts: set[str]
    lines: dict[str, int]


@dataclass
class Place:
    """A directory of runs, and what is known of the run in it."""

    folder: Path
    told: int = 0  # the newest moment that was durable when it was last seen
    broken: dict[str, str | None] = field(default_factory=dict)  # damaged files, with the digest of what they hold
    foreign: set[str] = field(default_factory=set)
    salvaged: bool = False

    @property
    def run(self) -> Path:
        """The run's directory."""
        return self.folder / run_name(CONFIG)

    @property
    def begun(self) -> bool:
        """Whether there is a record to go on with."""
        return (self.run / "config.json").exists()

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return (self.run / "summary.json").exists()

    def digest(self, name: str) -> str | None:
        """What a file holds; None if it is not there."""
        file = self.run / name
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None

    def saved(self) -> list[Saved | None]:
        """All checkpoints that have a manifest, newest first; None for one whose manifest is damaged."""
        self.broken = {name: held for name, held in self.broken.items() if self.digest(name) == held}
        found: dict[int, Saved | None] = {}
        for file in (self.run / "checkpoints").glob("*.json"):
            if named := OURS.fullmatch(file.name):
                name = f"checkpoints/{file.name}"
                found[int(named[1])] = None if name in self.broken else _told(name, json.loads(file.read_text()))
        return [found[number] for number in sorted(found, reverse=True)]

    def resumes_at(self, salvage: bool) -> int | None:
        """The moment at which it must go on; None if it must be refused."""
        checkpoints = self.saved()
        for one in checkpoints:
            if (
                one is None
                or one.own & self.broken.keys()
                or not all(self._has_rows(*pair) for pair in one.lines.items())
            ):
                continue
            if salvage or not one.parts & self.broken.keys():
                return one.moment
        return None if checkpoints else 0

    def _has_rows(self, name: str, size: int) -> bool:
        file = self.run / f"{name}.jsonl"
        return not size or (file.exists() and file.read_bytes()[size - 1 : size] == b"\n")


def _told(name: str, data: dict[str, Any]) -> Saved:
    parts = {part["stored"]["file"] for part in data["replay"]}
    return Saved(data["step"] // 100, {name, data["state"]["file"]}, parts, data["lines"])


def go_on(run: RunWriter, moments: int, told: list[int]) -> None:
    """Train for so many moments from where a run stands, and finish it at the last one."""
    at = run.restored.manifest.step // 100 if run.restored else 0
    if run.reopened:
        run.go_on()
    for i in range(at + 1, min(MOMENTS, at + moments) + 1):
        run.log_metrics(MetricsRow(100 * i, 50 * i, 1.5 * i, {"train/critic_loss": 1.0 / i}))
        run.log_evaluation(replace(EVALUATION, step=100 * i), [EPISODE, EPISODE])
        run.save(snapshot(i))
        told.append(i)
    if at + moments >= MOMENTS:
        run.finish(SUMMARY)


def refuses(sentence: str, call: Callable[[], Any]) -> None:
    """Raises AssertionError unless a call is refused with such a sentence."""
    told = "nothing was refused"
    try:
        call()
    except UserError as error:
        told = str(error)
    if sentence not in told:
        raise AssertionError(f"not refused because it {sentence}: {told}")


class Life(RuleBasedStateMachine):
    """One run in up to three directories."""

    steps = 0  # of all machines
    deeds: dict[str, int] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.count = 0
        self.places = [Place(self.new_folder())]

    def teardown(self) -> None:
        """Every run that can go on comes to the end it would have come to undisturbed."""
        for place in self.places:
            if not place.finished and place.resumes_at(salvage=True) is not None:
                self.open_and_go_on(place, MOMENTS, salvage=True)
            if place.finished:
                self.check_end(place)
        shutil.rmtree(self.root)

    def new_folder(self) -> Path:
        """A name that nobody has yet."""
        self.count += 1
        return self.root / str(self.count)

    def place(self, which: int) -> Place:
        """One of the places."""
        return self.places[which % len(self.places)]

    def open_and_go_on(self, place: Place, moments: int, salvage: bool, told: list[int] | None = None) -> None:
        """Begin a run or take it up, where the model says, and train."""
        expected = place.resumes_at(salvage)
        fresh = not place.begun
        run = RunWriter(place.folder, CONFIG, PROVENANCE) if fresh else RunWriter.reopen(place.run, PROVENANCE, salvage)
        with run:
            at = run.restored.manifest.step // 100 if run.restored else 0
            assert at == (expected or 0), f"resumed at {at}, not {expected}"
            place.salvaged |= bool(run.restored and run.restored.lost)
            go_on(run, moments, [] if told is None else told)

    def note(self, deed: str) -> None:
        """Count a step."""
        Life.steps += 1
        Life.deeds[deed] = Life.deeds.get(deed, 0) + 1

    @rule(
        which=WHICH,
        moments=st.integers(1, 3),
        kind=st.sampled_from(("none", "none", *KINDS)),
        at=st.integers(0, 70),
        salvage=st.booleans(),
    )
    def train(self, which: int, moments: int, kind: str, at: int, salvage: bool) -> None:
        """Train, perhaps with a fault at one of the calls that touch the disk."""
        place, told = self.place(which), list[int]()
        self.note(f"train, {kind}")
        if place.finished:
            refuses("is finished", lambda: RunWriter.reopen(place.run, PROVENANCE, salvage))
            return
        expected, faults = place.resumes_at(salvage), Faults(kind, at)
        with pytest.MonkeyPatch.context() as patch:
            faults.install(patch)
            try:
                self.open_and_go_on(place, moments, salvage, told)
            except Death:
                pass
            except UserError as error:
                struck = kind != "none" and len(faults.names) > at
                if not struck and not (expected is None and "no intact checkpoint" in str(error)):
                    raise AssertionError(f"refused without need: {error}") from error
        if told:
            place.told = told[-1]
            now = place.resumes_at(salvage=True)
            assert place.finished or (now is not None and now >= told[-1]), "something durable was lost"

    @rule(which=WHICH)
    def two_at_once(self, which: int) -> None:
        """A second process is refused, and changes nothing."""
        place = self.place(which)
        if place.begun and not place.finished and place.resumes_at(salvage=False) is not None:
            self.note("two at once")
            with RunWriter.reopen(place.run, PROVENANCE):
                refuses("is being written by", lambda: RunWriter.reopen(place.run, PROVENANCE))

    @rule(which=WHICH)
    def lose_the_lock(self, which: int) -> None:
        """Somebody removes the lock: the process that had it saves no more."""
        place = self.place(which)
        if place.begun and not place.finished and place.resumes_at(salvage=False) is not None:
            self.note("lose the lock")
            with RunWriter.reopen(place.run, PROVENANCE) as run:
                run.go_on()
                (place.run / "lock").unlink()
                refuses("was removed or replaced", lambda: run.save(snapshot(MOMENTS)))

    @rule(which=WHICH)
    def move(self, which: int) -> None:
        """The directory goes elsewhere."""
        place = self.place(which)
        if place.folder.exists():
            self.note("move")
            place.folder = place.folder.rename(self.new_folder())

    @precondition(lambda self: len(self.places) < MOST_PLACES)
    @rule(which=WHICH)
    def copy(self, which: int) -> None:
        """A copy lives a life of its own."""
        place = self.place(which)
        if place.folder.exists():
            self.note("copy")
            there = shutil.copytree(place.folder, self.new_folder())
            self.places.append(replace(copy.deepcopy(place), folder=there))

    @rule(which=WHICH)
    def link(self, which: int) -> None:
        """A copy of hard links is not written into, nor what it was made of while it is there."""
        place, linked = self.place(which), self.new_folder()
        if place.begun and not place.finished:
            self.note("copy of links")
            shutil.copytree(place.folder, linked, copy_function=os.link)
            for folder in (linked, place.folder):
                run = folder / run_name(CONFIG)
                refuses("hard link", lambda run=run: RunWriter.reopen(run, PROVENANCE))
            shutil.rmtree(linked)

    @rule(which=WHICH, file=st.integers(0, 20), how=st.sampled_from(["flip", "cut", "delete"]), at=st.floats(0, 1))
    def damage(self, which: int, file: int, how: str, at: float) -> None:
        """A file of a checkpoint is damaged, or a file of rows cut short."""
        place = self.place(which)
        found = sorted(str(path.relative_to(place.run)) for path in place.run.glob("*/0*")) if place.begun else []
        if place.finished or not found:
            return
        name = ["metrics.jsonl", *found][file % (1 + len(found))]
        path = place.run / name
        content = bytearray(path.read_bytes()) if path.exists() else bytearray()
        if not content:
            return
        self.note(f"damage, {how}")
        if how == "delete":
            path.unlink()
        elif how == "cut" or name == "metrics.jsonl":
            path.write_bytes(content[: int(at * (len(content) - 1))])
        else:
            content[int(at * (len(content) - 1))] ^= 1
            path.write_bytes(content)
        if name != "metrics.jsonl":
            place.broken[name] = place.digest(name)
        place.told = 0

    @rule(which=WHICH, name=st.sampled_from(["checkpoints/notes.json", "replay/.ipynb_checkpoints", "replay/mine"]))
    def leave_something(self, which: int, name: str) -> None:
        """A file of somebody else's, which stays."""
        place = self.place(which)
        if (place.run / name).parent.exists():
            self.note("leave something")
            (place.run / name).write_text("mine")
            place.foreign.add(name)

    @invariant()
    def rows_are_a_beginning_of_the_model(self) -> None:
        """Whatever happened: no row is torn, doubled, moved or invented, and none is lost that was durable."""
        for place in self.places:
            assert all((place.run / name).read_text() == "mine" for name in place.foreign)
            if not place.begun or not all(
                (place.run / f"{name}.jsonl").exists() for name in ("metrics", "evaluations")
            ):
                continue
            reader = RunReader(place.run)
            assert reader.status == ("finished" if place.finished else "interrupted")
            for rows in (reader.metrics, reader.evaluations):
                steps = [row.step for row in rows]
                assert steps == ROWS[: len(steps)]
                assert len(steps) >= place.told

    def check_end(self, place: Place) -> None:
        """A finished run holds what the undisturbed one holds."""
        whole, reader = undisturbed(), RunReader(place.run)
        for name in ("config.json", "summary.json", "metrics.jsonl", "evaluations.jsonl", "episodes.jsonl"):
            assert (place.run / name).read_bytes() == (whole / name).read_bytes(), name
        mine, theirs = reader.load_checkpoint(), RunReader(whole).load_checkpoint()
        assert mine[0].step == ROWS[-1]
        assert all(np.array_equal(array, theirs[1][name]) for name, array in mine[1].items())
        if not place.salvaged:
            assert mine[0] == theirs[0]  # the digests of state and replay are in it


WHOLE: list[Path] = []


def undisturbed() -> Path:
    """The run that was left alone."""
    if not WHOLE:
        folder = Path(tempfile.mkdtemp())
        with RunWriter(folder, CONFIG, PROVENANCE) as run:
            go_on(run, MOMENTS, [])
        WHOLE.append(run.path)
    return WHOLE[0]


def live(examples: int, steps: int, shrink: bool = True) -> None:
    """Run the machine; raises AssertionError at the first life that went wrong, the shortest that was found."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=[*HealthCheck],  # type: ignore[arg-type]
    )
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch)
        run_state_machine_as_test(Life, settings=chosen)


def main() -> int:
    """Take so many steps, and say of what kind they were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000)
    asked, began = parser.parse_args().steps, time.monotonic()
    while Life.steps < asked:
        live(examples=40, steps=50)
        print(f"{Life.steps:,} steps", flush=True)
    for deed, n in sorted(Life.deeds.items()):
        print(f"{deed:<24} {n:>7,}")
    print(f"{Life.steps:,} steps, no row lost, doubled or torn, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
