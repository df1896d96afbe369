"""Commands that installed packages add; the course's are such."""

from importlib import metadata

import pytest

from wellposed import commands
from wellposed.cli import main
from wellposed.registry import Registry


def added(monkeypatch: pytest.MonkeyPatch, **entries: object) -> None:
    """What installed packages add is this alone."""
    found: Registry = Registry("command", "test.none")
    for name, entry in entries.items():
        found.register(name, entry)
    monkeypatch.setattr("wellposed.cli.ADDED", found)


def test_the_course_adds_its_commands():
    points = {point.name: point.value for point in metadata.entry_points(group="wellposed.commands")}
    assert {"book", "capstone", "chapter", "exercise"} <= points.keys()
    assert all(points[name].startswith("course.") for name in ("book", "capstone", "chapter", "exercise"))


def test_without_the_course_the_laboratory_works_and_its_commands_are_unknown(monkeypatch, capsys):
    added(monkeypatch)
    assert main(["envs"]) == 0
    assert main(["chapter", "list"]) == 1
    assert "There is no command `wellposed chapter`" in capsys.readouterr().err


def test_a_package_adds_a_command_and_a_group_and_replaces_none_of_ours(monkeypatch, capsys):
    def hello(name: str = "you") -> int:
        """Say hello."""
        print(f"hello {name}")
        return 3

    added(monkeypatch, hello=hello, many=commands.Group("Several.", {"hello": hello}), envs=hello)
    assert main(["hello", "--name", "Ada"]) == 3
    assert main(["many", "hello"]) == 3
    assert capsys.readouterr().out == "hello Ada\nhello you\n"
    assert main(["envs"]) == 0
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert "Say hello." in told
    assert "Several." in told
