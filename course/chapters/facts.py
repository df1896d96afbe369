"""The facts of a chapter: values of its results that its prose quotes, each with its origin.

EXPERIMENT.VARIANT.METRIC          the mean over seeds with its interval and counts
EXPERIMENT.VARIANT.METRIC.STAT     one statistic: mean, low, high, min, max, median, each, n
MEASUREMENT.path.to.value          of a measurement or a study; a last part percent, cm or mm sets the unit
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course.chapters.criteria import verify_criterion
from course.chapters.metrics import OF_THE_BAR, PICKS, heading
from course.chapters.origins import Origin, origin_of
from course.chapters.results import Results
from course.chapters.spec import Chapter
from course.chapters.values import UNITS, data_of, follow, found_text, over_seeds, plain, split_path, variant_of
from wellposed.errors import UserError, instead

SEEDS = "seeds in training"  # the column of a table over steps that says how many of its runs had not ended


@dataclass(frozen=True)
class Fact:
    """A fact as text and as data."""

    text: str
    value: Any
    origin: Origin


@dataclass(frozen=True)
class Table:
    """A table of facts."""

    head: list[str]
    rows: list[list[str]]
    numeric: list[bool]  # for each column
    origin: Origin


def fact(chapter: Chapter, results: Results, text: str) -> Fact:
    """The fact that a path leads to.

    Raises:
        UserError: if it leads nowhere, naming the alternatives.
    """
    if runs := chapter.runs_of(text):
        experiment, variant, rest = runs
        metric, _, pick = rest.partition(".")
        found = over_seeds(results, experiment, variant, metric)
        if pick and pick not in PICKS:
            raise UserError(f"{text}: there is no statistic {pick!r}{instead(pick, PICKS)}")
        origin = origin_of(chapter, results, f"{experiment}.{variant}")
        if not pick:
            return Fact(found.text, found.numbers["mean"], origin)
        return Fact(found.texts[pick], found.numbers[pick], origin)
    name, path = _data_path(chapter, text)
    *before, last = split_path(path)
    unit = last if last in UNITS else None
    data = follow(data_of(results, name), path.rpartition(".")[0] if unit and before else path)
    try:
        return Fact(found_text(data, unit), plain(data), origin_of(chapter, results, name))
    except UserError as error:
        raise UserError(f"{text}: {error}") from error


def _data_path(chapter: Chapter, text: str) -> tuple[str, str]:
    """The name of a measurement or study, and the path into it."""
    found = chapter.data_of(text)
    if found is None:
        name, known = text.partition(".")[0], [*chapter.experiments, *chapter.measurements, *chapter.studies]
        raise UserError(f"Chapter {chapter.number} has no {name!r}{instead(name, known)}")
    return found


def setting(chapter: Chapter, results: Results, of: str, name: str) -> Fact:
    """A setting in the configuration of `EXPERIMENT.VARIANT`.

    Raises:
        UserError: if there is no such variant or setting.
    """
    experiment, variant, _ = chapter.variant(of)
    found = variant_of(results, experiment, variant)
    value = follow(found.config, name)
    text = str(value).lower() if isinstance(value, bool) else found_text(value)
    return Fact(text, value, origin_of(chapter, results, f"{experiment}.{variant}"))


def minutes(chapter: Chapter, studies: bool = False) -> Fact:
    """The stated time of the chapter's command: `25 min`, `1 h 30 min`."""
    stated = chapter.study_minutes if studies else chapter.minutes
    hours, rest = divmod(round(stated), 60)
    text = " ".join([*([f"{hours} h"] if hours else []), *([f"{rest} min"] if rest or not hours else [])])
    return Fact(text, stated, Origin(chapter.command(studies), [], [], 0, 0, [], []))


def study_minutes(chapter: Chapter) -> Fact:
    """The stated additional time of --studies."""
    return minutes(chapter, studies=True)


