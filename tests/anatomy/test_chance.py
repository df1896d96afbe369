"""The floor and chance: what is solved at reset by integration and by counting, and how often random actions move."""

from typing import Any, cast

import numpy as np
import pytest

from wellposed import envs
from wellposed.anatomy import chance
from wellposed.anatomy.chance import MotionRecorder, measure_chance, measure_floor
from wellposed.envs.policies import Memoryless
from wellposed.envs.suites.fetch import model
from wellposed.envs.suites.fetch import task as fetch
from wellposed.rollout.evaluate import play_episodes
from wellposed.stats import clopper_pearson
from wellposed.types import Field, Moment, Spec, Step, VecEnv

DRAWS = 20_000
OVER: Any = lambda items, _what: iter(items)  # noqa: E731


def integrated(task: model.Variant) -> float:
    share = fetch.solved_at_reset(task)
    assert share is not None
    return share


def drawn(task: model.Variant) -> tuple[float, float]:
    """The exact 99.9 % interval of the share of goals solved, drawn as episodes draw them, without physics."""
    scene, rng = model.load_scene(task), np.random.default_rng(0)
    solved = 0
    for _ in range(DRAWS):
        start = scene.initial_grip
        if task.has_object:
            start = np.append(fetch.sample_object(scene, rng), scene.object_height)
        solved += bool(np.linalg.norm(fetch.sample_goal(scene, rng, start) - start) < model.DISTANCE_THRESHOLD)
    share = clopper_pearson(solved, DRAWS, 0.999)
    return share.low, share.high


@pytest.mark.parametrize("task", [model.REACH, model.PICK_AND_PLACE], ids=lambda task: task.name)
def test_the_integral_is_what_episodes_draw(task):
    low, high = drawn(task)
    assert low < integrated(task) < high


def test_neither_the_edge_of_the_square_nor_the_disc_may_be_forgotten():
    """Push: without either, or with the five per cent that are often quoted, the share lies outside."""
    low, high = drawn(model.PUSH)
    assert low < integrated(model.PUSH) < high
    without_edge = np.pi * 0.05**2 / 0.3**2
    without_disc = without_edge - 8 * 0.05**3 / (3 * 0.3**3) + 0.05**4 / (2 * 0.3**4)
    for wrong in (without_edge, without_disc, 0.05):
        assert not low < wrong < high


def test_resets_are_counted_by_kind_of_goal():
    found = measure_floor("FetchPickAndPlace-v4", 130, 0, 2, OVER)
    again = measure_floor("FetchPickAndPlace-v4", 130, 0, 1, OVER)
    assert found == again
    assert found.resets == 130
    assert found.expected == fetch.solved_at_reset(model.PICK_AND_PLACE)
    assert set(found.kinds) == {"air", "table"}
    assert found.kinds["table"].value > found.solved.value > found.kinds["air"].value


class Scripted:
    """Two envs whose achieved goals follow given paths; the first ends after two steps and starts anew far away."""

    num_envs, capabilities = 2, frozenset()
    spec = Spec((Field("observation", (1,)), Field("achieved_goal", (1,)), Field("desired_goal", (1,))), 1, 3)
    PATHS = np.array([[[0.0], [0.2], [0.0], [9.0]], [[0.0], [0.0005], [0.0], [0.005]]])
    BEYOND = np.array([[9.0], [0.0]])  # where the next episode of env 0 begins

    def reset(self, seed=None, mask=None):
        self.t = 0
        self.now = self._moment(self.PATHS[:, 0])
        return self.now

    def _moment(self, goals):
        obs = {"observation": goals.copy(), "achieved_goal": goals.copy(), "desired_goal": np.ones((2, 1))}
        return Moment(obs, obs)

    def step(self, actions):
        self.t += 1
        before, after, no = self.now, self._moment(self.PATHS[:, self.t]), np.zeros(2, bool)
        terminated, truncated = np.array([self.t == 2, False]), np.array([False, self.t == 3])
        self.now = self._moment(np.where(terminated[:, None], self.BEYOND, self.PATHS[:, self.t]))
        return Step(*before, actions, actions, np.zeros(2), terminated, truncated, no, *after, {})

    def is_success(self, achieved, desired):
        return np.zeros(len(achieved), bool)

    compute_terminated = is_success

    def goal_kinds(self, desired):
        return [""] * len(desired)

    def drawn(self):
        return {}


class Idle(Memoryless):
    def act(self, obs, carry=(), rng=None):
        return np.zeros((2, 1), np.float32), ()


def test_an_achieved_goal_is_watched_to_the_end_of_its_episode_and_no_further():
    env: Any = MotionRecorder(cast(VecEnv, Scripted()))
    play_episodes(Idle(), env, [0, 1])
    assert env.farthest[0] == pytest.approx([0.2, 0.005])  # not 9, where the next episode of env 0 is
    assert np.sort(np.concatenate(env.step_distances)) == pytest.approx([0.0005, 0.0005, 0.005, 0.2, 0.2])


def test_random_actions_hardly_ever_move_the_block_and_always_the_hand(monkeypatch):
    monkeypatch.setattr(chance, "EVALUATION_ENVS", 5)
    push, reach = (
        measure_chance(f"Fetch{task}-v4", episodes, 0, 2, OVER) for task, episodes in (("Push", 8), ("Reach", 3))
    )
    assert reach.moved.value == 1
    assert reach.moved_steps > 0.9
    assert push.moved.value < 0.5
    assert push.moved_steps < 0.2
    assert push.episodes == 8
    assert -50 <= push.episode_return.value <= 0
    assert max(push.success.value, push.already_solved.value) <= push.any_success.value
    assert envs.find("FetchPush-v4").solved_at_reset == fetch.solved_at_reset(model.PUSH)
