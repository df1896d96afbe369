"""What an environment shows is found by kind, vector, image or goal, whatever it is called and whatever is missing."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from tests.check.sound import OnlyCamera, OnlyGoals, TwoVectors
from wellposed import envs
from wellposed.agents import SACConfig
from wellposed.check import certify
from wellposed.config import RunConfig
from wellposed.envs.make import EnvConfig
from wellposed.envs.rules import by_vector, fields_of
from wellposed.nn.inputs import InputConfig
from wellposed.recipes import default_config
from wellposed.runs.store import RunReader
from wellposed.training import train

PIXELS = RunConfig(
    env=EnvConfig("ToyRail-v0"), total_steps=300, num_envs=4, random_steps=120, eval_every=150, eval_episodes=4,
    agent=SACConfig(hidden=(8,), batch_size=16, inputs=InputConfig(encoder="cnn", width=4)),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("toy_suite")
def test_a_suite_that_shows_images_alone_is_certified_and_trained(tmp_path):
    found = {f.name: f for f in certify("ToyRail-v0", gamma=0.95).findings}
    assert [f"{f.name}: {f.evidence}" for f in found.values() if f.status == "fails"] == []
    assert "1 of 1 images" in found["observation alive"].evidence
    assert found["Markov"].status == "open", "nobody examined what an image tells of the next one"
    assert found["termination recomputable"].numbers == {}
    path, summary = train(PIXELS, tmp_path, quiet=True)
    assert (summary.step, summary.updates > 0) == (300, True)
    rows = RunReader(path).metrics
    assert any("probe/goal_in_inputs" in row.metrics for row in rows)


def test_kinds_are_read_off_the_spaces():
    fields = fields_of(OnlyCamera())
    assert [(f.name, f.kind, f.shape) for f in fields] == [
        ("camera", "image", (8, 8, 1)), ("achieved_goal", "goal", (2,)), ("desired_goal", "goal", (2,)),
    ]  # fmt: skip
    two = fields_of(TwoVectors())
    parts = by_vector(two, np.arange(4.0))
    assert {name: part.tolist() for name, part in parts.items()} == {"places": [0, 1], "velocities": [2, 3]}
    assert by_vector(fields, np.empty((3, 0))) == {}


@pytest.mark.parametrize("kind", [OnlyCamera, OnlyGoals, TwoVectors])
def test_gymnasiums_environments_are_stepped_with_all_that_they_show(kind, monkeypatch):
    monkeypatch.setitem(gym.registry, "Shown-v0", None)
    gym.registry.pop("Shown-v0")
    gym.register("Shown-v0", kind, max_episode_steps=50)
    env, alone = envs.make_vec("Shown-v0", 2).inner, kind()
    moment = env.reset(seed=3)
    expected, _ = alone.reset(seed=3)
    step = env.step(np.full((2, 2), 0.5, np.float32))
    after = alone.step(np.full(2, 0.5, np.float32))[0]
    fields = {field.name: field for field in env.spec.obs}
    assert fields.keys() == expected.keys() == moment.obs.keys()
    for name, field in fields.items():
        assert moment.obs[name].dtype == (np.uint8 if field.kind == "image" else np.float64)
        assert np.array_equal(moment.obs[name][0], expected[name])
        assert np.array_equal(step.next_obs[name][0], after[name])
        assert len(field.floor) == {"image": 0, "goal": 1, "vector": 2}[field.kind]
    state = {key: value.copy() for key, value in env.get_state().items()}
    env.step(np.zeros((2, 2), np.float32))
    assert all(np.array_equal(env.set_state(state).obs[key], step.next_obs[key]) for key in fields)


@pytest.mark.slow
@pytest.mark.parametrize(("temperature", "least", "most"), [(None, 0.9, 1.0), (0.05, 0.0, 0.3)])
def test_a_reward_of_1_that_ends_the_episode_is_learnt_at_the_default_temperature_and_not_at_fetchs(
    tmp_path, temperature, least, most
):
    """With 0.05, entropy pays up to 0.05 log 4 = 0.07 a step for going on; the goal is worth 0.05."""
    config = default_config("tests.check.sound:OneForSuccessAtTheEnd")
    config = replace(config, total_steps=3000, num_envs=8, eval_every=3000, eval_first=None, eval_episodes=20)
    if temperature is not None:
        config = replace(config, agent=replace(config.agent, temperature=temperature))
    path, _ = train(config, tmp_path, quiet=True)
    assert least <= RunReader(path).evaluations[-1].success_rate <= most
