"""A run that is stopped at any moment and taken up again ends as the one that was never stopped, bit for bit."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.check.test_kinds import PIXELS
from tests.records import unequal
from wellposed import agents, serialise
from wellposed.agents import SAC, PPOConfig, SACConfig, TD3Config
from wellposed.config import OnPolicyRunConfig, RunConfig
from wellposed.data import ReplayConfig
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.vector import MujocoVecEnv
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.curriculum import Curriculum
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError
from wellposed.nn.inputs import InputConfig
from wellposed.rollout.collector import Explorer
from wellposed.runs.store import RunReader
from wellposed.runs.writer import RunWriter
from wellposed.side_by_side import resume, train_side_by_side
from wellposed.training import here, train
from wellposed.types import Geometry, Turn

SMALL = SACConfig(hidden=(16, 16), batch_size=32)
TINY = RunConfig(
    env=EnvConfig("FetchReach-v4"), total_steps=840, num_envs=4, random_steps=200, eval_every=300, eval_episodes=4,
    updates_per_call=4, agent=SMALL,
)  # fmt: skip
GROWING = Curriculum("success", stages=3, window=2, bar=0.0)
TINY_PPO = OnPolicyRunConfig(
    env=EnvConfig("FetchReachDense-v4"), total_steps=420, num_envs=2, rollout_steps=10, eval_every=150, eval_episodes=4,
    agent=PPOConfig(hidden=(16, 16), batch_size=16, epochs=2),
)  # fmt: skip
LATE = Control(smoothing=0.5, delay=2)
FOUND = Geometry((0, 1, 2), ((0, 1, 2),), shift_axes=(0, 1), turn=Turn((0, 1), 0.4, ((0, 1), (5, 6))))
REMEMBERING = InputConfig(encoder="gru", width=4, memory=3)
CASES = {
    "Reach": TINY,
    "filtered, late and noisy": replace(
        TINY, env=EnvConfig("FetchReach-v4", control=LATE, sensors=Sensors(noise=0.01))
    ),
    "a geometry that was found": replace(TINY, env=EnvConfig("FetchReach-v4", geometry=FOUND)),
    "drawn dynamics, drifting sensors, a history": replace(
        TINY,
        agent=replace(SMALL, inputs=InputConfig(encoder="history", memory=4)),
        env=EnvConfig(
            "FetchReach-v4", dynamics=Dynamics(gain="0.5..1.5", damping="1,2"), sensors=Sensors(drift=0.001, stuck=0.1)
        ),
    ),
    "memory": replace(TINY, agent=replace(SMALL, batch_size=8, inputs=REMEMBERING)),
    "images": PIXELS,
    "Push, one call a step": replace(TINY, env="FetchPush-v4", num_envs=3, updates_per_step=2.0),
    "a replay that wraps": replace(TINY, replay=ReplayConfig(capacity=330), total_steps=1600),
    "PickAndPlace, temperature learnt, goals that grow": replace(
        TINY, agent=replace(SMALL, learn_temperature=True), env=EnvConfig("FetchPickAndPlace-v4", curriculum=GROWING)
    ),
    "TD3": replace(TINY, algo="td3", agent=TD3Config(hidden=(16, 16), batch_size=32)),
    "PPO": TINY_PPO,
    "until solved": replace(TINY, until_success=0.0, total_steps=10_000),
    "until a test says so": replace(TINY, until_success=0.05, stop_rule="test", total_steps=4_000),
    "a maze of Gymnasium": replace(TINY, env="PointMaze_UMaze-v3", num_envs=2, total_steps=1000, random_steps=620),
}


class Stop:
    """Sends Ctrl-C to ourselves at the `at`-th call of `method`."""

    def __init__(self, monkeypatch, owner: Any, method: str, at: int):
        self.calls, self.at, original = 0, at, getattr(owner, method)

        def counted(instance, *args, **kwargs):
            self.calls += 1
            if self.calls == self.at:
                os.kill(os.getpid(), signal.SIGINT)
            return original(instance, *args, **kwargs)

        monkeypatch.setattr(owner, method, counted)


def until_done(path: Path, threads: int = 2, before_each: Callable[[], None] = lambda: None) -> Path:
    for _ in range(100):
        before_each()
        [(path, summary)] = resume([path], threads=threads, quiet=True)
        if summary is not None:
            return path
    raise AssertionError("100 resumptions and no end")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Every case, trained without a break; made when it is first asked for."""
    folder, found = tmp_path_factory.mktemp("undisturbed"), {}

    def get(name: str) -> Path:
        if name not in found:
            found[name] = train(CASES[name], folder, quiet=True)[0]
        return found[name]

    return get


