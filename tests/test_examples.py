"""The examples do what they say; each is one short file. `own_algorithm.py` has tests of its own."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import wellposed as wp
from wellposed.data.hindsight import STRATEGIES

FOLDER = Path(__file__).parent.parent / "examples"


def imported(name: str) -> Any:
    place: Any = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def environment() -> Any:
    yield imported("own_environment")
    del gym.registry["PushPuck-v0"]


@pytest.fixture(scope="module")
def relabelling() -> Any:
    yield imported("own_relabelling")
    del STRATEGIES._entries["geometric"]


def test_each_is_short_and_says_how_it_is_run():
    for file in FOLDER.glob("*.py"):
        text = file.read_text()
        assert len(text.splitlines()) <= 90, file
        assert f"examples/{file.name}" in text.split('"""')[1] or file.stem == "own_algorithm", file


def test_the_environment_keeps_gymnasiums_rules_and_a_push_moves_the_puck(environment):
    env = gym.make("PushPuck-v0")
    check_env(env.unwrapped, skip_render_check=True)
    seen, _ = env.reset(seed=0)
    for _ in range(40):
        way = seen["observation"][4:]
        seen, reward, *_, info = env.step(np.clip(way / 0.05, -1, 1).astype(np.float32))
        assert info["is_success"] == (reward == 0)
    hand, puck = seen["observation"][:2], seen["observation"][2:4]
    assert np.linalg.norm(puck - hand) == pytest.approx(environment.HAND + environment.PUCK, abs=1e-5)


@pytest.mark.parametrize("rope", [0.4, 1.0])
def test_the_cranes_load_swings_with_the_period_of_a_pendulum_and_follows_an_accelerated_trolley(rope):
    """T = 2 pi sqrt(L / g) (1 + a^2 / 16); behind a trolley that accelerates it swings around tan a = -x'' / g."""
    crane = imported("crane/crane").make().unwrapped
    crane.reset(seed=0)
    crane.rope, crane.angle, angles = rope, 0.2, []
    for _ in range(20_000):
        crane._advance(0.0, 0.0, 1e-3)
        angles.append(crane.angle)
    turns = np.flatnonzero(np.diff(np.sign(angles)) < 0)
    period = 2 * np.pi * np.sqrt(rope / 9.81) * (1 + 0.2**2 / 16)
    assert np.diff(turns).mean() / 1e3 == pytest.approx(period, rel=1e-3)
    assert max(angles[-3000:]) == pytest.approx(0.2, rel=1e-2), "nothing damps it"
    crane.angle = crane.turning = 0.0
    hanging = []
    for _ in range(10 * round(1e3 * period)):
        crane.x = crane.speed = 0.0  # a rail and a speed without an end
        crane._advance(0.5, 0.0, 1e-3)
        hanging.append(crane.angle)
    assert np.mean(hanging) == pytest.approx(-np.arctan(0.5 / 9.81), rel=0.01)


@pytest.mark.usefixtures("environment")
def test_the_certificate_admits_the_environment():
    assert wp.certify("PushPuck-v0", gamma=0.95).verdict == "ready"


def test_goals_are_drawn_in_proportion_to_their_discount(relabelling):
    """Of an episode of 5 from t = 1: 2, 3, 4, 5 in proportion to 1, g, g^2, g^3; never outside of it."""
    t, length = np.full(200_000, 1), np.full(200_000, 5)
    drawn = relabelling.geometric(t, length, np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=6)[1:] / len(drawn)
    expected = relabelling.GAMMA ** np.arange(4)
    assert shares == pytest.approx([0, *(expected / expected.sum())], abs=0.005)


@pytest.mark.usefixtures("relabelling")
def test_a_run_takes_the_relabelling_by_its_name():
    recipe = wp.default_config("FetchReach-v4")
    assert replace(recipe, replay=replace(recipe.replay, strategy="geometric")).replay.strategy == "geometric"
    with pytest.raises(wp.UserError, match=r"no strategy 'sometimes'; there are future, final, episode, geometric"):
        replace(recipe, replay=replace(recipe.replay, strategy="sometimes"))


@pytest.mark.slow
def test_the_sweep_trains_each_rate_with_each_seed_and_a_policy_of_it_plays(tmp_path):
    sweep = imported("sweep")
    configs = sweep.configurations("FetchReach-v4", 64, 0.98, rates=(1e-3, 3e-3), seeds=1)
    short = [replace(config, random_steps=16, eval_every=64, eval_episodes=1) for config in configs]
    assert list(sweep.sweep(short, tmp_path)) == [
        f"learning rate {rate}: 0 of 1 solved, median step inf" for rate in ("0.001", "0.003")
    ]
    run, _ = wp.list_runs(tmp_path)
    assert len(imported("load_and_deploy").deploy(str(run.path), episodes=1)) == 1


@pytest.mark.slow
def test_the_command_lines_train(tmp_path):
    run = [sys.executable, "-m", "wellposed", "train"]
    short = ["--total-steps", "800", "--runs-dir", str(tmp_path), "--quiet"]
    for name, more in {"own_environment": ["PushPuck-v0"], "own_relabelling": ["FetchReach-v4"]}.items():
        more += ["--replay.strategy", "geometric"] if name == "own_relabelling" else []
        subprocess.run([*run, *more, "--plugin", str(FOLDER / f"{name}.py"), *short], check=True)
