"""Training on envs in worker processes: the run of one process, bit for bit, whatever becomes of the workers."""

from pathlib import Path
from typing import Any

import pytest

from tests.envs import fragile
from tests.records import unequal
from tests.test_resume import Stop
from wellposed import plugin
from wellposed.agents import SAC, SACConfig
from wellposed.config import RunConfig
from wellposed.envs import gym as foreign
from wellposed.envs.make import EnvConfig
from wellposed.errors import UserError
from wellposed.runs.store import RunReader
from wellposed.side_by_side import resume
from wellposed.training import train

NAME = f"{fragile.__name__}:make"


@pytest.fixture(autouse=True)
def every_step_is_worth_a_process(monkeypatch):
    monkeypatch.setattr(foreign, "WORTH_A_PROCESS", 0.0)
    plugin.allow_import(NAME)


@pytest.fixture(scope="module")
def trap(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("trap") / "trap"


@pytest.fixture(scope="module")
def config(trap) -> RunConfig:
    return RunConfig(
        env=EnvConfig(NAME, {"trap": str(trap)}), total_steps=600, num_envs=4, random_steps=200, eval_every=300,
        eval_episodes=2, updates_per_call=4, agent=SACConfig(hidden=(8,), batch_size=16),
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory) -> Path:
    """The run in one process."""
    plugin.allow_import(NAME)
    return train(config, tmp_path_factory.mktemp("alone"), threads=1, quiet=True)[0]


@pytest.mark.slow
def test_a_run_on_workers_stopped_in_the_middle_of_episodes_is_that_of_one_process(
    alone, config, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        Stop(patch, SAC, "update", 20)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path, threads=2, quiet=True)
    [(path, summary)] = resume(list(tmp_path.iterdir()), threads=2, quiet=True)
    assert summary is not None
    assert unequal(alone, path) == set()


@pytest.mark.slow
def test_a_run_whose_environment_fails_says_where_is_saved_and_goes_on(alone, config, trap, tmp_path, monkeypatch):
    update, calls = SAC.update, []

    def set_the_trap(self: SAC, batches: Any) -> Any:
        calls.append(0)
        if len(calls) == 60:
            fragile.set_trap(trap, "once raise")
        return update(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(SAC, "update", set_the_trap)
        told = rf"Env \d failed in step .*fragile.py, line \d+.*`wellposed resume .* --allow-import {NAME}`"
        with pytest.raises(UserError, match=told):
            train(config, tmp_path, threads=2, quiet=True)
    (path,) = tmp_path.iterdir()
    assert RunReader(path).status == "interrupted"
    [(path, summary)] = resume([path], threads=1, quiet=True)
    assert summary is not None
    assert unequal(alone, path) == set()
