"""What networks are shown: scales, differences, logarithms of distances, and the symmetries they respect."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agents.data import spec_of
from wellposed.nn.inputs import NEAREST, InputConfig, Scale, StateEncoder, feature_width, log_distance
from wellposed.nn.normaliser import RELATIVE_FLOOR, InputScaler, RunningNormaliser
from wellposed.types import Field, Geometry, Moment, Spec

PLAIN = InputConfig(relative=False, distances=False)
LINE = spec_of(1, 1, 1)
GEOMETRY = Geometry(effector=(0, 1, 2), points=((0, 1, 2), (3, 4, 5)), shift_axes=(0, 1), mirror=None)
SPACE = spec_of(7, 3, 2, geometry=GEOMETRY)
UNSCALED = {"observation": Scale(np.zeros(7), np.ones(7)), "goal": Scale(np.zeros(3), np.ones(3))}


def scene(seed: int = 0, n: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations of hand, object and one thing that is no point; achieved and desired goals."""
    rng = np.random.default_rng(seed)
    observation, desired = rng.normal(size=(n, 7)), rng.normal(size=(n, 3))
    return observation, observation[:, 3:6].copy(), desired


def encoder_of(config: InputConfig, spec: Spec) -> StateEncoder:
    return StateEncoder(config, spec.obs, spec, jax.random.key(0))


def named(observation: Any, achieved: Any, desired: Any) -> dict[str, Any]:
    return {"observation": observation, "achieved_goal": achieved, "desired_goal": desired}


def shown(config: InputConfig, spec: Spec, *arrays: Any) -> np.ndarray:
    return np.asarray(encoder_of(config, spec)(named(*map(jnp.asarray, arrays)), UNSCALED))


def test_inputs_hold_the_way_to_the_goal_in_standard_deviations():
    scales = {"observation": Scale(1.0, 2.0), "goal": Scale(10.0, 4.0)}
    one = lambda number: jnp.array([number])  # noqa: E731
    x = encoder_of(PLAIN, LINE)(named(one(5.0), one(6.0), one(14.0)), scales)
    assert np.allclose(x, [(5 - 1) / 2, (14 - 10) / 4, (14 - 6) / 4])
    far = encoder_of(PLAIN, LINE)(named(one(50.0), one(6.0), one(14.0)), scales)
    assert far[0] == PLAIN.clip


def test_the_logarithm_of_a_distance_by_hand():
    assert log_distance(jnp.array([3.0, 4.0, 0.0, 0.0]))[0] == pytest.approx(np.log(2.5 + NEAREST), rel=1e-6)
    assert log_distance(jnp.zeros(3))[0] == pytest.approx(np.log(NEAREST), rel=1e-6)
    assert np.isfinite(jax.grad(lambda way: log_distance(way)[0])(jnp.ones(3))).all()


def test_relative_inputs_do_not_see_a_shift_along_the_table_and_do_see_every_other_change():
    observation, achieved, desired = scene()
    before = shown(InputConfig(), SPACE, observation, achieved, desired)
    for axis in (0, 1, 2):
        moved = observation.copy()
        moved[:, [axis, 3 + axis]] += 0.7
        step = 0.7 * np.eye(3)[axis]
        after = shown(InputConfig(), SPACE, moved, achieved + step, desired + step)
        assert np.allclose(before, after, atol=1e-5) == (axis in GEOMETRY.shift_axes)
        assert not np.allclose(shown(InputConfig(), SPACE, observation, achieved, desired + step), before, atol=1e-5)
        absolute = shown(InputConfig(relative=False), SPACE, observation, achieved, desired)
        assert not np.allclose(
            shown(InputConfig(relative=False), SPACE, moved, achieved + step, desired + step), absolute
        )