FAST = ("Reach",)  # `make test-slow` trains the other cases


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
@pytest.mark.parametrize(("method", "at"), [("update", 17), ("act", 60)])
@pytest.mark.usefixtures("toy_suite")
def test_a_run_that_is_interrupted_ends_as_if_it_had_not_been(tmp_path, monkeypatch, undisturbed, name, method, at):
    expected = undisturbed(name)  # before the patch, which would count its calls too
    stop = Stop(monkeypatch, agents.find(CASES[name].algo).make, method, at)
    [(path, summary)] = train_side_by_side([CASES[name]], tmp_path, quiet=True)
    if summary is None:  # else the run was over before
        assert RunReader(path).status == "interrupted"
        until_done(path)
        assert len(RunReader(path).provenance.resumed) == 1
    assert stop.calls >= at or summary is not None
    assert unequal(path, expected) == set()


@pytest.mark.slow
def test_a_run_that_is_interrupted_at_every_turn_ends_as_if_it_had_not_been(tmp_path, monkeypatch, undisturbed):
    """At the 77th step of the environments each time, be it of collecting or of evaluating."""
    expected = undisturbed("Reach")  # before the patch, which would interrupt this one too
    original, calls = MujocoVecEnv.step, [0]

    def step(self, actions):
        calls[0] += 1
        if calls[0] == 77:  # once: a second signal would end the process at once, which on a busy machine comes to pass
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, actions)

    monkeypatch.setattr(MujocoVecEnv, "step", step)
    [(path, summary)] = train_side_by_side([CASES["Reach"]], tmp_path, quiet=True)
    assert summary is None
    until_done(path, before_each=lambda: calls.__setitem__(0, 0))
    assert len(RunReader(path).provenance.resumed) > 5
    assert unequal(path, expected) == set()


@pytest.mark.slow
def test_a_rollout_that_is_interrupted_goes_on_where_it_was(tmp_path, monkeypatch, undisturbed):
    """In the middle of the third one: its steps are in the checkpoint."""
    expected = undisturbed("PPO")
    Stop(monkeypatch, Explorer, "act", 26)
    [(path, summary)] = train_side_by_side([TINY_PPO], tmp_path, quiet=True)
    assert summary is None
    newest = sorted((path / "checkpoints").glob("*.json"))[-1]
    assert RunReader(path).load_state(newest)[1]["loop/rollout/filled"] == 6
    assert unequal(until_done(path), expected) == set()


@pytest.mark.slow
def test_several_seeds_are_taken_up_side_by_side(tmp_path, undisturbed):
    """Each in a process of its own; here they died before their first checkpoints."""
    paths = []
    for seed in (1, 0):
        with RunWriter(tmp_path, serialise.to_dict(replace(TINY, seed=seed)), here(threads=1)) as run:
            paths.append(run.path)
    assert [path for path, _ in resume(paths, quiet=True)] == paths
    assert unequal(paths[1], undisturbed("Reach")) == set()
    with pytest.raises(UserError, match=r"is finished\. There is nothing left to train"):
        list(resume(paths, quiet=True))


@pytest.mark.slow
def test_goals_did_grow_in_the_run_that_was_taken_up(undisturbed):
    rows = RunReader(undisturbed("PickAndPlace, temperature learnt, goals that grow")).metrics
    progress = [row.metrics["curriculum/progress"] for row in rows]
    assert progress == sorted(progress)
    assert 0 < progress[-1] <= 1


@pytest.mark.slow
def test_the_comparison_would_see_a_difference(undisturbed, tmp_path):
    other = train(replace(TINY, seed=1), tmp_path, quiet=True)[0]
    found = unequal(other, undisturbed("Reach"))
    assert {"config", "metrics metrics train/critic_loss", "agent/learner.nets.actor.head.weights[0]"} <= found
    assert {
        "loop/env/physics",
        "replay obs/observation",
        "loop/sampling/replay",
        "agent/inputs.obs.observation.mean",
    } <= found


