"""Envs in worker processes: every number as in one process, and no worker dies unseen or outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.envs import fragile
from tests.envs.fragile import LIMIT, Fragile
from wellposed import plugin
from wellposed.envs import gym as foreign
from wellposed.envs.gym import GymGoalVecEnv
from wellposed.envs.workers import confined
from wellposed.errors import EnvFailedError, UserError
from wellposed.types import Step

NAME, ENVS = "tests.envs.fragile:make", 5


@pytest.fixture(autouse=True)
def every_step_is_worth_a_process(monkeypatch):
    monkeypatch.setattr(foreign, "WORTH_A_PROCESS", 0.0)
    plugin.allow_import(NAME)


def envs(threads: int, **kwargs: Any) -> Any:
    return GymGoalVecEnv(NAME, ENVS, threads=threads, **kwargs)


def actions(steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (steps, ENVS, 2)).astype(np.float32)


def towards_goals(env: GymGoalVecEnv) -> np.ndarray:
    way = env.now.obs["desired_goal"] - env.now.obs["achieved_goal"]
    return np.clip(way / Fragile.speed, -1, 1).astype(np.float32)


def numbers(step: Step, env: GymGoalVecEnv) -> list[np.ndarray]:
    """Everything that a step tells, and where the envs stand after it."""
    told = [step.reward, step.terminated, step.truncated, step.success, step.applied_action]
    return [*told, *step.obs.values(), *step.next_obs.values(), *env.now.obs.values(), np.array(env.episode_seeds)]


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def ends(pid: int, seconds: float = 300.0) -> bool:
    """Whether a process ends within so many seconds. Who collects an orphan is not our business."""
    until, stat = time.monotonic() + seconds, Path(f"/proc/{pid}/stat")
    while time.monotonic() < until:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 3])
def test_every_number_is_that_of_one_process(threads):
    with closing(envs(1)) as here, closing(envs(threads)) as there:
        assert (here.workers, there.workers) == (0, threads)
        assert equal([*here.reset(seed=3).obs.values()], [*there.reset(seed=3).obs.values()])
        ended = 0
        for action in actions(2 * LIMIT + 5):
            action[:2] = towards_goals(here)[:2]
            one, other = here.step(action), there.step(action)
            assert equal(numbers(one, here), numbers(other, there))
            ended += int(one.terminated.sum())
        assert ended, "no episode ended by itself"
        mask = np.arange(ENVS) % 2 == 0
        assert equal([*here.reset(mask=mask).obs.values()], [*there.reset(mask=mask).obs.values()])
        state = here.get_state()
        assert state["lengths"][1] > 0, "nothing is in the middle of an episode"
        assert equal([*state.values()], [*there.get_state().values()])
        here.step(actions(1)[0])
        there.set_state(state)
        here.set_state(there.get_state())
        assert equal(numbers(here.step(actions(1)[0]), here), numbers(there.step(actions(1)[0]), there))


@pytest.mark.slow
def test_a_worker_that_is_killed_is_named_and_replaced_in_the_middle_of_its_episodes():
    with closing(envs(1)) as here, closing(envs(2)) as there:
        here.reset(seed=1)
        there.reset(seed=1)
        for t, action in enumerate(actions(8)):
            if t == 5:
                os.kill(there._group.processes[1], signal.SIGKILL)
                with pytest.warns(UserWarning, match=rf"worker process of envs 3 to 4 of {NAME} was killed by SIGKILL"):
                    step = there.step(action)
            else:
                step = there.step(action)
            assert equal(numbers(here.step(action), here), numbers(step, there))


@pytest.mark.slow
def test_signals_that_are_meant_for_the_parent_do_not_end_a_worker(recwarn):
    with closing(envs(2)) as env:
        env.reset(seed=0)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(env._group.processes[0], number)
            env.step(actions(1)[0])
    assert not [one for one in recwarn if "worker" in str(one.message)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The worker process")
def test_a_worker_that_dies_twice_at_a_step_is_named_and_none_is_left(tmp_path):
    trap = tmp_path / "trap"
    env = envs(2, trap=str(trap))
    env.reset(seed=0)
    fragile.set_trap(trap, "SIGSEGV")
    with pytest.raises(EnvFailedError, match=r"envs 0 to 2 of .* was killed by SIGSEGV"):
        env.step(actions(1)[0])
    processes = env._group.processes
    env.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes), "a zombie is left"


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_step_is_told_with_env_episode_and_line_in_any_process(threads, tmp_path):
    trap = tmp_path / "trap"
    with closing(envs(threads, trap=str(trap))) as env:
        env.reset(seed=7)
        env.step(actions(1)[0])
        fragile.set_trap(trap, "once raise")
        said = (
            r"Env \d failed in step 1 of its episode of seed \d+: ZeroDivisionError: the hand is nowhere .*fragile.py"
        )
        with pytest.raises(EnvFailedError, match=said):
            env.step(actions(1)[0])


PARENT = f"""
import sys
from wellposed import plugin
from wellposed.envs import gym
gym.WORTH_A_PROCESS = 0.0
plugin.allow_import("{NAME}")
env = gym.GymGoalVecEnv("{NAME}", {ENVS}, threads=2, trap=sys.argv[1])
env.reset(seed=0)
print(*env._group.processes, flush=True)
open(sys.argv[1], "w").write("sleep")
env.step(gym.np.zeros(({ENVS}, 2), gym.np.float32))
"""


def test_workers_leave_when_their_parent_is_killed_even_in_the_middle_of_a_step(tmp_path):
    before, trap = set(os.listdir("/dev/shm")), tmp_path / "trap"
    words = [sys.executable, "-c", PARENT, str(trap)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=plugin.environment()) as parent:
        assert parent.stdout is not None
        processes = [int(word) for word in parent.stdout.readline().split()]
        while not trap.exists():
            time.sleep(0.05)
        parent.kill()
    assert len(processes) == 2
    assert all(ends(pid) for pid in processes)
    assert set(os.listdir("/dev/shm")) <= before, "shared memory is left"


def test_a_worker_may_import_what_its_parent_may_and_nothing_else():
    plugin.ALLOWED.clear()  # the tests' own permission is not handed on
    with closing(envs(2)) as env, pytest.raises(UserError, match=f"--allow-import {NAME}.*--threads 1"):
        env.reset(seed=0)


def test_an_environment_that_only_this_program_can_make_stays_here(monkeypatch):
    monkeypatch.setitem(gym.registry, "Here-v0", None)
    gym.registry.pop("Here-v0")
    maker: Any = Fragile
    gym.register("Here-v0", maker, max_episode_steps=LIMIT)
    with closing(GymGoalVecEnv("Here-v0", 2, threads=2)) as env:
        assert (env.workers, env.stepping) == (0, "in this process (another process could not make it)")
    gym.registry.pop("Here-v0")
    gym.register("Here-v0", "__main__:Fragile", max_episode_steps=LIMIT)
    assert confined("Here-v0", {}) == "this program registers it itself"
    gym.registry.pop("Here-v0")
    gym.register("Here-v0", "tests.envs.fragile:Fragile", max_episode_steps=LIMIT)
    assert confined("Here-v0", {"trap": "a"}) == ""
    assert confined("Here-v0", {"trap": ("a",)})


def test_a_cheap_environment_and_a_single_thread_or_env_take_no_process(monkeypatch):
    with closing(GymGoalVecEnv(NAME, 1, threads=2)) as env:
        assert env.workers == 0
    monkeypatch.setattr(foreign, "WORTH_A_PROCESS", 1e3)
    with closing(envs(2)) as env:
        assert (env.workers, "worker processes pay from" in env.stepping) == (0, True)


def test_what_success_ends_can_be_kept_running_to_its_limit():
    with closing(envs(1)) as own, closing(envs(1)) as goes_on:
        goes_on.keep_running()
        assert "ends at goals" in own.capabilities
        for env in (own, goes_on):
            env.reset(seed=0)
        over = np.zeros(ENVS, bool)
        for t in range(LIMIT):
            action = towards_goals(own)
            one, other = own.step(action), goes_on.step(action)
            assert not other.terminated.any()
            assert (other.truncated == (t == LIMIT - 1)).all()
            same = ~over
            assert np.array_equal(one.next_obs["observation"][same], other.next_obs["observation"][same])
            over |= one.terminated
        assert over.any()
