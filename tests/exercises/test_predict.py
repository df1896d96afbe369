"""A prediction is complete or not, before anything is measured; then it is set beside the measurement, honestly."""

from pathlib import Path

import numpy as np
import pytest

from course.chapters import load
from course.exercises import PREDICT, predict, predictions
from course.exercises.exercise import Measured, Setting
from wellposed import envs
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.launch.manifest import Experiment

COMPLETE = 'PREDICTION = {"success_with": (0.5, 0.7, 0.9), "success_without": [0, 0.125, 1e-1 * 2]}\n'
REASON = 'REASON = "Without it nothing is ever reached."\n'
CHAPTERS = Path(__file__).parent.parent.parent / "chapters"
EXERCISE = PREDICT["4.3"]


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(text)
    return file


def text(success_without: str = "(0, 0.1, 0.2)", reason: str = REASON) -> str:
    table = f'{{"success_with": (0.5, 0.7, 0.9), "success_without": {success_without}}}'
    return f'"""Mine."""\n\nPREDICTION = {table}\n{reason}'


def test_a_complete_prediction_is_read(tmp_path):
    found = predict.read_prediction(EXERCISE, written(tmp_path, text()))
    assert found.ends == {"success_with": (0.5, 0.7, 0.9), "success_without": (0.0, 0.1, 0.2)}
    assert found.reason == "Without it nothing is ever reached."


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (text("None"), 3, "still to be predicted"),
        (text("0.1"), 3, "takes three numbers"),
        (text("(0.1, 0.2)"), 3, "takes three numbers"),
        (text("(0.1, 'a', 0.2)"), 3, "takes three numbers"),
        (text("(0.1, True, 1)"), 3, "takes three numbers"),
        (text("(0.1, 1e999, 0.2)"), 3, "takes three numbers"),
        (text("(0.3, 0.1, 0.2)"), 3, "must satisfy 0 <= low"),
        (text("(0.3, 0.4, 1.2)"), 3, "must satisfy"),
        (text("(0, 0.1, 1)"), 3, "predicts nothing"),
        (text("open('/etc/passwd')"), 3, "plain numbers and text"),
        (text(reason='REASON = "Because."\n'), 4, "sentence of at least 4 words"),
        (text(reason="REASON = 3\n"), 4, "sentence of at least 4 words"),
        (text(reason=""), 3, "the file ends without assigning REASON"),
        (
            "PREDICTION = {'success_with': (0, 0.1, 0.2)}\n" + REASON,
            1,
            "keys: success_with, success_without",
        ),
        ("PREDICTION = 3\n" + REASON, 1, "exactly these keys"),
        ("x = 1\n", 1, "the file ends without assigning PREDICTION"),
        ("\n\nx = (\n", 3, "is not Python"),
        ("", 1, "the file ends without assigning PREDICTION"),
    ],
)
def test_an_incomplete_prediction_is_said_with_its_line(tmp_path, content, line, what):
    with pytest.raises(UserError, match=f"mine.py, line {line}") as found:
        predict.read_prediction(EXERCISE, written(tmp_path, content))
    assert what in str(found.value)


def test_nothing_of_a_prediction_is_executed(tmp_path):
    file = written(tmp_path, f"raise SystemExit\nopen({str(tmp_path / 'made')!r}, 'w')\n" + text())
    predict.read_prediction(EXERCISE, file)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("number", PREDICT)
def test_a_stub_is_incomplete_and_its_experiment_exists(tmp_path, number):
    exercise = PREDICT[number]
    with pytest.raises(UserError, match="still to be predicted"):
        predict.read_prediction(exercise, written(tmp_path, exercise.stub))
    runs = Experiment(**exercise.experiment).runs()
    assert not any(envs.find(config.env.id).extra for of_one in runs.values() for config in of_one)


def test_a_check_never_says_whether_a_prediction_is_right(tmp_path, capsys):
    said = []
    for guess in ("(0, 0.01, 0.02)", "(0.97, 0.98, 0.99)"):
        assert main(["exercise", "check", "4.3", str(written(tmp_path, text(guess)))]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "complete prediction" in said[0]


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ((0.6, 0.55, 0.65), "lies inside your interval."),
        ((0.6, 0.45, 0.65), "inside your interval, but the measurement's own interval reaches across its end."),
        ((0.4, 0.3, 0.45), "lies outside your interval."),
        ((0.4, 0.3, 0.55), "outside your interval, but the measurement's own interval reaches across its end."),
        ((0.4, np.nan, np.nan), "outside your interval, but"),
        ((np.nan, 1.0, np.inf), "no single value"),
    ],
)
def test_the_verdict_knows_how_sure_the_measurement_is(measured, said):
    assert said in predict.verdict((0.5, 0.6, 0.7), Measured(measured[0], measured[1], measured[2], "measured"))


def test_a_prediction_is_set_beside_what_its_own_variant_measured(tmp_path, monkeypatch):
    """The runs are made up: what is tested is which of them belongs to which quantity."""
    from wellposed.launch import local

    labels: dict[str, str] = {}

    def trained(rows, *_):
        labels.update({row.name: row.label for row in rows})
        return reversed(rows)

    def success(paths, _threads):
        assert len(paths) == 5
        value = 0.9 if {labels[path.name] for path in paths} == {"with"} else 0.1
        return Measured(value, value - 0.05, value + 0.05, f"{value:.0%}")

    monkeypatch.setattr(local, "train_rows", trained)
    monkeypatch.setattr(predictions, "success", success)
    file = written(tmp_path, text("(0.3, 0.4, 0.5)"))
    found = predict.run(EXERCISE, file, Setting(tmp_path, [0], 1, True))
    assert [(one.quantity.name, one.measured.value) for one in found] == [
        ("success_with", 0.9),
        ("success_without", 0.1),
    ]
    assert "inside" in found[0].verdict
    assert "outside" in found[1].verdict


@pytest.mark.parametrize(
    ("number", "chapter", "name"),
    [("2.3", 2, "clipping"), ("3.3", 3, "dense"), ("5.3", 5, "sparse"), ("6.3", 6, "push"), ("7.3", 7, "push")],
)
def test_what_is_predicted_is_measured_on_the_runs_of_its_chapter(number, chapter, name):
    """They are not trained twice, as long as exercise and chapter ask for the same."""
    there = load.chapter_of(CHAPTERS, chapter).experiments[name].runs
    for variant, runs in Experiment(**PREDICT[number].experiment).runs().items():
        assert [run for run in runs if run not in there[variant]] == []
