"""Driving a search: what its records ask for next is done, until its winner is trained again.

FOLDER/ of a launch holds beside its rows:
    search.journal   which settings TPE asked for (Optuna's JournalStorage)
    search.lock      held by the process that drives the search
    trials.json      where the search is, for pages and people; it is written anew from the records
    runs/NAME/pruned    a run that is not to be gone on with; it stops at its next evaluation
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wellposed.analysis.search import Claim, Trial
from wellposed.analysis.space import Range
from wellposed.errors import UserError
from wellposed.launch.rows import Folder, Row, add_rows
from wellposed.launch.search import Memory, Progress, Question, Search, read_run, read_trial
from wellposed.launch.states import ENDED, PRUNED, states
from wellposed.runs import disk, lock
from wellposed.runs.files import folder_in, read_json, write_json, write_whole
from wellposed.runs.record import decode, encode
from wellposed.runs.store import env_id

LOOK = 2.0  # seconds between looks at the records
Work = Callable[[list[int]], None]  # do the rows with these indices


@dataclass(frozen=True)
class Searched:
    """Where a search is, as `trials.json` says it."""

    title: str
    env: str
    search: Search
    trials: list[Trial]
    claim: Claim | None

    def __post_init__(self) -> None:
        for trial in self.trials:
            if not self.search.has(trial.settings):
                raise ValueError(f"the settings of trial {trial.number} are not of the space that is searched")

    @property
    def lines(self) -> list[str]:
        """Where it is, in sentences."""
        if self.claim is not None:
            return self.claim.lines
        count = Counter(trial.outcome for trial in self.trials)
        of = f"{len(self.trials)} of {self.search.size} trials have begun"
        told = f"{of}: {count['complete']} complete, {count['pruned']} pruned, {count['failed']} failed."
        if len(self.trials) < self.search.size or count["running"]:
            return [told]
        return [told, "The winner is trained with fresh seeds." if count["complete"] else "So there is no winner."]


def load_searched(folder: Path) -> Searched:
    """Read where the search of a launch is; raises UserError if there is none."""
    return decode(Searched, read_json(folder / "trials.json"), str(folder / "trials.json"))


def finished(folder: Folder) -> Searched | None:
    """Where a search is, if it has made its claim and all of its runs are there; read in a moment."""
    if not (folder.path / "trials.json").exists() or (found := load_searched(folder.path)).claim is None:
        return None
    return found if all(state in ENDED for state in states(folder.runs, folder.rows)) else None


def compared(folder: Folder, title: str) -> Searched:
    """The variants of an experiment as the trials of a search with one setting, the variant.

    Raises:
        UserError: if a record is damaged, or there are no rows.
    """
    rows: dict[str, list[Row]] = {}
    for row in folder.rows:
        rows.setdefault(row.label, []).append(row)
    if not rows:
        raise UserError(f"{folder.path} asks for no runs: its rows.jsonl is empty.")
    search, read = Search("grid", {"variant": Range(choice=[*rows])}), partial(read_run, folder.runs)
    trials = [read_trial(search, i, {"variant": name}, own, [], read) for i, (name, own) in enumerate(rows.items())]
    return Searched(title, env_id(folder.rows[0].config), search, trials, None)


def run_search(folder: Folder, question: Question, title: str, work: Work) -> Searched:
    """Search to the end: `work` does the rows that are asked for, while runs that are pruned are told to stop.

    Called again after whatever death, it goes on from there: no trial is repeated and none is left out.

    Raises:
        UserError: if another process drives this search, or a row cannot be done.
        KeyboardInterrupt: after Ctrl-C; every run is saved.
    """
    held = lock.acquire(folder.path / "search.lock")
    held.keep_alive()
    try:
        advance, handed = partial(_advance, folder, _propose(folder, question), title, question, Memory()), set[int]()
        while not (progress := advance()).ended:
            asked = {row.name for row in progress.rows} - {*progress.pruned}
            rows = folder.rows
            now = states(folder.runs, rows)
            left = [i for i, row in enumerate(rows) if row.name in asked and now[i] not in ENDED and i not in handed]
            handed |= {*left}
            if left:
                for i in left:
                    folder.note_error(rows[i], "")  # of an earlier launch
                with _watched(advance):
                    work(left)
            elif errors := [sentence for name, sentence in folder.errors.items() if name in asked]:
                raise UserError("\n".join(errors))
            else:
                time.sleep(LOOK)  # an executor that does not wait for its rows has them
        return load_searched(folder.path)
    finally:
        held.release()


@dataclass(frozen=True)
class _Proposer:
    """Who chooses settings: the method itself, or TPE with its journal."""

    propose: Callable[[int, Sequence[Trial]], dict[str, Any]]
    tell: Callable[[Sequence[Trial]], None]


def _propose(folder: Folder, question: Question) -> _Proposer:
    search = question.search
    if search.method != "tpe":
        return _Proposer(lambda number, _known: search.settings(number), lambda _trials: None)
    try:
        from wellposed.launch.tpe import Journal
    except ImportError as error:
        raise UserError(
            f"[search] method \"tpe\" needs {error.name}, which is not installed: pip install 'wellposed[search]'."
        ) from error
    names = lambda number, settings: [row.name for row in question.rows(number, settings, question.seeds)]  # noqa: E731
    journal = Journal(folder.path / "search.journal", search, names)
    return _Proposer(journal.settings, journal.tell)


def _advance(folder: Folder, proposer: _Proposer, title: str, question: Question, memory: Memory) -> Progress:
    """Read the records, and write what follows from them: rows, marks of pruned runs, and where the search is."""
    progress = question.progress(partial(read_run, folder.runs), proposer.propose, memory)
    asked, labels = {row.name for row in progress.rows}, {f"trial {trial.number}" for trial in progress.trials}
    known = {row.name: row.label for row in folder.rows}
    if gone := [name for name, label in known.items() if label in labels and name not in asked]:
        raise UserError(f"{folder.path} holds runs of another search, such as {gone[0]}. Name another --out.")
    if new := [row for row in progress.rows if row.name not in known]:
        add_rows(folder, new)
    _mark(folder.runs, [row.name for row in progress.rows], {*progress.pruned})
    if len(memory.ended) == question.search.size:
        proposer.tell(progress.trials)
    searched = Searched(title, question.base.env.id, question.search, progress.trials, progress.claim)
    write_json(folder.path / "trials.json", encode(searched))
    return progress


def _mark(runs: Path, names: Sequence[str], pruned: set[str]) -> None:
    """Mark the runs that are not to be gone on with, and those only."""
    for name in names:
        if (name in pruned) != (runs / name / PRUNED).exists():
            mark = folder_in(runs, name) / PRUNED
            write_whole(mark, b"") if name in pruned else disk.remove(mark)


@contextmanager
def _watched(advance: Callable[[], Any]) -> Iterator[None]:
    """Inside, look at the records again and again."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            advance()

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(look)
        try:
            yield
        finally:
            over.set()
        watching.result()
