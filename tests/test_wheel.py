"""The wheel does everything outside of the checkout: in an environment of its own, from another folder."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from wellposed.commands.runs import experiment
from wellposed.repository import PACKAGE, ROOT, name_of, root_of

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
LIMIT = 3_000_000  # bytes, without the records of chapters and the networks of the book's live figures
APART = ("/records.json", "/policies.json")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the files of the checkout, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    how = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run([*PIP, *how], check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs a command of an environment that has the wheel, and what it needs, in a folder with nothing else in it."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", symlinks=True)
    python, elsewhere = folder / "venv" / "bin" / "python", folder / "elsewhere"
    elsewhere.mkdir()
    subprocess.run([*PIP, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = folder.glob("venv/lib/*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # instead of installing all others anew
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        command = [str(python.with_name(words[0])), *words[1:]]
        done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_it_is_small_and_holds_the_course_but_no_tests(wheel):
    files = ZipFile(wheel).infolist()
    apart = sum(file.compress_size for file in files if file.filename.endswith(APART))
    assert wheel.stat().st_size - apart <= LIMIT
    names = [file.filename for file in files]
    for name in ("chapters/ch04_hindsight/records.json", "docs/check.md", "experiments/push.toml", "README.md"):
        assert f"wellposed/share/{name}" in names
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name or name.endswith(".mp4")]


@pytest.mark.slow
def test_the_laboratory_and_the_course_are_there(installed):
    assert "share" in installed("python", "-c", "from wellposed.repository import ROOT; print(ROOT)")
    assert installed("wellposed", "chapter", "list").count("min") >= 6
    assert installed("wellposed", "demo", "--runs-dir", "runs").strip().endswith("report.html")


@pytest.mark.slow
def test_the_book_is_built_with_every_link_and_listing(installed):
    assert installed("wellposed", "book") == "site/index.html\n"
    text = installed("python", "-c", "print(open('site/ch04_hindsight.html').read())")
    assert text.count("The film is in the repository; <code>wellposed chapter films 4</code> makes it") == 2


def test_an_experiment_that_comes_along_is_copied_to_where_it_is_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wellposed.launch.answers.run_experiment", lambda *_: iter([]))
    assert experiment(Path("experiments/push.toml")) == 0
    assert (tmp_path / "experiments" / "push.toml").read_bytes() == (ROOT / "experiments" / "push.toml").read_bytes()


def test_names_of_files_are_those_of_the_repository(tmp_path):
    for name in ("wellposed/seeding.py", "course/commands.py", "docs/check.md"):
        assert str(name_of(root_of(name) / name)) == name
    assert name_of(tmp_path / "a.md") == tmp_path / "a.md"
    assert root_of("wellposed/seeding.py") == PACKAGE.parent
