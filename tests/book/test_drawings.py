"""The drawings of the course: each is used, has a text and the colours of the page, and agrees with its formula."""

import re
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from course.book.drawings import DRAWINGS, cameras, contact, curves, draw, drawing, evidence, robots, timelines
from course.book.drawings.primitives import typeset
from course.book.pages import Directive
from course.chapters.load import find_chapters
from wellposed.analysis.perturbation import hindsight_bias
from wellposed.data.hindsight import STRATEGIES
from wellposed.envs.rendering import working_backend
from wellposed.envs.suites.fetch import model, task
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.pixels import Eye
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
        return step / float(np.sqrt(2 * evidence.lost(np.exp(step * friction), 2 * np.exp(step * mass), throws)))

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


def test_a_bar_in_one_row_of_pixels_is_misread_as_computed():
    for width in (2.0, 3.25, 4.5):
        left = np.arange(0.5, 1.5, 1e-4)  # one end has just passed the centre of a pixel
        dark = np.stack([(np.arange(8) + 0.5 > x) & (np.arange(8) + 0.5 <= x + width) for x in left])
        same = np.unique(dark, axis=0, return_inverse=True)[1]
        middles = np.bincount(same, left) / np.bincount(same)
        assert cameras.misread(width) == pytest.approx(np.sqrt(np.mean((left - middles[same]) ** 2)), abs=1e-3)


def test_what_is_put_where_the_estimate_says_lies_near_its_goal_as_often_as_rayleigh_says():
    assert cameras.placed(np.array([0.02]), 2)[0] == pytest.approx(1 - np.exp(-(0.05**2) / (2 * 0.02**2)))


@pytest.mark.slow
@pytest.mark.parametrize("variant", [model.PUSH, model.PICK_AND_PLACE], ids=lambda one: one.name)
def test_the_camera_draws_the_block_where_its_rays_meet_the_image(variant):
    try:
        working_backend()
    except UserError as error:
        pytest.skip(str(error))
    scene, camera = model.load_scene(variant), cameras.camera_of(variant, 200)
    eye = Eye(scene.model, model.view(variant), 200)
    places = cameras.middle_of(variant) + np.array([[0.1, 0.12, 0], [-0.12, -0.1, 0], [0.0, 0.13, 0.15]])
    frames = []
    for place in places:
        qpos = scene.initial_qpos.copy()
        qpos[scene.object_qpos][:] = (*place, 1, 0, 0, 0)
        frames.append(eye.look(qpos).astype(int))
    eye.close()
    for place, frame, other in zip(places, frames, frames[1:] + frames[:1], strict=True):
        down, across = np.nonzero(np.abs(frame - other).sum(axis=2) > 30)
        due = camera.seen(place)
        near = np.hypot(across + 0.5 - due[0], down + 0.5 - due[1]) < 25
        found = np.array([across[near].mean() + 0.5, down[near].mean() + 0.5])
        assert near.sum() > 50
        assert np.abs(found - due).max() < 3, (found, due)


def test_the_cameras_have_the_pixels_that_chapter_9_names():
    push, pick = (cameras.camera_of(variant, 48) for variant in (model.PUSH, model.PICK_AND_PLACE))
    assert push.focal == pytest.approx(57.9, abs=0.05)
    assert 1000 * cameras.pixel_of(model.PUSH, 48) == pytest.approx(13.0, abs=0.05)
    assert 1000 * cameras.pixel_of(model.PICK_AND_PLACE, 48) == pytest.approx(18.2, abs=0.05)
    width = 0.05 / cameras.pixel_of(model.PUSH, 48)
    assert 13.0 * cameras.misread(width) == pytest.approx(2.9, abs=0.05)
    middle = cameras.middle_of(model.PICK_AND_PLACE)
    lifted = pick.seen(middle + np.array([0, 0, 0.2]))
    np.testing.assert_allclose(pick.seen(middle - np.array([0.097, 0, 0])), lifted, atol=0.05)
    assert 0.05 * pick.focal * (1 / (pick.depth(middle) - 0.07) - 1 / pick.depth(middle)) == pytest.approx(
        0.2, abs=0.01
    )


def test_the_jamming_diagram_is_that_of_the_theorem():
    """Its corners are loads that the walls can just hold, by the balance of forces with friction at its limit."""
    depth, width, friction = 0.02, 0.016, 0.4
    for x, y in contact.parallelogram(depth, friction):
        held = []
        for turn in (1, -1):  # and the mirror image
            load, moment = turn * x, turn * y * width / 2
            right, left = (1 / friction + load) / 2, (1 / friction - load) / 2
            held.append(moment - (width / 2 * friction * (left - right) - depth * right))
        assert min(map(abs, held)) < 1e-12


def test_holes_are_met_as_an_area_is_covered():
    """Of holes 1 to 3 mm away those within the radius that the length covers, but for the size of a hole."""
    share = contact.holes_met(3e-4, np.array([80]))
    assert share[0] == pytest.approx((2.62 - 1) / 2, abs=0.08)
    assert contact.holes_met(1e-3, np.array([48]))[0] == 1.0
