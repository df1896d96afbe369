"""The filter and the delay between a policy's action and the simulator."""

import numpy as np
import pytest

from wellposed import serialise
from wellposed.data import ReplayBuffer, ReplayConfig
from wellposed.data.rollout import RolloutBuffer
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.control import FREE, Control, ControlledVecEnv
from wellposed.errors import UserError

pytestmark = pytest.mark.usefixtures("toy_suite")
STEPS = 70  # two episodes and more


def controlled(control: Control, num_envs: int = 4) -> ControlledVecEnv:
    env = make_env(EnvConfig("ToyBeam-v0", control=control), num_envs, "training")
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


STAGES = [Control(scale=0.25), Control(scale=4.0), Control(hold=3), Control(rate=0.25)]
ALL = Control(0.3, 2, scale=1.5, hold=2, rate=0.5)


@pytest.mark.parametrize("control", [Control(), Control(0.7), Control(0.0, 3), Control(0.5, 2), *STAGES, ALL])
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
    arrived = control.arriving(*replay.actions_until(rows, control.memory))
    assert np.mean(np.abs(arrived[:, 2] - batch.reward[0]) > 0.01) <= 0.01 * (control.rate < FREE)
    actions, time, known = rollout.actions_until(control.memory)
    known = known & ((time >= 0) | (control.hold == 1))
    held = np.array([*applied[STEPS:], *applied[30:STEPS]]).reshape(len(known), -1)
    apart = np.abs(control.arriving(actions, time) - held)[known]
    assert np.mean(apart > 0.01) <= 0.01 * (control.rate < FREE)
    assert known.mean() > 0.3
    assert known.all() == (control.memory == 1), "what was done before the oldest step nobody knows"


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


def test_a_reset_of_some_envs_clears_only_their_filter():
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
        ({"delay": -1}, "--env.control.delay is 0 to 10,000 steps, got -1"),
        ({"scale": 0.0}, "--env.control.scale"),
        ({"hold": 0}, "--env.control.hold"),
        ({"rate": 2.5}, "--env.control.rate"),
        ({"gain": 0.0}, "--env.control.gain"),
        ({"target": "absolute"}, "--env.control.reach is a distance in goal units, greater than 0 with a target"),
        ({"reach": 0.1}, "--env.control.reach"),
        (
            {"shown": True},
            "--env.control.shown shows what hold, smoothing, rate or delay remember, and none of them is on",
        ),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, message):
    with pytest.raises(UserError, match=message):
        Control(**settings)


def applied(control: Control, commanded: np.ndarray) -> np.ndarray:
    """What arrives at the simulator of actions [steps, n, a] within one episode."""
    env = controlled(control, commanded.shape[1])
    return np.array([env.step(move).applied_action for move in commanded])


def within_an_episode() -> np.ndarray:
    return moves(controlled(Control()), 12) * 0.6  # so small that nothing is clipped