def test_without_a_geometry_nothing_is_left_out():
    observation, achieved, desired = scene()
    spec = SPACE._replace(geometry=None)
    width = lambda spec: feature_width(encoder_of(InputConfig(), spec), spec.obs)  # noqa: E731
    assert width(spec) == 7 + 3 + 3 + 1
    assert width(SPACE) == (7 - 4) + (3 - 2) + 3 + 2
    x = shown(InputConfig(), spec, observation, achieved, desired)
    assert np.allclose(x[:, :7], np.clip(observation, -5, 5))


def test_vectors_of_any_name_and_shape_are_shown_and_goals_that_are_not_seen_are_not():
    fields = Field("joints", (2, 2)), Field("desired_goal", (3,), "goal")
    spec, rng = Spec(fields, 1, 1), np.random.default_rng(0)
    obs = {"joints": jnp.asarray(rng.normal(size=(5, 2, 2))), "desired_goal": jnp.asarray(rng.normal(size=(5, 3)))}
    scales = {"joints": Scale(np.zeros(4), np.ones(4)), "goal": UNSCALED["goal"]}
    x = encoder_of(InputConfig(), spec)(obs, scales)
    assert np.allclose(x, np.hstack([obs["joints"].reshape(5, 4), obs["desired_goal"]]))


def scaler_of(spec: Spec, obs: dict[str, np.ndarray], config: InputConfig = PLAIN) -> InputScaler:
    scaler = InputScaler(config, spec, "obs")
    scaler.observe(Moment(obs, obs))
    return scaler


def test_goals_that_are_points_share_one_scale():
    rng = np.random.default_rng(0)
    goals = rng.normal(size=(500, 3)) * [3.0, 1.0, 0.0]
    obs = named(rng.normal(size=(500, 7)), goals, goals)
    std = lambda spec: scaler_of(spec, obs).stats.obs["goal"].std  # noqa: E731
    assert np.allclose(std(SPACE), np.sqrt(np.mean(goals.var(axis=0))), rtol=1e-3)
    assert np.allclose(std(SPACE._replace(geometry=None))[:2], goals.std(axis=0)[:2], rtol=1e-5)
    assert np.allclose(scaler_of(SPACE, obs, InputConfig(normalise=False)).stats.obs["observation"].std, 1)


def test_the_floor_of_a_field_counts_as_constant_what_varies_less():
    rng = np.random.default_rng(0)
    obs = {"observation": 5 + rng.normal(size=(500, 3)) * [1.0, 1e-3, 0.0]}

    def std(floor: tuple[float, ...]) -> np.ndarray:
        return scaler_of(Spec((Field("observation", (3,), floor=floor),), 1, 1), obs).stats.obs["observation"].std

    own = obs["observation"].std(axis=0)
    assert np.allclose(std((0.01,)), [own[0], 0.01, 0.01])
    assert np.allclose(std((0.01, 1e-9, 0.5)), [own[0], own[1], 0.5])
    assert np.allclose(std(()), [own[0], own[1], 5 * RELATIVE_FLOOR])


def test_scales_do_not_depend_on_the_unit():
    rng = np.random.default_rng(0)
    obs = {"observation": 5 + rng.normal(size=(500, 3)) * [1.0, 1e-3, 0.0]}
    spec = Spec((Field("observation", (3,)),), 1, 1)
    metres, millimetres = (scaler_of(spec, {"observation": k * obs["observation"]}).stats.obs for k in (1, 1000))
    assert np.allclose(1000 * metres["observation"].std, millimetres["observation"].std, rtol=1e-6)
    nothing = scaler_of(spec, {"observation": np.zeros((5, 3))}).stats.obs["observation"]
    assert np.array_equal(nothing.std, np.ones(3))


def test_the_normaliser_is_that_of_all_rows_together():
    rows = np.random.default_rng(0).normal(3, 2, (100, 4))
    rows[:, 3] = 7.0
    normaliser = RunningNormaliser(4, floor=(1e-3,))
    for chunk in np.split(rows, [1, 2, 30, 64]):
        normaliser.update(chunk)
    assert np.allclose(normaliser.mean, rows.mean(axis=0))
    assert np.allclose(normaliser.std, np.maximum(rows.std(axis=0), 1e-3))


