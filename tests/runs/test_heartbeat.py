"""Two machines on one directory, where the system's locks are not seen from one to the other."""

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runs.test_store import CONFIG, PROVENANCE, write_run
from tests.runs.test_trust import content, interrupted
from wellposed.errors import UserError
from wellposed.runs import heartbeat, lock
from wellposed.runs.heartbeat import STALE, Heartbeat, heartbeat_of, own_heartbeat
from wellposed.runs.record import MetricsRow, encode
from wellposed.runs.store import RunReader, run_name
from wellposed.runs.writer import ReplayRows, RunWriter, Snapshot

ELSEWHERE = Heartbeat(12, "beta", "another-boot", "pid:[1]", 345)
MOMENT = Snapshot(500, 50, 1.5, 0.5, {}, {}, ReplayRows(20, 20, 0, {}))


def no_lock(*_: object) -> None:
    """What flock does where it does nothing."""


def refused_lock(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture(params=["locks", "locks that mean nothing", "no locks"])
def locks(request, monkeypatch) -> str:
    if request.param != "locks":
        monkeypatch.setattr(fcntl, "flock", no_lock if "nothing" in request.param else refused_lock)
    return request.param


def name_owner(run: Path, owner: Heartbeat, age: float = 0.0) -> None:
    """Put an owner into the lock file of a run, whose last sign of life is `age` seconds old."""
    (run / "lock").write_text(owner.text)
    os.utime(run / "lock", (time.time() - age, time.time() - age))


def test_a_heartbeat_is_read_as_it_was_written(tmp_path):
    with RunWriter(tmp_path, CONFIG, PROVENANCE) as run:
        found = heartbeat_of(run.path)
        assert found is not None
        assert replace(found, beat=0.0) == own_heartbeat()
        assert (found.pid, found.host) == (os.getpid(), socket.gethostname())
        assert found.is_fresh(time.time())
    assert heartbeat_of(run.path) is None, "it was released"
    (run.path / "lock").write_text("process 7 on a host, of mine")
    assert heartbeat_of(run.path) == Heartbeat(7, "a host, of mine", "", "", 0, (run.path / "lock").stat().st_mtime)
    for text in ("", "process x on y", "\xff"):
        (run.path / "lock").write_text(text)
        assert heartbeat_of(run.path) is None
    assert heartbeat_of(tmp_path / "nowhere") is None


@pytest.mark.usefixtures("locks")
def test_a_process_of_another_machine_is_respected_until_it_was_silent_for_long(tmp_path):
    path = interrupted(tmp_path)
    for age in (0.0, STALE - 20, 20 - STALE):
        name_owner(path, ELSEWHERE, age)
        before = content(path)
        assert RunReader(path).status == "running"
        assert lock.owner(path / "lock") is None, "its number means nothing here"
        with pytest.raises(UserError, match=r"written by process 12 on beta.*look on beta whether it still runs"):
            RunWriter.reopen(path, PROVENANCE)
        assert content(path) == before
    for age in (STALE + 20, 1e7, -1e7):  # a time far in the future is no sign of life
        name_owner(path, ELSEWHERE, age)
        assert RunReader(path).status == "interrupted"
        with RunWriter.reopen(path, PROVENANCE) as run:
            run.go_on()


@pytest.mark.parametrize("wrong", [-1e6, 1e6])
def test_the_clock_of_this_machine_does_not_matter(tmp_path, monkeypatch, wrong):
    path, now = interrupted(tmp_path), time.time()
    name_owner(path, ELSEWHERE)
    monkeypatch.setattr(time, "time", lambda: now + wrong)
    with pytest.raises(UserError, match="look on beta"):
        RunWriter.reopen(path, PROVENANCE)
    assert not list(path.glob(".*")), "what told the time is left behind"


@pytest.mark.usefixtures("locks")
def test_on_this_machine_the_process_and_its_start_decide_where_locks_mean_nothing(tmp_path):
    path, mine = interrupted(tmp_path), own_heartbeat()
    with RunWriter.reopen(path, PROVENANCE):
        assert RunReader(path).status == "running"
        with pytest.raises(UserError, match=rf"being written by process {os.getpid()} on .*Wait for it to end"):
            RunWriter.reopen(path, PROVENANCE)
    ended = replace(mine, pid=2**22 + 1), replace(mine, start=mine.start - 1)  # no process, and another of that number
    for owner in ended:
        name_owner(path, owner)
        assert RunReader(path).status == "interrupted"
        with RunWriter.reopen(path, PROVENANCE):
            pass


def test_a_container_on_this_machine_is_known_by_its_lock_or_else_by_its_heartbeat(tmp_path, locks):
    path = interrupted(tmp_path)
    name_owner(path, replace(own_heartbeat(), pid=1, namespace="pid:[2]"))
    if locks == "locks":  # one kernel keeps them, so nobody holds it
        with RunWriter.reopen(path, PROVENANCE):
            pass
    else:
        with pytest.raises(UserError, match=r"process 1 on .* gave a sign of life"):
            RunWriter.reopen(path, PROVENANCE)


def test_a_zombie_has_ended():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert heartbeat.start_of(child.pid) is None
    child.wait()
    assert heartbeat.start_of(os.getpid()) == own_heartbeat().start


@pytest.mark.usefixtures("locks")
def test_a_run_that_was_closed_is_free_everywhere_at_once(tmp_path, monkeypatch):
    path = write_run(tmp_path, finish=False)
    monkeypatch.setattr(heartbeat, "boot_id", lambda: "another")
    with RunWriter.reopen(path, PROVENANCE):
        pass


def test_a_run_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT", 0.01)
    with RunWriter(tmp_path, CONFIG, PROVENANCE) as run:
        for _ in range(2):
            os.utime(run.path / "lock", (0, 0))
            deadline = time.monotonic() + 60
            while (run.path / "lock").stat().st_mtime == 0:
                assert time.monotonic() < deadline
                time.sleep(0.01)


def appended(path: Path) -> None:
    with open(path / "metrics.jsonl", "a") as rows:
        rows.write(f"{encode(MetricsRow(10**6, 1, 1.0, {}))}\n")


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda path: (path / "lock").write_text(ELSEWHERE.text), "was taken by process 12 on beta"),
        (lambda path: (path / "lock").write_text(""), "was taken by somebody"),
        (lambda path: (path / "lock").unlink(), "was removed or replaced"),
        (appended, "another one writes there, too"),
    ],
)
def test_who_was_overtaken_saves_nothing(tmp_path, act: Callable[[Path], None], told):
    path = interrupted(tmp_path)
    with RunWriter.reopen(path, PROVENANCE) as run:
        run.go_on()
        act(path)
        before = content(path)
        with pytest.raises(UserError, match=told):
            run.save(MOMENT)
        assert content(path) == before
    assert heartbeat_of(path) == (
        None if "beta" not in told else replace(ELSEWHERE, beat=(path / "lock").stat().st_mtime)
    )


