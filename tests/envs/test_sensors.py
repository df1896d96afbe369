"""Noise covers all that the policy is shown, one measurement for one quantity, and the truth judges."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.envs.own import Own
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.sensing import find_sensing, sensing_of
from wellposed.envs.suites.fetch.oracle import ScriptedPickAndPlace
from wellposed.envs.suites.fetch.task import FetchTask
from wellposed.envs.wrappers.sensors import SensedVecEnv, Sensors, sensors_from
from wellposed.errors import UserError
from wellposed.serialise import to_dict
from wellposed.types import Obs

NOISE = 0.01
DRAWS = 400
SHARE = np.sqrt(2)
# Standard deviation of the error of each number, in units of NOISE: hand, object, the way between, fingers, angles,
# velocity relative to the hand's, angular velocity, velocities of hand and fingers.
OBJECT = np.repeat([1, 1, SHARE, 1, 40, 2, 40 * SHARE, SHARE, SHARE], [3, 3, 3, 2, 3, 3, 3, 3, 2])
HAND = np.repeat([1, 1, SHARE, SHARE], [3, 2, 3, 2])
Errors = Callable[[FetchTask, np.ndarray], Obs]


def sensed(
    env_id: str, noise: float = NOISE, seed: int = 0, num_envs: int = 3, steps: int | None = None
) -> SensedVecEnv:
    config = EnvConfig(env_id, max_episode_steps=steps, sensors=Sensors(noise))
    return make_env(config, num_envs, "training", seed=seed)  # type: ignore[return-value]


def leaks(env_id: str, monkeypatch: pytest.MonkeyPatch, errors: Errors = FetchTask.measurement_errors) -> list[str]:
    """What a policy could read off the measurements of one moment although the noise should hide it."""
    monkeypatch.setattr(FetchTask, "measurement_errors", errors)
    env = sensed(env_id, num_envs=DRAWS)
    seen, truth = env.reset(seed=0)
    assert env.spec.geometry is not None
    hand, *rest = env.spec.geometry.points
    error = (seen["observation"] - truth["observation"]) / (NOISE * (OBJECT if rest else HAND))
    found = [f"number {i} has {s:.2f} of its noise" for i, s in enumerate(error.std(axis=0)) if abs(s - 1) > 0.2]
    # Three ways to know where the achieved goal is; if they differ, their mean knows better than the sensor.
    looks = [seen["achieved_goal"], seen["observation"][:, rest[0] if rest else hand]]
    if rest:
        looks.append(seen["observation"][:, hand] + seen["observation"][:, 6:9])
    if np.ptp(looks, axis=0).max() > 1e-12:
        found.append("the looks at the achieved goal differ")
    off = np.std(np.array(looks) - truth["achieved_goal"], axis=1)
    if np.abs(off / NOISE - 1).max() > 0.2:
        found.append("a look at the achieved goal is sharper or duller than the sensor")
    return found


@pytest.mark.parametrize("env_id", ["FetchReach-v4", "FetchPush-v4", "FetchPickAndPlace-v4"])
def test_no_clean_coordinate_reaches_the_policy(env_id, monkeypatch):
    assert leaks(env_id, monkeypatch) == []


def test_noise_that_spares_the_achieved_goal_is_noticed(monkeypatch):
    original = FetchTask.measurement_errors

    def spared(task: FetchTask, draws: np.ndarray) -> Obs:
        return {"observation": original(task, draws)["observation"]}

    assert len(leaks("FetchPush-v4", monkeypatch, spared)) == 2


def test_a_second_measurement_of_the_same_position_is_noticed(monkeypatch):
    original = FetchTask.measurement_errors

    def twice(task: FetchTask, draws: np.ndarray) -> Obs:
        again = original(task, np.roll(draws, 10, axis=1))  # the object with the errors of the hand
        return original(task, draws) | {"achieved_goal": again["achieved_goal"]}

    assert leaks("FetchPush-v4", monkeypatch, twice) == ["the looks at the achieved goal differ"]


def test_noise_that_spares_the_way_from_hand_to_object_is_noticed(monkeypatch):
    original = FetchTask.measurement_errors

    def spared(task: FetchTask, draws: np.ndarray) -> Obs:
        errors = original(task, draws)
        errors["observation"][:, 6:9] = 0.0
        return errors

    assert [found.split()[1] for found in leaks("FetchPush-v4", monkeypatch, spared)[:3]] == ["6", "7", "8"]


def test_no_noise_changes_nothing_and_noise_repeats_with_its_seed():
    assert not isinstance(sensed("FetchPush-v4", 0.0), SensedVecEnv)
    one, same, other = (sensed("FetchPush-v4", seed=seed).reset(seed=1).obs["observation"] for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_desired_goal_is_told_and_not_measured():
    seen, truth = sensed("FetchPush-v4").reset(seed=0)
    assert np.array_equal(seen["desired_goal"], truth["desired_goal"])


def test_the_truth_is_that_of_the_environment_without_noise_and_it_judges():
    """The same actions: whatever is shown, what is true, rewarded and counted as success stays as it was."""
    noisy, plain = sensed("FetchPush-v4", 0.5, steps=5), sensed("FetchPush-v4", 0.0, steps=5)
    assert noisy.spec.truth == plain.spec.obs
    assert noisy.spec.obs == plain.spec.obs
    noisy.reset(seed=3)
    plain.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(12):
        move = rng.uniform(-1, 1, (3, 4)).astype(np.float32)
        one, other = noisy.step(move), plain.step(move)
        for key in other.obs:
            assert np.array_equal(one.truth[key], other.obs[key])
            assert np.array_equal(one.next_truth[key], other.next_obs[key])
        assert np.abs(one.next_obs["observation"] - one.next_truth["observation"]).min(axis=1).max() > 0
        for field in ("reward", "success", "terminated", "truncated"):
            assert np.array_equal(getattr(one, field), getattr(other, field))


def test_every_moment_is_measured_once():
    """What a step shows before it is what the step before showed after it, unless an episode began in between."""
    env = sensed("FetchReach-v4", steps=4)
    shown = env.reset(seed=0).obs
    for _ in range(10):
        step = env.step(np.zeros((3, 4), np.float32))
        assert all(np.array_equal(step.obs[key], shown[key]) for key in shown)
        shown = env.now.obs
        assert np.array_equal(shown["observation"], step.next_obs["observation"]) != step.ended.any()


def test_a_state_goes_on_with_the_same_errors():
    env, fresh, unaware = (sensed("FetchReach-v4", seed=seed, steps=6) for seed in (0, 1, 1))
    env.reset(seed=0)
    still = np.zeros((3, 4), np.float32)
    env.step(still)
    state = {key: value.copy() for key, value in env.get_state().items()}
    expected = [env.step(still).next_obs["observation"] for _ in range(10)]
    unaware.reset(seed=0)
    fresh.set_state(state)
    unaware.set_state(state | {"sensors": unaware.get_state()["sensors"]})
    again, other = ([e.step(still).next_obs["observation"] for _ in range(10)] for e in (fresh, unaware))
    assert np.array_equal(expected, again)
    assert not np.array_equal(expected, other)


def test_much_noise_makes_a_controller_fail_and_a_little_does_not():
    rates, policy = [], ScriptedPickAndPlace()
    for noise in (0.0, 0.05):
        env = sensed("FetchPickAndPlace-v4", noise, num_envs=6)
        env.reset(seed=list(range(6)))
        for _ in range(env.spec.max_episode_steps):
            step = env.step(policy.act(env.now.obs)[0])
        rates.append(step.success.mean())
    assert rates[0] == 1.0
    assert rates[1] < 0.5


@pytest.mark.parametrize("noise", [-0.01, float("nan"), float("inf")])
def test_senseless_noise_is_refused(noise):
    with pytest.raises(UserError, match=r"--env.sensors.noise is a length in goal units"):
        Sensors(noise)


FAULTS = Sensors(0.01, bias=0.02, drift=0.003, resolution=0.001, dropped=0.1, stuck=0.2, lasting=2, delay=2)


def made(sensors: Sensors, num_envs: int = 3, env_id: str = "FetchPush-v4", **settings: Any) -> Any:
    return make_env(EnvConfig(env_id, sensors=sensors, **settings), num_envs, "training", seed=1)


def moments(env: Any, steps: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What is shown and what is true of the object at moments of one episode, each [moments, n, 3]."""
    rng, now = np.random.default_rng(seed), env.reset(seed=0)
    found = [now]
    for _ in range(steps):
        env.step(rng.uniform(-1, 1, (200, 4)).astype(np.float32)[: env.num_envs])
        found.append(env.now)
    shown, true = ([getattr(moment, part)["achieved_goal"] for moment in found] for part in ("obs", "truth"))
    return np.array(shown), np.array(true)


