"""A manifest on this machine: killed, damaged, launched twice; nothing is lost and nothing is done twice."""

import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.records import unequal
from wellposed.cli import main
from wellposed.launch import local, work
from wellposed.launch.manifest import load_experiment
from wellposed.launch.rows import Folder, make_folder, row_of
from wellposed.launch.states import state_of, states
from wellposed.progress import TrainingProgress
from wellposed.runs import lock
from wellposed.runs.store import RunReader
from wellposed.training import train

MANIFEST = """
title = "Does a wider network help?"
env = "FetchReach-v4"
seeds = "0-1"
until_success = 1.0
[base]
total_steps = 840
num_envs = 4
random_steps = 200
eval_every = 300
eval_episodes = 4
updates_per_call = 4
"agent.hidden" = [16, 16]
"agent.batch_size" = 32
[variants.narrow]
[variants."no mirror"]
"agent.mirror" = false
"""
QUIET = TrainingProgress(True)


def kill_one_that_has_begun(runs: Path, killed: list[int]) -> None:
    """Kill the process of the first run that has a checkpoint, as a lack of memory would."""
    while not (found := list(runs.glob("*/checkpoints/*.json"))):
        time.sleep(0.02)
    killed.append(int(lock.owner(found[0].parent.parent / "lock") or 0))
    os.kill(killed[0], signal.SIGKILL)


@pytest.fixture(scope="module")
def launched(tmp_path_factory) -> tuple[Path, list[int]]:
    """A manifest of four runs that was launched, one of whose processes was killed in the middle."""
    folder, killed = tmp_path_factory.mktemp("launch"), list[int]()
    (folder / "push.toml").write_text(MANIFEST)
    threading.Thread(target=kill_one_that_has_begun, args=(folder / "out" / "runs", killed), daemon=True).start()
    assert main(["launch", str(folder / "push.toml"), "--out", str(folder / "out"), "--threads", "2", "--quiet"]) == 0
    return folder / "out", killed


@pytest.mark.slow
def test_all_runs_end_as_if_each_had_been_trained_alone_and_undisturbed(launched, tmp_path):
    folder, killed = Folder(launched[0]), launched[1]
    assert states(folder.runs, folder.rows) == ["finished"] * 4
    assert killed
    assert sum(len(RunReader(folder.runs / row.name).provenance.resumed) for row in folder.rows) == 1
    configs = load_experiment(folder.path / "manifest.toml").runs()["narrow"]
    for config in configs:
        alone, _ = train(config, tmp_path, quiet=True)
        assert unequal(folder.runs / alone.name, alone) == set()


@pytest.mark.slow
def test_each_process_had_a_core_of_its_own_and_its_record_names_the_command(launched):
    folder = Folder(launched[0])
    origins = [RunReader(folder.runs / row.name).provenance for row in folder.rows]
    given = [(origin.threads, origin.cores) for origin in origins]
    assert given.count((2, 2)) <= 1  # the last run, if it began when nothing waited for the other core
    assert {*given} - {(2, 2)} <= {(1, 1), (1, 2)}  # (1, 2): on a machine of one core
    assert {tuple(origin.command) for origin in origins} == {tuple(folder.command)}


@pytest.mark.slow
def test_a_finished_manifest_starts_nothing(launched, monkeypatch, capsys):
    monkeypatch.setattr("wellposed.launch.options.importlib.import_module", None)
    manifest = launched[0].parent / "push.toml"
    assert main(["launch", str(manifest), "--out", str(launched[0])]) == 0
    assert capsys.readouterr().out.splitlines() == [str(launched[0])]


