"""Reads and validates `chapter.toml` completely before anything is trained.

Every mistake is a UserError that names file, line and key.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from course.chapters.metrics import OF_THE_BAR, STATISTICS, find_metric
from course.chapters.spec import (
    AskedExperiment,
    AskedMeasurement,
    Chapter,
    Criterion,
    Deliverable,
    ExperimentTable,
    StudyTable,
)
from course.chapters.tables import Place, Source, read_source, read_table
from course.chapters.values import check_path
from course.measure import MEASUREMENTS
from wellposed import envs, plugin, serialise
from wellposed.analysis.study import Study
from wellposed.config import AnyRunConfig, override
from wellposed.errors import UserError, instead
from wellposed.launch.manifest import Experiment
from wellposed.recipes import default_config
from wellposed.repository import ROOT
from wellposed.runs.store import run_name
from wellposed.seeding import parse_seeds
from wellposed.study.run import Question

NAME = re.compile(r"[a-z][a-z0-9_]*")
FOLDER = re.compile(r"ch(\d\d)_([a-z0-9_]+)")


@dataclass(frozen=True)
class ChapterTable:
    """The keys of a `chapter.toml`."""

    number: int
    title: str
    summary: str
    minutes: float
    study_minutes: float = 0.0
    in_work: bool = False
    experiments: dict[str, Any] = field(default_factory=dict)
    measurements: dict[str, Any] = field(default_factory=dict)
    studies: dict[str, Any] = field(default_factory=dict)
    videos: dict[str, str] = field(default_factory=dict)
    deliverables: list[Any] = field(default_factory=list)
    criteria: list[Any] = field(default_factory=list)


def find_chapters(folder: Path | None = None) -> Path:
    """The directory of the chapters: the given one, else `chapters` here, else those that come with wellposed.

    Raises:
        UserError: if it does not exist.
    """
    candidates = [Path("chapters"), ROOT / "chapters"] if folder is None else [folder]
    for candidate in candidates:
        if any(candidate.glob("*/chapter.toml")):
            return candidate
    raise UserError(
        f"There are no chapters in {' or '.join(map(str, candidates))}; name their directory with --chapters DIR."
    )


def chapter_folders(chapters: Path) -> dict[int, Path]:
    """The folders of all chapters by number, in order.

    Raises:
        UserError: if the name of a folder is invalid, or two have the same number.
    """
    found: dict[int, Path] = {}
    for folder in sorted(path.parent for path in chapters.glob("*/chapter.toml")):
        if not (named := FOLDER.fullmatch(folder.name)):
            raise UserError(f"{folder} is not a valid name; name the folder of a chapter like ch04_hindsight.")
        if (number := int(named[1])) in found:
            raise UserError(f"{found[number]} and {folder} have the same number; renumber one of them.")
        found[number] = folder
    return found


def chapter_of(chapters: Path, number: int) -> Chapter:
    """The chapter of a number.

    Raises:
        UserError: if there is none, or it is invalid.
    """
    found = chapter_folders(chapters)
    if number not in found:
        raise UserError(f"There is no chapter {number} in {chapters}; there are {', '.join(map(str, found))}.")
    return load_chapter(found[number])


def is_in_work(folder: Path) -> bool:
    """Whether a chapter says that it is in work; False where its data cannot be read, which is told elsewhere."""
    try:
        return read_source(folder / "chapter.toml").data.get("in_work") is True
    except UserError:
        return False


def load_chapter(folder: Path) -> Chapter:
    """Read and validate the data of a chapter.

    Raises:
        UserError: naming file, line and key of a mistake.
    """
    source = read_source(folder / "chapter.toml")
    table = read_table(ChapterTable, source.data, (), source)
    named = FOLDER.fullmatch(folder.resolve().name)
    if named is None or int(named[1]) != table.number:
        raise source.error(("number",), f"Chapter {table.number} does not match the name of its folder, {folder.name}.")
    _check_names(table, source)
    chapter = Chapter(
        folder=folder,
        number=table.number,
        title=table.title,
        summary=table.summary,
        minutes=table.minutes,
        study_minutes=table.study_minutes,
        in_work=table.in_work,
        experiments=_experiments(table, source),
        measurements={},
        studies={name: _study(name, data, source) for name, data in table.studies.items()},
        videos=table.videos,
        deliverables=[],
        criteria=[],
    )
    for name, text in table.videos.items():
        if "." in text:
            _runs_of(text, chapter, ("videos", name), source)
        else:
            _check_environment(text, ("videos", name), source)
    measurements = {name: _measurement(name, data, chapter, source) for name, data in table.measurements.items()}
    chapter = replace(chapter, measurements=measurements)
    deliverables = [_deliverable(i, data, chapter, source) for i, data in enumerate(table.deliverables)]
    criteria = [_criterion(i, data, chapter, source) for i, data in enumerate(table.criteria)]
    return replace(chapter, deliverables=deliverables, criteria=criteria)


def _check_names(table: ChapterTable, source: Source) -> None:
    """Check that names are valid in paths and file names, and unique."""
    taken: dict[str, str] = {}
    for group in ("experiments", "measurements", "studies", "videos"):
        for name in getattr(table, group):
            if not NAME.fullmatch(name):
                raise source.error(
                    (group, name), f"{name!r} is not a valid name: use lower-case letters, digits and _."
                )
            if name in taken:
                raise source.error((group, name), f"There is {name!r} in [{taken[name]}] already; rename one.")
            taken[name] = group


def _experiments(table: ChapterTable, source: Source) -> dict[str, AskedExperiment]:
    """All experiments, each of which may name the runs of those above it."""
    found: dict[str, AskedExperiment] = {}
    for name, data in table.experiments.items():
        found[name] = _experiment(name, data, found, source)
    return found


def _experiment(name: str, data: Any, above: dict[str, AskedExperiment], source: Source) -> AskedExperiment:
    """An experiment with its configurations, which validates every setting."""
    place: Place = ("experiments", name)
    table = read_table(ExperimentTable, data, place, source)
    if not table.variants:
        raise source.error(place, f"An experiment needs at least one variant, as [experiments.{name}.variants.NAME].")
    _check_environment(table.env, (*place, "env"), source)
    seeds = _seeds(table.seeds, (*place, "seeds"), source)
    for at, settings in [(("base",), table.base), *((("variants", one), own) for one, own in table.variants.items())]:
        if "init_from" in settings:
            settings["init_from"] = _recipe(settings["init_from"], seeds, above, (*place, *at, "init_from"), source)
    question = Experiment(table.title, table.env, table.seeds, table.until_success, table.base, table.variants)
    runs: dict[str, list[AnyRunConfig]] = {}
    names: dict[str, str] = {}
    for variant, settings in table.variants.items():
        at = (*place, "variants", variant)
        try:
            runs |= replace(question, variants={variant: settings}).runs()
        except UserError as error:
            named = (_setting_in_message(str(error), table, source) for table in (at, (*place, "base"), place))
            raise source.error(next(filter(None, named), at), error) from error
        run = run_name(serialise.to_dict(runs[variant][0]))
        if run in names:
            raise source.error(at, f"This variant has exactly the configuration of {names[run]!r}.")
        names[run] = variant
    return AskedExperiment(question, runs, table.study)


def _recipe(text: Any, seeds: list[int], above: dict[str, AskedExperiment], place: Place, source: Source) -> str:
    """The name of the runs of `EXPERIMENT.VARIANT` without their seeds, which a run of the same seed begins with."""
    experiment, _, variant = str(text).partition(".")
    if experiment not in above or variant not in above[experiment].runs:
        known = [f"{name}.{one}" for name, asked in above.items() for one in asked.runs]
        raise source.error(place, f"There is no {text!r} above{instead(str(text), known)}")
    configs = {config.seed: config for config in above[experiment].runs[variant]}
    if missing := [seed for seed in seeds if seed not in configs]:
        raise source.error(place, f"{text} is not trained with seed {missing[0]}.")
    if configs[seeds[0]].init_from is not None:
        raise source.error(place, f"{text} begins with another run itself.")
    return run_name(serialise.to_dict(configs[seeds[0]])).rpartition("_s")[0]


def _setting_in_message(message: str, table: Place, source: Source) -> Place | None:
    """The setting of a table that a message names; the longest name if several match."""
    text = message.replace("-", "_")
    names = {place: ".".join(map(str, place[len(table) :])) for place in source.lines if place[: len(table)] == table}
    named = [place for place, name in names.items() if name and name in text]
    return max(named, key=lambda place: len(names[place]), default=None)


def _check_environment(env: str, place: Place, source: Source) -> None:
    """Check that an environment is registered, and that its name imports no module."""
    try:
        envs.find(env)
    except UserError as error:
        raise source.error(place, error) from error
    if plugin.imports(env):
        raise source.error(place, f"{env} names a module, which is not allowed in a chapter.")


def _seeds(text: str, place: Place, source: Source) -> list[int]:
    """A list of seeds."""
    try:
        return parse_seeds(text)
    except UserError as error:
        raise source.error(place, error) from error


def _study(name: str, data: Any, source: Source) -> Question:
    """A study, with the defaults of the command `wellposed study`."""
    place: Place = ("studies", name)
    table = read_table(StudyTable, data, place, source)
    _check_environment(table.env, (*place, "env"), source)
    seeds = _seeds(table.seeds, (*place, "seeds"), source)
    stability_seeds = _seeds(table.stability_seeds, (*place, "stability_seeds"), source)
    changes = serialise.flatten(table.settings) | ({} if table.budget is None else {"total_steps": table.budget})
    try:
        recipe = override(default_config(table.env, table.algo, measure="agent.gamma" not in changes), changes)
        return Question(recipe, seeds, stability_seeds, table.bar, tuple(table.parts), table.doublings)
    except (UserError, ValueError) as error:
        named = (_setting_in_message(str(error), (*place, *more), source) for more in (("settings",), ()))
        raise source.error(next(filter(None, named), place), error) from error


def _measurement(name: str, data: Any, chapter: Chapter, source: Source) -> AskedMeasurement:
    """A measurement, with its settings as the type of its kind."""
    place: Place = ("measurements", name)
    if not isinstance(data, dict) or "kind" not in data:
        raise source.error(place, f"A measurement needs the key kind{instead('', MEASUREMENTS)}")
    if data["kind"] not in list(MEASUREMENTS):
        wrong = data["kind"]
        raise source.error((*place, "kind"), f"There is no kind {wrong!r}{instead(str(wrong), MEASUREMENTS)}")
    own = {key: value for key, value in data.items() if key != "kind"}
    settings = read_table(MEASUREMENTS[data["kind"]].settings, own, place, source)
    named = getattr(settings, "of", [])
    of = [named] if isinstance(named, str) else list(named)
    found = [_runs_of(text, chapter, (*place, "of"), source) for text in of]
    return AskedMeasurement(data["kind"], settings, of, any(chapter.experiments[name].study for name, _ in found))


def _runs_of(text: str, chapter: Chapter, place: Place, source: Source) -> tuple[str, str]:
    """Experiment and variant of `EXPERIMENT.VARIANT`."""
    try:
        experiment, variant, more = chapter.variant(text)
    except UserError as error:
        raise source.error(place, error) from error
    if more:
        raise source.error(place, f"{text!r} is not EXPERIMENT.VARIANT; remove {more!r}.")
    return experiment, variant


def _deliverable(i: int, data: Any, chapter: Chapter, source: Source) -> Deliverable:
    """A deliverable, after checking that running the chapter creates it."""
    place: Place = ("deliverables", i)
    found, files = read_table(Deliverable, data, place, source), chapter.files()
    if found.file not in files:
        raise source.error((*place, "file"), f"Nothing creates {found.file!r} here{instead(found.file, files)}")
    if found.schema != files[found.file]:
        raise source.error((*place, "schema"), f"{found.file} has the schema {files[found.file]!r}.")
    return found


def _criterion(i: int, data: Any, chapter: Chapter, source: Source) -> Criterion:
    """A criterion, after checking that its metric exists."""
    place: Place = ("criteria", i)
    found = read_table(Criterion, data, place, source)
    subject = found.of.partition(".")[0]
    if subject in chapter.experiments:
        experiment, _ = _runs_of(found.of, chapter, (*place, "of"), source)
        if chapter.experiments[experiment].study:
            raise source.error(
                (*place, "of"), f"{experiment} is a study; criteria may only use what is always trained."
            )
        if found.metric in OF_THE_BAR and chapter.experiments[experiment].question.until_success is None:
            raise source.error((*place, "metric"), f"{experiment} has no until_success, so it has no {found.metric}.")
        if found.statistic is None:
            raise source.error(place, f"A metric over seeds needs a statistic: {', '.join(STATISTICS)}.")
        _at_place(lambda: find_metric(found.metric), (*place, "metric"), source)
    elif found.of in {*chapter.measurements, *chapter.studies}:
        if found.statistic is not None:
            raise source.error((*place, "statistic"), f"{found.of} is not a set of runs, so it takes no statistic.")
        _at_place(lambda: _check_path(found.of, found.metric, chapter), (*place, "metric"), source)
    else:
        known = [*chapter.experiments, *chapter.measurements, *chapter.studies]
        raise source.error((*place, "of"), f"There is no {subject!r} in this chapter{instead(subject, known)}")
    if found.inside is not None:
        _at_place(lambda: _check_interval(str(found.inside), chapter), (*place, "inside"), source)
    return found


def _at_place(check: Callable[[], object], place: Place, source: Source) -> None:
    """Run a check and add the place to its error."""
    try:
        check()
    except UserError as error:
        raise source.error(place, error) from error


def _check_path(name: str, path: str, chapter: Chapter) -> None:
    """Check that a path exists in the result type of a measurement or a study."""
    asked = chapter.measurements.get(name)
    check_path(Study if asked is None else MEASUREMENTS[asked.kind].result, path)


def _check_interval(text: str, chapter: Chapter) -> None:
    """Check a reference to an interval: `EXPERIMENT.VARIANT.METRIC`, or a path into a measurement or a study."""
    if runs := chapter.runs_of(text):
        find_metric(runs[2])
    elif data := chapter.data_of(text):
        _check_path(*data, chapter)
    else:
        raise UserError(f"{text!r} is neither EXPERIMENT.VARIANT.METRIC nor a path into a measurement or a study.")