def experiment_table(chapter: Chapter, results: Results, name: str, columns: Sequence[str] = ()) -> Table:
    """A row for each variant with a column for each metric.

    The default columns are the share of solved runs, success on held-out episodes, and steps, updates and seconds to
    the bar; for an experiment without a bar, success and steps, updates and seconds at the end.

    Raises:
        UserError: if there is no such experiment or metric, or a variant is not among the results.
    """
    if name not in chapter.experiments:
        raise UserError(f"Chapter {chapter.number} has no experiment {name!r}{instead(name, chapter.experiments)}")
    asked = chapter.experiments[name]
    if not columns:
        end, bar = ("success", "end_steps", "end_updates", "end_seconds"), ("solved", "success", *OF_THE_BAR[1:])
        columns = end if asked.question.until_success is None else bar
    if asked.question.until_success is None and (of_bar := set(columns) & set(OF_THE_BAR)):
        raise UserError(f"{name} has no bar, so it has no {min(of_bar)}.")
    rows = [
        [variant, *(over_seeds(results, name, variant, metric).text for metric in columns)] for variant in asked.runs
    ]
    numeric = [False, *([True] * len(columns))]
    return Table(["variant", *map(heading, columns)], rows, numeric, origin_of(chapter, results, name))


def list_table(chapter: Chapter, results: Results, text: str, columns: Sequence[str] = ()) -> Table:
    """A list or dictionary of records of a measurement or a study; keys of a dictionary become the first column.

    A column is a key of the records, optionally with a unit: `air.percent`. The default is all columns. Rows at steps
    of training stop where the last run of the measured variant ended, and say how many of its runs were in training.

    Raises:
        UserError: if the path leads to anything else, or the records have no such column.
    """
    name, path = _data_path(chapter, text)
    data = follow(data_of(results, name), path) if path else data_of(results, name)
    keyed = isinstance(data, dict)
    records = [{"": key} | value for key, value in data.items() if isinstance(value, dict)] if keyed else data
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise UserError(f"{text} is not a list of records.")
    head = list(records[0])
    if any(list(record) != head for record in records) or (keyed and len(records) != len(data)):
        raise UserError(f"The records of {text} do not have the same keys.")
    own = head[keyed:]
    chosen = [("", None)] * keyed + [_column(text, column, own) for column in columns or own]
    measured = chapter.measurements.get(name)
    if measured is not None and len(measured.of) == 1 and "step" in own:
        records, chosen = _in_training(results, measured.of[0], records), [*chosen, (SEEDS, None)]
    numeric = [all(isinstance(plain(record[key]), int | float) for record in records) for key, _ in chosen]
    rows = [[found_text(record[key], unit) for key, unit in chosen] for record in records]
    return Table([key.replace("_", " ") for key, _ in chosen], rows, numeric, origin_of(chapter, results, name))


def _in_training(results: Results, of: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows at which some runs of EXPERIMENT.VARIANT were in training, each with how many; the others only repeat.

    A mean over runs holds the last success of those that have ended, so a row says how many these are.
    """
    experiment, _, variant = of.partition(".")
    ends = [run.step for run in variant_of(results, experiment, variant).runs]
    counts = [sum(end >= record["step"] for end in ends) for record in records]
    return [record | {SEEDS: f"{n} of {len(ends)}"} for record, n in zip(records, counts, strict=True) if n > 0]


def _column(text: str, column: str, head: list[str]) -> tuple[str, str | None]:
    """A column's key and the unit to print it in; raises UserError if the records have no such key."""
    key, _, last = column.rpartition(".")
    key, unit = (key, last) if key and last in UNITS else (column, None)
    if key not in head:
        raise UserError(f"The records of {text} have no {key!r}{instead(key, head)}")
    return key, unit


def criteria_table(chapter: Chapter, results: Results) -> Table:
    """The chapter's criteria, each with the measured value, the bound and the outcome."""
    rows, subjects = [], []
    for criterion in chapter.criteria:
        found = verify_criterion(chapter, results, {}, criterion)
        rows.append([criterion.says, found.measured or found.reason, found.bound, found.outcome])
        if found.measured:
            subjects.append(criterion.of)
    head = ["criterion", "measured", "bound", "outcome"]
    return Table(head, rows, [False] * len(head), origin_of(chapter, results, *subjects))
