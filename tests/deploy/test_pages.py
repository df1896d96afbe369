"""The code of docs/deploy.md runs, the notebook runs and shows what it should, several configurations share a page."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbconvert.preprocessors import ExecutePreprocessor

import wellposed as wp
from tests.study.made_up import tiny
from wellposed.cli import main
from wellposed.config import override
from wellposed.runs.files import write_json
from wellposed.runs.record import encode

ROOT = Path(__file__).parents[2]


def test_the_reader_of_the_page_is_the_policy(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wp.export_policy(run, "policy.npz")
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
        if "def act(" in block
    )  # fmt: skip
    assert "wellposed" not in code.replace('pop("wellposed")', "")
    names: dict = {}
    exec(code, names)
    policy, rng = wp.load_policy(run), np.random.default_rng(0)
    obs = {one.name: rng.standard_normal((5, *one.shape)) for one in policy.fields}
    np.testing.assert_allclose(names["act"](obs), policy(obs), atol=1e-6)


@pytest.mark.slow
def test_the_notebook_runs_and_shows_a_run_a_verdict_and_a_certificate(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    book = nbformat.read(ROOT / "examples/first_run.ipynb", 4)
    nbformat.validate(book)
    assert not any(cell.get("outputs") for cell in book.cells), "it is kept without its outputs"
    ExecutePreprocessor(timeout=300, kernel_name="python3").preprocess(book, {"metadata": {"path": str(tmp_path)}})
    shown = "".join(out.data.get("text/html", "") for c in book.cells for out in c.get("outputs", []) if "data" in out)
    for words in ("FetchReach-v4: ready", "<svg", "held-out episodes", "random actions"):
        assert words in shown
    assert book.cells[-1].outputs[-1].data["text/plain"] in ("1.0", "0.0", "np.float32(1.0)", "np.float32(0.0)")


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """A run that differs from `run` in its discount."""
    config = override(replace(tiny(), until_success=None), {"agent.gamma": 0.9})
    path, _ = wp.train(config, tmp_path_factory.mktemp("other"), quiet=True)
    write_json(path / "verdict.json", encode(wp.assess(path, episodes=4)))
    return path


@pytest.mark.slow
def test_several_configurations_are_drawn_together_with_what_differs(run, other, tmp_path):
    page = wp.write_report([run, other], tmp_path / "page.html").read_text()
    assert page.count("<svg") == 1
    assert page.count("<polygon") + page.count("FillBetween") >= 2
    assert "<code>agent.gamma</code> 0.9<" in page
    assert "<code>agent.gamma</code> 0.95<" in page
    assert "agent.tau" not in page


@pytest.mark.slow
def test_groups_are_compared_with_the_first(run, other, tmp_path, capsys):
    page = tmp_path / "page.html"
    argv = ["compare", str(run), str(other), str(other), "--episodes", "4", "--page", str(page)]
    assert main([*argv, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first == second
    assert [one["name"] for one in first["settings"]] == ["agent.gamma"]
    assert "2 configurations" in page.read_text()
