"""Run directories against everything that can be wrong with them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wellposed.errors import UserError
from wellposed.runs import disk, files
from wellposed.runs.compare import _values
from wellposed.runs.record import (
    LATER_MEANS,
    MEANS,
    SCHEMA,
    EpisodeRow,
    Estimate,
    EvaluationRow,
    MetricsRow,
    Provenance,
    Summary,
    decode,
    encode,
)
from wellposed.runs.store import RunReader, list_runs, run_name
from wellposed.runs.writer import ReplayRows, RunWriter, Snapshot
from wellposed.serialise import to_dict

CONFIG = {"env": "FetchReach-v4", "algo": "sac", "seed": 0, "gamma": 0.95}
PROVENANCE = Provenance(["train"], None, None, {"jax": "1"}, "3.11", "Linux", "cpu", 2, ["cpu:0"], 2, "SameStep", "now")
EPISODE = EpisodeRow(1, 50, True, True, -3.0, 0.01, 3, 0.1, 1.0, 0.4, False, "")
EVALUATION = EvaluationRow(
    100,
    50,
    1.5,
    1,
    1.0,
    (0.2, 1.0),
    0.0,
    (0.0, 0.8),
    Estimate(1.0, (0.2, 1.0)),
    {},
    dict.fromkeys(MEANS, Estimate(0.4, (0.4, 0.4))),
)
SUMMARY = Summary("budget", 100, 50, 1.5, 66.0, 33.0, 0.5, None, EVALUATION)


def moment(arrays: dict[str, np.ndarray], step: int, updates: int) -> Snapshot:
    return Snapshot(step, updates, 1.5, 0.5, arrays, {}, ReplayRows(0, 0, 0, {}))


def write_run(folder: Path, config: dict = CONFIG, finish: bool = True) -> Path:
    with RunWriter(folder, config, PROVENANCE) as run:
        run.log_metrics(MetricsRow(100, 50, 1.5, {"train/critic_loss": 0.5}))
        run.log_evaluation(EVALUATION, [EPISODE])
        run.save(moment({"w": np.arange(6.0).reshape(2, 3), "n": np.array(3)}, 100, 50))
        if finish:
            run.finish(SUMMARY)
    return run.path


def test_what_was_written_is_read(tmp_path):
    reader = RunReader(write_run(tmp_path))
    assert reader.config == CONFIG
    assert reader.summary == SUMMARY
    assert reader.evaluations == [EVALUATION]
    assert reader.metrics == [MetricsRow(100, 50, 1.5, {"train/critic_loss": 0.5})]
    assert reader.provenance.wall_clock_seconds == 2.0
    _, arrays = reader.load_checkpoint()
    assert np.array_equal(arrays["w"], np.arange(6.0).reshape(2, 3))
    assert arrays["n"].shape == ()


def test_arrays_that_lie_column_by_column_are_saved_as_they_read(tmp_path):
    with RunWriter(tmp_path, CONFIG, PROVENANCE) as run:
        run.save(moment({"w": np.arange(6.0).reshape(2, 3).T}, 1, 1))
    assert np.array_equal(RunReader(run.path).load_checkpoint()[1]["w"], np.arange(6.0).reshape(2, 3).T)


def test_names_tell_configurations_apart_and_keep_seeds_together():
    seeds = {run_name(CONFIG | {"seed": s}).rsplit("_s", 1)[0] for s in range(3)}
    assert len(seeds) == 1
    assert run_name(CONFIG | {"gamma": 0.9}) != run_name(CONFIG)
    assert "/" not in run_name(CONFIG | {"env": "../../etc:Evil-v0"})
    assert not run_name(CONFIG | {"env": "../../etc:Evil-v0"}).startswith(".")


@pytest.mark.parametrize(("finish", "state"), [(True, "a finished run"), (False, "an interrupted run")])
def test_a_run_is_never_mixed_with_another(tmp_path, finish, state):
    path = write_run(tmp_path, finish=finish)
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != "lock"}
    with pytest.raises(UserError, match=f"holds {state} of exactly this configuration"):
        write_run(tmp_path)
    assert before == {p: p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != "lock"}


def test_a_run_that_is_being_written_is_refused_with_its_owner(tmp_path):
    with RunWriter(tmp_path, CONFIG, PROVENANCE) as run:
        assert RunReader(run.path).status == "running"
        code = (
            "from pathlib import Path; from tests.runs.test_store import *\n"
            f"RunWriter(Path({str(tmp_path)!r}), CONFIG, PROVENANCE)"
        )
        root = Path(__file__).parents[2]
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
        assert f"is being written by process {os.getpid()} on " in other.stderr
    assert RunReader(run.path).status == "interrupted"


def test_a_dead_owners_lock_is_no_obstacle(tmp_path):
    folder = tmp_path / run_name(CONFIG)
    folder.mkdir()
    (folder / "lock").write_text("process 1 on nowhere")
    write_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("config.json", lambda d: d["config"].update(gamma=0.9), "does not match its own hash"),
        ("config.json", lambda d: d.pop("hash"), "keys schema, hash and config"),
        ("config.json", lambda d: d.update(schema=99), "schema 99"),
        ("summary.json", lambda d: d.pop("updates"), "missing required field `updates`"),
        ("summary.json", lambda d: d.pop("solved"), "missing .*solved"),
        ("summary.json", lambda d: d.update(note="x"), "unknown key note"),
        ("summary.json", lambda d: d.update(step="100"), "Expected `int`"),
        ("summary.json", lambda d: d.update(schema=SCHEMA + 1), "Update wellposed to read it"),
        ("summary.json", lambda d: d.pop("schema"), "no schema version"),
        ("provenance.json", lambda d: d.pop("commit"), "missing .*commit"),
    ],
)
def test_a_hand_edited_or_newer_record_is_refused_with_the_reason(tmp_path, name, edit, message):
    path = write_run(tmp_path)
    data = json.loads((path / name).read_text())
    edit(data)
    (path / name).write_text(json.dumps(data))
    reader = RunReader(path)
    with pytest.raises(UserError, match=message):
        getattr(reader, name.removesuffix(".json"))


@pytest.mark.parametrize("name", ["config.json", "summary.json", "provenance.json"])
def test_a_half_written_file_is_refused(tmp_path, name):
    path = write_run(tmp_path)
    (path / name).write_bytes((path / name).read_bytes()[:40])
    with pytest.raises(UserError, match="incomplete or was edited"):
        getattr(RunReader(path), name.removesuffix(".json"))


def test_a_torn_last_row_is_left_out_and_a_broken_middle_one_named(tmp_path):
    path = write_run(tmp_path)
    rows = path / "evaluations.jsonl"
    whole = rows.read_bytes()
    rows.write_bytes(whole + whole[:30])
    assert RunReader(path).evaluations == [EVALUATION]
    rows.write_bytes(whole[:30] + b"\n" + whole)
    with pytest.raises(UserError, match="line 1 is not valid JSON"):
        _ = RunReader(path).evaluations


def test_a_directory_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        RunReader(tmp_path)


def test_a_metric_without_a_meaning_cannot_be_logged():
    with pytest.raises(ValueError, match="unknown metric probe/mystery"):
        MetricsRow(1, 1, 1.0, {"probe/mystery": 1.0})
    assert MetricsRow(1, 1, 1.0, {"train/own": 1.0}).metrics == {"train/own": 1.0}, "an algorithm declares its own"


def test_a_value_json_does_not_have_is_refused_and_the_file_stays_as_it_was(tmp_path):
    with RunWriter(tmp_path, CONFIG, PROVENANCE) as run:
        run.log_metrics(MetricsRow(1, 1, 1.0, {"train/critic_loss": 1.0}))
        with pytest.raises(ValueError):
            run.log_metrics(MetricsRow(2, 1, 1.0, {"train/critic_loss": float("nan")}))
    assert [row.step for row in RunReader(run.path).metrics] == [1]


def test_runs_are_found_however_deep(tmp_path):
    write_run(tmp_path / "a" / "b")
    write_run(tmp_path, CONFIG | {"seed": 1})
    assert sorted(r.config["seed"] for r in list_runs(tmp_path)) == [0, 1]
    assert list_runs(tmp_path / "nowhere") == []


class TestFullDisk:
    """A small file system of the real kind that fills up is not to be had everywhere; a size limit is."""

    CODE = """
