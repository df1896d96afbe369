"""Advantages in closed form, episodes that end in two ways, and storage that tells what was put into it."""

import numpy as np
import pytest

from wellposed.data.rollout import RolloutBuffer, gae, rollout_bytes
from wellposed.errors import UserError
from wellposed.types import Field, Spec, Step

GAMMA, LAM = 0.9, 0.7
GOALS = (Field("achieved_goal", (2,), "goal"), Field("desired_goal", (2,), "goal"))
SPEC = Spec((Field("observation", (3,)), *GOALS), action_dim=2, max_episode_steps=4)
HIDDEN = SPEC._replace(obs=(Field("image", (2, 2, 3), "image", "uint8"), GOALS[1]), truth=SPEC.obs)


def case(steps: int = 9, n: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    """Rewards and values of episodes of four steps, out of step with each other; nothing terminates."""
    rng = np.random.default_rng(seed)
    ended = (np.arange(steps)[:, None] + np.arange(n)) % 4 == 3
    values = rng.standard_normal((steps + 1, n))
    following = np.where(ended, rng.standard_normal((steps, n)), values[1:])  # the true last state is another one
    return {
        "rewards": rng.standard_normal((steps, n)),
        "values": values[:-1],
        "next_values": following,
        "terminated": np.zeros((steps, n), bool),
        "ended": ended,
    }


def by_definition(found: dict[str, np.ndarray], gamma: float, lam: float) -> np.ndarray:
    """sum_l (gamma lam)^l delta_{t+l} up to the end of the episode or the rollout, one step and env at a time."""
    steps, n = found["rewards"].shape
    advantages = np.zeros((steps, n))
    for i in range(n):
        for t in range(steps):
            for ahead in range(t, steps):
                future = 0.0 if found["terminated"][ahead, i] else found["next_values"][ahead, i]
                delta = found["rewards"][ahead, i] + gamma * future - found["values"][ahead, i]
                advantages[t, i] += (gamma * lam) ** (ahead - t) * delta
                if found["ended"][ahead, i]:
                    break
    return advantages


def with_terminations() -> dict[str, np.ndarray]:
    made = case()
    return made | {"terminated": made["ended"] & (np.arange(3) > 0)}


@pytest.mark.parametrize("made", [case(), with_terminations(), case(1, 1)])
@pytest.mark.parametrize("lam", [0.0, LAM, 1.0])
def test_advantages_are_those_of_the_definition(made, lam):
    assert np.allclose(gae(**made, gamma=GAMMA, lam=lam), by_definition(made, GAMMA, lam))


def test_at_lambda_0_it_is_the_error_of_one_step():
    made = case()
    expected = made["rewards"] + GAMMA * made["next_values"] - made["values"]
    assert np.allclose(gae(**made, gamma=GAMMA, lam=0.0), expected)


def test_at_lambda_1_it_is_the_discounted_rewards_and_the_last_states_value_less_the_first_ones():
    """The values in between cancel, for each is added by one step and taken away by the next."""
    made = case(steps=4, n=1)
    found = gae(**made, gamma=GAMMA, lam=1.0)
    rewards = made["rewards"][:, 0]
    returned = sum(GAMMA**t * r for t, r in enumerate(rewards)) + GAMMA**4 * made["next_values"][3, 0]
    assert found[0, 0] == pytest.approx(returned - made["values"][0, 0])


def test_a_time_limit_leaves_the_future_its_value_and_an_end_does_not():
    made = case(steps=4, n=1)
    cut = gae(**made, gamma=GAMMA, lam=LAM)
    over = gae(**made | {"terminated": made["ended"]}, gamma=GAMMA, lam=LAM)
    assert cut[3, 0] - over[3, 0] == pytest.approx(GAMMA * made["next_values"][3, 0])
    assert cut[0, 0] - over[0, 0] == pytest.approx(GAMMA * (GAMMA * LAM) ** 3 * made["next_values"][3, 0])


def test_what_comes_after_an_episode_does_not_reach_back():
    made = case()
    later = {key: value.copy() for key, value in made.items()}
    later["rewards"][4:, 0] += 100  # env 0 ended its episode in row 3
    assert np.array_equal(gae(**later, gamma=GAMMA, lam=LAM)[:4, 0], gae(**made, gamma=GAMMA, lam=LAM)[:4, 0])
    leaking = gae(**later | {"ended": np.zeros_like(made["ended"])}, gamma=GAMMA, lam=LAM)
    assert (np.abs(leaking[:4, 0]) > 1).all(), "a sum across the end would be noticed"


def test_values_of_the_next_episode_would_be_noticed():
    """The usual mistake: V of the next row, which after an end belongs to another episode."""
    made = case()
    shifted = np.vstack([made["values"][1:], made["next_values"][-1:]])
    wrong = gae(**made | {"next_values": shifted}, gamma=GAMMA, lam=LAM)
    assert not np.allclose(wrong[3, 0], gae(**made, gamma=GAMMA, lam=LAM)[3, 0])


def shown(truth: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A picture of each state, in the colour of its achieved goal."""
    colour = truth["achieved_goal"][:, :1, None, None].astype(np.uint8)
    return {"image": np.broadcast_to(colour, (len(colour), 2, 2, 3)), "desired_goal": truth["desired_goal"]}


def filled(steps: int = 5, n: int = 2, count: int = 5, spec: Spec = SPEC) -> RolloutBuffer:
    buffer, rng = RolloutBuffer(steps, spec, n), np.random.default_rng(1)
    for t in range(count):
        truth = {
            "observation": rng.standard_normal((n, 3)),
            "achieved_goal": np.full((n, 2), t, float),
            "desired_goal": rng.standard_normal((n, 2)),
        }
        after = truth | {"achieved_goal": np.full((n, 2), t + 1.0)}
        ends = np.full(n, t % 4 == 3)
        obs, next_obs = (shown(arrays) if spec is HIDDEN else arrays for arrays in (truth, after))
        action, terminated = np.full((n, 2), 3.0 - t), np.array([True, False]) & ends
        flags = terminated, ends & ~terminated, ends & False
        buffer.add(Step(obs, truth, action, action, np.full(n, -float(t)), *flags, next_obs, after, {}))
    return buffer


def test_storage_hands_out_what_was_put_in_in_its_order():
    buffer = filled()
    assert buffer.full
    assert not buffer.under_way
    assert buffer.before.obs["achieved_goal"][:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert buffer.after.obs["achieved_goal"][:, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    values, following = np.arange(10.0), np.arange(10.0) + 0.5
    steps = buffer.with_advantages(values, following, GAMMA, LAM)
    table = lambda flat: flat.reshape(5, 2)  # noqa: E731
    ended = np.tile([[False], [False], [False], [True], [False]], (1, 2))
    rewards = np.repeat(-np.arange(5.0)[:, None], 2, axis=1)
    terminated = ended & [True, False]
    expected = gae(rewards, table(values), table(following), terminated, ended, GAMMA, LAM)
    assert np.allclose(table(steps.advantage), expected)
    assert np.allclose(steps.value_target, steps.advantage + values)
    assert steps.action[:, 0].tolist() == [3, 3, 2, 2, 1, 1, 0, 0, -1, -1]
    rows = buffer.transitions()
    assert rows.action[:, 0].tolist() == [1, 1, 1, 1, 1, 1, 0, 0, -1, -1], "as they were applied"
    assert rows.terminated.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]


def test_the_next_step_begins_a_full_rollout_anew():
    buffer = filled(count=6)
    assert buffer.filled == 1
    assert buffer.under_way
    assert buffer.before.obs["achieved_goal"][:, 0].tolist() == [5, 5, 1, 1, 2, 2, 3, 3, 4, 4]


def test_its_size_is_foretold_to_the_byte():
    assert filled().nbytes == rollout_bytes(5, SPEC, 2)
    assert filled(spec=HIDDEN).nbytes == rollout_bytes(5, HIDDEN, 2)
    images, numbers = 2 * 2 * 2 * 3, 2 * 2 + 2 * (3 + 2 + 2) + 2  # before and after; goal, truth, action
    assert rollout_bytes(5, HIDDEN, 2) == 10 * (images + 4 * numbers + 8 + 2)


def test_each_key_is_kept_in_its_own_dtype_and_what_is_true_beside_what_is_seen():
    buffer = filled(spec=HIDDEN)
    assert buffer.before.obs["image"].dtype == np.uint8
    assert (buffer.before.obs["image"] == buffer.before.truth["achieved_goal"][:, :1, None, None]).all()
    assert buffer.after.truth["achieved_goal"][:, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    steps, rows = buffer.with_advantages(np.zeros(10), np.zeros(10), GAMMA, LAM), buffer.transitions()
    assert steps.obs.keys() == rows.next_obs.keys() == {"image", "desired_goal"}
    assert steps.truth.keys() == rows.next_truth.keys() == {"observation", "achieved_goal", "desired_goal"}


def test_where_nothing_stands_between_what_is_seen_is_what_is_true():
    buffer = filled()
    assert all(np.array_equal(buffer.after.truth[key], buffer.after.obs[key]) for key in buffer.after.obs)
    assert buffer.transitions().truth == {}


def test_an_end_that_no_time_limit_made_is_told_apart():
    assert filled().ended_in_time.tolist() == [False] * 6 + [True, False] + [False] * 2


def test_a_saved_rollout_goes_on_and_one_of_another_size_is_refused():
    buffer, other = filled(count=3), RolloutBuffer(5, SPEC, 2)
    saved = {name: array.copy() for name, array in buffer.state().items()}
    other.load_state(saved)
    assert (other.filled, other.under_way) == (3, True)
    assert all(np.array_equal(other.state()[name], saved[name]) for name in saved)
    with pytest.raises(UserError, match="does not fit"):
        RolloutBuffer(6, SPEC, 2).load_state(saved)
    with pytest.raises(UserError, match="saved rollout is invalid"):
        other.load_state(saved | {"filled": np.array(6)})
