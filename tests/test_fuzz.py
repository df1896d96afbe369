"""Some hundred of the mutated inputs of fuzz.py; `python -m tests.fuzz` feeds 200,000."""

import importlib
import os
import random
import signal
import subprocess
import sys

import pytest

from course.chapters import publish, traces
from tests import fuzz
from wellposed import reproduce, training, verdict
from wellposed.check import stored
from wellposed.commands import launch
from wellposed.interrupts import interruptible
from wellposed.launch import local
from wellposed.runs import provenance

CONFINED = {
    training: ("train_on",),
    local: ("train_rows", "do"),
    launch: ("execute",),
    reproduce: ("train",),
    verdict: ("assess", "EPISODES"),
    provenance: ("git_state",),
    publish: ("traces_at",),
    stored: ("source_of",),
    traces: ("record_sample",),
}


@pytest.mark.slow
def test_strangers_files_give_a_sentence_or_a_result(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fuzz.tempfile, "tempdir", None)
    for module, names in CONFINED.items():  # what `confine` replaces is put back afterwards
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))
    fed = fuzz.Fuzz(tmp_path)
    for i in range(400):
        fed.feed(random.Random(f"0 {i}"))
    outcomes = [name.split(": ")[1] for name in fed.count.elements()]
    assert len(outcomes) == 400
    assert 0.3 < outcomes.count("refused") / 400 < 0.95  # the mutations are neither harmless nor all caught at the door
    assert fed.sealed > 200


@pytest.mark.parametrize(
    "deed",
    [
        lambda folder: (folder / "x").write_text("x"),
        lambda folder: os.close(os.open(folder / "x", os.O_WRONLY | os.O_CREAT)),
        lambda folder: (folder / "y").mkdir(),
        lambda _: exec("1"),
        lambda _: importlib.import_module("this"),
        lambda _: subprocess.run(["true"]),
    ],
)
def test_what_must_not_happen_would_be_seen(tmp_path, deed):
    sys.modules.pop("this", None)
    with pytest.raises(AssertionError, match="reading caused"), fuzz.Watch(tmp_path / "allowed").reading():
        deed(tmp_path)


def test_what_may_be_written_is_where_it_may_be(tmp_path):
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "link").symlink_to("/etc/passwd")
    with fuzz.Watch(tmp_path / "allowed").reading():
        (tmp_path / "allowed" / "folder").mkdir()
        (tmp_path / "allowed" / "x").write_text("x")
        (tmp_path / "allowed" / "x").unlink()
        (tmp_path / "allowed" / "link").rename(tmp_path / "allowed" / "renamed")  # not what it leads to


def test_what_a_link_leads_to_is_not_changed(tmp_path):
    (tmp_path / "mine").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(AssertionError, match=r"os\.chmod"), fuzz.Watch(tmp_path / "allowed").reading():
        (tmp_path / "link").chmod(0o600)


def test_ctrl_c_stops_it_whoever_handles_it():
    before = signal.getsignal(signal.SIGINT)
    try:
        stopped = fuzz.watched_for_stop()
        with interruptible():
            signal.raise_signal(signal.SIGINT)
        assert stopped()
        assert not stopped()
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, before)


def test_lines_are_counted_where_they_run():
    lines = fuzz.Lines()
    file = next(name for name in lines.left if name.endswith("runs/files.py"))
    [parse] = [code for code in lines.left[file] if code[0] == "parse_json"]
    with lines.reading():
        importlib.import_module("wellposed.runs.files").parse_json(b"1", "here")
    assert 0 < len(lines.left[file][parse]) < len(lines.all[file][parse])


def test_what_is_not_counted_is_there():
    for name, but in fuzz.OURS.items():
        path = fuzz.path_of(name)
        everything = fuzz._lines_of(path, set())
        for one in but:
            assert len(fuzz._lines_of(path, {one})) < len(everything), f"{path} has no {one}"