def test_each_stage_by_its_closed_form():
    u = within_an_episode()
    assert np.array_equal(applied(Control(scale=0.5), u), 0.5 * u)
    assert np.array_equal(applied(Control(scale=4.0), u), np.clip(4 * u, -1, 1))
    held = applied(Control(hold=3), u)
    assert np.array_equal(held, u[np.arange(12) // 3 * 3])
    limited = applied(Control(rate=0.25), u)
    steps = np.diff(limited, axis=0, prepend=0)
    assert np.abs(steps).max() == pytest.approx(0.25)
    assert np.all((np.sign(steps) == np.sign(u - np.concatenate([0 * u[:1], limited[:-1]]))) | (limited == u))


@pytest.mark.parametrize(
    ("control", "by_hand", "other_order"),
    [
        # Impulses of 1 at steps 0 and 3, held for 2 steps, scaled by 2 and clipped, filtered, limited, delayed by 1.
        (
            Control(0.5, 1, scale=2.0, hold=2, rate=0.5),
            [0, 0.5, 0.75, 0.375, 0.1875, 0.09375],
            [0, 0.5, 0.5, 0.25, 0.5, 0.5],  # the second impulse falls between two choices, so it must not arrive
        ),
        (Control(0.5, scale=2.0), [0.5, 0.25, 0.125, 0.5625, 0.28125, 0.140625], [1, 0.5, 0.25, 1, 0.5, 0.25]),
        (
            Control(0.5, rate=0.25),
            [0.25, 0.25, 0.125, 0.375, 0.28125, 0.140625],
            [0.125, 0.0625, 0.03125, 0.140625, 0, 0],
        ),
    ],
    ids=["all", "scale, then filter", "filter, then rate"],
)
def test_the_stages_stand_in_the_order_that_is_stated(control, by_hand, other_order):
    u = np.zeros((6, 4, 7), np.float32)
    u[[0, 3]] = 1.0
    found = applied(control, u)[:, 0, 0]
    assert found == pytest.approx(by_hand)
    assert found != pytest.approx(other_order)


@pytest.mark.parametrize("control", STAGES, ids=str)
def test_spread_is_no_less_than_what_uniform_actions_leave(control):
    """Else the diagnosis would take a working control for a cut of the actions."""
    u = np.random.default_rng(0).uniform(-1, 1, (25, 400, 7)).astype(np.float32)
    left = applied(control, u)[10:].std() * np.sqrt(3)
    assert left >= 0.9 * control.spread
    assert left <= 1.8 * control.spread + 0.01


def fetch(num_envs: int = 2, **control) -> ControlledVecEnv:
    env = make_env(EnvConfig("FetchReach-v4", control=Control(**control)), num_envs, "training")
    env.reset(seed=0)
    return env  # type: ignore[return-value]


def hand(env) -> np.ndarray:
    return env.now.truth["observation"][:, :3]


@pytest.mark.parametrize("target", ["relative", "absolute"])
def test_a_position_controller_brings_the_hand_to_the_target(target):
    """A target is in metres from where the hand is, or from where it was at first; held, a relative one stays there."""
    env = fetch(target=target, reach=0.1, gain=0.6, hold=40)
    there = hand(env) + 0.1 * np.array([0.3, -0.5, 0.4])
    for _ in range(20):
        step = env.step(np.full((2, 4), [0.3, -0.5, 0.4, 0.7], np.float32))
        assert step.applied_action[:, 3] == pytest.approx(0.7), "what moves no effector passes unchanged"
    assert hand(env) == pytest.approx(there, abs=1e-3)


def test_a_relative_target_moves_with_the_hand_and_an_absolute_one_does_not():
    for target, goes_on in (("relative", True), ("absolute", False)):
        env = fetch(target=target, reach=0.05)
        for _ in range(20):
            env.step(np.full((2, 4), [0, 0.4, 0, 0], np.float32))
        before = hand(env)[:, 1]
        env.step(np.full((2, 4), [0, 0.4, 0, 0], np.float32))
        assert np.all((hand(env)[:, 1] - before > 0.01) == goes_on)


def test_the_controller_is_proportional_to_the_way_and_takes_back_the_last_displacement():
    env = fetch(target="absolute", reach=0.2, gain=0.5, damping=0.8)
    begin, places = hand(env), [hand(env)]
    for _ in range(5):
        step = env.step(np.full((2, 4), [0.1, 0, 0, 0], np.float32))
        way, moved = begin[:, 0] + 0.02 - places[-1][:, 0], places[-1][:, 0] - places[max(-2, -len(places))][:, 0]
        assert step.applied_action[:, 0] == pytest.approx((0.5 * way - 0.8 * moved) / 0.05, abs=1e-6)
        places.append(hand(env))


@pytest.mark.parametrize(
    "control",
    [
        {"target": "relative", "reach": 0.05, "hold": 3},
        {"target": "absolute", "reach": 0.2, "damping": 0.5, "rate": 0.3},
    ],
    ids=lambda one: one["target"],
)
def test_a_controller_goes_on_bit_for_bit_and_forgets_nothing(control):
    env, fresh = fetch(**control), fetch(**control)
    u = np.random.default_rng(3).uniform(-1, 1, (60, 2, 4)).astype(np.float32)
    for move in u[:7]:
        env.step(move)
    state = env.get_state()
    expected = [env.step(move).applied_action for move in u[7:]]
    fresh.set_state(state)
    assert np.array_equal([fresh.step(move).applied_action for move in u[7:]], expected)
    for name in (
        name for name in state if name.startswith("control_") and name not in ("control_filter", "control_queue")
    ):
        fresh.set_state(state | {name: 0 * state[name] + 5})
        again = [fresh.step(move).applied_action for move in u[7:]]
        assert not np.array_equal(again, expected), name


def test_a_controller_needs_an_environment_that_says_how_it_is_driven():
    with pytest.raises(UserError, match=r"env\.control\.target needs .* \(capability 'drive'"):
        make_env(EnvConfig("ToyBeam-v0", control=Control(target="relative", reach=0.1)), 2, "training")


def test_a_setting_that_is_new_changes_no_older_digest():
    assert serialise.to_dict(Control(0.5, 1)) == {"smoothing": 0.5, "delay": 1}
    assert serialise.from_dict(Control, {"smoothing": 0.5, "delay": 1}, "here") == Control(0.5, 1)
    assert controlled(Control(0.5, 1)).get_state().keys() - controlled(Control()).get_state().keys() == {
        "control_filter",
        "control_queue",
    }


def test_what_is_shown_foretells_what_will_arrive():
    """The next actions to arrive, the filter's last output and the held action are read off the observation."""
    env = controlled(Control(0.5, 2, hold=2, shown=True))
    size, u = env.spec.action_dim, moves(env)
    assert env.spec.size("interface") == 4 * size + 1
    arrived, seen = [], [env.now.obs["interface"]]
    for move in u:
        step = env.step(move)
        assert np.array_equal(step.obs["interface"], seen[-1])
        arrived.append(step.applied_action)
        assert arrived[-1] == pytest.approx(seen[-1][:, :size], abs=1e-6), "the first of the queue is the next"
        held, filtered = (
            step.next_obs["interface"][:, 3 * size : 4 * size],
            step.next_obs["interface"][:, 2 * size : 3 * size],
        )
        before, even = seen[-1][:, 2 * size : 3 * size], seen[-1][:, -1:] == 0
        assert held == pytest.approx(np.where(even, np.clip(move, -1, 1), seen[-1][:, 3 * size : 4 * size]), abs=1e-6)
        assert filtered == pytest.approx(0.5 * held + 0.5 * before, abs=1e-6)
        seen.append(env.now.obs["interface"])
        assert not seen[-1][step.ended].any(), "an episode begins with nothing under way"
    assert "interface" not in controlled(Control(0.5, 2)).now.obs
