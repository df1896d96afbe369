"""Noise covers all that the policy is shown, one measurement for one quantity, and the truth judges."""

from collections.abc import Callable

import numpy as np
import pytest

from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.suites.fetch.oracle import ScriptedPickAndPlace
from wellposed.envs.suites.fetch.task import FetchTask
from wellposed.envs.wrappers.sensors import SensedVecEnv, Sensors
from wellposed.errors import UserError
from wellposed.types import Obs

NOISE = 0.01
DRAWS = 400
SHARE = np.sqrt(2)
# Standard deviation of the error of each number, in units of NOISE: hand, object, the way between, fingers, angles,
# velocity relative to the hand's, angular velocity, velocities of hand and fingers.
OBJECT = np.repeat([1, 1, SHARE, 1, 40, 2, 40 * SHARE, SHARE, SHARE], [3, 3, 3, 2, 3, 3, 3, 3, 2])
HAND = np.repeat([1, 1, SHARE, SHARE], [3, 2, 3, 2])
Errors = Callable[[FetchTask, np.ndarray], Obs]


def sensed(env_id: str, noise: float = NOISE, seed: int = 0, copies: int = 3, steps: int | None = None) -> SensedVecEnv:
    config = EnvConfig(env_id, max_episode_steps=steps, sensors=Sensors(noise))
    return make_env(config, copies, "training", seed=seed)  # type: ignore[return-value]


def leaks(env_id: str, monkeypatch: pytest.MonkeyPatch, errors: Errors = FetchTask.measurement_errors) -> list[str]:
    """What a policy could read off the measurements of one moment although the noise should hide it."""
    monkeypatch.setattr(FetchTask, "measurement_errors", errors)
    env = sensed(env_id, copies=DRAWS)
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
        return original(task, draws) | {"achieved_goal": original(task, draws[::-1])["achieved_goal"]}

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
        env = sensed("FetchPickAndPlace-v4", noise, copies=6)
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


def test_other_environments_are_refused():
    with pytest.raises(UserError, match=r"--env.sensors.noise needs an environment that says what its numbers measure"):
        sensed("PointMaze_UMaze-v3")