def test_a_bias_stays_for_an_episode_and_is_told():
    env = made(Sensors(bias=0.01), max_episode_steps=5)
    shown, true = moments(env, 11)
    off = shown - true
    assert np.allclose(off[:5], off[0], atol=1e-12)
    assert np.abs(off[5] - off[0]).min() > 1e-6  # the next episode has another
    assert np.allclose(off[11], np.stack([env.drawn()[f"bias.object.{j}"] for j in range(3)], axis=1), atol=1e-12)
    many = made(Sensors(bias=0.01), 300)
    many.reset(seed=0)
    assert abs(np.std([many.drawn()[f"bias.object.{j}"] for j in range(3)]) / 0.01 - 1) < 0.1
    assert abs(np.std([many.drawn()[f"bias.object_angle.{j}"] for j in range(3)]) / 0.4 - 1) < 0.1  # radians


@pytest.mark.slow
def test_drift_is_a_random_walk_from_zero():
    shown, true = moments(made(Sensors(drift=0.01), 200, "FetchReach-v4"), 16)
    spread = (shown - true).std(axis=(1, 2))
    assert np.abs(spread / (0.01 * np.sqrt(np.arange(1, 18))) - 1).max() < 0.15
    assert abs(spread[16] / spread[0] - 1) > 1  # white noise would not grow


