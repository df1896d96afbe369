"""The filter and the delay between a policy's action and the simulator."""

import numpy as np
import pytest

from wellposed.data import ReplayBuffer, ReplayConfig
from wellposed.data.rollout import RolloutBuffer
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.control import Control, ControlledVecEnv
from wellposed.errors import UserError

pytestmark = pytest.mark.usefixtures("toy_suite")
STEPS = 70  # two episodes and more


def controlled(control: Control, copies: int = 4) -> ControlledVecEnv:
    env = make_env(EnvConfig("ToyBeam-v0", control=control), copies, "training")
    env.reset(seed=0)
    return env  # type: ignore[return-value]


def moves(env, steps: int = STEPS) -> np.ndarray:
    shape = steps, env.num_envs, env.spec.action_dim
    return np.random.default_rng(0).uniform(-1.5, 1.5, shape).astype(np.float32)


def expected(control: Control, commanded: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """What arrives of actions [steps, n, a] by the closed form, episode by episode; `ended` [steps, n]."""
    found = np.zeros(commanded.shape)
    for i in range(commanded.shape[1]):
        begin = 0
        for end in [*(np.flatnonzero(ended[:, i]) + 1), len(commanded)]:
            for t in range(begin + control.delay, end):
                past = np.arange(begin, t - control.delay + 1)
                weights = (1 - control.smoothing) * control.smoothing ** (past[-1] - past)
                found[t, i] = weights @ np.clip(commanded[past, i].astype(float), -1, 1)
            begin = end
    return found


@pytest.mark.parametrize("control", [Control(0.7), Control(0.0, 3), Control(0.5, 2)])
def test_the_applied_action_is_filtered_and_late_and_starts_anew_with_each_episode(control):
    env = controlled(control)
    commanded = moves(env)
    steps = [env.step(move) for move in commanded]
    ended = np.array([step.ended for step in steps])
    assert ended.any(axis=0).all()
    applied = np.array([step.applied_action for step in steps])
    assert applied.dtype == np.float32
    assert applied == pytest.approx(expected(control, commanded, ended), abs=1e-6)
    carried_over = expected(control, commanded, np.zeros_like(ended))
    assert np.abs(applied - carried_over).max() > 0.1, "no episode's end was tried"
    assert np.array_equal([step.action for step in steps], commanded)


def test_what_arrives_is_what_moves_the_simulator():
    env, plain = controlled(Control(0.5, 2)), controlled(Control())
    for move in moves(env, 20):
        step = env.step(move)
        there = plain.step(step.applied_action)
        assert all(np.array_equal(step.next_obs[key], there.next_obs[key]) for key in step.next_obs)


@pytest.mark.parametrize("control", [Control(), Control(0.7), Control(0.0, 3), Control(0.5, 2)])
def test_replay_and_rollout_know_which_actions_had_arrived_by_each_step(control):
    env = controlled(control)
    replay = ReplayBuffer(ReplayConfig(1_000, k=0), env.spec, 4, env.compute_reward, env.compute_terminated)
    rollout, applied = RolloutBuffer(STEPS, env.spec, 4), []
    for move in [*moves(env), *moves(env, 30)]:  # the rollout begins anew before the last ones
        step = env.step(move)
        applied.append(step.applied_action)
        replay.add(step._replace(reward=step.applied_action[:, 2]))
        rollout.add(step)
    batch, rows = replay.sample(1, 256, np.random.default_rng(1)), replay.draw(256, np.random.default_rng(1))[0]
    arrived = control.arriving(replay.actions_until(rows, control.memory))
    assert arrived[:, 2] == pytest.approx(batch.reward[0], abs=0.01)
    actions, known = rollout.actions_until(control.memory)
    held = np.array([*applied[STEPS:], *applied[30:STEPS]]).reshape(len(known), -1)
    assert control.arriving(actions)[known] == pytest.approx(held[known], abs=0.01)
    assert known.mean() > 0.8
    assert known.all() == (control == Control()), "what was done before the oldest step nobody knows"


def test_no_control_is_the_environment_itself():
    assert not isinstance(controlled(Control()), ControlledVecEnv)


@pytest.mark.parametrize("forgotten", [None, "control_filter", "control_queue"])
def test_a_state_in_the_middle_of_a_filter_goes_on_bit_for_bit(forgotten):
    env, fresh = controlled(Control(0.5, 2)), controlled(Control(0.5, 2))
    commanded = moves(env)
    for move in commanded[:7]:
        env.step(move)
    state = {key: value.copy() for key, value in env.get_state().items()}
    applied = [env.step(move).applied_action for move in commanded[7:]]
    fresh.set_state(state if forgotten is None else state | {forgotten: 0 * state[forgotten]})
    again = [fresh.step(move).applied_action for move in commanded[7:]]
    assert np.array_equal(applied, again) == (forgotten is None)


def test_a_reset_of_some_copies_clears_only_their_filter():
    env, twin = controlled(Control(0.5, 1), 2), controlled(Control(0.5, 1), 2)
    first, second, third = moves(env, 3)
    for one in (env, twin):
        one.step(first)
        one.step(second)
    env.reset(mask=np.array([True, False]))
    applied, untouched = env.step(third).applied_action, twin.step(third).applied_action
    assert np.array_equal(applied[1], untouched[1])
    assert np.array_equal(applied[0], 0 * applied[0])
    assert untouched[0].any()


def test_a_state_of_another_control_is_refused():
    with pytest.raises(ValueError, match="another control"):
        controlled(Control(0.5, 1)).set_state(controlled(Control(0.5, 2)).get_state())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smoothing": 1.0}, "--env.control.smoothing is a share from 0 up to but not 1, got 1.0"),
        ({"smoothing": -0.1}, "--env.control.smoothing"),
        ({"delay": -1}, "--env.control.delay must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, message):
    with pytest.raises(UserError, match=message):
        Control(**settings)
