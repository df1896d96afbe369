"""A file of a person's own on the command line: imported because it is named there, and for no other reason."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from wellposed import plugin
from wellposed.agents import ALGORITHMS
from wellposed.cli import main
from wellposed.commands.runs import tell
from wellposed.runs.store import RunReader

REACH = Path(__file__).parent / "old_records" / "FetchReach-v4_sac_3782acf1ecbe_s0"
EXAMPLE = Path(__file__).parent.parent / "examples" / "own_algorithm.py"
TINY = ["--total-steps", "400", "--num-envs", "4", "--random-steps", "100", "--eval-every", "200"]
TINY += ["--eval-episodes", "2", "--agent.hidden", "8", "--agent.batch-size", "16", "--agent.quantiles", "3", "--quiet"]


@pytest.fixture
def forget(monkeypatch):
    """Makes this process one that has loaded no plugin; what a test loads is forgotten after it."""

    def as_new() -> None:
        for path in plugin.LOADED:
            sys.modules.pop(path.stem, None)
        monkeypatch.setattr(plugin, "LOADED", [])
        monkeypatch.setattr(ALGORITHMS, "_entries", {name: ALGORITHMS[name] for name in ("sac", "td3", "ppo")})

    monkeypatch.setattr(sys, "path", [*sys.path])
    as_new()
    yield as_new
    as_new()


def killed_before_the_last_checkpoint(run: Path, folder: Path) -> Path:
    """A copy of a finished run as it was after the last checkpoint but one."""
    copy = Path(shutil.copytree(run, folder / run.name))
    (copy / "summary.json").unlink()
    max((copy / "checkpoints").glob("*.json")).unlink()
    return copy


@pytest.mark.usefixtures("few_held_out")
@pytest.mark.slow
def test_an_algorithm_of_ones_own_is_trained_resumed_judged_and_reported(forget, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own = ["--plugin", str(EXAMPLE)]
    assert main(["train", "FetchReach-v4", "--algo", "tqc", *own, *TINY, "--runs-dir", "whole"]) == 0
    (whole,) = Path("whole").iterdir()
    assert RunReader(whole).config["agent"]["quantiles"] == 3
    cut = killed_before_the_last_checkpoint(whole, Path("cut"))

    forget()
    for words in (["resume", str(cut)], ["eval", str(whole)], ["diagnose", str(whole)]):
        capsys.readouterr()
        assert main(words) == 1
        error = capsys.readouterr().err
        assert "There is no algorithm 'tqc'; there are sac, td3, ppo." in error
        assert "name that file with --plugin FILE" in error

    assert main(["resume", str(cut), f"--plugin={EXAMPLE}", "--quiet"]) == 0
    (ended, weights), (_, expected) = RunReader(cut).load_checkpoint(), RunReader(whole).load_checkpoint()
    assert ended.step == 400
    assert {name: array.tobytes() for name, array in weights.items()} == {n: a.tobytes() for n, a in expected.items()}
    assert main([*own, "eval", str(whole), "--episodes", "2", "--json", "eval.json"]) == 0
    assert json.loads(Path("eval.json").read_text())["episodes"] == 2
    assert main(["report", str(whole), "--no-video", *own]) == 0
    assert "tqc" in Path("report.html").read_text()


@pytest.mark.usefixtures("forget")
def test_a_file_is_imported_once_and_finds_what_lies_beside_it(tmp_path):
    (tmp_path / "beside_it.py").write_text("NUMBER = 3\n")
    (tmp_path / "mine.py").write_text(
        "from beside_it import NUMBER\nwith open(__file__ + '.log', 'a') as log:\n    log.write(str(NUMBER))\n"
    )
    words = ["envs", "--plugin", str(tmp_path / "mine.py"), f"--plugin={tmp_path / 'mine.py'}", "--tag", "dense"]
    assert plugin.load_named(words) == ["envs", "--tag", "dense"]
    assert (tmp_path / "mine.py.log").read_text() == "3"


@pytest.mark.usefixtures("forget")
def test_the_line_that_resumes_an_interrupted_run_names_the_plugin(tmp_path, capsys):
    file = tmp_path / "my own.py"
    file.write_text("")
    plugin.load(file)
    run = shutil.copytree(REACH, tmp_path / "a run" / REACH.name)
    assert tell(iter([(run, None)]), None) == 130  # type: ignore[arg-type]
    command = shlex.split(capsys.readouterr().err.partition("resume with: ")[2])
    assert command == ["wellposed", "resume", str(run), "--plugin", str(file)]
    assert plugin.load_named(command) == command[:-2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "--plugin takes a Python file, and .*mine.py is none"),
        ("x = 1\ny = x / 0\n", "mine.py, line 2: ZeroDivisionError: division by zero"),
        ("from nowhere import x\n", "mine.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("def f(:\n", "mine.py.*: SyntaxError"),
    ],
)
@pytest.mark.usefixtures("forget")
def test_a_file_that_cannot_be_imported_is_a_sentence(tmp_path, capsys, text, message):
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    assert main(["envs", "--plugin", str(tmp_path / "mine.py")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("wellposed: ")
    assert re.search(message, error)
    assert not plugin.LOADED


def test_no_file_named_is_a_sentence(capsys):
    assert main(["envs", "--plugin"]) == 1
    assert "--plugin takes a Python file" in capsys.readouterr().err
