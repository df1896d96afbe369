"""The README's Python example runs as it stands, and its commands exist."""

import inspect
import pkgutil
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import wellposed
from wellposed.cli import COMMANDS
from wellposed.commands import ADDED
from wellposed.config import override

README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.slow
def test_the_python_example_runs(tmp_path, monkeypatch):
    """With a shorter budget and without the video: what is tested is that the calls fit together."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shorter = override(wellposed.default_config("FetchReach-v4"), {"total_steps": 400, "agent.hidden": (16,)})
    monkeypatch.setattr(wellposed, "default_config", lambda _: shorter, raising=False)
    exec(code.replace('"report.html")', '"report.html", video=False)'), {})
    assert (tmp_path / "report.html").exists()
    assert len(code.strip().splitlines()) <= 12


def test_the_commands_it_shows_exist():
    shown = set(re.findall(r"^    wellposed (\w+)", README, re.MULTILINE))
    assert shown <= {*COMMANDS, *ADDED}
    assert {"train", "eval", "doctor", "envs", "runs", "report"} <= shown


def test_every_public_name_can_be_had():
    for name in wellposed.__all__:
        assert getattr(wellposed, name) is not None


def test_no_module_has_a_public_name():
    """Importing a module puts it on the package, where it would hide the function of its name."""
    assert {module.name for module in pkgutil.iter_modules(wellposed.__path__)} & set(wellposed.__all__) == set()


def takes_path_only(function: Callable[..., object]) -> list[str]:
    """The parameters that are paths and may not be strings: `Path`, where `str | Path` is due."""
    parameters = inspect.signature(function).parameters.values()
    written = {parameter.name: inspect.formatannotation(parameter.annotation) for parameter in parameters}
    return [name for name, text in written.items() if re.search(r"(?<!str \| )pathlib\.Path", text)]


def test_whatever_takes_a_path_takes_a_string():
    public = {name: getattr(wellposed, name) for name in wellposed.__all__ if name != "UserError"}
    assert {name: wrong for name, found in public.items() if (wrong := takes_path_only(found))} == {}


def test_one_that_does_not_is_found():
    def function(a: Path, b: str | Path, c: Sequence[Path], d: Path | None, e: list[str | Path]) -> None: ...

    assert takes_path_only(function) == ["a", "c", "d"]


@pytest.mark.slow
def test_a_string_opens_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = replace(wellposed.default_config("FetchReach-v4"), total_steps=16, eval_every=16, eval_episodes=1)
    run, _ = wellposed.train(short, "runs", quiet=True)
    assert wellposed.load_run(str(run))[0] == wellposed.load_run(run)[0] == short
    assert wellposed.list_runs("runs") == [wellposed.RunReader(str(run))] == [wellposed.RunReader(run)]
