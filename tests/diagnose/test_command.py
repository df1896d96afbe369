"""`wellposed diagnose` as a person meets it, and the same lines while training and in the report."""

import json
import shutil
from pathlib import Path

import pytest

from wellposed import examination
from wellposed.cli import main
from wellposed.diagnose import read_evidence
from wellposed.report.page import write_report
from wellposed.runs import checkpoint
from wellposed.runs.record import METRICS, Failure, encode

TINY = [
    "--total-steps", "400", "--num-envs", "4", "--random-steps", "200", "--eval-every", "200", "--eval-episodes", "4",
    "--agent.hidden", "8", "8", "--agent.batch-size", "16",
]  # fmt: skip


def trained(folder: Path, *options: str) -> Path:
    assert main(["train", "FetchReach-v4", *TINY, *options, "--runs-dir", str(folder)]) == 0
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("sound"), "--quiet")


@pytest.fixture
def copy(sound, tmp_path) -> Path:
    """The sound run, to be spoilt; a directory must keep its name."""
    return Path(shutil.copytree(sound, tmp_path / sound.name))


@pytest.mark.slow
def test_a_sound_run_is_called_sound(sound, capsys):
    assert main(["diagnose", str(sound)]) == 0
    phase, rest = capsys.readouterr().out.strip().splitlines()
    assert phase.startswith(("Failure phase so far: success", "Take-off since step"))
    assert rest == "No rule finds anything wrong with it."


@pytest.mark.usefixtures("few_held_out")
@pytest.mark.slow
def test_a_fault_is_told_live_once_on_the_command_line_and_in_the_report(tmp_path, capsys):
    path = trained(tmp_path / "runs", "--replay.k", "0")
    live = capsys.readouterr().err
    assert live.count("hindsight off (setting, all but certain, 95 %)") == 1
    assert main(["diagnose", str(path)]) == 1
    told = capsys.readouterr().out
    assert "Next: Switch hindsight on: --replay.k 4." in told
    page = write_report([path], tmp_path / "r.html", video=False).read_text()
    assert "What a diagnosis finds" in page
    assert "Switch hindsight on: --replay.k 4." in page
    assert main(["diagnose", str(path), "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert not data["healthy"]
    assert data["phase"]["name"] in ("failure", "take-off", "convergence")
    [finding] = data["findings"]
    assert finding.keys() == {"rule", "kind", "sure", "step", "evidence", "lesson", "change"}
    assert finding["rule"] == "hindsight_off"


@pytest.mark.slow
def test_a_record_without_probes_is_probed_from_its_checkpoint(copy, capsys):
    rows = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row["metrics"] = {name: value for name, value in row["metrics"].items() if not name.startswith("probe/")}
    (copy / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    probed = examination.with_checkpoint(copy, read_evidence(copy)).rows[-1]
    assert probed.step == 400
    assert {name for name in METRICS if name.startswith("probe/")} == probed.metrics.keys()
    assert probed.metrics["probe/reward_wrong"] == 0
    assert main(["diagnose", str(copy)]) == 0
    assert "No rule finds" in capsys.readouterr().out


def test_a_run_that_saves_again_while_it_is_read_is_probed_at_one_checkpoint(copy, monkeypatch):
    """State and replay are of one manifest, though a newer one is there before the state is read."""
    newest, older = checkpoint.manifests(copy)[:2]
    content, load = newest.read_bytes(), examination.load_run

    def load_then_save(path):
        newest.unlink()
        loaded = load(path)
        newest.write_bytes(content)
        return loaded

    monkeypatch.setattr(examination, "load_run", load_then_save)
    probed = examination.with_checkpoint(copy, read_evidence(copy)).rows
    assert checkpoint.read_manifest(older).step in [row.step for row in probed]


def test_a_run_that_was_cut_short_is_diagnosed_too(copy, capsys):
    (copy / "summary.json").unlink()
    assert main(["diagnose", str(copy)]) == 0
    for name in ("metrics", "evaluations"):
        (copy / f"{name}.jsonl").write_text("")
    for file in (copy / "checkpoints").iterdir():
        file.unlink()
    assert main(["diagnose", str(copy)]) == 0
    assert "Nothing has been evaluated since training began." in capsys.readouterr().out


def test_a_run_that_diverged_says_at_what(copy, capsys):
    (copy / "summary.json").unlink()
    failure = Failure(300, 150, "loss", "train/critic_loss at update 150 is not finite.")
    (copy / "failure.json").write_text(json.dumps(encode(failure)))
    assert main(["diagnose", str(copy)]) == 1
    assert "Training ended at step 300, update 150: train/critic_loss" in capsys.readouterr().out


def test_what_is_no_run_or_damaged_gets_a_sentence(copy, tmp_path, capsys):
    assert main(["diagnose", str(tmp_path)]) == 1
    assert "is not a run directory" in capsys.readouterr().err
    text = (copy / "metrics.jsonl").read_text()
    (copy / "metrics.jsonl").write_text(text.replace('"step"', '"stop"', 1))
    assert main(["diagnose", str(copy)]) == 1
    assert "metrics.jsonl, line 1" in capsys.readouterr().err