def test_a_finished_run_is_not_taken_up(undisturbed):
    with pytest.raises(UserError, match=r"is finished\. There is nothing left to train"):
        list(resume([undisturbed("Reach")], quiet=True))


@pytest.mark.slow
def test_a_run_without_a_checkpoint_begins_anew(tmp_path, monkeypatch, undisturbed):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("wellposed.loop.monitor.Monitor.evaluation_due", die)
        with pytest.raises(KeyboardInterrupt):
            train(TINY, tmp_path, quiet=True)
    (path,) = tmp_path.iterdir()
    assert not list((path / "checkpoints").iterdir())
    assert unequal(until_done(path), undisturbed("Reach")) == set()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["manifest", "state", "replay"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_counts(tmp_path, monkeypatch, capsys, undisturbed, damage):
    Stop(monkeypatch, SAC, "update", 60)
    [(path, _)] = train_side_by_side([TINY], tmp_path, quiet=True)
    newest = sorted((path / "checkpoints").glob("*.json"))[-1]
    part = sorted((path / "replay").iterdir())[-1]
    file = {"manifest": newest, "state": newest.with_suffix(".safetensors"), "replay": part}[damage]
    file.write_bytes(file.read_bytes()[:-3])
    list(resume([path]))
    assert str(file.name) in capsys.readouterr().err
    assert unequal(path, undisturbed("Reach")) == set()


@pytest.mark.slow
def test_a_run_without_a_whole_checkpoint_is_refused_and_nothing_is_thrown_away(tmp_path, monkeypatch):
    Stop(monkeypatch, SAC, "update", 60)
    [(path, _)] = train_side_by_side([TINY], tmp_path, quiet=True)
    for state in (path / "checkpoints").glob("*.safetensors"):
        state.write_bytes(state.read_bytes()[:-3])
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != "lock"}
    with pytest.raises(UserError, match="no intact checkpoint; nothing was changed"):
        list(resume([path], quiet=True))
    assert before == {file: file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != "lock"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["replay", "checkpoints", "tensorboard", "metrics.jsonl", "lock"])
def test_a_run_with_a_part_elsewhere_is_not_taken_up(tmp_path, monkeypatch, name):
    """A stranger's directory may hold a link to anywhere."""
    Stop(monkeypatch, SAC, "update", 60)
    [(path, _)] = train_side_by_side([TINY], tmp_path / "runs", quiet=True)
    elsewhere = tmp_path / "elsewhere"
    (path / name).rename(elsewhere)
    (path / name).symlink_to(elsewhere)
    before = {file: file.read_bytes() for file in [elsewhere, *elsewhere.rglob("*")] if file.is_file()}
    with pytest.raises(UserError, match=r"is a link, which no run has|Could not lock"):
        list(resume([path], quiet=True))
    assert before == {file: file.read_bytes() for file in [elsewhere, *elsewhere.rglob("*")] if file.is_file()}


@pytest.mark.slow
def test_what_is_resumed_says_so_in_its_record(tmp_path, monkeypatch, capsys):
    Stop(monkeypatch, SAC, "update", 60)
    [(path, _)] = train_side_by_side([TINY], tmp_path, quiet=True)
    list(resume([path]))
    [again] = RunReader(path).provenance.resumed
    assert f"Resumed at step {again.step:,}; no row was lost." in capsys.readouterr().err.replace("\n", " ")
    assert again.packages == RunReader(path).provenance.packages
    assert again.note == f"Resumed at step {again.step:,}; no row was lost."


def test_an_environment_that_remembers_more_than_its_seed_is_found_out():
    """A stale quantity that leaks from one episode into the next: to play an episode again leads elsewhere."""
    env: Any = make_env(EnvConfig("PointMaze_UMaze-v3"), 1, "training")
    env.reset(seed=3)
    for _ in range(5):
        env.step(np.ones((1, 2), np.float32))
    state = env.get_state()
    assert np.array_equal(env.set_state(state).obs["observation"], state["observation"])
    env._group.envs[0].unwrapped.point_env.model.actuator_gear[:] = 0
    with pytest.raises(UserError, match="carries something over"):
        env.set_state(state)
