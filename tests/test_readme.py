"""The README's Python example runs as it stands, and its commands exist."""

import re
from dataclasses import replace
from pathlib import Path

import wellposed
from wellposed.cli import COMMANDS

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_python_example_runs(tmp_path, monkeypatch):
    """With a shorter budget and without the video: what is tested is that the calls fit together."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shorter = replace(wellposed.default_config("FetchReach-v4"), total_steps=800)
    monkeypatch.setattr(wellposed, "default_config", lambda _: shorter, raising=False)
    exec(code.replace('"report.html")', '"report.html", video=False)'), {})
    assert (tmp_path / "report.html").exists()
    assert len(code.strip().splitlines()) <= 12


def test_the_commands_it_shows_exist():
    shown = set(re.findall(r"^    wellposed (\w+)", README, re.MULTILINE))
    assert shown <= {"train", "plan", *COMMANDS}
    assert {"train", "eval", "doctor", "envs", "runs", "report"} <= shown


def test_every_public_name_can_be_had():
    for name in wellposed.__all__:
        assert getattr(wellposed, name) is not None
