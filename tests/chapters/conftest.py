"""A chapter whose runs were trained once, and copies of it to do harm to."""

import shutil
from pathlib import Path

import pytest

from course.chapters.run import run_chapter
from course.chapters.spec import Chapter
from tests.chapters.tiny import load
from wellposed import verdict

EPISODES = 4


@pytest.fixture(autouse=True)
def few_episodes(monkeypatch):
    """Verdicts on few episodes."""
    assess = verdict.assess
    monkeypatch.setattr(verdict, "EPISODES", EPISODES)
    monkeypatch.setattr(verdict, "assess", lambda path, threads: assess(path, EPISODES, 0, threads))


@pytest.fixture(scope="package")
def trained(tmp_path_factory) -> tuple[Path, list[str]]:
    """The directory of runs of the tiny chapter, after its work, and the lines that were said."""
    folder = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        assess = verdict.assess
        patch.setattr(verdict, "EPISODES", EPISODES)
        patch.setattr(verdict, "assess", lambda path, threads: assess(path, EPISODES, 0, threads))
        lines = list(run_chapter(load(folder), folder / "runs", threads=2, studies=False, quiet=True))
    return folder / "runs", lines


@pytest.fixture
def run(runs) -> Path:
    """The one run of them."""
    (found,) = runs.glob("Fetch*")
    return found


@pytest.fixture
def runs(trained, tmp_path) -> Path:
    """A copy of the directory of runs."""
    shutil.copytree(trained[0], tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def chapter(tmp_path) -> Chapter:
    """The tiny chapter."""
    return load(tmp_path)
