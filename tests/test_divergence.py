"""A number that is not finite stops a run at once, is named, and never reaches a checkpoint."""

from dataclasses import replace
from pathlib import Path

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false
import equinox as eqx
import mujoco
import numpy as np
import pytest

from tests.test_resume import TINY
from wellposed import envs
from wellposed.agents import SAC
from wellposed.config import RunConfig
from wellposed.envs.vector import MujocoVecEnv
from wellposed.errors import NotFiniteError, UserError
from wellposed.runs.record import Failure
from wellposed.runs.store import RunReader
from wellposed.side_by_side import resume
from wellposed.training import train

PUSH = replace(TINY, env="FetchPush-v4")


def failed(config: RunConfig, folder: Path) -> Failure:
    """Train what is going to diverge; why it did. The checkpoints must be sound, and the record readable."""
    with pytest.raises(UserError, match="training diverged"):
        train(config, folder, quiet=True)
    (path,) = folder.iterdir()
    reader = RunReader(path)
    assert reader.status == "diverged"
    assert reader.summary is None
    manifest, agent = reader.load_checkpoint()
    assert all(np.isfinite(array).all() for array in agent.values())
    assert reader.failure is not None
    assert manifest.step <= reader.failure.step <= manifest.step + config.eval_every + config.num_envs
    return reader.failure


def after(monkeypatch, owner: type, method: str, calls: int, change) -> None:
    """Let `change(instance, result)` spoil what `method` returns from its `calls`-th call on."""
    original, count = getattr(owner, method), [0]

    def spoiled(instance, *args, **kwargs):
        count[0] += 1
        result = original(instance, *args, **kwargs)
        return change(instance, result) if count[0] >= calls else result

    monkeypatch.setattr(owner, method, spoiled)


@pytest.mark.parametrize("name", ["observation", "achieved_goal"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_observation(tmp_path, monkeypatch, name, value):
    def spoil(_, step):
        step.next_obs[name][1, 2] = value
        return step

    after(monkeypatch, MujocoVecEnv, "step", 110, spoil)  # 50 of the first evaluation, then collecting
    failure = failed(TINY, tmp_path)
    assert failure.quantity == "observation"
    assert failure.detail == f"{name} after step 240 is not finite."


def test_an_observation_while_evaluating(tmp_path, monkeypatch):
    def spoil(env, step):
        env.now.obs["observation"][:] = np.nan
        return step

    after(monkeypatch, MujocoVecEnv, "step", 130, spoil)
    assert failed(TINY, tmp_path).quantity == "action"  # what the policy makes of it


def test_a_reward(tmp_path, monkeypatch):
    def spoil(_, step):
        step.reward[0] = np.nan
        return step

    after(monkeypatch, MujocoVecEnv, "step", 60, spoil)
    failure = failed(TINY, tmp_path)
    assert (failure.quantity, failure.detail) == ("reward", "the reward after step 40 is not finite.")


@pytest.mark.slow
def test_a_loss(tmp_path):
    failure = failed(replace(TINY, agent=replace(TINY.agent, learning_rate=1e30, bound_targets=False)), tmp_path)
    assert failure.quantity == "loss"
    assert failure.detail.endswith("is not finite.")


@pytest.mark.slow
def test_a_weight_that_no_loss_has_told_of_yet(tmp_path, monkeypatch):
    def spoil(agent, metrics):
        nets = agent.learner.nets
        first = lambda critics: critics.heads[0].biases[0]  # noqa: E731
        broken = eqx.tree_at(first, nets.target_critics, replace_fn=lambda bias: bias * np.nan)
        agent.learner = agent.learner._replace(nets=nets._replace(target_critics=broken))
        return dict.fromkeys(metrics, 0.0)

    after(monkeypatch, SAC, "update", 1, spoil)
    failure = failed(replace(TINY, updates_per_call=200), tmp_path)  # the only update before the next checkpoint
    assert failure.quantity == "weight"
    assert failure.detail.startswith("learner.nets.target_critics.heads[0].biases[0] after update 200 is not finite.")


@pytest.mark.slow
def test_a_physics_state_that_mujoco_resets_in_silence(tmp_path, monkeypatch):
    """MuJoCo puts a broken state back to its initial one and goes on; observations look fine from then on."""
    original, calls = MujocoVecEnv.step, [0]

    def step(self, action):
        calls[0] += 1
        if calls[0] == 120:
            self.physics.data[2].qpos[0] = np.nan
        return original(self, action)

    monkeypatch.setattr(MujocoVecEnv, "step", step)
    monkeypatch.chdir(tmp_path)
    failure = failed(PUSH, tmp_path / "runs")
    assert failure.quantity == "physics"
    assert "in env 2 and started over: mjWARN_BADQPOS." in failure.detail
    assert not (tmp_path / "MUJOCO_LOG.TXT").exists()


@pytest.mark.slow
def test_a_milder_warning_reaches_the_record(tmp_path, monkeypatch):
    original, calls = MujocoVecEnv.step, [0]

    def step(self, action):
        calls[0] += 1
        if calls[0] in (60, 70):
            self.physics.data[1].warning[int(mujoco.mjtWarning.mjWARN_CONTACTFULL)].number = 3
        return original(self, action)

    monkeypatch.setattr(MujocoVecEnv, "step", step)
    path, _ = train(TINY, tmp_path, quiet=True)
    [row] = RunReader(path).warnings
    assert (row.step, row.kind, row.count) == (300, "mjWARN_CONTACTFULL", 6)


def test_a_run_that_diverged_is_not_taken_up(tmp_path, monkeypatch):
    after(monkeypatch, MujocoVecEnv, "step", 60, lambda _, step: step._replace(reward=step.reward * np.nan))
    failed(TINY, tmp_path)
    with pytest.raises(UserError, match=r"is diverged\. the reward after step 40 is not finite"):
        list(resume(list(tmp_path.iterdir()), quiet=True))


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["FetchPush-v4", "HandReach-v3"])
def test_every_environment_tells_of_broken_physics(env_id):
    env = envs.make_vec(env_id, 2)
    env.reset(seed=0)
    zero = np.zeros((2, env.inner.spec.action_dim), np.float32)
    assert env.step(zero)[-1]["physics_warnings"] == {}
    data = env.inner.physics.data[1] if "Fetch" in env_id else env.inner._group.envs[1].unwrapped.data
    data.qvel[0] = np.inf
    with pytest.raises(NotFiniteError, match="mjWARN_BADQVEL"):
        env.step(zero)
    env.close()