IN_NAMESPACES = """
import fcntl, socket, sys
from pathlib import Path
from tests.runs.test_store import CONFIG, PROVENANCE
from wellposed.errors import UserError
from wellposed.runs.store import RunReader, run_name
from wellposed.runs.writer import RunWriter
folder, name, locks = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
socket.sethostname(name)
if locks == "no":
    fcntl.flock = lambda *_: None
path = folder / run_name(CONFIG)
print(RunReader(path).status if path.exists() else "new", flush=True)
try:
    run = RunWriter.reopen(path, PROVENANCE) if path.exists() else RunWriter(folder, CONFIG, PROVENANCE)
except UserError as error:
    sys.exit(str(error))
print("held", flush=True)
sys.stdin.read()
"""
APART = ["unshare", "--pid", "--net", "--uts", "--mount", "--fork", "--kill-child", "--mount-proc"]


@pytest.mark.slow
@pytest.mark.parametrize("locks", ["yes", "no"])
def test_two_processes_in_namespaces_of_their_own_do_not_write_one_run(tmp_path, locks):
    if not shutil.which("unshare") or subprocess.run([*APART, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let us make namespaces")

    def begin(name: str) -> subprocess.Popen[str]:
        command = [*APART, sys.executable, "-c", IN_NAMESPACES, str(tmp_path), name, locks]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=Path(__file__).parents[2])

    with begin("alpha") as one:
        assert one.stdout is not None
        assert [one.stdout.readline() for _ in range(2)] == ["new\n", "held\n"]
        with begin("beta") as other:
            out, err = other.communicate("")
        assert (other.returncode, out) == (1, "running\n")
        assert "is being written by process 1 on alpha" in err
        one.kill()  # and with it all that is in its namespace
    path = tmp_path / run_name(CONFIG)
    assert heartbeat_of(path) is not None, "it had no time to release it"
    if locks == "no":
        with begin("beta") as other:
            assert "sign of life" in other.communicate("")[1]
        os.utime(path / "lock", (0, 0))
    with begin("beta") as other:
        assert other.communicate("")[0] == "interrupted\nheld\n"


@pytest.mark.parametrize("pid", [2**31, 2**63, 2**200])
def test_a_number_that_no_process_has_is_no_process_on_a_system_without_proc_either(pid, monkeypatch):
    assert heartbeat.start_of(pid) is None
    monkeypatch.setattr(heartbeat.os.path, "exists", lambda _: False)
    assert heartbeat.start_of(pid) is None
    assert heartbeat.start_of(os.getpid()) == 0