def test_readings_are_multiples_of_the_resolution_and_at_most_half_of_it_off():
    shown, true = moments(made(Sensors(resolution=0.01)))
    assert np.abs(shown / 0.01 - np.round(shown / 0.01)).max() < 1e-9
    assert 0.004 < np.abs(shown - true).max() <= 0.005 + 1e-12


def test_a_delayed_reading_is_the_one_of_that_many_steps_ago():
    shown, true = moments(made(Sensors(delay=3)))
    assert np.allclose(shown[3:], true[:-3], atol=1e-12)
    assert np.allclose(shown[:3], true[0], atol=1e-12)


def test_what_is_dropped_reads_zero_and_what_is_stuck_stays_as_long_as_told():
    shown, _ = moments(made(Sensors(dropped=0.1, lasting=3), 9), 40)
    lost: Any = (np.abs(shown) < 1e-12).all(axis=2)
    assert (lost == (np.abs(shown) < 1e-12).any(axis=2)).all()  # a quantity is lost as a whole
    runs = [len(run) for row in lost.T for run in "".join("01"[x] for x in row.tolist()).split("0")[:-1] if run]
    assert runs
    assert all(run % 3 == 0 for run in runs)
    assert 0.1 < lost.mean() < 0.4  # 3 p / (1 + 2 p) = 0.25
    shown, true = moments(made(Sensors(stuck=1.0, lasting=1), 9, "FetchReach-v4"))
    assert np.allclose(shown, true[0], atol=1e-12)  # it sticks for ever at its first reading


def test_what_is_always_dropped_is_in_no_number_that_is_shown():
    """A carried block moves and turns; its motion is also in what is shown relative to the hand's."""
    hidden = ("object_angle", "object_velocity", "object_turning")
    env: Any = made(Sensors(each={f"{name}.dropped": 1.0 for name in hidden}), 3, "FetchPickAndPlace-v4")
    env.reset(seed=0)
    sensing, policy = sensing_of(make_env(EnvConfig("FetchPickAndPlace-v4"), 1, "evaluation")), ScriptedPickAndPlace()
    lost = np.isin([sensing.quantities[i].name for i in sensing.owner], hidden)
    for _ in range(25):
        step = env.step(policy.act(env.now.truth)[0])
    true, shown = sensing.measured(step.next_truth), sensing.measured(step.next_obs)
    assert np.allclose(shown, np.where(lost, 0.0, true), atol=1e-12)
    assert (np.abs(true[:, lost]).max(axis=0) > 1e-6).all()


def test_one_quantity_may_be_measured_otherwise_in_its_own_unit():
    env = made(Sensors(0.01, each={"object_angle.noise": 0.05, "hand.noise": 0.0}), 400)
    shown, true = env.reset(seed=0)
    off = (shown["observation"] - true["observation"]).std(axis=0)
    assert np.allclose(off[11:14], 0.05, rtol=0.2)  # radians, instead of 0.01 m / 2.5 cm
    assert off[:3].max() == 0
    assert np.allclose(off[6:9], 0.01, rtol=0.2)  # the way between: that of the object alone
    with pytest.raises(UserError, match=r"nothing measures 'objekt'; did you mean 'object'\?"):
        made(Sensors(each={"objekt.noise": 0.1}))


@pytest.mark.parametrize("num_envs", [2, 5])
def test_errors_depend_on_the_episode_and_not_on_the_number_of_envs(num_envs):
    few, many = (moments(made(FAULTS, n))[0] for n in (1, num_envs))
    assert np.array_equal(few[:, 0], many[:, 0])
    assert not np.array_equal(many[:, 0], many[:, 1])


