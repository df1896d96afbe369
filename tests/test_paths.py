"""Nothing that is published names a directory of the machine that it was made on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PUBLISHED = [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
FOLDERS = (
    "benchmarks",
    "chapters",
    "course",
    "docker",
    "docs",
    "examples",
    "experiments",
    "lock",
    "scripts",
    "wellposed",
)
PLACES = "tmp|var/tmp|var/folders|private|home|root|Users|work|workspace|mnt|scratch"  # temporary, home, work folders
OF_A_MACHINE = re.compile(rf"(?<![\w.<*/-])/(?:{PLACES})\b[^\s\"'`,)]*")


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file that is published, and what is in it."""
    inside = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    for path in [*PUBLISHED, *inside]:
        content = path.read_bytes()
        if b"\0" not in content:  # neither an image nor bytecode
            yield path.relative_to(ROOT), content.decode()


def test_nothing_published_names_a_directory_of_a_machine():
    read = {path: OF_A_MACHINE.findall(text) for path, text in texts()}
    for pattern in ("README.md", "chapters/*/records.json", "benchmarks/results/*", "docs/*.md", "experiments/*.json"):
        assert any(path.match(pattern) for path in read), pattern
    assert {str(path): found[:3] for path, found in read.items() if found} == {}


@pytest.mark.parametrize(
    "bad",
    [
        '"command": ["wellposed", "chapter", "run", "2", "--runs-dir", "/tmp/runs"]',
        "wellposed chapter run 2 --runs-dir=/home/me/runs",
        "see `/root/.cache/x`",
        "(/work/runs)",
        "FILE=/Users/me/a.json",
        "/var/folders/zz/T/run",
    ],
)
def test_one_that_does_is_found(bad):
    assert len(OF_A_MACHINE.findall(bad)) == 1


@pytest.mark.parametrize(
    "good", ["runs/tmp/x", "https://example.org/home/page", "/proc/cpuinfo", "</root>", "../work/x"]
)
def test_other_paths_are_not(good):
    assert OF_A_MACHINE.findall(good) == []
