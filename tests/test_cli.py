"""The command line as a person meets it: a sentence and an exit code for every mistake, JSON where asked."""

import errno
import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from wellposed import cli
from wellposed.cli import main
from wellposed.commands.arguments import parse_integer
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
WELLPOSED = [sys.executable, "-m", "wellposed"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished tiny run."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["train", "FetchReach-v4", *TINY, "--runs-dir", str(folder), "--quiet"]) == 0
    (path,) = folder.iterdir()
    return path


def says(capsys) -> str:
    return capsys.readouterr().err


@pytest.mark.slow
def test_the_last_line_of_training_is_the_runs_path(tmp_path, capsys):
    assert main(["train", "FetchReach-v4", *TINY, "--seeds", "1,3", "--runs-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [Path(line).name[-3:] for line in lines] == ["_s1", "_s3"]
    assert all(RunReader(Path(line)).status == "finished" for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("named", [["--algo", "td3"], ["--algo=td3"]])
def test_another_algorithm_is_trained_with_its_own_settings(tmp_path, capsys, named):
    argv = ["train", *named, "FetchReach-v4", "--agent.policy-delay", "3", *TINY, "--total-steps", "400"]
    assert main([*argv, "--runs-dir", str(tmp_path), "--quiet"]) == 0
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("FetchReach-v4_td3_")
    assert RunReader(path).config["agent"]["policy_delay"] == 3
    assert "train/actor_loss" in RunReader(path).metrics[-1].metrics
    assert main(["eval", str(path), "--episodes", "2"]) == 0
    assert "FetchReach-v4: " in capsys.readouterr().out


def test_help_shows_the_settings_of_the_algorithm_that_is_named(capsys):
    shown = {}
    for algo in ("sac", "td3"):
        with pytest.raises(SystemExit) as stop:
            main(["train", "FetchReach-v4", "--algo", algo, "--help"])
        assert stop.value.code == 0
        shown[algo] = capsys.readouterr().out
    for algo, own in (("sac", "--agent.temperature"), ("td3", "--agent.policy-delay")):
        assert [name for name, text in shown.items() if own in text] == [algo]
    with pytest.raises(SystemExit) as stop:
        main(["train", "FetchReach-v4", "--agent.policy-delay", "3"])
    assert stop.value.code == 2, "it is no setting of SAC"


def test_help_names_the_environment_and_every_setting_of_it(capsys):
    for argv in (
        ["train", "--help"],
        ["train", "FetchPush-v4", "--help"],
        ["plan", "--seed", "1", "FetchPush-v4", "-h"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert stop.value.code == 0
        shown = capsys.readouterr().out
        assert re.search(r"^usage: .* ENV$", shown, re.MULTILINE)
        for option in (
            "--env.kwargs KEY=VALUE...",
            "--env.max-episode-steps",
            "--env.control.smoothing",
            "--env.sensors.noise",
        ):
            assert option in shown


@pytest.mark.slow
def test_everything_about_the_environment_can_be_said(tmp_path, capsys):
    """And the short name of the curriculum is that of its settings."""
    about = ["--env.max-episode-steps", "20", "--env.control.smoothing", "0.5", "--env.sensors.noise", "0.01"]
    about += ["--curriculum.kind", "linear", "--env.curriculum.reach", "0.5"]
    assert main(["train", "FetchPush-v4", *TINY, *about, "--quiet", "--runs-dir", str(tmp_path)]) == 0
    (path,) = tmp_path.iterdir()
    env = RunReader(path).config["env"]
    assert (env["id"], env["max_episode_steps"], env["sensors"]) == ("FetchPush-v4", 20, {"noise": 0.01})
    assert env["control"]["smoothing"] == 0.5
    assert (env["curriculum"]["kind"], env["curriculum"]["reach"]) == ("linear", 0.5)
    capsys.readouterr()
    assert main(["train", "FetchPush-v4", "--env.kwargs", "a=1", "--runs-dir", str(tmp_path / "b")]) == 1
    assert "--env.kwargs does not fit FetchPush-v4: got an unexpected keyword argument 'a'" in says(capsys)


@pytest.mark.slow
def test_evaluation_writes_the_promised_keys(run, tmp_path, capsys):
    file = tmp_path / "eval.json"
    assert main(["eval", str(run), "--episodes", "6", "--seed", "2", "--json", str(file)]) == 0
    data = json.loads(file.read_text())
    assert {"success_rate", "success_ci95", "already_solved_rate", "episodes", "per_episode", "random"} <= data.keys()
    assert data["episodes"] == len(data["per_episode"]) == 6
    assert "FetchReach-v4: " in capsys.readouterr().out
    assert main(["eval", str(run), "--episodes", "6", "--seed", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == data, "the same seed must give the same episodes"


def test_evaluation_under_noise_says_so_and_repeats(run, capsys):
    found = []
    for noise in ("0", "0.03", "0.03"):
        assert main(["eval", str(run), "--episodes", "3", "--noise", noise, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    clean, noisy, again = found
    assert (clean["noise"], noisy["noise"]) == (0.0, 0.03)
    assert noisy == again
    assert noisy["per_episode"] != clean["per_episode"]
    assert noisy["random"] == clean["random"]
    assert main(["eval", str(run), "--episodes", "3", "--noise", "0.03"]) == 0
    assert "FetchReach-v4, positions off by 30 mm: " in capsys.readouterr().out
    assert main(["eval", str(run), "--noise", "-1"]) == 1
    assert "--noise is a length in goal units, 0 or more, got -1.0" in says(capsys)


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
    "words",
    [
        *("status", "collect", "launch", "experiment", "diagnose", "report", "eval", "rows", "resume", "reproduce"),
        *("robustness", "export", "video", "chapter list --chapters", "reality show", "capstone verify"),
    ],
)
def test_a_path_that_the_system_refuses_is_a_sentence(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words.split(), "x" * 5000]) == 1
    assert "File name too long" in says(capsys)


def test_an_error_of_the_system_that_is_no_refusal_shows_where_it_is(monkeypatch):
    def fails(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor", "x")

    monkeypatch.setattr(cli, "_run", fails)
    with pytest.raises(OSError, match="Bad file descriptor"):
        main(["runs"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train"], "Name the environment"),
        (["train", "FetchReech-v4"], "Did you mean FetchReach-v4"),
        (["train", "--seed", "1", "FetchReech-v4"], "Did you mean FetchReach-v4"),
        (["train", ""], "There is no environment ''"),
        (["train", "--runs-dir", "runs-v2", "FetchReech-v4"], "Did you mean FetchReach-v4"),
        (["train", ":X-v0"], ":X-v0 is no environment: write MODULE:NAME"),
        (["train", "CartPole-v1"], "not a well-posed goal environment"),
        (["train", "FetchReach-v4", "--total-steps", "-5"], "--total-steps must be greater than 0"),
        (["train", "FetchReach-v4", "--seeds", "4-1"], "--seeds takes distinct seeds"),
        (["train", "FetchReach-v4", "--algo", "nonsense"], "There is no algorithm 'nonsense'; there are sac, td3"),
        (["train", "FetchReach-v4", "--algo=nonsense", "--help"], "There is no algorithm 'nonsense'"),
        (["train", "--algo", "td3"], "Name the environment"),
        (["train", "FetchReach-v4", "--algo", "td3", "--agent.policy-delay", "0"], "--agent.policy-delay must be"),
        (["eval", "nowhere"], "not a run directory"),
        (["report", "nowhere"], "not a run directory"),
        (["report"], "Name at least one run directory"),
        (["envs", "--tag", "soft"], "No environment has the tag"),
        (["reprot"], "There is no command `wellposed reprot`; did you mean 'report'?"),
        (["trian", "FetchReach-v4"], "did you mean 'train'?"),
        (["fly"], "There is no command `wellposed fly`. There are train, plan, "),
        (["chapter", "veriffy", "4"], "There is no command `wellposed chapter veriffy`; did you mean 'verify'?"),
        (["exercise", "chek"], "There is no command `wellposed exercise chek`; did you mean 'check'?"),
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
    ("options", "message"),
    [
        (["--foo"], "--foo"),
        (["--seed", "x"], "'x' is not a whole number"),
        (["--total-steps", "1.5"], "'1.5' is not a whole number"),
        (["--total-steps", "1e-1"], "'1e-1' is not a whole number"),
        (["--total-steps", "1e400"], "'1e400' is not a whole number"),
        (["--agent.hidden", "64", "6.45e1"], "6.45e1"),
    ],
)
def test_an_option_that_cannot_be_read_exits_with_2(options, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "FetchReach-v4", *options])
    assert stop.value.code == 2
    assert message in says(capsys)


def test_every_integer_may_be_written_in_scientific_notation(tmp_path):
    short = ["--total-steps", "2e2", "--eval-every", "2e+2", "--agent.hidden", "8", "0.8e1", "--replay.capacity", "1e3"]
    assert main(["train", "FetchReach-v4", *TINY, *short, "--quiet", "--runs-dir", str(tmp_path)]) == 0
    (path,) = tmp_path.iterdir()
    config = RunReader(path).config
    found = config["total_steps"], config["eval_every"], *config["agent"]["hidden"], config["replay"]["capacity"]
    assert found == (200, 200, 8, 8, 1000)
    assert {type(value) for value in found} == {int}


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("-1", -1), ("1_000", 1000), ("1e5", 100_000), ("2.5E3", 2500), ("-1e1", -10)]
)
def test_an_integer_is_read_as_it_is_written(text, value):
    found = parse_integer(text)
    assert found == value
    assert type(found) is int


@pytest.mark.parametrize("text", ["1.5", "1e-5", "nan", "inf", "1e400", "1e16", "", "e5", "0x10"])
def test_what_is_no_integer_or_is_beyond_what_a_float_holds_is_refused(text):
    with pytest.raises(ValueError, match="is not a whole number"):
        parse_integer(text)


@pytest.mark.slow
def test_a_module_and_a_script_are_the_same_command_line():
    module = [sys.executable, "-m", "wellposed"]
    script = [sys.executable, "-c", "import sys; from wellposed.cli import main; sys.exit(main())"]
    for argv in (["--version"], ["exercise", "lst"], ["exercise", "list"]):
        one, other = (subprocess.run([*way, *argv], capture_output=True, text=True) for way in (module, script))
        assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"wellposed {version('wellposed')}\n"


def test_a_run_under_another_name_is_refused(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "renamed")
    assert main(["eval", str(tmp_path / "renamed")]) == 1
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


def evaluated(folder: Path) -> bool:
    """Whether a run in the folder was evaluated once."""
    return any(file.stat().st_size for file in folder.glob("*/evaluations.jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_cleanly(tmp_path, number):
    argv = ["train", "FetchReach-v4", *TINY, "--total-steps", "100000000", "--eval-every", "100000000"]
    process = subprocess.Popen(
        [*WELLPOSED, *argv, "--runs-dir", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not evaluated(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2.0)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert out == ""
    (path,) = tmp_path.iterdir()
    assert f"interrupted and saved; resume with: wellposed resume {path}" in err
    assert RunReader(path).status == "interrupted"
    assert RunReader(path).load_checkpoint()[0].step > 0


@pytest.mark.slow
def test_runs_of_four_commands_in_one_directory_all_end_each_with_its_own(tmp_path):
    """Four commands at once with three runs each, two of them at a time."""
    argv = [*WELLPOSED, "train", "FetchReach-v4", *TINY, "--threads", "2", "--quiet", "--runs-dir", str(tmp_path)]
    shares = ("0-2", "3-5", "6-8", "9-11")
    processes = [subprocess.Popen([*argv, "--seeds", s], stdout=subprocess.PIPE, text=True) for s in shares]
    told = [line for process in processes for line in process.communicate(timeout=240)[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 4
    readers = [RunReader(Path(line)) for line in told]
    assert sorted(reader.config["seed"] for reader in readers) == list(range(12))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(reader.path.name for reader in readers)
    assert all(reader.status == "finished" and reader.evaluations[-1].step == 200 for reader in readers)


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once_and_the_run_can_still_be_taken_up(tmp_path):
    """The evaluation takes minutes; nobody waits for it."""
    argv = ["train", "FetchReach-v4", *TINY, "--eval-episodes", "20000", "--quiet", "--runs-dir", str(tmp_path)]
    process = subprocess.Popen([*WELLPOSED, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/evaluations.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2.0)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.001)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - began < 5
    (path,) = tmp_path.iterdir()
    assert RunReader(path).status == "interrupted"


@pytest.mark.slow
def test_an_interrupted_run_goes_on_where_it_was(tmp_path, capsys):
    argv = ["train", "FetchReach-v4", *TINY, "--total-steps", "4000", "--eval-every", "2000"]
    process = subprocess.Popen([*WELLPOSED, *argv, "--runs-dir", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not evaluated(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    (path,) = tmp_path.iterdir()
    assert main(["train", *argv[1:], "--runs-dir", str(tmp_path)]) == 1
    assert f"or resume it: `wellposed resume {path}`" in says(capsys)
    assert main(["resume", str(path), "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    summary = RunReader(path).summary
    assert summary is not None
    assert (summary.stop_reason, summary.step) == ("budget", 4000)


def test_help_and_listing_do_not_wait_for_jax():
    code = "import sys; from wellposed.cli import main; main(['envs']); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def damage_truncated(run: Path) -> None:
    (arrays,) = (run / "checkpoints").glob("*_step_*200.safetensors")
    arrays.write_bytes(arrays.read_bytes()[:100])


def damage_pickle(run: Path) -> None:
    (arrays,) = (run / "checkpoints").glob("*_step_*200.safetensors")
    content = pickle.dumps({"weights": [1.0, 2.0]})
    arrays.write_bytes(content)
    manifest = json.loads(arrays.with_suffix(".json").read_text())
    manifest["state"] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    del manifest["digest"]
    arrays.with_suffix(".json").write_text(json.dumps(manifest))


def damage_edited(run: Path) -> None:
    data = json.loads((run / "config.json").read_text())
    data["config"]["agent"]["gamma"] = 0.5
    (run / "config.json").write_text(json.dumps(data))


def damage_newer(run: Path) -> None:
    data = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(data | {"schema": 99}))


def damage_half_written(run: Path) -> None:
    (run / "config.json").write_bytes((run / "config.json").read_bytes()[:50])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_truncated, "truncated"),
        (damage_pickle, "the only format that wellposed reads"),
        (damage_edited, "edited by hand"),
        (damage_newer, "schema 99, this version reads"),
        (damage_half_written, "incomplete or was edited by hand"),
    ],
)
def test_a_damaged_run_is_refused_with_the_reason_and_exit_code_1(run, tmp_path, capsys, damage, message):
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    damage(copy)
    assert main(["eval", str(copy), "--episodes", "2"]) == 1
    error = says(capsys)
    assert message in error
    assert "Traceback" not in error
    assert RunReader(copy).evaluations[-1].step == 200  # what was recorded before stays readable


@pytest.mark.slow
def test_a_run_that_another_process_writes_is_refused(tmp_path):
    """Two processes, one configuration: the second gets a sentence with the first one's number, and exit code 1."""
    argv = [*WELLPOSED, "train", "FetchReach-v4", *TINY, "--total-steps", "100000000", "--runs-dir", str(tmp_path)]
    first = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*/config.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        second = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    finally:
        first.kill()
        first.wait()
    assert second.returncode == 1
    assert f"is being written by process {first.pid} on " in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.slow
def test_a_disk_that_fills_ends_training_with_a_sentence_and_keeps_the_record(tmp_path):
    """The largest size a file may have stands in for the disk; rows fit under it for a while, then no more."""
    code = (
        "import resource, signal, sys; from wellposed.cli import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); sys.exit(main(sys.argv[1:]))"
    )
    argv = ["train", "FetchReach-v4", *TINY, "--total-steps", "100000", "--eval-every", "40", "--quiet"]
    argv += ["--eval-episodes", "1", "--agent.hidden", "2", "--runs-dir", str(tmp_path)]
    result = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, timeout=120)
    assert result.returncode == 1, result.stderr
    assert "What was recorded before is intact" in result.stderr
    assert "Traceback" not in result.stderr
    (path,) = tmp_path.iterdir()
    reader = RunReader(path)
    assert len(reader.evaluations) > 5
    assert reader.status == "interrupted"
    assert main(["eval", str(path), "--episodes", "2", "--json", str(tmp_path / "e.json")]) == 0


@pytest.mark.parametrize(("wished", "code"), [("nonsense", 1), ("off", 0)])
def test_an_opengl_that_mujoco_does_not_know_is_a_sentence(wished, code):
    asked = os.environ | {"MUJOCO_GL": wished}
    done = subprocess.run([*WELLPOSED, "envs"], capture_output=True, text=True, env=asked, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert ("MUJOCO_GL=nonsense" in done.stderr) == bool(code)
