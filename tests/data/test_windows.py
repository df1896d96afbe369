"""Windows of transitions: states in their order, of one episode, with one goal, and marked where it had not begun."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_episodes import BIASED, HIDDEN, SPEC, make, play, same
from wellposed.data import ReplayBuffer

LENGTH = 4


def filled(lengths=(5, 1, 8, 3, 6), capacity=60, spec=SPEC, **kwargs) -> ReplayBuffer:
    buffer = make(capacity, spec=spec, **kwargs)
    for episode, length in enumerate(lengths):
        play(buffer, episode, length)
    return buffer


def are_sound(batch, plain) -> bool:
    """Whether windows end at the transitions of `plain`, go back one state at a time, and stop at the first one."""
    back = np.arange(1 - LENGTH, 1)
    for window, state in ((batch.obs, plain.obs), (batch.next_obs, plain.next_obs)):
        episode, t = state["observation"][..., :1], state["observation"][..., 1:] + back
        expected = np.stack([np.broadcast_to(episode, t.shape), np.maximum(t, 0)], axis=-1)
        if not np.array_equal(window["observation"], expected) or not np.array_equal(window["valid"], t >= 0):
            return False
    return True


def both(buffer: ReplayBuffer, seed: int = 0):
    """The same transitions as windows and alone."""
    draw = lambda length: buffer.sample(2, 50, np.random.default_rng(seed), length)  # noqa: E731
    return draw(LENGTH), draw(1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=25), st.sampled_from([30, 60]), st.integers(0, 2**32))
def test_windows_stay_inside_their_episode(lengths, capacity, seed):
    batch, plain = both(filled(lengths, capacity), seed)
    assert are_sound(batch, plain)
    assert batch.obs["observation"].shape == (2, 50, LENGTH, 2)
    assert batch.obs["valid"].dtype == bool
    assert batch.obs["valid"][..., -1].all()
    assert batch.next_obs["valid"][..., -2:].all(), "the successor's window holds the state before it"


def test_windows_that_were_not_clamped_would_be_noticed(monkeypatch):
    monkeypatch.setattr(np, "maximum", lambda one, other: one if np.isscalar(other) else np.fmax(one, other))
    assert not are_sound(*both(filled()))


def test_all_but_the_states_is_as_without_windows():
    batch, plain = both(filled())
    for name in ("action", "reward", "terminated"):
        assert np.array_equal(getattr(batch, name), getattr(plain, name))
    assert batch.truth == batch.next_truth == {}


def test_the_next_window_is_the_same_one_state_later():
    batch, _ = both(filled())
    for key in ("observation", "achieved_goal", "desired_goal"):
        assert np.array_equal(batch.obs[key][:, :, 1:], batch.next_obs[key][:, :, :-1])


@pytest.mark.parametrize("spec", [SPEC, HIDDEN, BIASED])
def test_a_window_has_one_goal_that_of_its_transition(spec):
    batch, plain = both(filled(spec=spec))
    for part in ("obs", "next_obs", "truth", "next_truth"):
        for key, goal in getattr(plain, part).items():
            if key == "desired_goal":
                assert (getattr(batch, part)[key] == goal[:, :, None]).all()
    windows = {part: getattr(batch, part) for part in ("truth", "next_truth")}
    assert all(
        arrays.keys() == ({"valid", *getattr(plain, part)} if spec.truth else set()) for part, arrays in windows.items()
    )


def test_images_come_as_stacks():
    batch, plain = both(filled(spec=HIDDEN, capacity=30))
    assert batch.obs["image"].shape == (2, 50, LENGTH, 2, 3, 3)
    assert batch.obs["image"].dtype == np.uint8
    assert np.array_equal(batch.obs["image"][..., 0, 0, 0], batch.truth["observation"][..., 1])
    assert np.array_equal(batch.next_obs["image"][:, :, -1], plain.next_obs["image"])


def test_the_same_generator_gives_the_same_windows():
    buffer = filled()
    assert same(both(buffer)[0], both(buffer)[0])


@pytest.mark.parametrize("length", [1, LENGTH])
def test_looks_are_what_is_seen_of_the_first_transitions_and_the_truth_is_of_all(length):
    buffer = filled(spec=BIASED)
    draw = lambda **how: buffer.sample(2, 50, np.random.default_rng(3), **how)  # noqa: E731
    whole, alone, looked = draw(length=length), draw(), draw(length=length, looks=7)
    assert looked.obs.keys() == whole.obs.keys()
    assert all(np.array_equal(looked.obs[name], array[:, :7]) for name, array in whole.obs.items())
    assert looked.next_obs == {}
    for part in ("truth", "next_truth"):
        assert same(getattr(looked, part), getattr(alone, part))
    for name in ("action", "reward", "terminated"):
        assert np.array_equal(getattr(looked, name), getattr(alone, name))
