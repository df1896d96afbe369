"""The replay's promises, on toy episodes whose numbers tell where they come from."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellposed.arrays import leaves
from wellposed.data.episodes import ReplayBuffer, ReplayConfig
from wellposed.errors import UserError
from wellposed.types import Field, Spec, Step

THRESHOLD = 0.5
GOALS = (Field("achieved_goal", (1,), "goal"), Field("desired_goal", (1,), "goal"))
SPEC = Spec(obs=(Field("observation", (2,)), *GOALS), action_dim=1, max_episode_steps=8)
IMAGE = Field("image", (2, 3, 3), "image", "uint8")
HIDDEN = Spec(obs=(IMAGE, GOALS[1]), action_dim=1, max_episode_steps=8, truth=SPEC.obs)
BIASED = SPEC._replace(truth=SPEC.obs)  # what is seen is 7 more than what is true


def reward(achieved, desired):
    return -(np.abs(achieved - desired)[..., 0] > THRESHOLD).astype(np.float32)


def terminated(achieved, desired):
    return np.abs(achieved - desired)[..., 0] < THRESHOLD


def make(capacity=60, strategy: Any = "future", k=4, num_envs=1, spec=SPEC) -> ReplayBuffer:
    return ReplayBuffer(ReplayConfig(capacity, strategy, k), spec, num_envs, reward, terminated)


def state(episode: int, t: int, goal: float) -> dict:
    """State t of an episode: the observation says which, the achieved goal is 100 episode + t."""
    achieved = np.array([[100.0 * episode + t]])
    return {
        "observation": np.array([[episode, t]], float),
        "achieved_goal": achieved,
        "desired_goal": np.array([[goal]]),
    }


def seen(truth: dict, spec: Spec) -> dict:
    """What is seen of a state: the state itself, a picture in the colour of its moment, or 7 more than there is."""
    if spec is SPEC:
        return truth
    if spec is BIASED:
        return {key: array + 7 for key, array in truth.items()}
    moment = truth["observation"][:, 1].astype(np.uint8)
    return {
        "image": np.full((len(moment), 2, 3, 3), moment[:, None, None, None]),
        "desired_goal": truth["desired_goal"],
    }


def taken(truth: dict, after: dict, action: np.ndarray, ends: np.ndarray, cut: np.ndarray, spec: Spec = SPEC) -> Step:
    """The step between two states, whose reward is that of its goal."""
    r = reward(after["achieved_goal"], after["desired_goal"]).astype(float)
    return Step(seen(truth, spec), truth, action, action, r, ends, cut, r == 0, seen(after, spec), after, {})


def play(buffer: ReplayBuffer, episode: int, length: int, goal: float = -1.0, ends: str = "truncated") -> None:
    """Feed one episode; its action is 0.1 t."""
    for t in range(length):
        truth, after = state(episode, t, goal), state(episode, t + 1, goal)
        last = np.array([t == length - 1])
        flags = (last, ~last & False) if ends == "terminated" else (last & False, last)
        buffer.add(taken(truth, after, np.array([[0.1 * t]], np.float32), *flags, buffer.spec))


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(leaves(one).values(), leaves(other).values(), strict=True))


def test_a_five_step_episode_by_hand():
    """Goal 3: the episode 0 1 2 3 4 5 passes it; 'final' relabels with 5."""
    buffer = make(strategy="final", k=1)
    play(buffer, episode=0, length=5, goal=3.0)
    batch = buffer.sample(1, 4000, np.random.default_rng(0))
    relabelled, original = np.s_[0, :2000], np.s_[0, 2000:]
    t = batch.obs["observation"][..., 1]
    assert set(t[0]) == {0, 1, 2, 3, 4}
    assert np.array_equal(batch.next_obs["observation"][..., 1], t + 1)
    assert np.array_equal(batch.next_obs["achieved_goal"][..., 0], t + 1)
    assert np.allclose(batch.action[..., 0], 0.1 * t)
    assert (batch.obs["desired_goal"][original] == 3).all()
    assert (batch.obs["desired_goal"][relabelled] == 5).all()
    assert np.array_equal(batch.reward[original], np.where(t[original] == 2, 0, -1))
    assert np.array_equal(batch.reward[relabelled], np.where(t[relabelled] == 4, 0, -1))
    # Recorded: it never terminated. Relabelled: the environment's own test says where it would have.
    assert (batch.terminated[original] == 0).all()
    assert np.array_equal(batch.terminated[relabelled], t[relabelled] == 4)


def test_a_relabelled_transition_does_not_keep_its_old_termination():
    """Stable-Baselines3 #627: the episode ended at its goal, the new goal is not reached there."""
    buffer = make(strategy="episode", k=9)
    play(buffer, episode=0, length=4, goal=4.0, ends="terminated")
    batch = buffer.sample(1, 1000, np.random.default_rng(0))
    last = batch.obs["observation"][0, :900, 1] == 3
    elsewhere = last & (batch.obs["desired_goal"][0, :900, 0] != 4)
    assert elsewhere.any()
    assert (batch.terminated[0, :900][elsewhere] == 0).all()
    assert (batch.reward[0, :900][elsewhere] == -1).all()


