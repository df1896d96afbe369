"""What is installed is pinned: every line of a lock is exact, has checksums, and names no place to get it from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = {path.stem: path.read_text() for path in (ROOT / "lock").glob("*.txt")}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION = r"(?P<name>[a-z0-9-]+)==(?P<version>[a-z0-9.]+)(?:\+cpu)?"
LINE = re.compile(VERSION + r"(?: ; [^-]+)?(?: --hash=sha256:[0-9a-f]{64})+")


def lines(lock: str) -> list[str]:
    """The lines of a lock that pip acts on, each with its continuations and with single spaces."""
    joined = re.sub(r"\\\n", " ", lock)
    return [" ".join(line.split()) for line in joined.splitlines() if line and not line.startswith("#")]


def faults(lock: str) -> list[str]:
    """The lines that are not exact, have no checksum, or name a host or a path."""
    return [line for line in lines(lock) if not LINE.fullmatch(line) or "//" in line]


def versions(*names: str) -> dict[str, str]:
    """The version of every package in these locks."""
    found = [LINE.match(line) for name in names for line in lines(LOCKS[name])]
    return {match["name"]: match["version"] for match in found if match}


def unmet(requirements: list[str], locked: dict[str, str]) -> list[str]:
    """The requirements that the locked versions do not satisfy."""
    parsed = [Requirement(requirement) for requirement in requirements]
    found = [locked.get(canonicalize_name(requirement.name)) for requirement in parsed]
    return [str(r) for r, version in zip(parsed, found, strict=True) if not version or version not in r.specifier]


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_is_exact_and_has_checksums(name):
    assert faults(LOCKS[name]) == []
    assert lines(LOCKS[name])


SHA = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    "wrong",
    [
        "numpy==2.4.6",
        f"numpy>=2.4 {SHA}",
        f"numpy==2.* {SHA}",
        f"numpy {SHA}",
        f"numpy==2.4.6 {SHA[:-1]}",
        "numpy==2.4.6 --hash=md5:" + "0" * 32,
        f"numpy @ https://example.org/numpy-2.4.6.whl {SHA}",
        "--index-url https://example.org/simple",
        "--find-links /wheels",
        "-e .",
    ],
)
def test_a_line_that_is_not_is_found(wrong):
    right = f"mujoco==3.11.0 ; sys_platform == 'linux' \\\n    {SHA} \\\n    {SHA}\n"
    assert faults(right + wrong + "\n" + right) == [wrong]


@pytest.mark.parametrize("lock", LOCKS)
def test_no_host_and_no_path_stands_in_a_comment_either(lock):
    assert not re.search(r"//|\w\.(com|org|net|io)\b|(^|\s)/", LOCKS[lock])


def test_what_is_asked_for_is_locked_at_a_version_that_satisfies_it():
    project = PYPROJECT["project"]
    assert unmet(PYPROJECT["build-system"]["requires"] + project["dependencies"], versions("dev")) == []
    for extra, requirements in project["optional-dependencies"].items():
        own = {extra} & LOCKS.keys()  # what has no lock of its own is in that of dev
        for torch in ("torch-cpu", "torch-cuda"):
            assert unmet(requirements, versions("dev", torch, *own)) == []
    assert unmet(PYPROJECT["dependency-groups"]["lock"], versions("tool")) == []


def test_a_version_that_does_not_satisfy_is_found():
    asked = ["numpy>=2", "Gymnasium_Robotics==1.4.2", "jax[cuda12]>=0.8", "av"]
    assert unmet(asked, {"numpy": "1.26", "gymnasium-robotics": "1.4.2"}) == ["numpy>=2", "jax[cuda12]>=0.8", "av"]


def test_no_two_locks_disagree():
    """One version for all of them, which is also the one for every Python and platform."""
    pinned = [versions(name) for name in LOCKS]
    for package in set().union(*pinned):
        assert len({lock[package] for lock in pinned if package in lock}) == 1, package


def test_the_version_is_one():
    version = PYPROJECT["project"]["version"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    told = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert cited is not None
    assert cited[1] == version == next(heading for heading in told if heading != "Unreleased")
