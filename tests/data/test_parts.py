"""Hindsight for goals of several things: each is relabelled with what it achieved at a moment of its own."""

from typing import Any

import numpy as np
import pytest

from tests.data.test_episodes import same, taken
from wellposed.data.episodes import ReplayBuffer, ReplayConfig
from wellposed.envs.make import EnvConfig, with_parts
from wellposed.errors import UserError
from wellposed.probe import audit
from wellposed.serialise import from_dict, to_dict
from wellposed.types import Field, Spec

PARTS = ((0, 2), (1,))  # numbers of a thing need not lie side by side
LENGTH, EPISODES, BATCH = 8, 6, 600
SPEC = Spec(
    obs=(
        Field("observation", (2,)),
        Field("achieved_goal", (3,), "goal"),
        Field("desired_goal", (3,), "goal"),
    ),
    action_dim=1,
    max_episode_steps=LENGTH,
    goal_parts=PARTS,
)


def reward(achieved, desired):
    """Two things have to be near their places, each as near as its kind asks."""
    apart = np.abs(achieved - desired)
    return -(1.0 - ((apart[..., [0, 2]].max(axis=-1) < 1.5) & (apart[..., 1] < 0.5)))


def terminated(achieved, desired):
    return reward(achieved, desired) == 0


def state(episode: int, t: int) -> dict[str, np.ndarray]:
    """State t of an episode: every number of the achieved goal tells episode, moment and its own place."""
    achieved = 100.0 * episode + t + np.array([[0.0, 1000.0, 2000.0]])
    return {
        "observation": np.array([[episode, t]], float),
        "achieved_goal": achieved,
        "desired_goal": np.full((1, 3), -1.0),
    }


def filled(kind: type[ReplayBuffer] = ReplayBuffer, relabel: Any = "parts", spec: Spec = SPEC) -> ReplayBuffer:
    buffer = kind(ReplayConfig(100, relabel=relabel), spec, 1, reward, terminated)
    for episode in range(EPISODES):
        for t in range(LENGTH):
            last = np.array([t == LENGTH - 1])
            step = taken(state(episode, t), state(episode, t + 1), np.zeros((1, 1), np.float32), last & False, last)
            buffer.add(step._replace(reward=np.array([-1.0])))
    return buffer


def sampled(buffer: ReplayBuffer) -> Any:
    return buffer.sample(1, BATCH, np.random.default_rng(0))


def broken_promises(buffer: ReplayBuffer) -> set[str]:
    """What a batch breaks of what hindsight by parts says."""
    batch, chosen = sampled(buffer), np.s_[0, : BATCH * 4 // 5]
    episode, t = batch.obs["observation"][chosen].T
    achieved, desired = batch.next_obs["achieved_goal"], batch.obs["desired_goal"]
    moments = desired[chosen] - 100.0 * episode[:, None] - np.array([0.0, 1000.0, 2000.0])
    later = (moments > t[:, None]) & (moments <= LENGTH) & (moments == np.round(moments))
    first = moments[t == 0]
    kept = {
        "reward": np.array_equal(batch.reward, reward(achieved, desired)),
        "termination": np.array_equal(batch.terminated, terminated(achieved, desired)),
        "later in its own episode": later.all(),
        "one moment for a thing": np.array_equal(moments[:, 0], moments[:, 2]),
        "moments of their own": abs(np.mean(first[:, 0] == first[:, 1]) - 1 / LENGTH) < 0.1,
        "others keep their goal": (desired[0, BATCH * 4 // 5 :] == -1).all(),
        "one goal, wherever it is shown": np.array_equal(desired, batch.next_obs["desired_goal"]),
    }
    return {name for name, holds in kept.items() if not holds}


def test_every_thing_has_a_moment_of_its_own_and_the_reward_is_the_environments():
    assert broken_promises(filled()) == set()
    rewards = sampled(filled()).reward[0, : BATCH * 4 // 5]
    assert 0 < np.mean(rewards == 0) < 1, "both kinds of transitions are there"


class Together(ReplayBuffer):
    def _goals_of(self, rows):
        return super()._goals_of(rows[..., :1].repeat(rows.shape[-1], axis=-1))


class Mixed(ReplayBuffer):
    """Every number by itself, as if it were a thing."""

    def __init__(self, config, spec, *more):
        super().__init__(config, spec._replace(goal_parts=((0,), (1,), (2,))), *more)


class OfOthers(ReplayBuffer):
    """A thing is given what it achieved in another episode."""

    def draw(self, n, rng):
        rows, after, moments = super().draw(n, rng)
        return rows, after, np.column_stack([moments[:, 0], moments[::-1, 1]])


class Kept(ReplayBuffer):
    """Another goal, and the reward of the one before."""

    def _relabel(self, batch, goals, failed):
        before = batch.reward.copy()
        super()._relabel(batch, goals, failed)
        batch.reward[:] = before


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        (Together, "moments of their own"),
        (Mixed, "one moment for a thing"),
        (OfOthers, "later in its own episode"),
        (Kept, "reward"),
    ],
)
def test_a_broken_promise_is_noticed(kind, broken):
    assert broken in broken_promises(filled(kind))


def test_the_whole_goal_is_relabelled_as_ever():
    """With parts known or not, and as one part: the same minibatches bit for bit."""
    known, unknown = filled(relabel="whole"), filled(relabel="whole", spec=SPEC._replace(goal_parts=()))
    one = filled(spec=SPEC._replace(goal_parts=((0, 1, 2),)))
    assert same(sampled(known), sampled(unknown))
    assert same(sampled(known), sampled(one))
    assert "moments of their own" in broken_promises(known)


@pytest.mark.parametrize(("kind", "foreign"), [(ReplayBuffer, 0.0), (OfOthers, 0.66)])
def test_a_run_tells_where_the_goals_of_its_minibatches_come_from(kind, foreign):
    _, _, found = audit(filled(kind), 4, 250, np.random.SeedSequence(0))
    assert found["probe/goals_foreign"] == pytest.approx(foreign, abs=0.1)
    assert found["probe/goals_original"] == pytest.approx(0.2, abs=0.05)


def test_windows_have_one_goal_too():
    batch = filled().sample(1, 50, np.random.default_rng(0), length=3)
    assert (batch.obs["desired_goal"] == batch.obs["desired_goal"][:, :, :1]).all()


def test_without_parts_it_is_refused_with_what_to_do():
    with pytest.raises(UserError, match=r"which of the 3 numbers of a goal .* --env.goal-parts"):
        filled(spec=SPEC._replace(goal_parts=()))


@pytest.mark.parametrize("wrong", [((0, 1),), ((0, 1), (1, 2)), ((0, 1), (2, 3)), ((0, 1, 2), ())])
def test_parts_are_all_numbers_of_a_goal_each_once(wrong):
    with pytest.raises(UserError, match="each of the numbers 0 to 2"):
        with_parts(SPEC, wrong)


def test_parts_are_part_of_the_configuration():
    config = EnvConfig("FetchReach-v4", goal_parts=PARTS)
    assert to_dict(config)["goal_parts"] == [[0, 2], [1]]
    assert from_dict(EnvConfig, to_dict(config), "here") == config
    assert "goal_parts" not in to_dict(EnvConfig("FetchReach-v4"))
    assert with_parts(SPEC, ()).goal_parts == PARTS
