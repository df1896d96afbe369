"""Where what is seen is not what is true: hindsight reads the truth. And an end by failure is one for every goal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_episodes import BIASED, HIDDEN, SPEC, make, play, reward, same, state, taken, terminated
from wellposed.data import ReplayBuffer
from wellposed.data import episodes as module
from wellposed.data.rows import columns, open_bytes, replay_bytes, row_bytes
from wellposed.errors import UserError
from wellposed.types import Field

episodes = st.lists(st.integers(1, SPEC.max_episode_steps), min_size=1, max_size=25)


def filled(spec, lengths=(5, 1, 8, 3), **kwargs) -> ReplayBuffer:
    buffer = make(spec=spec, **kwargs)
    for episode, length in enumerate(lengths):
        play(buffer, episode, length)
    return buffer


@settings(max_examples=40, deadline=None)
@given(episodes, st.sampled_from([HIDDEN, BIASED]), st.sampled_from(["future", "final", "episode"]), st.integers(0, 99))
def test_a_relabelled_reward_is_that_of_the_truth(lengths, spec, strategy, seed):
    batch = filled(spec, lengths, strategy=strategy, capacity=40).sample(2, 50, np.random.default_rng(seed))
    achieved, desired = batch.next_truth["achieved_goal"], batch.truth["desired_goal"]
    assert np.array_equal(batch.reward, reward(achieved, desired))
    episode, t = batch.truth["observation"][:, :40, 0], batch.truth["observation"][:, :40, 1]
    goal_episode, goal_time = np.divmod(desired[:, :40, 0], 100)
    assert np.array_equal(goal_episode, episode)
    assert strategy == "episode" or (goal_time > t).all()
    for part in (batch.obs, batch.next_obs, batch.next_truth):
        assert np.array_equal(part["desired_goal"][:, :40], desired[:, :40]), "one goal, wherever it is shown"


def test_a_goal_read_from_what_is_seen_would_be_noticed():
    """7 more than there is: no transition would reach what hindsight says that it reached."""
    buffer = filled(BIASED, strategy="final", k=9)
    sound = buffer.sample(1, 500, np.random.default_rng(0))
    buffer._goals = "obs"
    wrong = buffer.sample(1, 500, np.random.default_rng(0))
    assert (sound.reward[0, :450] == 0).any()
    assert (wrong.reward[0, :450] == -1).all()


def test_goals_that_were_not_relabelled_are_shown_as_they_were_seen():
    batch = filled(BIASED, k=0).sample(1, 50, np.random.default_rng(0))
    assert (batch.truth["desired_goal"] == -1).all()
    assert (batch.obs["desired_goal"] == 6).all()


def test_images_are_kept_once_and_as_they_are():
    buffer = filled(HIDDEN)
    batch = buffer.sample(1, 200, np.random.default_rng(0))
    for obs, truth in ((batch.obs, batch.truth), (batch.next_obs, batch.next_truth)):
        assert obs["image"].dtype == np.uint8
        assert obs["image"].shape == (1, 200, 2, 3, 3)
        assert (obs["image"] == truth["observation"][..., 1, None, None, None]).all()
    assert buffer._rows["uint8"].shape == (60, 18)


@pytest.mark.parametrize("spec", [SPEC, HIDDEN, BIASED])
def test_its_size_is_foretold_to_the_byte(spec):
    buffer = make(capacity=77, num_envs=3, spec=spec)
    assert replay_bytes(77, spec, 3) == buffer.nbytes
    assert open_bytes(spec, 3) == sum(array.nbytes for name, array in buffer.state().items() if name != "held")
    assert row_bytes(SPEC) == 4 * (2 + 1 + 1 + 1 + 3) + 8
    assert row_bytes(HIDDEN) == 2 * 3 * 3 + 4 * (1 + 4 + 1 + 3) + 8


def test_keys_of_one_dtype_share_a_row_and_none_of_them_overlap():
    double = Field("origin", (2,), dtype="float64")
    found = columns(HIDDEN._replace(obs=(*HIDDEN.obs, double)))
    assert (found["obs/origin"].dtype, found["obs/image"].dtype) == ("float64", "uint8")
    assert "truth/observation" not in columns(SPEC)
    row = np.zeros(sum(int(np.prod(column.shape)) for column in found.values() if column.dtype == "float32"))
    for column in found.values():
        if column.dtype == "float32":
            row[column.place] += 1
    assert (row == 1).all()


def test_what_is_saved_is_named_by_key_and_goes_on():
    one, other = filled(HIDDEN), make(spec=HIDDEN)
    part = one.part(0)
    assert part[1].keys() == {"time", "length", *columns(HIDDEN)}
    other.load_state({name: array.copy() for name, array in one.state().items()}, [part])
    first, second = (buffer.sample(2, 16, np.random.default_rng(5)) for buffer in (one, other))
    assert same(first, second)
    with pytest.raises(UserError, match="does not fit"):
        make(spec=SPEC).load_state(one.state(), [part])


def fall(buffer: ReplayBuffer, length: int = 5, goal: float = -1.0) -> None:
    """An episode that ends by failure in its last step, wherever its goal lies."""
    for t in range(length):
        last = np.array([t == length - 1])
        step = taken(
            state(0, t, goal), state(0, t + 1, goal), np.zeros((1, 1), np.float32), last, last & False, buffer.spec
        )
        buffer.add(step)


@pytest.mark.parametrize("spec", [SPEC, HIDDEN, BIASED])
def test_an_end_by_failure_survives_hindsight(spec):
    buffer = make(strategy="episode", k=9, spec=spec)
    fall(buffer)
    batch = buffer.sample(1, 1000, np.random.default_rng(0))
    truth, after = (batch.truth or batch.obs), (batch.next_truth or batch.next_obs)
    last = truth["observation"][0, :, 1] == 4
    assert (batch.terminated[0][last] == 1).all()
    assert np.array_equal(
        batch.terminated[0][~last], terminated(after["achieved_goal"], truth["desired_goal"])[0][~last]
    )
    rows = np.arange(6)
    assert buffer.failed(rows).tolist() == [False, False, False, False, True, False]


def test_an_end_at_the_old_goal_does_not_survive_and_is_no_failure():
    buffer = make(strategy="episode", k=9)
    play(buffer, 0, 4, goal=4.0, ends="terminated")
    batch = buffer.sample(1, 1000, np.random.default_rng(0))
    assert np.array_equal(batch.terminated, terminated(batch.next_obs["achieved_goal"], batch.obs["desired_goal"]))
    assert not buffer.failed(np.arange(4)).any()


def test_a_failure_that_was_forgotten_would_be_noticed(monkeypatch):
    monkeypatch.setattr(module.np, "maximum", lambda found, _failed: found)
    buffer = make(strategy="episode", k=9)
    fall(buffer)
    batch = buffer.sample(1, 1000, np.random.default_rng(0))
    assert not batch.terminated[batch.obs["observation"][..., 1] == 4].all()


def test_a_failure_in_the_last_step_may_be_a_time_limit():
    """Nothing tells them apart, so it is not told as a failure; what was recorded stays."""
    buffer = make(k=0)
    fall(buffer, length=SPEC.max_episode_steps)
    assert not buffer.failed(np.arange(8)).any()
    batch = buffer.sample(1, 200, np.random.default_rng(0))
    assert np.array_equal(batch.terminated, batch.obs["observation"][..., 1] == 7)
