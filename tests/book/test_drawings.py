"""The drawings of the course: each is used, has a text and the colours of the page, and agrees with its formula."""

import re
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from course.book.drawings import DRAWINGS, curves, draw, drawing, evidence, robots, timelines
from course.book.drawings.primitives import typeset
from course.book.pages import Directive
from course.chapters.load import find_chapters
from wellposed.analysis.perturbation import hindsight_bias
from wellposed.data.hindsight import STRATEGIES
from wellposed.envs.suites.fetch import model, task
from wellposed.envs.wrappers.control import Control
from wellposed.errors import UserError

USED = {
    text.parent.name: re.findall(r"\{\{ drawing: (\w+) ", text.read_text())
    for text in sorted(find_chapters().glob("ch*/chapter.md"))
}


def test_each_drawing_is_used_once_and_each_chapter_has_two():
    assert Counter(name for names in USED.values() for name in names) == Counter(list(DRAWINGS))
    assert {chapter: len(names) for chapter, names in USED.items() if len(names) < 2} == {}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_has_a_text_and_the_colours_of_the_page_and_is_always_the_same(name):
    svg = draw(DRAWINGS[name])
    assert svg == draw(DRAWINGS[name])
    (text,) = re.findall(r'<svg role="img" aria-label="([^"]{80,})"', svg)
    assert text.endswith(".")
    assert re.findall(r"(?:fill|stroke|color): (?!none|var\(--wp-)[^;\"]+", svg) == []
    assert re.sub(r'url\(#\w+\)|"#\w+"', "", svg).count("#") == svg.count("&#")  # no colour is written in digits


def test_markup_of_a_label_becomes_elements_and_stays_in_the_text():
    svg = typeset('<!-- *a*_t --><text x="1">*a*_t + b^{2}</text><g id="axes_1"/>')
    assert re.sub("<[^>]*>|&#8203;", "", svg) == "at + b2"
    assert '<tspan style="font-style: italic">a</tspan>' in svg
    assert '<g id="axes_1"/>' in svg  # only labels have markup
    shifts = [float(dy) for dy in re.findall(r'dy="(.*?)em"', svg)]
    np.testing.assert_allclose(0.72 * np.array(shifts[::2]) + shifts[1::2], 0, atol=1e-3)  # back on the line


def test_an_unknown_drawing_or_option_is_named():
    page: Any = SimpleNamespace()
    with pytest.raises(UserError, match=r"no drawing 'cliff'; did you mean 'clip'"):
        drawing(page, Directive("drawing", ["cliff"], {"caption": "x"}))
    with pytest.raises(UserError, match="no option width"):
        drawing(page, Directive("drawing", ["clip"], {"width": "5"}))


def test_the_clipped_objective_has_its_kink_where_nothing_more_is_gained():
    ratio = np.array([0.5, 0.7, 1.2, 1.5])
    np.testing.assert_allclose(curves.clip_of(ratio, 1.0, 0.2), [0.5, 0.7, 1.2, 1.2], rtol=1e-6)
    np.testing.assert_allclose(curves.clip_of(ratio, -1.0, 0.2), [-0.8, -0.8, -1.2, -1.5], rtol=1e-6)


def test_the_hand_moves_as_chapter_1_computes():
    held, targets = curves.hand_way([1.0] * 12)
    once, _ = curves.hand_way([1.0] + [0.0] * 12)
    assert held[model.SUBSTEPS] == pytest.approx(30.80, abs=0.005)
    assert once[-1] == pytest.approx(33.2, abs=0.05)
    assert held[-1] - held[-1 - model.SUBSTEPS] == pytest.approx(once[-1], rel=1e-6)
    np.testing.assert_allclose(targets, held[: -1 : model.SUBSTEPS] + 50)


def test_the_squashed_density_integrates_to_one_and_its_entropy_has_a_ceiling():
    a = np.tanh(np.linspace(-6, 6, 20001))
    density = curves.squashed_density(a, 0.87)
    assert np.trapezoid(density, a) == pytest.approx(1, abs=1e-6)
    assert -np.trapezoid(density * np.log(density), a) == pytest.approx(curves.squashed_entropy(0.87), abs=1e-5)
    near = {sigma: curves.squashed_entropy(sigma) for sigma in (0.8, 0.87, 0.95)}
    assert max(near, key=near.__getitem__) == 0.87
    assert near[0.87] < np.log(2) < np.log(0.87 * np.sqrt(2 * np.pi * np.e))


