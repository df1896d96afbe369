"""Every command that a text shows is one that the command line takes; none is run."""

import functools
import re
import shlex
from pathlib import Path

import pytest

from wellposed import cli
from wellposed.commands import arguments
from wellposed.repository import ROOT

TEXTS = sorted([*ROOT.glob("chapters/ch*/chapter.md"), *ROOT.glob("docs/*.md"), ROOT / "README.md"])

DELAYED = ["train", "FetchReach-v4", "--env.control.delay", "2", "--env.control.shown"]


def commands(text: str) -> list[str]:
    """The command lines of wellposed in code blocks, without comments."""
    text = re.sub(r"--allow-import \S+", "", text.replace("\\\n", " "))  # taken before a command is looked for
    found = [line.strip() for line in re.findall(r"^(?:    |\$ )?(wellposed [^#\n`|>&]*)", text, re.MULTILINE)]
    return [
        line for line in found if not re.search(r"--plugin|--tyro|--config| ENV( |$)", line)
    ]  # what needs more than words


def test_commands_of_a_text_are_found():
    text = "    wellposed eval RUN   # judges it\nIt says wellposed eval.\n    wellposed train X \\\n        --seed 1\n"
    assert [line.split() for line in commands(text)] == [
        ["wellposed", "eval", "RUN"], ["wellposed", "train", "X", "--seed", "1"]
    ]  # fmt: skip


@pytest.fixture
def unrun(monkeypatch):
    """Commands are read and not called."""
    monkeypatch.setattr(cli, "_printing_plainly", lambda command: functools.wraps(command)(lambda *_, **__: 0))
    monkeypatch.setattr(arguments, "_run_called", Path)


@pytest.mark.usefixtures("unrun")
def test_a_flag_with_a_value_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli._run([*DELAYED, "true"])
    assert "Unrecognized options: true" in capsys.readouterr().err
    assert cli._run(DELAYED) == 0


@pytest.mark.usefixtures("unrun")
@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.parent.name if path.stem == "chapter" else path.stem)
def test_every_command_of_a_text_is_taken(path, capsys):
    wrong = []
    for line in dict.fromkeys(commands(path.read_text())):
        try:
            assert cli._run(shlex.split(line)[1:]) == 0
        except (Exception, SystemExit) as error:
            wrong.append(f"{line}: {type(error).__name__} {error} {capsys.readouterr().err[:300]}")
    assert wrong == []
