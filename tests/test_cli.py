"""The command line as a person meets it: a sentence and an exit code for every mistake, JSON where asked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wellposed.cli import main, parse_seeds
from wellposed.errors import UserError
from wellposed.runs.store import RunReader

TINY = [
    "--total-steps",
    "200",
    "--num-envs",
    "4",
    "--random-steps",
    "200",
    "--eval-every",
    "200",
    "--eval-episodes",
    "4",
]
TINY += ["--agent.hidden", "8", "8", "--agent.batch-size", "16"]
WELLPOSED = [sys.executable, "-m", "wellposed.cli"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished tiny run."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["train", "FetchReach-v4", *TINY, "--runs-dir", str(folder), "--quiet"]) == 0
    (path,) = folder.iterdir()
    return path


def says(capsys) -> str:
    return capsys.readouterr().err


def test_the_last_line_of_training_is_the_runs_path(tmp_path, capsys):
    assert main(["train", "FetchReach-v4", *TINY, "--seeds", "1,3", "--runs-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [Path(line).name[-3:] for line in lines] == ["_s1", "_s3"]
    assert all(RunReader(Path(line)).status == "finished" for line in lines)


def test_evaluation_writes_the_promised_keys(run, tmp_path, capsys):
    file = tmp_path / "eval.json"
    assert main(["eval", str(run), "--episodes", "6", "--seed", "2", "--json", str(file)]) == 0
    data = json.loads(file.read_text())
    assert {"success_rate", "success_ci95", "already_solved_rate", "episodes", "per_episode", "random"} <= data.keys()
    assert data["episodes"] == len(data["per_episode"]) == 6
    assert "FetchReach-v4: " in capsys.readouterr().out
    assert main(["eval", str(run), "--episodes", "6", "--seed", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == data, "the same seed must give the same episodes"


def test_lists_are_data_where_asked(run, capsys):
    assert main(["envs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"FetchReach-v4", "FetchPickAndPlaceDense-v4"} <= {row["id"] for row in listed}
    assert main(["envs", "--tag", "dense"]) == 0
    assert "FetchReach-v4" not in capsys.readouterr().out
    assert main(["runs", "--runs-dir", str(run.parent), "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"] == "finished"
    assert row["last"]["step"] == 200


def test_a_damaged_run_is_listed_as_damaged(tmp_path, capsys):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.json").write_text("{")
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    assert "damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train"], "Name the environment"),
        (["train", "FetchReech-v4"], "Did you mean FetchReach-v4"),
        (["train", "--seed", "1", "FetchReech-v4"], "Did you mean FetchReach-v4"),
        (["train", "CartPole-v1"], "not a well-posed goal environment"),
        (["train", "FetchReach-v4", "--total-steps", "-5"], "--total-steps must be greater than 0"),
        (["train", "FetchReach-v4", "--seeds", "4-1"], "--seeds takes distinct seeds"),
        (["eval", "nowhere"], "not a run directory"),
        (["report", "nowhere"], "not a run directory"),
        (["envs", "--tag", "soft"], "No environment has the tag"),
    ],
)
def test_a_mistake_gets_a_sentence_and_exit_code_1(tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 1
    error = says(capsys)
    assert message in error
    assert error.startswith("wellposed: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "argv", [["train", "FetchReach-v4", "--foo"], ["train", "FetchReach-v4", "--seed", "x"], ["fly"]]
)
def test_an_unknown_option_or_word_exits_with_2(argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2


def test_evaluating_a_run_that_was_tampered_with_is_refused(run, tmp_path, capsys):
    import shutil

    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    (arrays,) = (copy / "checkpoints").glob("step_*200.safetensors")
    arrays.write_bytes(arrays.read_bytes()[:100])
    assert main(["eval", str(copy)]) == 1
    assert "truncated" in says(capsys)
    moved = tmp_path / "renamed"
    shutil.copytree(run, moved)
    assert main(["eval", str(moved)]) == 1
    assert "edited by hand or moved" in says(capsys)


def test_training_into_a_taken_directory_is_refused(run, capsys):
    assert main(["train", "FetchReach-v4", *TINY, "--runs-dir", str(run.parent), "--quiet"]) == 1
    assert "two runs are never mixed" in says(capsys)


def test_a_place_that_cannot_be_written_is_refused(capsys):
    assert main(["train", "FetchReach-v4", *TINY, "--runs-dir", "/proc/nowhere", "--quiet"]) == 1
    assert "Could not create" in says(capsys)


def test_episodes_or_seeds_out_of_range_are_refused(run, capsys):
    for bad in (["--episodes", "0"], ["--seed", "-1"]):
        assert main(["eval", str(run), *bad]) == 1
        assert "must be at least 1" in says(capsys)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_cleanly(tmp_path, number):
    argv = ["train", "FetchReach-v4", *TINY, "--total-steps", "100000000", "--eval-every", "100000000"]
    process = subprocess.Popen(
        [*WELLPOSED, *argv, "--runs-dir", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/evaluations.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2.0)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    reader = RunReader(Path(out.strip().splitlines()[-1]))
    assert reader.summary is not None
    assert reader.summary.stop_reason == "interrupted"


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("0,2,5", [0, 2, 5]), ("7", [7]), ("0-1,5", [0, 1, 5])]
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1,1", "3-1", "-1"])
def test_seeds_that_make_no_sense_are_refused(text):
    with pytest.raises(UserError):
        parse_seeds(text)


def test_help_and_listing_do_not_wait_for_jax():
    code = "import sys; from wellposed.cli import main; main(['envs']); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
