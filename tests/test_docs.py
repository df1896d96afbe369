"""Pages hold what was measured: every generated block is the one its data gives."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import draw_architecture  # noqa: E402
import render_experiments  # noqa: E402
from render_experiments import Need, mean_with_interval, table  # noqa: E402


def test_tables_and_figures_of_the_page_are_those_of_the_stored_answers():
    page = render_experiments.PAGE.read_text()
    again, figures = render_experiments.render(page)
    assert again == page, "run python scripts/render_experiments.py"
    assert bool(figures) == ("<!-- answers:" in page)
    for name, svg in figures.items():
        assert (ROOT / "docs" / "images" / f"{name}.svg").read_text() == svg


def test_a_seed_that_never_got_there_leaves_no_mean_behind():
    need = Need("slow", np.array([1000.0, np.inf]), np.array([9.6, np.inf]))
    line = table([need]).splitlines()[-1]
    assert line == "| slow | 1 of 2 | - | - | 10, not |"
    assert mean_with_interval(np.array([1000.0, 1200.0, 1100.0]), -2) == "1,100 (900 to 1,300)"
    assert mean_with_interval(np.array([1000.0, 1000.0]), -2) == "1,000", "two that are equal show no spread, not none"


def missing(page: str) -> list[str]:
    """The files and folders of this repository that a page names in backquotes and that are not there."""
    named = re.findall(r"`((?:[\w-]+/)+[\w-]*(?:\.\w+)?|\w+\.py)`", page)
    roots = [ROOT, *(ROOT / "wellposed").rglob(""), *(ROOT / "course").rglob("")]  # packages and every folder in them
    return [name for name in named if not any((root / name).exists() for root in roots)]


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_every_file_that_is_named_exists(page):
    assert missing((ROOT / page).read_text().replace("suites/NAME/", "suites/fetch/")) == []


def test_one_that_is_gone_is_found():
    assert missing("`envs/make.py`, `wellposed/replay/` and `train.py`") == ["wellposed/replay/", "train.py"]


def named_tests(page: str) -> list[tuple[str, str]]:
    """The tests that a page names as `tests/FILE.py::NAME`."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)


def missing_tests(page: str) -> list[str]:
    """Those of them that are not there."""
    return [
        f"{file}::{name}"
        for file, name in named_tests(page)
        if not (ROOT / file).exists() or f"\ndef {name}(" not in (ROOT / file).read_text()
    ]


def test_every_promise_has_a_test_that_exists_and_every_file_that_is_named_does():
    page = (ROOT / "docs" / "trust.md").read_text()
    rows = [line for line in page.partition("## 12.")[2].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    assert [row for row in rows if len(named_tests(row)) != 1] == []
    assert missing_tests(page) == []
    assert missing(page) == []


def test_a_test_that_is_gone_is_found():
    here = "tests/test_docs.py::test_a_test_that_is_gone_is_found"
    page = f"`{here}`, `tests/test_docs.py::test_none`, `tests/no.py::test_x`"
    assert missing_tests(page) == ["tests/test_docs.py::test_none", "tests/no.py::test_x"]


@pytest.mark.slow
def test_the_picture_of_the_architecture_is_that_of_the_source():
    assert draw_architecture.PICTURE.read_text() == draw_architecture.draw(), "run python scripts/draw_architecture.py"


def test_an_edge_that_a_longer_way_implies_is_not_drawn():
    assert draw_architecture.reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}
