"""Slurm and Ray: what is submitted, and that a death of anything leaves every run as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.torture_launch import KINDS, Launch, faults, missing, undisturbed, write_manifest
from wellposed.errors import UserError
from wellposed.launch import slurm
from wellposed.launch.manifest import read_manifest
from wellposed.launch.options import Options, execute
from wellposed.launch.rows import Folder, make_folder
from wellposed.launch.work import FAILED, HELD, INTERRUPTED

KILLED = 128 + signal.SIGKILL
FAKE = """\
#!/bin/sh
echo "$(basename "$0") $*" >> "$FAKE_LOG"
case "$(basename "$0") $*" in
    "scontrol show config") echo "MaxArraySize            = 2" ;;
    squeue*) echo "$FAKE_QUEUE" ;;
    sbatch*) [ -z "$FAKE_REFUSAL" ] || { echo "$FAKE_REFUSAL" >&2; exit 1; }; cat > /dev/null; echo "7;here" ;;
esac
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A Slurm that only says what it was asked, and has arrays of two indices."""
    for name in ("sbatch", "squeue", "scontrol"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(FAKE)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name, value in {"LOG": tmp_path / "asked", "QUEUE": "", "REFUSAL": ""}.items():
        monkeypatch.setenv(f"FAKE_{name}", str(value))
    return tmp_path / "asked"


def folder_of(place: Path, runs: int) -> Folder:
    write_manifest(place / "manifest.toml", runs, 840)
    return make_folder(place / "folder", read_manifest(place / "manifest.toml").rows, ["test"])


def submissions(asked: Path) -> list[list[str]]:
    return [line.split()[1:] for line in asked.read_text().splitlines() if line.startswith("sbatch")]


def test_indices_are_written_as_ranges():
    assert slurm.as_ranges([0, 1, 2, 4, 7, 8]) == "0-2,4,7-8"
    assert slurm.as_ranges([]) == ""


def test_rows_are_submitted_in_arrays_as_large_as_the_cluster_allows(fake, tmp_path, capsys):
    folder = folder_of(tmp_path, 5)
    slurm.launch(folder.path, [0, 1, 3, 4], Options(3, words=("partition=long", "--time=1:00:00")))
    found = submissions(fake)
    name = slurm.job_name(folder.path)
    asked = {"--requeue", "--cpus-per-task=3", "--partition=long", "--time=1:00:00"}
    assert all(asked <= {*words} for words in found)
    named = [(words[2], words[-1]) for words in found]
    assert named == [
        (f"--job-name={name}+{first}", f"--array={indices}") for first, indices in [(0, "0-1"), (2, "1"), (4, "0")]
    ]
    assert "Slurm's job 7 does 2 rows from row 0 on." in capsys.readouterr().out


def test_rows_that_are_queued_or_running_are_not_submitted_again(fake, tmp_path, monkeypatch):
    folder = folder_of(tmp_path, 5)
    name = slurm.job_name(folder.path)
    monkeypatch.setenv("FAKE_QUEUE", f"{name}+2 1\nanother+2 0\n{name}x+0 0\n")
    monkeypatch.setattr(slurm, "states", lambda _runs, rows: ["running", *["waiting"] * (len(rows) - 1)])
    slurm.launch(folder.path, [0, 1, 2, 3, 4], Options(1))
    assert [words[-1] for words in submissions(fake)] == ["--array=1", "--array=0", "--array=0"]


@pytest.mark.usefixtures("fake")
def test_what_slurm_refuses_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_REFUSAL", "sbatch: error: invalid partition specified: long")
    with pytest.raises(UserError, match="sbatch refused: sbatch: error: invalid partition specified: long"):
        slurm.launch(folder_of(tmp_path, 1).path, [0], Options(1))


def test_where_there_is_no_scheduler_the_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no sbatch here"):
        execute("slurm", tmp_path, [0], Options(1))
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "wellposed.launch.ray_cluster", raising=False)
    with pytest.raises(UserError, match=r"--on ray needs ray, which is not installed: pip install 'wellposed\[ray\]'"):
        execute("ray", tmp_path, [0], Options(1))


@pytest.mark.parametrize("code", [0, FAILED, INTERRUPTED])
def test_a_worker_that_has_ended_before_it_is_waited_for_is_not_started_again(fake, tmp_path, code):
    job = slurm.JOB.format(
        first=0, logs=tmp_path, command=f"sh -c 'exit {code}'", threads=1, held=HELD, restarts=slurm.RESTARTS
    )
    late = job.replace("worker=$!\n", "worker=$!\nsleep 0.1\n")
    assert late != job
    slurms = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_JOB_ID": "12"}
    assert subprocess.run(["sh", "-c", late], env=os.environ | slurms).returncode == code
    assert not fake.exists()


@pytest.mark.parametrize(
    ("code", "sent", "restarts", "again"),
    [
        (0, None, 0, False),
        (FAILED, None, 0, False),
        (HELD, None, 0, True),
        (INTERRUPTED, "USR1", 0, True),  # the time limit comes
        (INTERRUPTED, "TERM", 0, False),  # cancelled: a person wants it to stop
        (INTERRUPTED, None, 0, False),
        (KILLED, None, slurm.RESTARTS - 1, True),
        (KILLED, None, slurm.RESTARTS, False),  # it never gets anywhere
    ],
)
def test_a_job_goes_back_into_the_queue_if_and_only_if_it_is_to_go_on(fake, tmp_path, code, sent, restarts, again):
    """The job that is submitted, with a worker that ends as told, once a signal has come to it where one is sent."""
    worker = tmp_path / "worker.sh"
    end = "kill -KILL $$" if code == KILLED else f"exit {code}"
    wait = f"touch {tmp_path}/ready; while true; do sleep 0.05; done" if sent else ""
    worker.write_text(f"trap '{end}' TERM\necho row $1\n{wait}\n{end}\n")
    job = slurm.JOB.format(
        first=4, logs=tmp_path, command=f"sh {worker}", threads=1, held=HELD, restarts=slurm.RESTARTS
    )
    slurms = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_JOB_ID": "12", "SLURM_RESTART_COUNT": str(restarts)}
    with subprocess.Popen(["sh", "-c", job], env=os.environ | slurms, start_new_session=True) as process:
        if sent:
            while not (tmp_path / "ready").exists():
                time.sleep(0.01)
            if sent == "USR1":
                process.send_signal(signal.SIGUSR1)  # the batch shell alone is told
            else:
                os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode == code
    assert (tmp_path / "7.txt").read_text().startswith("row 7\n")
    asked = fake.read_text() if fake.exists() else ""
    assert asked == ("scontrol requeue 12_3\n" if again else "")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Three runs that nothing disturbed: their manifest, their names, their directory."""
    place = tmp_path_factory.mktemp("whole")
    names = write_manifest(place / "manifest.toml", 3, 1680)
    undisturbed(place / "manifest.toml", place / "runs")
    return place / "manifest.toml", names, place / "runs"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_node_and_the_schedulers_database_die_and_every_run_ends_as_if_they_had_not(kind, whole, tmp_path_factory):
    """The same manifest gives the same records on this machine, on Slurm and on Ray."""
    if kind != "local" and (why := missing(kind)):
        pytest.skip(f"{why}.")
    manifest, names, runs = whole
    place = tmp_path_factory.mktemp("c", numbered=True)
    deaths = {"local": ["worker", "launcher"], "slurm": ["node", "scheduler"], "ray": ["node", "scheduler"]}[kind]
    with KINDS[kind](Path("/tmp") / f"wp-{os.getpid()}-{kind}") as here:
        launch = Launch(here, manifest, place / "folder", random.Random(0))
        deadline = time.monotonic() + 900
        while not launch.is_done():
            launch.go_on()
            if deaths and launch.is_training() and launch.strike(deaths[0]):
                deaths.pop(0)
            assert time.monotonic() < deadline, (place / "launcher.txt").read_text()
            time.sleep(0.5)
        launch.end()
    assert not deaths
    assert faults(place / "folder", runs, names) == []