episodes = st.lists(st.integers(1, SPEC.max_episode_steps), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(episodes, st.sampled_from(["future", "final", "episode"]), st.integers(0, 2**32))
def test_goals_never_leave_their_episode_nor_look_back(lengths, strategy, seed):
    buffer = make(strategy=strategy, k=4, capacity=40)
    for i, length in enumerate(lengths):
        play(buffer, i, length)
    batch = buffer.sample(2, 50, np.random.default_rng(seed))
    episode, t = batch.obs["observation"][:, :40, 0], batch.obs["observation"][:, :40, 1]
    goal_episode, goal_time = np.divmod(batch.obs["desired_goal"][:, :40, 0], 100)
    assert np.array_equal(goal_episode, episode)
    assert (batch.obs["desired_goal"][:, 40:] == -1).all()
    if strategy != "episode":
        assert (goal_time > t).all()
    if strategy == "final":
        assert np.array_equal(goal_time, np.array(lengths)[episode.astype(int)])


@settings(max_examples=60, deadline=None)
@given(episodes, st.integers(0, 2**32))
def test_a_transition_relabelled_with_its_own_goal_gives_back_its_recorded_reward(lengths, seed):
    rng = np.random.default_rng(seed)
    buffer = make(k=0)
    for i, length in enumerate(lengths):
        play(buffer, i, length, goal=100.0 * i + rng.integers(0, 9), ends=rng.choice(["terminated", "truncated"]))
    batch = buffer.sample(1, 64, rng)
    achieved, desired = batch.next_obs["achieved_goal"][0], batch.obs["desired_goal"][0]
    assert np.array_equal(batch.reward[0], reward(achieved, desired))


@settings(max_examples=40, deadline=None)
@given(episodes.filter(lambda lengths: sum(lengths) > 30))
def test_every_transition_on_a_wrapped_ring_is_reachable_and_no_other(lengths):
    buffer = make(capacity=30, k=0)
    for i, length in enumerate(lengths):
        play(buffer, i, length)
    kept: list[tuple[int, int]] = []
    rows = 0
    for i in reversed(range(len(lengths))):  # the newest whole episodes that fit
        rows += lengths[i] + 1
        if rows > 30:
            break
        kept += [(i, t) for t in range(lengths[i])]
    batch = buffer.sample(1, 3000, np.random.default_rng(0))
    seen = {(int(e), int(t)) for e, t in batch.obs["observation"][0]}
    assert seen == set(kept)
    assert buffer.transitions == len(kept)


def test_transitions_are_drawn_uniformly_whatever_the_episode_length():
    buffer = make(k=0)
    play(buffer, 0, 1)
    play(buffer, 1, 8)
    batch = buffer.sample(1, 40_000, np.random.default_rng(0))
    assert (batch.obs["observation"][0, :, 0] == 0).mean() == pytest.approx(1 / 9, abs=0.01)


def test_envs_do_not_mix_their_episodes():
    buffer = make(num_envs=2, k=1)
    for t in range(6):
        pair = [state(7, t, -1), state(8, t, -1)], [state(7, t + 1, -1), state(8, t + 1, -1)]
        obs, after = ({k: np.concatenate([s[k] for s in one]) for k in one[0]} for one in pair)
        ended = np.array([t in (2, 5), t == 5])
        buffer.add(taken(obs, after, np.zeros((2, 1), np.float32), ended & False, ended))
    batch = buffer.sample(1, 500, np.random.default_rng(0))
    assert np.array_equal(batch.obs["observation"][0, :, 0], batch.next_obs["observation"][0, :, 0])
    assert np.array_equal(batch.obs["observation"][0, :250, 0], batch.obs["desired_goal"][0, :250, 0] // 100)


def test_episodes_under_way_stay_outside():
    buffer = make()
    play(buffer, 0, 3)
    buffer.add(
        taken(state(1, 0, -1), state(1, 1, -1), np.zeros((1, 1), np.float32), np.zeros(1, bool), np.zeros(1, bool))
    )
    assert buffer.transitions == 3
    batch = buffer.sample(1, 500, np.random.default_rng(0))
    assert set(batch.obs["observation"][0, :, 0]) == {0.0}


def test_sampling_repeats_with_its_generator():
    buffer = make()
    play(buffer, 0, 8)
    first, second = (buffer.sample(2, 16, np.random.default_rng(3)) for _ in range(2))
    assert same(first, second)
    assert all(array.dtype == np.float32 for array in leaves(first).values())


def test_an_empty_replay_and_one_too_small_are_refused():
    with pytest.raises(ValueError, match="no finished episode"):
        make().sample(1, 4, np.random.default_rng(0))
    with pytest.raises(UserError, match="must hold an episode, 9 rows, got 8"):
        make(capacity=8)


def test_a_replay_beyond_memory_is_refused():
    with pytest.raises(UserError, match=r"no memory for a replay of 10,000,000,000,000,000 rows. Lower --replay"):
        make(capacity=10**16)


@settings(max_examples=40, deadline=None)
@given(episodes, st.lists(st.booleans(), min_size=25, max_size=25), st.integers(20, 60), st.integers(0, 2**32))
def test_a_buffer_made_up_of_its_parts_is_the_buffer(lengths, saves, capacity, seed):
    """However often it was saved, and wherever the ring has wrapped: same samples, and it goes on the same."""
    one, parts, saved = make(capacity=capacity), [], 0
    for episode, (length, save) in enumerate(zip(lengths, saves, strict=False)):
        play(one, episode, length)
        if save:
            parts.append(one.part(saved))
            saved = one.end
    parts.append(one.part(saved))
    other = make(capacity=capacity)
    needed = [(first, arrays) for first, arrays in parts if first + len(arrays["time"]) > one.oldest]
    other.load_state({name: array.copy() for name, array in one.state().items()}, needed)
    for buffer in (one, other):
        play(buffer, 99, 5)
    assert one.transitions == other.transitions
    first, second = (buffer.sample(2, 16, np.random.default_rng(seed)) for buffer in (one, other))
    assert same(first, second)


@pytest.mark.parametrize("spoil", ["time", "length", "gap", "missing", "order", "beyond", "open"])
def test_parts_that_do_not_fit_together_are_refused(spoil):
    one = make()
    for episode in range(5):
        play(one, episode, 4 + episode % 3)
    (_, whole), state = one.part(0), {name: array.copy() for name, array in one.state().items()}
    arrays, first = {name: array.copy() for name, array in whole.items()}, 0
    if spoil in ("time", "length"):
        arrays[spoil][3] += 1
    elif spoil == "gap":
        first = 1
    elif spoil == "missing":
        arrays = {name: array[:-5] for name, array in arrays.items()}
    elif spoil == "order":
        arrays["time"] = arrays["time"][::-1].copy()
    elif spoil == "beyond":
        state["held"] = np.array([0, 1000])
    else:
        state["open_length"][0] = SPEC.max_episode_steps
    with pytest.raises(UserError, match="do not fit together"):
        make().load_state(state, [(first, arrays)])
    make().load_state(one.state(), [(0, whole)])


def test_an_episode_that_goes_on_beyond_the_limit_is_refused():
    buffer = make()
    for t in range(SPEC.max_episode_steps):
        never = np.array([False])
        buffer.add(taken(state(0, t, 1.0), state(0, t + 1, 1.0), np.zeros((1, 1), np.float32), never, never))
    with pytest.raises(UserError, match="is longer than the environment's own limit of 8 steps"):
        play(buffer, 0, 1)
