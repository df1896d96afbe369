"""The work of a chapter: done once, taken up where it stopped, and what fails hinders nothing else."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from course.chapters import run as chapter_run
from course.chapters.gather import Runs, gather
from course.chapters.run import Share, run_chapter
from course.measure import MEASUREMENTS
from course.measure.kinds import Context, Kind
from tests.chapters.tiny import TOML, as_seed, load, write_chapter
from wellposed import verdict
from wellposed.analysis.study import Study
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.runs.files import read_json, write_json
from wellposed.runs.record import Failure, encode
from wellposed.study.run import Question, learnability
from wellposed.study.trials import trial_of
from wellposed.training import here

MEASURED = """
[measurements.counted]
kind = "counting"
of = "width.narrow 0.5"
times = 3
"""
STUDIED = """
[studies.reach]
env = "FetchReach-v4"
parts = ["existence"]
"""


@dataclass(frozen=True)
class Settings:
    """What is counted."""

    of: str
    times: int


@dataclass(frozen=True)
class Counted:
    """What was counted."""

    runs: list[str]
    total: int


@pytest.fixture
def counting(monkeypatch) -> list[int]:
    """A kind of measurement, and how often it was measured."""
    calls: list[int] = []

    def measure(settings, context: Context) -> Counted:
        calls.append(settings.times)
        (runs,) = context.runs.values()
        return Counted([run.name for run in context.over(runs, "counted")], settings.times * len(runs))

    monkeypatch.setitem(MEASUREMENTS, "counting", Kind(Settings, Counted, measure))
    return calls


def finish(chapter, runs, studies=False) -> list[str]:
    return list(run_chapter(chapter, runs, threads=2, studies=studies, quiet=True))


def test_it_says_what_is_left_and_what_was_done(trained):
    runs, lines = trained
    assert lines[0].startswith("Chapter 4, Hindsight: 1 of 1 runs left, about 3 min of the 3 min that the whole")
    assert lines[1].startswith("1 of 1 traces are not stored. Results are published only with traces of their commit")
    assert lines[2].startswith("width narrow 0.5, seed 0: not solved, 160 steps, success")
    assert "(1 of 1 runs" in lines[2]
    assert lines[3:] == [
        "1 runs are evaluated on held-out episodes.",
        f"{runs}/ch04_hindsight/width.json",
        "All results exist; verify with `wellposed chapter verify 4`.",
    ]


@pytest.mark.usefixtures("run")
def test_what_is_there_is_not_made_again(chapter, runs, monkeypatch):
    monkeypatch.setattr(local, "train_rows", None)
    monkeypatch.setattr(verdict, "assess", None)
    lines = finish(chapter, runs)
    assert lines[0].startswith("Chapter 4, Hindsight: 0 of 1 runs left, nothing of the 3 min")
    assert lines[-1].startswith("All results exist")


def test_what_was_cut_short_goes_on_and_what_is_missing_is_made(tmp_path, runs, run, monkeypatch):
    """One of three seeds is there, one was cut short, one is new; and what fails hinders nothing else."""
    chapter = load(tmp_path, TOML.replace('seeds = "0"', 'seeds = "0-2"'))
    (as_seed(run, 1) / "summary.json").unlink()
    asked: list[list[int]] = []

    def train_rows(rows, *_) -> Iterator:
        asked.append([row.config["seed"] for row in rows])
        raise UserError("seed 1 failed")

    monkeypatch.setattr(local, "train_rows", train_rows)
    with pytest.raises(UserError, match="seed 1 failed"):
        finish(chapter, runs)
    assert asked == [[1, 2]]
    assert next(iter(run_chapter(chapter, runs, 2, False, True))).startswith("Chapter 4, Hindsight: 2 of 3 runs left")


def test_a_record_edited_by_hand_stops_no_other_run(tmp_path, runs, run, monkeypatch):
    """The configuration of one run was edited, the other one has lost its verdict."""
    other = as_seed(run, 1)
    (run / "config.json").write_text((run / "config.json").read_text().replace("0.98", "0.5"))
    (other / "verdict.json").unlink()
    monkeypatch.setattr(local, "train_rows", None)
    with pytest.raises(UserError, match=r"_s0/config.json does not match its own hash"):
        finish(load(tmp_path, TOML.replace('seeds = "0"', 'seeds = "0-1"')), runs)
    assert (other / "verdict.json").exists()


def test_a_run_that_diverges_is_an_outcome(chapter, runs, run, monkeypatch):
    (run / "summary.json").unlink()

    def train_rows(rows, *_) -> Iterator:
        failure = Failure(160, 80, "loss", "The loss is not finite.")
        write_json(run / "failure.json", encode(failure))
        return iter(rows)

    monkeypatch.setattr(local, "train_rows", train_rows)
    assert "width narrow 0.5, seed 0: diverged. The loss is not finite." in finish(chapter, runs)[2]
    (found,) = gather(chapter, Runs(runs)).results.experiments["width"]["narrow 0.5"].runs
    assert (found.ended, found.step, found.held_out, found.solved) == ("diverged", 160, None, None)


def test_a_measurement_is_made_once_and_again_when_it_is_another(tmp_path, runs, run, counting):
    chapter = load(tmp_path, TOML + MEASURED)
    assert "0 of 1 runs and 1 of 1 measurements left" in finish(chapter, runs)[0]
    file = runs / "ch04_hindsight" / "counted.json"
    assert read_json(file)["result"] == {"runs": [run.name], "total": 3}
    finish(chapter, runs)
    assert counting == [3]
    chapter = load(tmp_path, TOML + MEASURED.replace("3", "5"))
    finish(chapter, runs)
    assert counting == [3, 5]
    file.write_text(file.read_text().replace('"total": 5', '"total": 50'))
    with pytest.raises(UserError, match=r"counted.json, line \d+: the result is not the one that was measured"):
        finish(chapter, runs)
    assert counting == [3, 5]


def test_a_measurement_whose_runs_are_missing_stops_nothing_else(tmp_path, runs, run, counting, monkeypatch):
    (run / "verdict.json").unlink()
    monkeypatch.setattr(chapter_run, "stored_verdict", lambda *_: None)
    (runs / "ch04_hindsight" / "width.json").unlink()
    with pytest.raises(UserError, match=r"1 of 1 runs are not trained and evaluated yet \(seeds 0\)"):
        finish(load(tmp_path, TOML + MEASURED), runs)
    assert counting == []


@pytest.mark.usefixtures("run")
def test_a_study_is_made_with_studies_only(tmp_path, runs, monkeypatch):
    chapter, asked = load(tmp_path, TOML + STUDIED), []

    def run_study(question, out, *_) -> Iterator[str]:
        asked.append((question.parts, out.name))
        yield "it was studied"

    monkeypatch.setattr(chapter_run, "run_study", run_study)
    finish(chapter, runs)
    assert asked == []
    lines = finish(chapter, runs, studies=True)
    assert asked == [(("existence",), "study_reach")]
    assert "study reach: it was studied" in lines
    assert "0 of 1 runs and 1 of 1 measurements and studies left" in lines[0]


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("linked", ["ch04_hindsight", "ch04_hindsight/study_reach"])
def test_no_result_is_written_behind_a_link(tmp_path, runs, linked):
    chapter, outside = load(tmp_path, TOML + STUDIED), tmp_path / "outside"
    outside.mkdir()
    (runs / linked).parent.mkdir(exist_ok=True)
    shutil.rmtree(runs / linked, ignore_errors=True)
    (runs / linked).symlink_to(outside)
    with pytest.raises(UserError, match=f"{Path(linked).name} is a link"):
        finish(chapter, runs, studies=True)
    assert [*outside.iterdir()] == []


def test_a_study_must_agree_with_the_records_of_its_runs(chapter, runs):
    """One is put together from the run that is there, then its number of steps is edited."""
    (configs,) = chapter.experiments["width"].runs.values()
    question = Question(configs[0], [0], [0], 0.98, ("learnability",))
    chapter = replace(chapter, studies={"reach": question})
    learnt = learnability([trial_of(config, runs, 1) for config in configs])
    study = Study("FetchReach-v4", 0.98, question.record, 1.0, here(1), None, learnt, None)
    file = runs / "ch04_hindsight" / "study_reach" / "study.json"
    file.parent.mkdir()
    write_json(file, encode(study))
    assert gather(chapter, Runs(runs)).results.studies == {"reach": study}
    file.write_text(file.read_text().replace('"step": 160', '"step": 100', 1))
    problem = gather(chapter, Runs(runs)).problems["reach"]
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if '"step": 100' in text)
    assert f"study.json, line {line}: learnability.trials.0.step is not what" in problem.sentence
    assert not problem.missing
    chapter.studies["reach"] = replace(question, seeds=[0, 1])
    assert gather(chapter, Runs(runs)).problems["reach"].missing


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def stopped(*_) -> Iterator[str]:
        yield "a line"
        raise KeyboardInterrupt

    monkeypatch.setattr(chapter_run, "run_chapter", stopped)
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # with more, an interrupt ends the process at once
    chapters = write_chapter(tmp_path).parent
    assert main(["chapter", "run", "4", "--chapters", str(chapters), "--runs-dir", str(tmp_path)]) == 130
    assert "the same command continues from there" in capsys.readouterr().err


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_all_parts_together_are_the_chapter_each_run_once(tmp_path, parts):
    chapter = load(tmp_path, TOML.replace('seeds = "0"', 'seeds = "0-4"'))
    runs, whole = Runs(tmp_path), chapter_run.asked_rows(chapter, studies=True)
    of_parts = [chapter_run.asked_runs(chapter, runs, True, Share(k + 1, parts)).left for k in range(parts)]
    assert sorted(row.name for rows in of_parts for row in rows) == sorted(row.name for row in whole)
    assert max(map(len, of_parts)) - min(map(len, of_parts)) <= 1


def test_a_part_leaves_what_rests_on_other_parts(tmp_path, runs, run, monkeypatch, counting):
    chapter = load(tmp_path, TOML.replace('seeds = "0"', 'seeds = "0-1"') + MEASURED)
    monkeypatch.setattr(local, "train_rows", None)
    lines = list(run_chapter(chapter, runs, 2, False, True, Share(1, 2)))
    assert lines[0].startswith("Chapter 4, Hindsight, part 1 of 2: 0 of 1 runs and 1 of 1 measurements left")
    assert lines[-2:] == [
        "counted: waits for the runs of other parts.",
        "Part 1 of 2 is done; verify with `wellposed chapter verify 4`.",
    ]
    assert not counting
    as_seed(run, 1)
    assert list(run_chapter(chapter, runs, 2, False, True, Share(2, 2)))[-1].startswith("Part 2 of 2 is done")
    assert counting == [3], "the part that ends last measures what reads the runs of all"


def test_parts_that_were_made_elsewhere_are_brought_together(tmp_path, runs, run, capsys):
    """The run of seed 1 was trained below another directory; an interrupted one is not taken."""
    write_chapter(tmp_path, TOML.replace('seeds = "0"', 'seeds = "0-2"'))
    elsewhere, chapters = tmp_path / "elsewhere", ["--chapters", str(tmp_path / "chapters")]
    elsewhere.mkdir()
    made, begun = (path.rename(elsewhere / path.name) for path in (as_seed(run, 1), as_seed(run, 2)))
    (begun / "summary.json").unlink()
    assert main(["chapter", "verify", "4", "--runs-dir", str(runs), "--from", str(elsewhere), *chapters]) == 1
    told = capsys.readouterr()
    assert told.err == f"Copied from other parts into {runs}: {made.name}.\n"
    assert "1 of 3 runs are not trained and evaluated yet (seeds 2)" in " ".join(told.out.split())
    assert {path.name for path in runs.glob("Fetch*")} == {run.name, made.name}
    assert not list(runs.glob(".part-*"))


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/3"])
def test_a_part_that_does_not_exist_is_refused(text, capsys):
    assert main(["chapter", "run", "4", "--part", text]) == 1
    assert "--part takes K/M" in capsys.readouterr().err


TAUGHT = """
[experiments.taught]
title = "Does it help to begin with a trained run?"
env = "FetchReach-v4"
seeds = "0"
[experiments.taught.base]
total_steps = 160
[experiments.taught.variants.pupil]
init_from = "width.narrow 0.5"
"""


def test_a_run_that_begins_with_another_is_trained_after_it_and_in_the_same_part(tmp_path, monkeypatch):
    chapter = load(tmp_path, TOML + TAUGHT)
    teacher, pupil = chapter_run.asked_rows(chapter, studies=False)
    parts = [chapter_run.asked_runs(chapter, Runs(tmp_path), False, Share(k, 2)).left for k in (1, 2)]
    assert parts == [[teacher], [teacher, pupil]]
    calls: list[list[str]] = []
    monkeypatch.setattr(local, "train_rows", lambda rows, *_: iter(calls.append([row.name for row in rows]) or ()))
    finish(chapter, tmp_path)
    assert calls == [[teacher.name], [pupil.name]]
