"""A capstone: what a reader writes is read strictly, registered once and before the first run, and graded honestly."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import wellposed as wp
from course.capstone import grade, register, task
from tests.chapters.tiny import made_up
from wellposed import plan, plugin
from wellposed.budget import Pixels
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.runs.files import read_json, write_json

OWN = Path(__file__).parent.parent / "envs" / "own.py"
NAME = "cap_task.py:make"
SETTINGS = """[settings]
num_envs = 4
eval_every = 200
eval_episodes = 4
random_steps = 100
"agent.hidden" = [8]
"agent.batch_size" = 16
"""
PREDICTED = {"success = []": "success = [0, 0.1, 0.4]", "steps = []": "steps = [200, 400, 400]"}
WHY = {'reason = ""': 'reason = "400 steps are far too few."'}


def edit(file: Path, changes: dict[str, str]) -> None:
    text = file.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def begun(place: Path, changes: dict[str, str] | None = None) -> Path:
    """A new capstone of a point that goes where it is told, with tiny runs and a complete prediction."""
    shutil.copy(OWN, place / "cap_task.py")
    assert main(["capstone", "new", str(place / "mine"), "--env", f"{place}/{NAME}"]) == 0
    tiny = {"[settings]\n": SETTINGS, "50_000": "400", '["noise", "bias", "sensor_delay", "action_delay"]': '["noise"]'}
    edit(place / "mine" / "capstone.toml", tiny | (PREDICTED | WHY if changes is None else changes))
    return place / "mine"


def forget() -> None:
    """The environment's file was never imported."""
    sys.modules.pop("cap_task", None)
    gym.registry.pop("Own-v0", None)