def test_levels_of_a_fault_share_their_draws():
    """So that episodes at two levels are pairs: at twice the level each error is twice as large."""
    off = [np.subtract(*moments(made(Sensors(noise, bias=2 * noise)))) for noise in (0.01, 0.02)]
    assert np.allclose(2 * off[0], off[1], atol=1e-12)


def test_all_faults_go_on_from_a_state_bit_for_bit():
    env, fresh = (made(FAULTS, max_episode_steps=7) for _ in range(2))
    env.reset(seed=0)
    still = np.zeros((3, 4), np.float32)
    for _ in range(4):
        env.step(still)
    state = {key: value.copy() for key, value in env.get_state().items()}
    expected = [env.step(still).next_obs["observation"] for _ in range(10)]
    fresh.reset(seed=9)
    assert np.array_equal(fresh.set_state(state).obs["observation"], env.env.now.obs["observation"]) is False
    assert np.array_equal(expected, [fresh.step(still).next_obs["observation"] for _ in range(10)])


def test_what_is_measured_is_found_where_nobody_declares_it():
    """Of Fetch it is what Fetch declares, but that the velocity from the hand is one number when only it is shown."""
    env = made(Sensors(), 4)
    found, declared = find_sensing(env), sensing_of(env)
    errors = np.abs(found.spread) > 0
    shown = np.cumsum([0] + [size for _, size in found.shown])[1]  # the observation begins after the achieved goal
    columns = {name: errors[:, shown + j] for name, j in (("hand", 0), ("object", 3), ("way", 6), ("velocity", 14))}
    assert np.array_equal(columns["object"], errors[:, 0])
    assert np.array_equal(columns["way"], columns["hand"] | columns["object"])
    assert columns["velocity"].sum() == 1
    assert len(found.scale) == len(declared.scale) == 22


class Switched(Own):
    """Shows twice which way a switch is, that its episode's seed sets and nothing moves."""

    def __init__(self):
        super().__init__()
        seen, goal = (gym.spaces.Box(-np.inf, np.inf, (size,), np.float64) for size in (4, 2))
        self.observation_space = gym.spaces.Dict(observation=seen, achieved_goal=goal, desired_goal=goal)

    def observe(self):
        switch = np.full(2, self.goal_place[0] > 0, float)
        return super().observe() | {"observation": np.concatenate([self.place, switch])}


def test_what_is_measured_does_not_depend_on_the_number_of_envs():
    """Else a policy would be evaluated by other sensors than it was trained by."""
    if "Switched-v0" not in gym.registry:
        gym.register("Switched-v0", f"{__name__}:Switched", max_episode_steps=100)
    found = [find_sensing(made(Sensors(), n, "Switched-v0")) for n in (1, 3, 5, 16)]
    assert [len(one.scale) for one in found] == [3] * 4  # two of the place, one of the switch
    assert all(np.array_equal(one.spread, found[0].spread) for one in found)


@pytest.mark.slow
def test_gymnasiums_environments_are_sensed_too_and_the_achieved_goal_is_measured_once():
    env = made(Sensors(0.01), 3, "PointMaze_UMaze-v3")
    shown, true = env.reset(seed=0)
    off = {key: shown[key] - true[key] for key in shown}
    assert np.abs(off["achieved_goal"]).min() > 0
    assert np.allclose(off["observation"][:, :2], off["achieved_goal"], atol=1e-12)
    assert np.abs(off["observation"][:, 2:]).min() > 0
    assert not off["desired_goal"].any()


def test_words_of_a_command_line_are_sensors():
    read = sensors_from(["noise=0.01", "delay=2", "object.bias=0.5"])
    assert read == Sensors(0.01, delay=2, each={"object.bias": 0.5})
    for wrong in ("nois=1", "noise", "delay=0.5", "stuck=2", "object.x=1"):
        with pytest.raises(UserError):
            sensors_from([wrong])


def test_settings_of_today_keep_the_name_of_their_run():
    plain = {"env": {"id": "FetchPush-v4", "sensors": {"noise": 0.01}}}
    config = {"env": EnvConfig("FetchPush-v4", sensors=Sensors(0.01))}
    assert {"env": to_dict(config["env"])} == plain


@pytest.mark.parametrize("setting", ["delay", "lasting"])
def test_more_steps_than_memory_could_hold_are_refused(setting):
    with pytest.raises(UserError, match=r"to 10,000, got 1000000000"):
        replace(Sensors(), **{setting: 10**9})
