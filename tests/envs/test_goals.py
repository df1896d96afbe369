import numpy as np
import pytest

from wellposed.envs import goals
from wellposed.envs.suites.fetch import model, simulation, task


def test_at_the_threshold_the_reward_forgives_and_success_does_not():
    threshold = 0.25  # a distance floating point holds exactly
    at, inside, outside = (np.array([[d, 0.0, 0.0]]) for d in (0.25, 0.2499, 0.2501))
    origin = np.zeros((1, 3))
    assert goals.sparse_reward(at, origin, threshold) == 0
    assert not goals.success(at, origin, threshold)
    assert goals.sparse_reward(inside, origin, threshold) == 0
    assert goals.success(inside, origin, threshold)
    assert goals.sparse_reward(outside, origin, threshold) == -1


def test_the_dense_reward_is_minus_the_distance():
    assert goals.dense_reward(np.array([3.0, 0.0, 0.0]), np.array([0.0, 4.0, 0.0])) == -5


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        goals.distance(np.zeros((2, 3)), np.zeros(3))


def test_euler_angles_at_rest_and_in_gimbal_lock():
    identity, locked = np.eye(3), np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    angles = simulation.euler_from_matrix(np.stack([identity, locked]))
    assert np.allclose(angles[0], 0)
    assert np.allclose(angles[1], [0, np.pi / 2, 0])


def test_objects_start_away_from_the_hand_and_goals_where_the_task_says():
    rng = np.random.default_rng(0)
    for variant in model.VARIANTS:
        scene = model.load_scene(variant)
        drawn = np.array([task.sample_goal(scene, rng, scene.initial_grip) for _ in range(400)])
        centre = scene.initial_grip + variant.target_offset
        assert (np.abs(drawn[:, :2] - centre[:2]) <= variant.target_range).all()
        lifted = (drawn[:, 2] > scene.object_height + 1e-9).mean()
        assert lifted == pytest.approx({"PickAndPlace": 0.5, "Reach": 1.0}.get(variant.name, 0.0), abs=0.1)
        if variant.has_object:
            starts = np.array([task.sample_object(scene, rng) for _ in range(200)]) - scene.initial_grip[:2]
            assert np.linalg.norm(starts, axis=1).min() >= 0.1
            assert np.abs(starts).max() <= variant.object_range
