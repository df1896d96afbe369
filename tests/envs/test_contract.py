"""What every environment keeps: ours, one of Gymnasium's, and a suite outside the package; plain and wrapped.

All sizes, lengths and abilities come from the spec and the capabilities. A new environment is tested by being
registered.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from wellposed import envs
from wellposed.envs.make import EnvConfig, installed, make_env
from wellposed.envs.vector import MujocoVecEnv
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.curriculum import Curriculum
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.filter import Filter
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError
from wellposed.types import Moment, Obs, Step

TOY = "ToyBeam-v0"
FOREIGN = "PointMaze_UMaze-v3"
# Those of an extra are stepped one after another in Python: seconds each.
EXTRA = {entry.id for entry in envs.registered() if entry.extra}
OURS = [entry.id for entry in envs.registered() if installed(entry)] + [TOY]
NAMED = [pytest.param(i, marks=[pytest.mark.slow] if i in EXTRA else []) for i in OURS]
WRAPPED = [pytest.param(f"{i} wrapped", marks=[pytest.mark.slow] if i in EXTRA else []) for i in OURS]
everywhere = pytest.mark.parametrize("config", NAMED, indirect=True)
with_wrappers = pytest.mark.parametrize("config", NAMED + WRAPPED, indirect=True)
pytestmark = pytest.mark.usefixtures("toy_suite")


@pytest.fixture
def config(request) -> EnvConfig:
    """An environment by its id; "wrapped", with everything around it that it allows."""
    env_id, *wrapped = request.param.split()
    if not wrapped:
        return EnvConfig(env_id)
    able = envs.find(env_id).capabilities
    driven = {"target": "relative", "reach": 0.1, "damping": 0.2} if "drive" in able else {}
    return EnvConfig(
        env_id,
        max_episode_steps=20,
        control=Control(smoothing=0.5, delay=2, scale=0.8, hold=3, rate=0.6, shown=True, **driven),
        dynamics=Dynamics("0.5..1.5", damping="0.5,2") if "dynamics" in able else Dynamics(),
        sensors=Sensors(0.01, bias=0.01, stuck=0.1, delay=1),
        filter=Filter(0.5),
        curriculum=Curriculum("success", stages=3, window=2, bar=0.0) if "goal spread" in able else Curriculum(),
    )


def made(config: EnvConfig, num_envs: int = 3, threads: int = 1) -> Any:
    return make_env(config, num_envs, "training", threads=threads, seed=4)


def actions(env: Any, steps: int, seed: int = 0) -> np.ndarray:
    shape = steps, env.num_envs, env.spec.action_dim
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def rows(*parts: Any) -> np.ndarray:
    """All numbers of observations and arrays, side by side, [n, ...]."""
    arrays = [array for part in parts for array in (part.values() if isinstance(part, dict) else [part])]
    return np.concatenate([np.asarray(array, float).reshape(len(array), -1) for array in arrays], axis=1)


def trace(env: Any, moves: np.ndarray) -> np.ndarray:
    """All that steps tell, [steps, n, numbers]."""
    found = []
    for move in moves:
        step = env.step(move)
        found.append(rows(*step[:-1], *env.now))
    return np.array(found)


def same(one: Obs, other: Obs, which: Any = slice(None)) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key][which], other[key][which]) for key in one)


def misfits(obs: Obs, fields: Any, n: int) -> list[str]:
    """The keys that do not look as the spec says."""
    kinds = {"image": np.uint8, "vector": np.float64, "goal": np.float64}
    wrong = [f.name for f in fields if (obs[f.name].shape, obs[f.name].dtype) != ((n, *f.shape), kinds[f.kind])]
    return wrong + sorted({f.name for f in fields} ^ obs.keys())


def broken_promises(env: Any, steps: int) -> set[str]:
    """What a sequence of steps of fresh episodes breaks of what `types.Step` and `types.VecEnv` say."""
    found = set()
    spec, n = env.spec, env.num_envs
    lengths, before = np.zeros(n, int), env.reset(seed=0)
    rules = env.compute_reward, env.compute_terminated, env.is_success

    def promise(name: str, kept: Any) -> None:
        if not np.all(kept):
            found.add(name)

    for move in actions(env, steps):
        step: Step = env.step(move)
        now: Moment = env.now
        lengths += 1
        pair = step.next_truth["achieved_goal"], step.next_truth["desired_goal"]
        one_by_one = [np.array([rule(a[None], d[None])[0] for a, d in zip(*pair, strict=True)]) for rule in rules]
        promise("fields", not misfits(step.next_obs, spec.obs, n) and not misfits(step.next_truth, spec.goals, n))
        promise("begins where the last one ended", same(step.obs, before.obs) and same(step.truth, before.truth))
        promise("goal of the episode", np.array_equal(pair[1], before.truth["desired_goal"]))
        promise("reward", np.array_equal(step.reward, env.compute_reward(*pair)) and step.reward.dtype == np.float64)
        promise("success", np.array_equal(step.success, env.is_success(*pair)))
        promise("termination", step.terminated | ~env.compute_terminated(*pair))
        promise("batch", all(np.array_equal(rule(*pair), one) for rule, one in zip(rules, one_by_one, strict=True)))
        promise("flags", all(flag.dtype == bool for flag in (step.success, step.terminated, step.truncated)))
        promise("reward range", spec.reward_range is None or (step.reward >= spec.reward_range[0]))
        promise("reward range", spec.reward_range is None or (step.reward <= spec.reward_range[1]))
        promise("time limit", step.truncated == ((lengths == spec.max_episode_steps) & ~step.terminated))
        promise("action", np.array_equal(step.action, move))
        promise("goes on", same(now.obs, step.next_obs, ~step.ended) and same(now.truth, step.next_truth, ~step.ended))
        promise("true successor", (rows(now.truth) != rows(step.next_truth)).any(axis=1) | ~step.ended)
        promise("kinds", len(env.goal_kinds(pair[1])) == n)
        promise("truth", bool(spec.truth) or (step.obs is step.truth and step.next_obs is step.next_truth))
        lengths[step.ended], before = 0, now
    return found


@with_wrappers
def test_promises_are_kept(config):
    env = made(config)
    assert broken_promises(env, 2 * env.spec.max_episode_steps + 5) == set()
    assert hash(env.spec) == hash(made(config).spec)


def test_promises_are_kept_by_an_environment_of_gymnasium():
    env = made(EnvConfig(FOREIGN, max_episode_steps=20), 2)
    assert broken_promises(env, 45) == set()


def test_the_toy_ends_in_all_three_ways():
    """Otherwise the promises about ends would not have been tried."""
    env = made(EnvConfig(TOY), 8)
    env.reset(seed=0)
    steps = [env.step(move) for move in actions(env, 200)]
    ended = [step.terminated & step.success for step in steps], [step.terminated & ~step.success for step in steps]
    assert [int(np.sum(kind)) > 0 for kind in (*ended, [step.truncated for step in steps])] == [True] * 3


class MovesOnTooEarly(MujocoVecEnv):
    """The successor is the first observation of the next episode."""

    def step(self, action: np.ndarray) -> Step:
        step = super().step(action)
        return step._replace(next_obs=self.now.obs, next_truth=self.now.truth)


class CutsInsteadOfEnding(MujocoVecEnv):
    """A terminal state is told to be a time limit."""

    def step(self, action: np.ndarray) -> Step:
        step = super().step(action)
        return step._replace(terminated=step.terminated & False, truncated=step.ended)


class TellsWhatWasClipped(MujocoVecEnv):
    def step(self, action: np.ndarray) -> Step:
        return super().step(action)._replace(action=np.clip(action, -0.5, 0.5))


@pytest.mark.parametrize(
    ("kind", "broken"),
    [(MovesOnTooEarly, "true successor"), (CutsInsteadOfEnding, "termination"), (TellsWhatWasClipped, "action")],
)
def test_a_broken_promise_is_noticed(kind, broken):
    assert broken in broken_promises(kind(made(EnvConfig(TOY)).task, 8), 100)


def test_an_episode_that_is_kept_running_goes_on_at_its_goal_and_ends_where_it_fails():
    env = make_env(EnvConfig(TOY, sensors=Sensors(0.01)), 8, "evaluation", to_limit=True)
    assert "kept running" in env.capabilities
    env.reset(seed=0)
    steps = [env.step(move) for move in actions(env, 100)]
    assert any((step.success & ~step.ended).any() for step in steps)
    assert any((step.terminated & ~step.success).any() for step in steps)
    assert not any((step.terminated & step.success).any() for step in steps)
    assert "kept running" not in make_env(EnvConfig(OURS[0]), 1, "evaluation", to_limit=True).capabilities


@with_wrappers
def test_the_number_of_threads_and_of_envs_changes_nothing(config):
    if "deterministic" not in envs.find(config.id).capabilities:
        pytest.skip("not declared")
    if config.curriculum.kind != "none":
        pytest.skip("goals grow with the steps of all envs")
    traces = []
    for num_envs, threads in ((5, 1), (5, 2), (5, 4), (3, 2)):
        env = made(config, num_envs, threads)
        env.reset(seed=3)
        moves = actions(made(config, 5), env.spec.max_episode_steps + 5)
        traces.append(trace(env, moves[:, :num_envs])[:, :3])
        env.close()
    assert all(np.array_equal(traces[0], other) for other in traces[1:])


@with_wrappers
def test_a_restored_state_goes_on_bit_for_bit_in_a_fresh_environment(config):
    if "state" not in envs.find(config.id).capabilities:
        pytest.skip("not declared")
    env = made(config, threads=2)
    env.reset(seed=5)
    moves = actions(env, env.spec.max_episode_steps + 20)  # over the end of the episode, into the next
    trace(env, moves[:9])
    state, now = {key: value.copy() for key, value in env.get_state().items()}, env.now
    expected = trace(env, moves[9:])
    fresh = made(config)
    fresh.reset(seed=99)
    trace(fresh, moves[:7])
    restored = fresh.set_state(state)
    assert same(restored.obs, now.obs)
    assert same(restored.truth, now.truth)
    assert np.array_equal(trace(fresh, moves[9:]), expected)


@with_wrappers
def test_a_state_of_another_size_or_environment_is_refused(config):
    env, more = made(config), made(config, 4)
    another = made(EnvConfig(TOY if config.id != TOY else OURS[0]))
    for other in (more, another):
        other.reset(seed=0)
        with pytest.raises((ValueError, KeyError)):
            env.set_state(other.get_state())


@with_wrappers
def test_what_was_returned_stays_as_it_was(config):
    env = made(config)
    first = env.reset(seed=0)
    moves = actions(env, 25)
    step = env.step(moves[0])
    kept, begun = rows(*step[:-1]), rows(*first)
    trace(env, moves[1:])
    env.reset()
    assert np.array_equal(rows(*step[:-1]), kept)
    assert np.array_equal(rows(*first), begun)
    assert np.array_equal(moves, actions(env, 25)), "the caller's actions were written to"


@with_wrappers
def test_seeds_name_episodes(config):
    env = made(config, 2)
    starts = [rows(*env.reset(seed=s)) for s in (4, 5, [4, 9], 4)]
    assert np.array_equal(starts[0], starts[3])
    assert np.array_equal(starts[0][1], starts[1][0])  # env i has seed s + i
    assert np.array_equal(starts[0][0], starts[2][0])
    assert not np.array_equal(starts[0][1], starts[2][1])
    assert not np.array_equal(rows(*env.reset()), starts[0])  # the streams go on
    with pytest.raises(ValueError, match="2 seeds, got 3"):
        env.reset(seed=[1, 2, 3])


@with_wrappers
def test_a_mask_resets_only_some_envs_and_leaves_the_other_streams_alone(config):
    env, untouched = made(config, 2), made(config, 2)
    only_first = np.array([True, False])
    for one in (env, untouched):
        one.reset(seed=0)
        one.step(actions(one, 1)[0])
    before, after = env.now, env.reset(mask=only_first)
    assert not np.array_equal(after.truth["desired_goal"][0], before.truth["desired_goal"][0])
    for one, other in zip(after, before, strict=True):
        assert same(one, other, 1)
    env.reset(seed=7, mask=only_first)
    env.reset(seed=[3, None], mask=only_first)
    assert np.array_equal(rows(*env.reset())[1], rows(*untouched.reset())[1])
    assert np.array_equal(rows(*env.reset(seed=np.int64(4))), rows(*env.reset(seed=4)))


@with_wrappers
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda move: move[:, 1:], ValueError),
        (lambda move: move[0], ValueError),
        (lambda move: move * np.nan, FloatingPointError),
        (lambda move: move * np.inf, FloatingPointError),
    ],
)
def test_senseless_actions_are_refused(config, change, error):
    env = made(config, 2)
    env.reset(seed=0)
    with pytest.raises(error, match="actions must"):
        env.step(change(actions(env, 1)[0]))


@everywhere
def test_the_action_that_reached_the_simulator_is_told(config):
    env = made(config, 2)
    env.reset(seed=0)
    move = np.full((2, env.spec.action_dim), 3.0, np.float32)
    step = env.step(move)
    assert np.array_equal(step.action, move)
    assert np.array_equal(step.applied_action, np.ones_like(move))


@everywhere
def test_what_an_entry_declares_is_there(config):
    entry, env = envs.find(config.id), made(config)
    assert env.capabilities == entry.capabilities
    declared = {"oracle": entry.oracle, "quantities": entry.quantities, "render": entry.renderer}
    assert {name for name, thing in declared.items() if thing is not None} == entry.capabilities & declared.keys()
    assert {"achieved_goal", "desired_goal"} <= {field.name for field in env.spec.goals if field.kind == "goal"}
    if entry.quantities is not None:
        sizes = [env.spec.size(name) for name in ("observation", "desired_goal")]
        assert [len(part) for part in entry.quantities.__dict__.values()] == [*sizes, env.spec.action_dim]
    if entry.oracle is not None:
        policy = entry.oracle()
        action, carry = policy.act(env.reset(seed=0).obs, policy.initial_carry(env.num_envs))
        assert env.step(action).action.shape == (env.num_envs, env.spec.action_dim)
    for field in env.spec.obs:
        assert len(field.floor) in (0, 1, env.spec.size(field.name))


@everywhere
def test_what_an_environment_cannot_is_refused_with_a_sentence(config):
    asked = {
        "goal spread": EnvConfig(config.id, curriculum=Curriculum("linear")),
        "drive": EnvConfig(config.id, control=Control(target="absolute", reach=0.1)),
        "dynamics": EnvConfig(config.id, dynamics=Dynamics("2")),
    }
    for capability, wish in asked.items():
        if capability in envs.find(config.id).capabilities:
            assert made(wish).reset(seed=0).truth.keys() == made(config).reset(seed=0).truth.keys()
        else:
            with pytest.raises(UserError, match=f"capability '{capability}'"):
                made(wish)


@everywhere
def test_gymnasiums_own_vector_wrappers_take_it(config):
    """Anyone's code can use it: the statistics wrapper finds the episodes where Gymnasium's interface has them."""
    ours = envs.make_vec(config.id, 2, max_episode_steps=6)
    twin = envs.make_vec(config.id, 2, max_episode_steps=6).inner
    env: Any = gym.wrappers.vector.RecordEpisodeStatistics(ours)
    obs, info = env.reset(seed=0)
    assert obs in ours.observation_space
    assert info == {}
    twin.reset(seed=0)
    ended = []
    for move in actions(twin, 15):
        obs, reward, terminated, truncated, info = env.step(move)
        step = twin.step(move)
        assert obs in ours.observation_space
        assert same(obs, twin.now.obs)
        assert np.array_equal(rows(reward, terminated, truncated), rows(*step[4:7]))
        assert np.array_equal(info["is_success"], step.success)
        if step.ended.any():
            ended.append(step)
            for i in np.flatnonzero(step.ended):
                assert same(info["final_obs"][i], {key: value[i] for key, value in step.next_obs.items()})
            lengths = info["episode"]["l"] if "episode" in info else info["final_info"]["episode"]["l"]
            assert lengths[step.ended].max() <= 6
    assert ended
