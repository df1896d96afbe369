"""From runs to figures: what is averaged where a run had stopped, where phases begin, and which cell a variant is."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from matplotlib.figure import Figure

from course.book import figures, plots
from course.book.pages import Directive
from course.chapters.results import Curve, HeldOut, RunResult, VariantResult
from wellposed import stats
from wellposed.errors import UserError
from wellposed.report.figures import as_svg
from wellposed.runs.record import Estimate, Solved

Ended = Literal["solved", "budget", "diverged"]


def run(success: list[int], ended: Ended = "budget", seed: int = 0, series: dict | None = None) -> RunResult:
    """A run evaluated on 10 episodes every 100 steps."""
    step = [100 * i for i in range(len(success))]
    held_out = HeldOut(0, "", "1" * 9 + "0", "1" + "0" * 9, {}, Estimate(0.1, (0.0, 0.4)), {})
    solved = Solved(0.9, step[-1], step[-1], 1.0) if ended == "solved" else None
    curve = Curve(10, step, [s // 2 for s in step], [s / 50 for s in step], success)
    origin = SimpleNamespace(command="", commit=None, dirty=None, cpu="", cores=2, started="")
    return RunResult(
        f"run_s{seed}", seed, ended, step[-1], step[-1] // 2, step[-1] / 50, solved, held_out, curve, series or {},
        **vars(origin),
    )  # fmt: skip


def variant(*runs: RunResult, **agent: float) -> VariantResult:
    return VariantResult({"total_steps": 400, "agent": agent}, list(runs))


def test_a_run_that_stopped_counts_on_with_its_last_success_and_one_that_diverged_with_none():
    runs = [run([0, 10], "solved"), run([0, 2, 4, 6, 8]), run([0, 10], "diverged")]
    (band,) = plots.success_bands({"one": variant(*runs)}, "steps")
    assert band.x.tolist() == [0, 100, 200, 300, 400]
    expected = np.array([[0, 1, 1, 1, 1], [0, 0.2, 0.4, 0.6, 0.8], [0, 1, 0, 0, 0]])
    np.testing.assert_allclose(band.mean, expected.mean(axis=0))
    assert [len(x) for x, _ in band.seeds] == [2, 5, 2]  # each seed is drawn as far as it went
    assert (band.whole, band.carries) == (100, True)
    low, high = np.array([stats.over_seeds(column, 10, shared=False)[1:] for column in expected.T]).T
    np.testing.assert_allclose((band.low, band.high), (low, high))


def test_what_is_carried_on_is_drawn_in_another_way_and_said():
    stopped, whole = ([run([0, 5, 10], "solved"), run(end, "solved", 1)] for end in ([0, 10], [0, 5, 10]))
    for runs, carries in ((stopped, True), (whole, False)):
        results: Any = SimpleNamespace(experiments={"one": {"a": variant(*runs)}})
        html = plots.draw(results, Directive("figure", ["learning", "one"], {})).html
        assert (figures.CARRIED in html) == carries
        assert ("some seeds having stopped from 100 on" in html) == carries


def test_each_clock_has_its_own_moments():
    one = {"one": variant(run([0, 5, 10]))}
    assert plots.success_bands(one, "updates")[0].x.tolist() == [0, 50, 100]
    assert plots.success_bands(one, "seconds")[0].x.tolist() == [0, 2, 4]


def test_phases_are_shaded_from_where_they_begin_to_the_end_of_the_run():
    spans = plots.phase_spans(run([1, 0, 8, 8, 10, 10]))
    assert spans == [
        figures.Span("failure", 0, 200),
        figures.Span("take-off", 200, 400),
        figures.Span("convergence", 400, 500),
    ]
    assert plots.phase_spans(run([1, 0, 1])) == [figures.Span("failure", 0, 200)]


def test_panels_are_of_what_a_run_logged():
    series = {"train/value_loss": [None, 1.0, 0.5], "train/entropy": [2.0, 1.0, 0.0]}
    found = plots.logged_panels(run([0, 5, 10], series=series))
    assert [panel.label for panel in found] == ["success", "value loss", "entropy, nats"]
    np.testing.assert_equal(found[1].y, [np.nan, 1.0, 0.5])
    with pytest.raises(UserError, match="logged none"):
        plots.logged_panels(run([0, 5, 10]))


def test_the_name_beside_a_panel_is_no_longer_than_the_panel_is_high(monkeypatch):
    """Else it runs into that of the panel above or below."""
    heights = []

    def look(fig: Figure) -> str:
        fig.canvas.draw()
        heights.extend((ax.yaxis.label.get_window_extent().height, ax.bbox.height) for ax in fig.axes)
        return as_svg(fig)

    monkeypatch.setattr(figures, "as_svg", look)
    logged = {names[0]: [None, 1.0, 0.5] for _, names, _ in plots.QUANTITIES} | {"probe/q_min": [0.0] * 3}
    one = run([0, 5, 10], series=logged | {"probe/q_max": [1.0] * 3})
    figures.losses(plots.logged_panels(one), plots.phase_spans(one), floor=0.1)
    assert len(heights) == 1 + len(plots.QUANTITIES)
    assert all(name < panel for name, panel in heights)


def test_a_grid_puts_each_variant_in_its_cell():
    there, not_there = run([0, 10, 10], "solved"), run([0, 1, 1, 1, 1])
    found = plots.setting_grid(
        {
            "a": variant(there, there, not_there, gamma=0.98, temperature=0.1),
            "b": variant(there, not_there, not_there, gamma=0.95, temperature=0.1),
            "c": variant(there, gamma=0.95, temperature=0.2),
        },
        "agent.gamma",
        "agent.temperature",
    )
    assert (found.across, found.columns, found.down, found.rows) == (
        "gamma",
        ["0.95", "0.98"],
        "temperature",
        ["0.1", "0.2"],
    )
    (b, a), (c, none) = found.cells
    assert none is None
    assert a and b and c  # noqa: PT018
    assert (a.solved, a.steps) == ("2 of 3", 200)
    assert (b.solved, b.steps, b.budget) == ("1 of 3", None, 400)  # most of its runs needed more
    assert c.success[0] == pytest.approx(0.9)
    assert (a.steps, found.needed) == (200, "steps to the bar")
    half = {
        "a": variant(run([0, 0, 5, 5, 5]), gamma=0.98, temperature=0.1),
        "b": variant(run([0, 5, 4, 5, 4]), gamma=0.95, temperature=0.2),
    }
    found = plots.setting_grid(half, "agent.gamma", "agent.temperature", need="steps_to[50%]")
    assert found.needed == "steps to 50%"
    assert [cell.steps for cells in found.cells for cell in cells if cell] == [300, None]


def test_a_grid_without_an_interaction_to_show_is_refused():
    one = variant(run([0, 1]), gamma=0.95, temperature=0.1)
    with pytest.raises(UserError, match=r"the same agent\.gamma and agent\.temperature"):
        plots.setting_grid({"a": one, "b": one}, "agent.gamma", "agent.temperature")
    with pytest.raises(UserError, match="no interaction"):
        plots.setting_grid({"a": one}, "agent.gamma", "agent.temperature")
    with pytest.raises(UserError, match=r"no setting 'agent\.horizon'"):
        plots.setting_grid({"a": replace(one, config={"agent": {}})}, "agent.horizon", "agent.gamma")


def test_the_front_joins_what_nothing_beats_and_says_so():
    estimate = lambda value: {"value": value, "ci95": [value - 0.1, value + 0.1]}  # noqa: E731
    point = lambda policy, success, change, best: {  # noqa: E731
        "policy": policy, "control": "none", "success": estimate(success), "change": estimate(change), "front": best
    }  # fmt: skip
    points = [point("by hand", 0.9, 0.1, True), point("retrofit", 0.8, 0.2, False), point("retrained", 1.0, 0.3, True)]
    found = {"one": SimpleNamespace(result={"points": points}), "other": SimpleNamespace(result={})}
    results: Any = SimpleNamespace(measurements=found)
    drawn = plots.draw(results, Directive("figure", ["front", "one"], {}))
    assert "Not beaten in both: by hand (none) 90%, retrained (none) 100%." in drawn.html
    assert drawn.sources == ["one"]
    with pytest.raises(UserError, match="other holds no points"):
        plots.draw(results, Directive("figure", ["front", "other"], {}))


def test_success_against_level_has_a_line_for_each_variant():
    row = lambda level, success: {"level": level, "success": {"value": success, "ci95": [success - 0.1, success]}}  # noqa: E731
    curve = lambda one, other: {"about": "an error", "unit": "m", "levels": [row(0, one), row(0.01, other)]}  # noqa: E731
    curves = {"noise": {"push.plain": curve(1.0, 0.5), "push.noisy": curve(0.9, 0.8)}}
    found = {"one": SimpleNamespace(result={"curves": curves}), "other": SimpleNamespace(result={})}
    results: Any = SimpleNamespace(measurements=found)
    drawn = plots.draw(results, Directive("figure", ["levels", "one", "noise"], {}))
    assert "Success against level, an error: push.plain 100% to 50%, push.noisy 90% to 80%." in drawn.html
    assert drawn.sources == ["one"]
    with pytest.raises(UserError, match="no curve of one 'bias'"):
        plots.draw(results, Directive("figure", ["levels", "one", "bias"], {}))
    with pytest.raises(UserError, match="other holds no curves"):
        plots.draw(results, Directive("figure", ["levels", "other", "noise"], {}))
