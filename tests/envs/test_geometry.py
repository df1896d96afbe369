"""The symmetries that Fetch declares, tried in its physics: not assumed, measured."""

import numpy as np
import pytest

from wellposed import envs
from wellposed.envs.suites.fetch.oracle import ProportionalReach, ScriptedPickAndPlace, ScriptedPush

ENVS = 8


def start(env, objects: np.ndarray | None, goals: np.ndarray) -> dict[str, np.ndarray]:
    """Begin an episode in every env with the object at a given place."""
    for i in range(ENVS):
        env.simulations[i].restart(None if objects is None else objects[i])
    env.goals[:] = goals
    return env.observe().obs


def image(mirror, obs: np.ndarray) -> np.ndarray:
    return np.array(mirror.observation_offset) + obs[:, mirror.observation_order] * np.array(mirror.observation_sign)


def mirrored_episodes(env_id: str, policy) -> tuple[np.ndarray, np.ndarray]:
    """Forty steps of an episode's mirror image, and of mirrored actions in the mirrored scene: twice [40, n, obs]."""
    env, other = envs.make_vec(env_id, ENVS), envs.make_vec(env_id, ENVS)
    mirror = env.geometry.mirror
    obs, _ = env.reset(seed=0)
    flip = lambda points: np.array(mirror.goal_offset) + points * np.array(mirror.goal_sign)  # noqa: E731
    objects = obs["achieved_goal"] if env.task.variant.has_object else None
    obs = start(env, None if objects is None else objects[:, :2], obs["desired_goal"])
    start(other, None if objects is None else flip(objects)[:, :2], flip(obs["desired_goal"]))
    rng, expected, seen = np.random.default_rng(0), [], []
    for _ in range(40):
        action = policy.act(obs)[0] + 0.1 * rng.standard_normal((ENVS, 4)).astype(np.float32)
        obs = env.step(action)[0]
        expected.append(image(mirror, obs["observation"]))
        seen.append(other.step(action * np.array(mirror.action_sign, np.float32))[0]["observation"])
    return np.array(expected), np.array(seen)


@pytest.mark.parametrize(
    ("env_id", "policy"), [("FetchReach-v4", ProportionalReach()), ("FetchPickAndPlace-v4", ScriptedPickAndPlace())]
)
def test_mirrored_actions_in_the_mirrored_scene_give_the_mirrored_episode(env_id, policy):
    """Reaching, and grasping and carrying: all places within 5 mm."""
    expected, seen = mirrored_episodes(env_id, policy)
    places = [i for point in envs.make_vec(env_id).geometry.points for i in point]
    assert np.abs(expected - seen)[..., places].max() < 0.005


def test_every_number_of_the_observation_has_its_sign_in_the_mirror():
    """It goes up and down with its image, in carrying or in pushing; a wrong sign would turn the correlation to -1."""
    best = np.full(25, -1.0)
    for env_id, policy in (("FetchPickAndPlace-v4", ScriptedPickAndPlace()), ("FetchSlide-v4", ScriptedPush())):
        expected, seen = mirrored_episodes(env_id, policy)
        for i in np.flatnonzero(seen.std(axis=(0, 1)) > 1e-4):
            best[i] = max(best[i], np.corrcoef(expected[..., i].ravel(), seen[..., i].ravel())[0, 1])
    assert best.min() > 0.9, best


@pytest.mark.parametrize("axis", [0, 1])
def test_the_hand_moves_alike_wherever_on_the_table_it_is(axis):
    """The same actions after a detour of 8 cm: the hand takes the same way, within 5 mm where the arm is stretched."""
    env, other = envs.make_vec("FetchReach-v4", ENVS), envs.make_vec("FetchReach-v4", ENVS)
    assert axis in env.geometry.shift_axes
    here, there = env.reset(seed=0)[0], other.reset(seed=0)[0]
    detour = np.zeros((ENVS, 4), np.float32)
    for t in range(12):
        detour[:, axis] = 0.4 * (t < 6)
        here, there = env.step(0 * detour)[0], other.step(detour)[0]
    apart = there["achieved_goal"] - here["achieved_goal"]
    assert np.all(apart[:, axis] > 0.05)
    rng = np.random.default_rng(0)
    for _ in range(15):
        action = rng.uniform(-1, 1, (ENVS, 4)).astype(np.float32)
        here, there = env.step(action)[0], other.step(action)[0]
        assert np.abs(there["achieved_goal"] - here["achieved_goal"] - apart).max() < 0.005


def test_slide_ends_where_the_arm_does_and_so_declares_no_shifts():
    """The same action moves the hand by 3 cm at its start and not at all at its edge; goals lie beyond that."""
    env = envs.make_vec("FetchSlide-v4", ENVS)
    up, ahead = np.zeros((ENVS, 4), np.float32), np.zeros((ENVS, 4), np.float32)
    up[:, 2], ahead[:, 0] = 1, 1
    obs, _ = env.reset(seed=0)
    for _ in range(6):  # clear of the puck
        obs = env.step(up)[0]
    x = [obs["observation"][:, 0]]
    for _ in range(30):
        x.append(env.step(ahead)[0]["observation"][:, 0])
    moved = np.diff(x, axis=0)
    assert moved[0].min() > 0.02
    assert moved[-1].max() < 0.001
    assert x[-1] == pytest.approx(1.43, abs=0.005)  # docs/fast.md
    assert np.max(obs["desired_goal"][:, 0] - x[-1]) > 0.1
    assert env.geometry.shift_axes == ()
