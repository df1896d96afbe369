"""What is told of a policy: the card in its file, the hub's page, what a notebook shows, what is logged elsewhere."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import wellposed as wp
from wellposed.check.certificate import Certificate
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.export import content, judged
from wellposed.findings import Finding
from wellposed.hub import model_card, push, write_repository
from wellposed.runs.files import read_json
from wellposed.runs.record import Verdict, decode
from wellposed.runs.store import RunReader
from wellposed.runs.wandb_log import log_to


@pytest.fixture(scope="module")
def policy(run):
    return judged(run, "apache-2.0", 2)


@pytest.mark.slow
def test_the_card_holds_verdict_environment_and_licence(run, policy):
    card, verdict = policy.header.card, decode(Verdict, read_json(run / "verdict.json"), "verdict")
    assert card["verdict"]["success_rate"] == verdict.trained.success_rate
    assert tuple(card["verdict"]["success_ci95"]) == verdict.trained.success_ci95
    assert (card["environment"]["id"], card["licence"], card["run"]) == ("FetchReach-v4", "apache-2.0", run.name)
    assert card["checkpoint"] == RunReader(run).load_checkpoint()[0].state.sha256


@pytest.mark.slow
@pytest.mark.parametrize("form", ["npz", "onnx"])
def test_the_command_writes_one_file(run, tmp_path, capsys, form):
    file = tmp_path / f"policy.{form}"
    assert main(["export", str(run), "--format", form, "--out", str(file)]) == 0
    assert capsys.readouterr().out.strip() == str(file)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    if form == "npz":
        assert wp.load_policy(file).card["verdict"]["episodes"] == 4


def test_the_hub_reads_the_front_matter(policy):
    _, front, text = model_card(policy).split("---\n", 2)
    read = yaml.safe_load(front)
    assert (read["license"], read["library_name"]) == ("apache-2.0", "wellposed")
    (result,) = read["model-index"][0]["results"]
    rate = policy.header.card["verdict"]["success_rate"]
    assert result["metrics"][0]["value"] == pytest.approx(100 * rate, abs=0.05)
    assert result["dataset"]["name"] == "FetchReach-v4"
    assert "wp.load_policy(" in text
    assert "95 % CI" in text


def test_nothing_is_pushed_but_the_repository_that_can_be_looked_at(policy, tmp_path, monkeypatch):
    names = [path.name for path in write_repository(policy, tmp_path)]
    assert names == ["README.md", "policy.safetensors", "policy.onnx"]
    seen = {}

    def upload_folder(folder_path, repo_id, **_):
        seen[repo_id] = sorted(path.name for path in Path(folder_path).iterdir())

    fake = SimpleNamespace(create_repo=lambda repo, **_: f"https://hub/{repo}", upload_folder=upload_folder)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    assert push(policy, "me/reach") == "https://hub/me/reach"
    assert seen == {"me/reach": sorted(names)}

    def refuse(*_, **__):
        raise RuntimeError("not logged in")

    fake.create_repo = refuse
    with pytest.raises(UserError, match="did not take me/reach: not logged in"):
        push(policy, "me/reach")


@pytest.mark.parametrize(
    ("package", "call", "why"),
    [
        ("huggingface_hub", lambda policy: push(policy, "me/reach"), "Pushing needs huggingface_hub"),
        ("onnx", lambda policy: content(policy, "onnx"), "onnx is not installed"),
        ("wandb", lambda _: log_to("project"), "--wandb needs"),
    ],
)
def test_without_the_package_a_sentence_says_what_to_install(policy, monkeypatch, package, call, why):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=why):
        call(policy)


@pytest.mark.slow
def test_evaluations_go_to_weights_and_biases_without_a_network(run, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    tell = log_to("project")
    reader = RunReader(run)
    for row in reader.evaluations:
        tell(reader, row, {"train/q_mean": -1.0} if row.step else {})
    assert wandb.run is None or wandb.run.name == run.name
    wandb.teardown()
    (written,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert run.name in written.name
    assert written.stat().st_size > 0


def test_a_run_a_verdict_and_a_certificate_show_themselves(run):
    shown = RunReader(run)._repr_html_()
    assert shown.count("<tr>") == 7
    assert "<svg" in shown
    assert "FetchReach-v4" in shown
    verdict = decode(Verdict, read_json(run / "verdict.json"), "verdict")
    assert f"{100 * verdict.trained.success_rate:.1f} %" in verdict._repr_html_()
    finding = Finding("x", "fails", "<b>7 of 9</b>", states="Goals move.", advice="Mend it.")
    html = Certificate("Toy-v0", "not posed", [finding], 1.0)._repr_html_()
    assert "&lt;b&gt;7 of 9&lt;/b&gt; Mend it." in html
    assert "<b>Toy-v0: not posed</b>" in html


def test_a_damaged_run_shows_what_is_wrong(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"schema": 4}))
    assert "edited by hand" in RunReader(tmp_path)._repr_html_()


def test_arrays_of_a_file_are_those_that_the_documentation_names(policy):
    shape = lambda name: policy.arrays[name].shape  # noqa: E731
    assert shape("plus") == shape("minus") == shape("mean") == shape("std")
    assert shape("weights.0")[0] == policy.shown + len(policy.arrays["groups"])
    assert np.issubdtype(policy.arrays["groups"].dtype, np.integer)