import resource, signal, sys
from dataclasses import replace
from pathlib import Path
from tests.runs.test_store import *
folder = Path(sys.argv[1])
run = RunWriter(folder, CONFIG, PROVENANCE)
run.log_evaluation(EVALUATION, [EPISODE])
run.save(moment({"w": np.zeros(100)}, 1, 1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    if sys.argv[2] == "checkpoint":
        run.save(moment({"w": np.zeros(10_000)}, 2, 2))
    for step in range(1, 1000):
        run.log_metrics(MetricsRow(step, 1, 1.0, {"train/critic_loss": 1.0}))
except UserError as error:
    print(error)
"""

    @pytest.mark.parametrize("what", ["checkpoint", "metrics"])
    def test_what_was_recorded_before_stays_readable(self, tmp_path, what):
        root = Path(__file__).parents[2]
        command = [sys.executable, "-c", self.CODE, str(tmp_path), what]
        result = subprocess.run(command, capture_output=True, text=True, cwd=root)
        reason = "File too large"
        assert f"{reason}. What was recorded before is intact" in result.stdout, result.stderr
        (path,) = tmp_path.iterdir()
        reader = RunReader(path)
        assert reader.evaluations == [EVALUATION]
        assert reader.load_checkpoint()[0].step == 1
        assert not list(path.rglob("*.part"))
        assert all(row.metrics == {"train/critic_loss": 1.0} for row in reader.metrics)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "x.json"
    files.write_json(file, {"old": 1})

    def refuse(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "sync", refuse)
    with pytest.raises(UserError, match="No space left on device"):
        files.write_json(file, {"new": 2})
    assert files.read_json(file) == {"old": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_larger_than_any_of_ours_is_not_read(tmp_path):
    file = tmp_path / "big.json"
    with open(file, "wb") as handle:
        handle.truncate(files.MAX_JSON_BYTES + 1)
    with pytest.raises(UserError, match="larger than"):
        files.read_json(file)


def _evaluation(**changed):
    return to_dict(EVALUATION) | changed


@pytest.mark.parametrize(
    ("kind", "data", "wrong"),
    [
        (EvaluationRow, _evaluation(success_rate=5.0), "cannot give"),
        (EvaluationRow, _evaluation(success_rate=0.5), "cannot give"),  # of one episode
        (EvaluationRow, _evaluation(success_rate=-1.0), "cannot give"),
        (EvaluationRow, _evaluation(already_solved_rate=1.5), "cannot give"),
        (EvaluationRow, _evaluation(episodes=0), "0 episodes"),
        (EvaluationRow, _evaluation(step=-1), "no run was ever there"),
        (EvaluationRow, _evaluation(step=2**63), "no run was ever there|64|integer"),
        (EvaluationRow, _evaluation(success_ci95=[0.2, 1.2]), "outside of 0 to 1"),
        (EvaluationRow, _evaluation(any_success={"value": 0.0, "ci95": [0.0, 0.8]}), "than at any step"),
        (EvaluationRow, _evaluation(any_success={"value": 1.0, "ci95": [1.0, 0.2]}), "ends before it begins"),
        (MetricsRow, {"step": 1, "updates": 0, "seconds": 0.1, "metrics": {"rollout/success_rate": 5.0}}, "a share"),
        (MetricsRow, {"step": 1, "updates": -1, "seconds": 0.1, "metrics": {}}, "no run was ever there"),
    ],
)
def test_rows_that_no_run_can_have_are_refused(kind, data, wrong):
    with pytest.raises(UserError, match=wrong):
        decode(kind, {"schema": SCHEMA} | data, "a row")


@pytest.mark.parametrize("order", [[0, 0], [1, 0], [0, 1, 1], [0, 2, 1]])
@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluations.jsonl"])
def test_rows_that_were_doubled_or_moved_are_refused(tmp_path, name, order):
    rows = {
        "metrics.jsonl": [encode(MetricsRow(100 * i + 100, i, 1.0, {})) for i in range(3)],
        "evaluations.jsonl": [encode(replace(EVALUATION, step=100 * i + 100)) for i in range(3)],
    }[name]
    with RunWriter(tmp_path, CONFIG, PROVENANCE) as run:
        path = run.path
    (path / name).write_text("".join(json.dumps(rows[i]) + "\n" for i in order))
    with pytest.raises(UserError, match="Rows were doubled or moved"):
        getattr(RunReader(path), name.split(".")[0])


def test_a_record_without_the_measures_that_came_later_is_read_and_compared():
    row = EpisodeRow(0, 5, True, True, -3.0, 0.01, 3, 0.1, 1.0, 0.2, False, "", 0.3, 4.0)
    older = {name: value for name, value in encode(row).items() if name not in LATER_MEANS}
    assert decode(EpisodeRow, older, "here") == replace(row, action_jerk=None, action_energy=None)
    assert list(_values(0, "episodes", encode(row), older)) == []
    assert [d.quantity for d in _values(0, "episodes", encode(row), older | {"action_energy": 4.1})] == [
        "episodes action_energy"
    ]
