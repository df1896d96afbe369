"""Where a run comes from: the command, as it was given and as a reader would type it."""

import os
import sys
from pathlib import Path

import pytest

import wellposed
from wellposed.runs import provenance

PACKAGE = Path(wellposed.__file__).parent


@pytest.mark.parametrize(
    ("started", "recorded"),
    [
        ("/opt/bin/wellposed", "wellposed"),
        (str(PACKAGE / "__main__.py"), "wellposed"),
        (str(PACKAGE / "cli.py"), "wellposed"),
        ("/opt/pytest/__main__.py", "__main__.py"),
        ("scripts/mine.py", "mine.py"),
    ],
)
def test_the_command_line_has_one_name_however_it_was_started(monkeypatch, started, recorded):
    monkeypatch.setattr(sys, "argv", [started, "train", "FetchReach-v4"])
    origin = provenance.collect(threads=1, autoreset_mode="SameStep", devices=[])
    assert origin.command == [recorded, "train", "FetchReach-v4"]


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ("cli.py chapter run 2 --studies --runs-dir /tmp/runs --quiet", "wellposed chapter run 2 --studies --quiet"),
        ("wellposed train FetchReach-v4 --runs-dir=/data/r --seed 1", "wellposed train FetchReach-v4 --seed 1"),
        ("wellposed train E-v0 --runs-dir there", "wellposed train E-v0"),
        ("wellposed resume --quiet /home/me/runs/a_s0/ runs/b", "wellposed resume --quiet a_s0/ runs/b"),
        ("wellposed experiment /home/me/experiments/push.toml", "wellposed experiment push.toml"),
        ("wellposed compare /tmp/a,/tmp/b/c --json=/tmp/d.json", "wellposed compare a,c --json=d.json"),
        ("wellposed train mine:Env-v0 --x 1/2", "wellposed train mine:Env-v0 --x 1/2"),
        ("wellposed train E-v0 --runs-dir", "wellposed train E-v0"),
        ("mine.py cli.py /tmp", "mine.py cli.py tmp"),
        ("", ""),
    ],
)
def test_a_command_as_a_reader_would_type_it(given, typed):
    assert provenance.as_typed(given.split()) == typed.split()
    assert provenance.as_typed(typed.split()) == typed.split(), "typed once, it stays as it is"


def test_a_machine_that_cannot_restrict_a_process_has_all_its_cores(monkeypatch):
    assert 1 <= provenance.cores() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert provenance.cores() == os.cpu_count()
