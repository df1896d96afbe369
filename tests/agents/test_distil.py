"""Distil: the pupil learns from pictures what its teacher does on states, for goals of two kinds."""

from typing import Any

import numpy as np
import pytest

from tests.agents.data import PICTURES, batches
from wellposed.agents import ALGORITHMS, Distil, EstimateConfig, make_agent, sac
from wellposed.agents.distil import goals_of, greedy
from wellposed.types import Batch, Moment


def fresh(seed: int = 0, **settings: Any) -> Distil:
    small: Any = {"hidden": (16,), "features": 8, "looks": 4}
    return make_agent("distil", EstimateConfig(**(small | settings)), PICTURES, seed)


def shown(agent: Distil, seed: int = 0) -> Batch:
    return batches(3, 32, seed, PICTURES, agent.window, agent.looks)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 2])
def test_it_repeats_bit_for_bit_and_goes_on_from_what_was_saved(frames):
    one, other = fresh(frames=frames), fresh(1, frames=frames)
    metrics = one.update(shown(one))
    assert metrics.keys() == ALGORITHMS["distil"].metrics.keys()
    assert np.isfinite(list(metrics.values())).all()
    other.load_state({name: array.copy() for name, array in one.state().items()})
    assert one.update(shown(one, seed=1)) == other.update(shown(other, seed=1))
    assert one.updates == other.updates == 6
    assert all(np.array_equal(one.state()[name], array) for name, array in other.state().items())


def test_labels_are_for_goals_of_hindsight_and_for_pursued_ones_in_turn():
    data = batches(2, 32, 0, PICTURES, 1, 4)
    goals, given = data.truth["desired_goal"], np.asarray(goals_of(data, 4))
    assert np.array_equal(given, np.stack([goals[:, 0], goals[:, -3], goals[:, 2], goals[:, -1]], axis=1))


@pytest.mark.slow
def test_the_pupil_comes_to_act_as_its_teacher_in_states_that_its_pictures_tell():
    """The brightness of a picture tells the hidden number. The teacher has a head start, so it stays as it is."""
    agent = fresh(frames=1, looks=32, features=16, steady=0.2, estimator_rate=3e-3, head_start=1000)
    rng, losses = np.random.default_rng(0), []
    for _ in range(200):
        data = moments(rng)
        losses.append(agent.update(data)["train/imitation_loss"])
    data = moments(rng)
    obs, truth = ({name: array[0] for name, array in part.items()} for part in (data.obs, data.truth))
    labels = sac.greedy(agent.sac.learner.nets.actor, truth, agent.sac.scaler.stats.obs)
    apart = np.mean(np.sum((greedy(agent.eye.steady, obs, agent.scaler.stats.obs) - labels) ** 2, axis=-1))
    assert apart < 0.3 * np.mean(losses[:3])
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:3])


def moments(rng: np.random.Generator) -> Batch:
    """One minibatch of 32 states, with pictures whose red and green tell the two numbers that are not shown."""
    state = rng.uniform(-1, 1, (1, 32, 3)).astype(np.float32)
    goal, zeros = rng.uniform(-1, 1, (1, 32, 2)).astype(np.float32), np.zeros((1, 32), np.float32)
    truth = {"observation": state, "achieved_goal": state[..., 1:], "desired_goal": goal}
    camera = np.zeros((1, 32, 8, 8, 3), np.uint8)
    camera[..., :2] = ((state[..., 1:] + 1) * 127)[:, :, None, None]
    obs = {"camera": camera, "own": state[..., :1], "desired_goal": goal}
    return Batch(obs, np.zeros((1, 32, 2), np.float32), zeros, {}, zeros, truth, truth)


def test_its_statistics_are_of_what_it_is_shown():
    agent, rng = fresh(), np.random.default_rng(0)
    data = moments(rng)
    now = Moment(*({name: array[0] for name, array in part.items()} for part in (data.obs, data.truth)))
    agent.observe(now)
    assert agent.scaler.stats.obs.keys() == {"own", "goal"}
    assert agent.sac.scaler.stats.obs.keys() == {"observation", "goal"}
