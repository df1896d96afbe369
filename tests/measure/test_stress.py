"""The stress split: the same episodes at every level, the truth as judge, kinds of goals apart."""

from pathlib import Path

import numpy as np
import pytest

from course.measure import MEASUREMENTS, stress
from course.measure.kinds import Context
from course.measure.stress import StressSettings
from wellposed import envs, seeding, serialise
from wellposed.config import RunConfig
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.fetch.oracle import ScriptedPickAndPlace
from wellposed.errors import UserError
from wellposed.rollout.evaluate import play_episodes
from wellposed.stats import over_seeds

EPISODES = 6
RUNS = {"sparse.recipe": [Path("one"), Path("two")]}


@pytest.fixture(scope="module")
def stressed():
    """The scripted controller in the place of two trained agents."""
    settings = StressSettings("sparse.recipe", [0.0, 0.05], episodes=EPISODES)
    with pytest.MonkeyPatch.context() as patch:
        agent = ScriptedPickAndPlace()
        patch.setattr(stress, "load_run", lambda _: (RunConfig(EnvConfig("FetchPickAndPlace-v4")), agent, None))
        context = Context(2, RUNS)
        return MEASUREMENTS["stress"].measure(settings, context)


def test_without_noise_success_is_that_of_held_out_episodes(stressed):
    env = envs.make_vec("FetchPickAndPlace-v4", EPISODES)
    rows = play_episodes(ScriptedPickAndPlace(), env, seeding.evaluation_env_seeds(0, EPISODES, "held-out"))
    assert (stressed.runs, stressed.episodes) == (2, EPISODES)
    clean, noisy = stressed.levels
    assert (clean["noise"], noisy["noise"]) == (0.0, 0.05)
    assert clean["success"].value == sum(row.success for row in rows) / EPISODES
    for kind in ("air", "table"):
        of_kind = [row.success for row in rows if row.goal_kind == kind]
        assert clean[kind].value == sum(of_kind) / len(of_kind)
    assert noisy["success"].value < clean["success"].value


def test_intervals_are_those_over_runs_that_play_the_same_episodes(stressed):
    found = stressed.levels[0]["success"]
    expected = over_seeds(np.array([found.value] * 2), episodes=EPISODES)
    assert (found.value, *found.ci95) == expected


def test_it_is_data(stressed):
    kind = MEASUREMENTS["stress"]
    assert serialise.from_dict(kind.result, serialise.to_dict(stressed), "here") == stressed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": []}, "lengths in metres"),
        ({"noise": [0.01, 0.0]}, "rising"),
        ({"noise": [0.0, 5.0]}, "from 0 up to 1"),
        ({"noise": [0.0], "episodes": 0}, "episodes must be at least 1"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        StressSettings("sparse.recipe", **settings)