@pytest.mark.slow
def test_status_and_collect_say_what_there_is(launched, capsys):
    assert main(["status", str(launched[0]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"finished": 4, "running": 0, "interrupted": 0, "failed": 0, "pruned": 0, "waiting": 0}
    assert (found["under_way"], found["seconds_left"], found["errors"]) == ([], None, {})
    assert found["core_hours"] > 0
    manifest = str(launched[0].parent / "push.toml")
    assert main(["status", manifest, "--runs-dir", str(launched[0] / "runs"), "--live"]) == 0
    assert "4 finished" in capsys.readouterr().out
    assert main(["collect", str(launched[0])]) == 0
    narrow, other, file, *_ = capsys.readouterr().out.splitlines()
    assert narrow.startswith("narrow: 2 of 2 runs ended, ")
    assert other.startswith("no mirror: 2 of 2 runs ended, ")
    assert [answer["variant"] for answer in json.loads(Path(file).read_text())["answers"]] == (
        ["narrow"] * 2 + ["no mirror"] * 2
    )


@pytest.mark.slow
def test_what_has_not_ended_is_missing_from_what_is_collected(launched, tmp_path, capsys):
    (tmp_path / "push.toml").write_text((launched[0].parent / "push.toml").read_text())
    folder = make_folder(tmp_path, Folder(launched[0]).rows, [])
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / folder.rows[0].name).symlink_to(launched[0] / "runs" / folder.rows[0].name)
    assert main(["collect", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("narrow: 1 of 2 runs ended")
    assert "no mirror: 0 of 2 runs ended, 0 solved\n" in out
    assert "3 of 4 runs have not ended yet" in err


@pytest.mark.slow
def test_a_row_is_done_once_and_by_one_process(launched, tmp_path, monkeypatch):
    folder = make_folder(tmp_path, Folder(launched[0]).rows[:1], ["wellposed"], launched[0] / "runs")
    monkeypatch.setattr(work, "train_recorded", None)
    row = folder.rows[0]
    path = folder.runs / row.name
    assert work.main([str(tmp_path), "0"]) == work.DONE
    (path / "summary.json").rename(tmp_path / "kept")
    held = lock.acquire(path / "lock")
    assert work.main([str(tmp_path), "0"]) == work.HELD
    held.release()
    (tmp_path / "kept").rename(path / "summary.json")


@pytest.mark.slow
def test_a_run_that_somebody_else_writes_is_waited_for(launched, tmp_path):
    """And taken up if they die. Here they finish."""
    source = Folder(launched[0])
    folder = make_folder(tmp_path, source.rows[:1], [], source.runs)
    path = source.runs / source.rows[0].name
    (path / "summary.json").rename(tmp_path / "kept")
    held = lock.acquire(path / "lock")

    def finish() -> None:
        time.sleep(1.0)
        (tmp_path / "kept").rename(path / "summary.json")
        held.release()

    crew = local.Crew(folder, {0: source.rows[0]}, [], QUIET, work.NONE)
    crew.waiting.clear()
    crew.elsewhere.add(0)
    threading.Thread(target=finish).start()
    ended = []
    while crew.busy([]):
        ended += crew.look([])
        time.sleep(0.05)
    assert ended == source.rows[:1]


@pytest.mark.slow
def test_a_run_that_cannot_be_trained_is_named_and_the_reason_is_kept(tmp_path, capsys):
    config = load_experiment(_manifest(tmp_path)).runs()["narrow"][0]
    lost = row_of("lost", replace(config, demonstrations=str(tmp_path / "nowhere.npz")))
    folder = make_folder(tmp_path / "out", [lost], ["wellposed"])
    assert work.main([str(folder.path), "0", "--quiet"]) == work.FAILED
    assert "nowhere.npz" in capsys.readouterr().err
    assert "nowhere.npz" in folder.errors[lost.name]
    assert state_of(folder.runs, lost) == "waiting"


WORKER = """
import os, socket, sys
index, line = sys.argv[1], socket.socket(fileno=int(sys.argv[sys.argv.index("--more") + 1])).makefile("rw")
while index:
    with open(os.path.join(os.path.dirname(__file__), "done"), "a") as done:
        done.write(f"{os.getpid()} {index}\\n")
    line.write("1\\n" if index == "1" else "0\\n")
    line.flush()
    index = line.readline().strip()
"""


def test_a_process_goes_on_with_the_next_run_of_its_recipe_and_a_failure_ends_nothing(tmp_path, monkeypatch):
    configs = load_experiment(_manifest(tmp_path)).runs()
    config, other = configs["narrow"][0], configs["no mirror"][0]
    rows = [row_of("a", config), row_of("a", replace(config, seed=1)), row_of("b", other)]
    rows += [row_of("a", replace(config, seed=2))]
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setattr(work, "command", lambda _, index: [sys.executable, str(tmp_path / "worker.py"), str(index)])
    crew = local.Crew(make_folder(tmp_path / "out", rows, []), dict(enumerate(rows)), [(0,)], QUIET, work.NONE)
    ended = []
    while crew.busy([]):
        ended += crew.look([])
        time.sleep(0.01)
    done = [line.split() for line in (tmp_path / "done").read_text().splitlines()]
    assert [index for _, index in done] == ["0", "1", "3", "2"]
    assert done[0][0] == done[1][0] == done[2][0] != done[3][0]
    assert ended == [rows[0], rows[3], rows[2]]
    assert len(crew.errors) == 1  # of row 1
    assert crew.free == [(0,)]


def test_an_interrupted_row_is_the_last_that_its_process_does():
    codes = {3: work.DONE, 5: work.HELD, 4: work.INTERRUPTED}
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"5\n4\n9\n")
        assert work.do_more(3, theirs, codes.__getitem__) == work.INTERRUPTED
        assert ours.recv(64) == b"0\n75\n"


def test_a_run_that_dies_at_the_same_point_each_time_is_given_up(tmp_path):
    config = load_experiment(_manifest(tmp_path)).runs()["narrow"][0]
    row = row_of("", config)
    crew = local.Crew(make_folder(tmp_path / "out", [row], []), {0: row}, [], QUIET, work.NONE)
    crew.waiting.clear()
    for _ in range(local.DEATHS - 1):
        crew._died(0, row, -signal.SIGKILL)
    assert (list(crew.waiting), crew.errors) == ([0] * (local.DEATHS - 1), [])
    checkpoints = tmp_path / "out" / "runs" / row.name / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "000001.json").touch()
    crew._died(0, row, -signal.SIGKILL)  # it got further
    assert crew.errors == []
    for _ in range(local.DEATHS - 1):
        crew._died(0, row, -signal.SIGKILL)
    assert "died 5 times without a new checkpoint (SIGKILL)" in crew.errors[0]


def _manifest(folder: Path) -> Path:
    (folder / "push.toml").write_text(MANIFEST)
    return folder / "push.toml"