def test_differences_that_are_named_are_shown_in_standard_deviations_of_goals():
    """The way from hand to object joins the inputs, before the logarithms; a shift leaves it what it is."""
    observation, achieved, desired = scene()
    spec = SPACE._replace(geometry=replace(GEOMETRY, differences=((0, 1),)))
    lacking, had = (shown(PLAIN, one, observation, achieved, desired) for one in (SPACE, spec))
    np.testing.assert_allclose(had, np.hstack([lacking, observation[:, 3:6] - observation[:, :3]]), atol=1e-6)
    wide = {"observation": UNSCALED["observation"], "goal": Scale(np.zeros(3), np.full(3, 2.0))}
    scaled = np.asarray(encoder_of(PLAIN, spec)(named(*map(jnp.asarray, (observation, achieved, desired))), wide))
    np.testing.assert_allclose(scaled[:, -3:], had[:, -3:] / 2, atol=1e-6)


# Hand, two blocks and one number that is no point; a goal has a place for each block, after a number that is no point.
TWO = Geometry((0, 1), ((0, 1), (2, 3), (4, 5)), (0,), None, ((0, 1), (0, 2)), goal_points=((1, 2), (3, 4)))
STACK = spec_of(7, 5, 2, geometry=TWO)


def stack() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    observation, desired = rng.normal(size=(6, 7)), rng.normal(size=(6, 5))
    return observation, np.hstack([observation[:, 6:], observation[:, 2:6]]), desired


def shown_stack(*arrays: np.ndarray) -> np.ndarray:
    ones = {"observation": Scale(np.zeros(7), np.ones(7)), "goal": Scale(np.zeros(5), np.ones(5))}
    return np.asarray(encoder_of(InputConfig(clip=100.0), STACK)(named(*map(jnp.asarray, arrays)), ones))


def test_of_a_goal_of_several_points_each_has_its_ways_and_distances():
    """The way and the logarithm of each block to its place, the way of the hand to each block, and their logarithms."""
    observation, achieved, desired = stack()
    log = lambda way: np.log(np.sqrt((way**2).mean(axis=1, keepdims=True)) + NEAREST)  # noqa: E731
    way, hand = desired - achieved, observation[:, :2]
    to_blocks = [observation[:, 2:4] - hand, observation[:, 4:6] - hand]
    expected = [
        observation[:, [1, 3, 5, 6]],  # without x
        desired[:, [0, 2, 4]],
        way,
        log(way[:, 1:3]),
        log(way[:, 3:5]),
        *to_blocks,
        *map(log, to_blocks),
    ]
    np.testing.assert_allclose(shown_stack(observation, achieved, desired), np.hstack(expected), atol=1e-5)


def test_all_points_move_together_unseen_and_none_alone():
    observation, achieved, desired = stack()
    before = shown_stack(observation, achieved, desired)
    moved, reached, wished = observation.copy(), achieved.copy(), desired.copy()
    for array, columns in ((moved, [0, 2, 4]), (reached, [1, 3]), (wished, [1, 3])):
        array[:, columns] += 0.7
    np.testing.assert_allclose(shown_stack(moved, reached, wished), before, atol=1e-5)
    for column in (1, 3):
        alone = wished.copy()
        alone[:, column] -= 0.7
        assert not np.allclose(shown_stack(moved, reached, alone), before, atol=1e-3)


def test_points_of_goals_share_one_scale_and_what_is_no_point_has_its_own():
    goals = np.random.default_rng(0).normal(size=(500, 5)) * [10.0, 1.0, 2.0, 3.0, 4.0]
    obs = named(np.ones((500, 7)), goals, goals)
    std, own = scaler_of(STACK, obs).stats.obs["goal"].std, goals.std(axis=0)
    np.testing.assert_allclose(std, [own[0], *[np.sqrt((own[1:] ** 2).mean())] * 4], rtol=1e-3)
