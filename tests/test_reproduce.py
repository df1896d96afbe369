"""A record is trained again and stands, or what differs first is named."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from tests.records import unequal
from tests.test_resume import TINY, Stop
from wellposed.agents import SAC
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.reproduce import judge, reproduce
from wellposed.runs.files import read_json, write_json
from wellposed.runs.provenance import changes
from wellposed.runs.record import encode
from wellposed.runs.store import RunReader
from wellposed.side_by_side import train_side_by_side
from wellposed.training import train
from wellposed.verdict import assess


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return train(TINY, tmp_path_factory.mktemp("recorded"), quiet=True)[0]


@pytest.mark.slow
def test_the_same_code_on_the_same_machine_is_bit_identical(run, capsys):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["reproduce", str(run), "--quiet"]) == 0
    assert capsys.readouterr().out == "Bit-identical: every row, weight and stream.\n"
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_settings_of_the_program_around_make_no_difference(run, tmp_path):
    """As JAX_ENABLE_X64 and JAX_THREEFRY_PARTITIONABLE make them; both change what is drawn and computed."""
    others = {"jax_enable_x64": True, "jax_threefry_partitionable": False, "jax_random_seed_offset": 3}
    before, judged = {name: jax.config.values[name] for name in others}, assess(run, 2)
    try:
        for name, value in others.items():
            jax.config.update(name, value)
        path, _ = train(TINY, tmp_path, quiet=True)
        assert assess(run, 2) == judged
        assert {name: jax.config.values[name] for name in others} == others, "they are as they were"
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    assert unequal(path, run) == set()
    assert RunReader(path).provenance.flags == RunReader(run).provenance.flags


SETTINGS = """
from wellposed.cli import main
from wellposed.settings import FIXED
assert main(["--version"]) == 0
import jax
values = {name: getattr(jax.config.values[name], "value", jax.config.values[name]) for name in FIXED}
assert values == FIXED, values
"""


@pytest.mark.slow
def test_variables_of_the_environment_make_no_difference_to_any_command():
    others = {"JAX_ENABLE_X64": "1", "JAX_THREEFRY_PARTITIONABLE": "0", "JAX_NUMPY_DTYPE_PROMOTION": "strict"}
    others |= {"JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_RANDOM_SEED_OFFSET": "7"}
    done = subprocess.run([sys.executable, "-c", SETTINGS], env=os.environ | others, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_an_honest_record_of_another_processor_or_flags_is_not_accused(run, monkeypatch, capsys):
    """The numbers differ, as they do there; which flags and instructions differ is said."""
    origin = RunReader(run).provenance
    data = encode(
        replace(origin, flags={**(origin.flags or {}), "XLA_FLAGS": "--xla_cpu_max_isa=AVX"}, features=["avx"])
    )
    recorded, again = run.parent / "elsewhere" / run.name, run
    shutil.copytree(run, recorded)
    write_json(recorded / "provenance.json", data)
    rows = (recorded / "metrics.jsonl").read_text().splitlines()
    row = json.loads(rows[-1])
    row["metrics"]["train/critic_loss"] += 1e-6
    (recorded / "metrics.jsonl").write_text("\n".join([*rows[:-1], json.dumps(row)]) + "\n")
    monkeypatch.setattr("wellposed.reproduce.train", lambda *_, **__: (again, None))
    assert main(["reproduce", str(recorded), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "Other versions or another machine" in told
    assert "XLA_FLAGS --xla_cpu_max_isa=AVX -> " in told
    assert "processor features " in told
    assert "although nothing" not in told


@pytest.mark.slow
def test_code_that_computes_something_else_is_found_out_with_the_first_step_and_quantity(run, monkeypatch, capsys):
    """A reward that is wrong for one goal in a hundred, in code that calls itself the same."""
    from wellposed.envs.suites.fetch.task import FetchTask

    original = FetchTask.compute_reward

    def wrong(self, achieved_goal, desired_goal):
        return original(self, achieved_goal, desired_goal) - (achieved_goal[..., 0] > 1.45)

    monkeypatch.setattr(FetchTask, "compute_reward", wrong)
    monkeypatch.setattr("wellposed.reproduce.changes", lambda *_: [])
    assert main(["reproduce", str(run), "--quiet"]) == 1
    told = capsys.readouterr().out
    assert "Not reproduced, although nothing that is recorded has changed: step " in told
    assert " in one and " in told


def test_where_versions_differ_intervals_are_compared(run):
    then, now = RunReader(run).evaluations[-1], RunReader(run).evaluations[0]
    of_all = replace(then.any_success, value=1.0)
    rates = ((0.0, (0.0, 0.2)), (0.75, (0.7, 1.0)))
    low, high = (replace(then, success_rate=p, success_ci95=ci, any_success=of_all) for p, ci in rates)
    assert judge(["jax 1 -> 2"], None, then, now).finding == "bit-identical"
    near = judge(["jax 1 -> 2"], "step 5: x", high, replace(high, success_ci95=(0.95, 1.0)))
    far = judge(["jax 1 -> 2"], "step 5: x", high, low)
    assert (near.finding, near.holds) == ("within tolerance", True)
    assert (far.finding, far.holds) == ("outside tolerance", False)
    assert "Other versions or another machine (jax 1 -> 2)" in far.sentence
    assert judge([], "step 5: x", high, high).finding == "differs"


def test_what_changed_is_listed(run):
    origin = replace(RunReader(run).provenance, dirty=False)
    assert changes(origin, origin) == []
    other = replace(
        origin,
        packages=origin.packages | {"jax": "0.1"},
        python="3.9.1",
        cpu="abacus",
        devices=["beads"],
        commit="f" * 40,
    )
    found = changes(origin, other)
    assert [line.split(" ")[0] for line in found] == ["jax", "Python", "processor", "devices", "wellposed's"]
    assert changes(origin, replace(origin, threads=1, started="later", platform="other kernel")) == []
    assert changes(replace(origin, dirty=True), origin) != []


def test_flags_and_code_of_the_environment_count_and_what_was_not_recorded_is_said(run):
    origin = replace(RunReader(run).provenance, dirty=False)
    assert origin.flags is not None
    assert origin.environment is not None
    flags = origin.flags | {"XLA_FLAGS": ""}
    origin = replace(origin, flags=flags)
    for other, said in (
        (replace(origin, flags=flags | {"jax_enable_x64": "True"}), ["jax_enable_x64 False -> True"]),
        (replace(origin, flags=flags | {"XLA_FLAGS": "--x"}), ["XLA_FLAGS unset -> --x"]),
        (replace(origin, environment="another"), ["the environment's own code"]),
        (replace(origin, packages=origin.packages | {"panda-gym": "3"}), ["panda-gym (not recorded) -> 3"]),
    ):
        assert changes(origin, other) == said
    before = replace(origin, flags=None, environment=None)
    found = changes(before, origin)
    assert found == ["flags of JAX and XLA (not recorded)", "the environment's own code (not recorded)"]
    then, now = RunReader(run).evaluations[-1], RunReader(run).evaluations[0]
    assert "not recorded" in judge(found, "step 5: x", then, now).sentence


@pytest.mark.slow
def test_a_record_that_other_versions_took_up_is_of_those_versions_too(tmp_path, monkeypatch):
    Stop(monkeypatch, SAC, "update", 20)
    [(path, _)] = train_side_by_side([TINY], tmp_path, quiet=True)
    main(["resume", str(path), "--quiet"])
    data = read_json(path / "provenance.json")
    data["resumed"][0]["packages"]["jax"] = "0.1"
    write_json(path / "provenance.json", data)
    assert any(line.startswith("jax 0.1 -> ") for line in reproduce(path, quiet=True).changed)


def test_an_unfinished_run_cannot_be_reproduced(tmp_path, monkeypatch):
    Stop(monkeypatch, SAC, "update", 20)
    [(path, _)] = train_side_by_side([TINY], tmp_path, quiet=True)
    with pytest.raises(UserError, match="only a finished run can be reproduced"):
        reproduce(path)
