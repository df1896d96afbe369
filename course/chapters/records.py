"""The records of a published chapter: `records.json`, small enough to commit, the source of all facts in the book."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.chapters.edited import with_line
from course.chapters.gather import unanswered
from course.chapters.results import Results, write_rows
from course.chapters.spec import Chapter
from course.chapters.traces import current_traces
from course.measure import MEASUREMENTS
from wellposed import serialise
from wellposed.config import describes
from wellposed.errors import UserError
from wellposed.runs.files import read_json
from wellposed.runs.provenance import as_typed
from wellposed.runs.record import Provenance, decode, encode

FILE = "records.json"


@dataclass(frozen=True)
class Records:
    """The published results of a chapter."""

    published: Provenance  # of the publish command
    failing: list[str]  # sentences: what failed when the chapter was published anyway
    traces: dict[str, str]  # what the facts rest on -> the digest of its trace when these results were made
    results: Results


def load_records(folder: Path) -> Records:
    """Read the records of the chapter in a folder.

    Raises:
        UserError: if there are none, or they are damaged or were edited by hand.
    """
    file = folder / FILE
    if not file.exists():
        raise UserError(f"{file} does not exist: the chapter was not published. `wellposed chapter publish` writes it.")
    try:
        found = decode(Records, read_json(file), str(file))
    except UserError as error:
        raise with_line(error) from error
    for name, measured in found.results.measurements.items():
        if serialise.content_hash(measured.result) != measured.hash:
            raise UserError(f"{file}: the result of {name} is not the one that was measured; it was edited by hand.")
        if measured.kind in MEASUREMENTS:
            _check_result(file, name, MEASUREMENTS[measured.kind].result, measured.result)
    return found


def _check_result(file: Path, name: str, kind: type, result: object) -> None:
    try:
        serialise.from_dict(kind, result, f"{file}, {name}")
    except ValueError as error:
        raise UserError(
            f"{error}. It was published with another version of the measurement; publish it again."
        ) from error


def edition(chapter: Chapter) -> str:
    """Whether a chapter is published, as text: `published at 8555243`.

    Raises:
        UserError: if its records are damaged.
    """
    if not (chapter.folder / FILE).exists():
        return "in work" if chapter.in_work else "not published"
    found = load_records(chapter.folder)
    words = f"published at {(found.published.commit or 'no commit')[:7]}"
    if found.failing:
        missed = len(found.failing)
        words += f" although {missed} {'things' if missed > 1 else 'thing'} did not hold"
    return f"{words}, older than its questions or than what the code does" if stale(chapter, found) else words


def as_published(records: Records) -> Records:
    """The records with every command in them as a reader would type it."""
    return decode(Records, _with_typed_commands(encode(records)), FILE)


def _with_typed_commands(data: Any) -> Any:
    """JSON data in which every command, a line or a list of words, is as a reader would type it."""
    if isinstance(data, list):
        return [_with_typed_commands(part) for part in data]
    if not isinstance(data, dict):
        return data
    found = {key: _with_typed_commands(part) for key, part in data.items()}
    match found.get("command"):
        case str(line):
            found["command"] = " ".join(as_typed(line.split()))
        case list(words):
            found["command"] = as_typed(words)
    return found


def write_records(folder: Path, records: Records) -> Path:
    """Write the records of a chapter whole; returns their path."""
    write_rows(folder / FILE, encode(records))
    return folder / FILE


def stale(chapter: Chapter, records: Records) -> list[str]:
    """Why the records are not those of today's chapter and behaviour, in sentences; none if they are."""
    return [*_stale_behaviour(chapter, records), *_stale_questions(chapter, records.results)]


def _stale_behaviour(chapter: Chapter, records: Records) -> Iterator[str]:
    """Configurations and environments whose stored trace is another one since."""
    for name, trace in current_traces(chapter).items():
        if trace is None:
            yield f"There is no trace of {name}; `wellposed chapter traces {chapter.number} --write` records it."
        elif trace.digest not in records.traces.values():
            yield f"What {name} does has changed since chapter {chapter.number} was published; run and publish it anew."


def _stale_questions(chapter: Chapter, found: Results) -> Iterator[str]:
    """Questions that changed after publication."""
    for name, variants in found.experiments.items():
        asked = chapter.experiments[name].runs if name in chapter.experiments else {}
        for variant, result in variants.items():
            wanted = asked.get(variant, [])
            same = [run.seed for run in result.runs] == [config.seed for config in wanted]
            if not same or not all(describes(result.config, config) for config in wanted):
                yield f"{name}.{variant} was published with other settings or seeds than {chapter.slug} asks."
    for name, measured in found.measurements.items():
        asked_ = chapter.measurements.get(name)
        if asked_ is None or (asked_.kind, serialise.to_dict(asked_.settings)) != (measured.kind, measured.settings):
            yield f"The measurement {name} was published with other settings than {chapter.slug} asks."
    for name, study in found.studies.items():
        question = chapter.studies.get(name)
        if question is None or not question.is_of(study) or unanswered(question, study):
            yield f"The study {name} was published with another question than {chapter.slug} asks."
