"""Pages hold what was measured: every generated block is the one its data gives."""

import sys
from pathlib import Path

import numpy as np

from wellposed.analysis.tables import Need, mean_with_interval, table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import render_experiments  # noqa: E402


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