def test_expected_rewards_are_means_over_places():
    place = 0.05 * np.random.default_rng(0).standard_normal(200_000) + 0.08
    sparse, dense = curves.expected_rewards(np.array([0.08]), 0.05)
    assert sparse[0] == pytest.approx(np.mean(np.abs(place) <= 0.05) - 1, abs=0.004)
    assert dense[0] == pytest.approx(-np.mean(np.abs(place)), abs=0.001)


def test_what_hindsight_learns_under_noise_is_the_bias_of_exercise_7():
    places = np.linspace(-0.4, 0.4, 160_001)
    p = np.exp(-(places**2) / (2 * 0.05**2))
    p /= p.sum()
    for beside in (0.0, 0.06):
        true, learnt = curves.under_noise(np.array([beside]), 0.05, 4)
        y, w = (np.abs(places - beside) <= 0.05).astype(float), (np.abs(places - beside) <= 0.0005) / 0.001
        assert true[0] == pytest.approx(p @ y, abs=1e-3)
        assert learnt[0] - true[0] == pytest.approx(hindsight_bias(4, 1 / 0.6, y, w, p), abs=1e-3)


def test_likelihoods_of_pushes_and_throws_bend_as_chapter_10_computes():
    def known(throws: int, friction: float, mass: float) -> float:
        """Standard deviation along a direction of logarithms, from how the likelihood bends."""
        step = 1e-3
        return step / np.sqrt(2 * evidence.lost(np.exp(step * friction), 2 * np.exp(step * mass), throws)[()])

    assert known(0, 0.5, 0.5) == pytest.approx(0.016, abs=5e-4)  # of the product
    assert evidence.lost(np.array(2.0), np.array(1.0), 0) == pytest.approx(0, abs=1e-12)
    assert known(10, 1, -1) == pytest.approx(0.039, abs=5e-4)  # the product stays: of friction
    assert np.hypot(known(0, 0.5, 0.5), known(10, 1, -1)) == pytest.approx(0.042, abs=5e-4)  # of mass
    assert pytest.approx(0.0196, abs=5e-5) == evidence.MASS * evidence.FRICTION * evidence.GRAVITY / evidence.STIFFNESS
    assert pytest.approx(0.0082, abs=5e-5) == evidence.THROWN**2 / (2 * evidence.GRAVITY)


@pytest.mark.parametrize("strategy", ["final", "future", "episode"])
def test_the_goals_of_a_strategy_are_distributed_as_the_laboratory_draws_them(strategy):
    rng, n = np.random.default_rng(0), 40_000
    t = rng.integers(0, 10, n)
    drawn = STRATEGIES[strategy](t, np.full(n, 10), rng)
    share = np.bincount(drawn[t == 3], minlength=11) / (t == 3).sum()
    np.testing.assert_allclose(timelines.goal_moments(3, 10)[strategy], share, atol=0.025)


def test_actions_arrive_as_the_stages_say():
    chosen = np.array([1.0, 0.0, -1.0, 0.5])
    np.testing.assert_allclose(timelines.arrived(Control(), chosen), chosen)
    np.testing.assert_allclose(timelines.arrived(Control(delay=2), chosen), [0, 0, 1, 0])
    np.testing.assert_allclose(timelines.arrived(Control(hold=3), chosen), [1, 1, 1, 0.5])
    np.testing.assert_allclose(timelines.arrived(Control(smoothing=0.5), chosen), [0.5, 0.25, -0.375, 0.0625])


def test_the_robots_are_drawn_with_the_tasks_own_numbers():
    assert (robots.AWAY, robots.HIGHEST) == (task._MIN_OBJECT_OFFSET, task._AIR_HEIGHT)
    trace, goal = robots.grasp_played()
    assert np.linalg.norm(trace[-1, 3:6] - goal) < model.DISTANCE_THRESHOLD
    assert goal[2] > trace[0, 5] + 0.1