def permitted(folder: Path) -> list[str]:
    return [str(folder), plugin.PERMISSION, f"{folder}/{NAME}"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A capstone that was predicted and run; the plan is by arithmetic, without its trial of ten seconds."""
    folder = begun(tmp_path_factory.mktemp("capstone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugin, "ALLOWED", [])
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(register, "make_plan", partial(plan.make_plan, pixels=Pixels(8, 8, 1)))
        assert main(["capstone", "predict", *permitted(folder)]) == 0
        assert main(["capstone", "run", *permitted(folder), "--quiet"]) == 0
    yield folder
    forget()


@pytest.mark.slow
def test_a_capstone_on_which_nothing_is_learnt_is_complete_and_every_failure_is_diagnosed(finished, capsys):
    assert main(["capstone", "verify", str(finished), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["complete"]
    assert found["failed"].keys() == {"0", "1", "2", "3", "4"}
    assert all("phase" in said[0] for said in found["failed"].values())
    success, steps = found["scores"]
    assert success["width"] == "40 points of 100"
    assert success["score"] == pytest.approx(0.4)
    assert (steps["width"], steps["score"]) == ("a factor of 2", pytest.approx(1.0))
    assert "inside your interval" in steps["result"]["verdict"]
    page = (finished / task.PAGE).read_text()
    assert page.count("is below the bar of 90%") == 5 + 1
    assert "0.1 (0 to 0.4)" in page
    assert register.digest(finished / register.FILE) in page


@pytest.mark.slow
def test_another_reader_trains_one_of_its_runs_again(finished, capsys):
    run = str(next((finished / "runs").glob("*_s3")))
    assert main(["reproduce", run, "--quiet"]) == 1
    assert "--allow-import cap_task.py:make" in capsys.readouterr().err
    assert main(["reproduce", run, "--quiet", plugin.PERMISSION, f"{finished}/{NAME}"]) == 0
    assert "Bit-identical" in capsys.readouterr().out


def registration(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    data = read_json(folder / register.FILE)
    write_json(folder / register.FILE, data | change(data))


def tomorrow(_: Any) -> dict[str, str]:
    return {"time": (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")}


def flattered(folder: Path) -> None:
    """A verdict that says more than its episodes."""
    file = next((folder / "runs").glob("*_s0")) / "verdict.json"
    data = read_json(file)
    row = next(row for row in data["per_episode"] if not row["success"])
    row |= {"success": True, "any_success": True, "time_to_success": 1}
    write_json(file, data)


def timeless(folder: Path) -> None:
    file = next((folder / "runs").glob("*_s0")) / "provenance.json"
    write_json(file, read_json(file) | {"started": "2026-01-01T00:00:00"})


TAMPERED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "predicted afterwards": ("prediction", lambda f: edit(f / task.TOML, {"0.4]": "0.2]"}), "changed after"),
    "other code": ("prediction", lambda f: edit(f / "cap_task.py", {"0.1": "0.2"}), "cap_task.py changed"),
    "a file that was not there": ("prediction", lambda f: (f / "more.py").write_text(""), "more.py changed"),
    "registered late": ("prediction", lambda f: registration(f, tomorrow), "after the first run began"),
    "begun at no time": ("prediction", timeless, "does not say when it began"),
    "trained on other code": ("environment", lambda f: registration(f, lambda _: {"environment": "0"}), "other code"),
    "a seed dropped": ("seeds", lambda f: registration(f, lambda d: {"runs": d["runs"][:4]}), "No result of seed 4"),
    "a run removed": (
        "seeds",
        lambda f: shutil.rmtree(next((f / "runs").glob("*_s2"))),
        "No result of seed 2; `wellposed capstone run",
    ),
    "a verdict embellished": ("seeds", flattered, "verdict.json"),
    "no robustness": ("robustness", lambda f: shutil.rmtree(f / "robustness"), "not measured"),
    "no page": ("page", lambda f: (f / task.PAGE).unlink(), task.PAGE),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", TAMPERED)
def test_what_is_missing_or_was_changed_is_found(finished, tmp_path, capsys, how):
    part, tamper, why = TAMPERED[how]
    tamper(Path(shutil.copytree(finished, tmp_path / "theirs")))
    assert main(["capstone", "verify", str(tmp_path / "theirs")]) == 1
    said = capsys.readouterr().out
    assert f"MISSING  {part}: " in said
    assert why in said


@pytest.mark.slow
def test_what_was_registered_is_neither_registered_again_nor_changed_before_a_run(finished, tmp_path, capsys):
    folder = Path(shutil.copytree(finished, tmp_path / "theirs"))
    assert main(["capstone", "predict", *permitted(folder)]) == 1
    assert "a prediction is registered once" in capsys.readouterr().err
    edit(folder / task.TOML, {"0.4]": "0.2]"})
    assert main(["capstone", "run", *permitted(folder)]) == 1
    assert "capstone.toml in" in capsys.readouterr().err
    (folder / register.FILE).unlink()
    assert main(["capstone", "predict", *permitted(folder)]) == 1
    assert "what is said after the first run is no prediction" in capsys.readouterr().err
    assert main(["capstone", "run", *permitted(folder)]) == 1
    assert "no prediction is registered" in capsys.readouterr().err


@pytest.mark.slow
def test_an_open_prediction_is_not_registered_but_certificate_and_plan_are_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(register, "make_plan", partial(plan.make_plan, pixels=Pixels(8, 8, 1)))
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget()
    folder = begun(tmp_path, WHY)
    assert main(["capstone", "predict", *permitted(folder)]) == 1
    told = capsys.readouterr()
    assert "cap_task.py:make: ready" in told.out
    assert "peak memory" in told.out
    assert "is still to be predicted" in told.err
    assert not (folder / register.FILE).exists()


def test_a_new_folder_holds_an_environment_and_is_never_overwritten(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["capstone", "new", str(tmp_path / "mine")]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    words = line.split()
    assert words[:4] == ["wellposed", "capstone", "predict", str(tmp_path / "mine")]
    assert line in (tmp_path / "mine" / "README.md").read_text()
    assert words[-1] in (tmp_path / "mine" / "task.py").read_text(), "the docstring says how it is checked here"
    env = wp.make_vec(words[-1], 1)
    assert env.reset(seed=0)[0]["desired_goal"].shape == (1, 2)
    env.close()
    gym.registry.pop("PushPuck-v0")
    sys.modules.pop("task")
    found = task.load(tmp_path / "mine")
    assert (found.prediction.success, found.prediction.steps) == ([], [])
    before = {file: file.read_bytes() for file in (tmp_path / "mine").glob("*.*")}
    assert main(["capstone", "new", str(tmp_path / "mine")]) == 1
    assert {file: file.read_bytes() for file in (tmp_path / "mine").glob("*.*")} == before
    assert main(["capstone", "new", str(tmp_path / "other"), "--env", "FetchReach-v4"]) == 1
    assert main(["capstone", "new", str(tmp_path / "other"), "--env", "nowhere.py:make"]) == 1
    assert not (tmp_path / "other").exists()
    assert main(["capstone", "verify", str(tmp_path / "mine")]) == 1


@pytest.mark.parametrize("command", ["predict", "run"])
def test_a_strangers_code_is_not_imported_unless_it_is_named(tmp_path, capsys, monkeypatch, command):
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = begun(tmp_path)
    (folder / "cap_task.py").write_text("raise SystemExit('imported')")
    made = register.Registration("2026-01-01T00:00:00+00:00", register.digests(folder), "0", ["a_s0"], CERTIFIED, [])
    if command == "run":
        write_json(folder / register.FILE, register.encode(made))
    assert main(["capstone", command, str(folder)]) == 1
    assert f"add --allow-import {folder}/{NAME}" in capsys.readouterr().err
    assert main(["capstone", "verify", str(folder)]) == 1, "it only reads"
    told = capsys.readouterr()
    assert "MISSING  " in told.out
    assert "imported" not in told.out + told.err


CERTIFIED = register.Certificate(NAME, "ready", [], 1.0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bar = 0.9": "bar = 1.5"}, "bar is a share"),
        ({"bar = 0.9": "bar = 0.9\nmore = 1"}, "unknown key more"),
        ({"bar = 0.9": ""}, "missing required field `bar`"),
        ({'seeds = "0-4"': 'seeds = "0-3"'}, "at least 5 seeds"),
        ({'seeds = "0-4"': 'seeds = "many"'}, "distinct seeds"),
        ({"steps = 400": "steps = 0"}, "steps are 1 or more"),
        ({"num_envs = 4": "total_steps = 800"}, "the budget is `steps`"),
        ({'["noise"]': '["nose"]'}, "did you mean 'noise'"),
        ({f'"{NAME}"': '"FetchReach-v4"'}, "env is an environment of yours"),
        ({'reason = ""': "reason = 3"}, "Expected `str`"),
        ({"success = []": 'success = ["0"]'}, "Expected `float`"),
    ],
)
def test_what_is_written_wrongly_is_refused_by_name(tmp_path, changes, why):
    with pytest.raises(UserError, match=why):
        task.load(begun(tmp_path, changes))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"success = []": "success = [0, 0.5, 1]"}, "it predicts nothing"),
        ({"success = []": "success = [0.5, 0.4, 0.6]"}, "must satisfy 0 <= low"),
        ({"success = []": "success = [0.5, 0.6]"}, "takes three numbers"),
        ({"success = []": "success = [0.5, 0.6, 0.7]"}, "steps .* is still to be predicted"),
        ({"success = []": "success = [0, 0.1, 0.2]", "steps = []": "steps = [100, 200, 401]"}, "must satisfy 1 <= low"),
    ],
)
def test_a_prediction_that_says_nothing_or_is_open_is_refused(tmp_path, changes, why):
    with pytest.raises(UserError, match=why):
        task.load(begun(tmp_path, changes)).predicted()


def test_a_registration_names_runs_of_one_recipe_in_the_folder_and_a_time_that_is_one():
    made = register.Registration("2026-01-01T00:00:00+00:00", {}, "0", ["a_s0", "a_s1"], CERTIFIED, [])
    for wrong in (
        {"runs": ["../a_s0"]},
        {"runs": [".."]},
        {"runs": ["a_s0", "b_s1"]},
        {"runs": []},
        {"time": "2026-01-01T00:00:00"},
    ):
        with pytest.raises(ValueError, match=r"directories|seed|zone"):
            replace(made, **wrong)


def test_a_seed_that_misses_the_bar_counts_as_the_budget_and_one_that_diverged_as_no_success(tmp_path):
    capstone = task.load(begun(tmp_path))
    results = [made_up(seed, solved_at=at) for seed, at in enumerate([200, 300, None, None])]
    results.append(made_up(4, solved_at=None, ended="diverged", held_out=None))
    success, steps = grade._scores(capstone, results)
    assert success.result.measured.value == pytest.approx(0.9 * 4 / 5)
    assert success.score == pytest.approx(0.4 + 10 * (0.72 - 0.4))
    assert steps.result.measured.value == 400, "half of the seeds missed the bar"
    assert steps.score == pytest.approx(1.0)
    assert grade._tolerated(tmp_path, capstone, results[4:]) == "none, for every run diverged"
    _, early = grade._scores(capstone, [made_up(seed, solved_at=100) for seed in range(5)])
    assert early.score == pytest.approx(1.0 + 10 * 1.0), "half of the lower end is a doubling outside"
