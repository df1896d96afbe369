"""Where a run comes from: the command, as it was given and as a reader would type it."""

import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import wellposed
from tests.runs.test_store import CONFIG, PROVENANCE
from wellposed.runs import provenance
from wellposed.runs.provenance import changes, changes_since
from wellposed.runs.store import RunReader
from wellposed.runs.writer import RunWriter

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


INTEL = "flags\t\t: fpu tsc sse sse2 ssse3 fma avx avx2 avx512f amx_tile hypervisor ibpb\nmodel name\t: Xeon\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes sha1 asimddp sve bf16 cpuid\n"
RISC = "isa\t\t: rv64imafdcv\n"


@pytest.mark.parametrize(
    ("told", "features"),
    [
        (INTEL + INTEL.replace("avx512f", ""), "amx_tile avx avx2 avx512f fma fpu sse sse2 ssse3"),
        (INTEL.replace("hypervisor ibpb", "a_newer_kernels_word"), "amx_tile avx avx2 avx512f fma fpu sse sse2 ssse3"),
        (ARM, "asimd asimddp bf16 fp sve"),
        (RISC, "rv64imafdcv"),
    ],
)
def test_the_instructions_that_numbers_depend_on_are_recorded(monkeypatch, told, features):
    monkeypatch.setattr(Path, "read_text", lambda *_: told)
    assert provenance.cpu_features() == features.split()


def test_a_system_that_lists_no_instructions_still_has_some(monkeypatch):
    def refuse(*_: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    found = provenance.cpu_features()
    assert found == sorted(found)
    assert provenance.cpu_name()


OTHERS = {
    "packages": {"jax": "2"},
    "python": "3.12",
    "cpu": "another",
    "devices": ["gpu:0"],
    "commit": "f" * 40,
    "environment": "another",
    "features": ["avx"],
    "flags": {"XLA_FLAGS": "--xla_cpu_max_isa=AVX"},
}
KNOWN = replace(PROVENANCE, features=["avx", "avx2"], flags={"XLA_FLAGS": ""}, environment="one")


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_that_is_resumed_under_other_circumstances_says_so(tmp_path, name):
    """In the process that continues, in its record, and when it is reproduced, though that were as the first was."""
    with RunWriter(tmp_path, CONFIG, KNOWN) as run:
        path = run.path
    for i, (now, told) in enumerate([(KNOWN, False), (replace(KNOWN, **{name: OTHERS[name]}), True), (KNOWN, True)]):
        with RunWriter.reopen(path, now) as run:
            assert ("Numbers may differ" in run.go_on()) == told
        [*_, again] = RunReader(path).provenance.resumed
        assert getattr(again, name) == getattr(now, name)
        assert bool(changes(RunReader(path).provenance, KNOWN)) == (i > 0)
    assert changes_since(KNOWN, KNOWN) == []


def test_every_part_of_a_process_that_is_recorded_is_compared_or_is_known_not_to_matter():
    """A part that comes to both has to be looked at."""
    shared = {part.name for part in fields(provenance.Resumption)} & {part.name for part in fields(PROVENANCE)}
    assert shared - OTHERS.keys() == {"command", "started", "dirty"}


def test_instructions_that_came_and_went_are_named():
    found = changes_since(KNOWN, replace(KNOWN, features=["avx", "fma"]))
    assert found == ["processor features -avx2 +fma"]
    assert changes_since(replace(KNOWN, features=None), KNOWN) == ["processor features (not recorded)"]


def test_what_a_run_began_with_counts_too():
    then, now = (replace(KNOWN, given={"demonstrations": digest}) for digest in ("abc", "def"))
    assert changes(then, then) == []
    assert changes(then, now) == ["what it began with: demonstrations abc -> def"]
    assert changes(KNOWN, now) == ["what it began with: demonstrations (not recorded) -> def"]
