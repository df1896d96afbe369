"""An anatomy from end to end: of a Fetch task, and of an environment of which nobody says what its numbers are."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

from wellposed import envs, serialise
from wellposed.anatomy import Anatomy, AnatomySettings, describe, motion
from wellposed.anatomy.dissect import _past, dissect
from wellposed.cli import main
from wellposed.envs import evidence
from wellposed.errors import UserError
from wellposed.runs.files import read_json


@pytest.fixture(autouse=True)
def _briefly(monkeypatch):
    monkeypatch.setattr(evidence, "STEPS", 200)
    monkeypatch.setattr(motion, "STATES", 2)
    monkeypatch.setattr(motion, "GRIP_STEPS", 2)


def dissected(env_id: str) -> Anatomy:
    found = dissect(AnatomySettings(env_id, resets=30, episodes=2), threads=2)
    assert serialise.from_dict(Anatomy, serialise.to_dict(found), "here") == found
    return found


@pytest.mark.slow
def test_the_anatomy_of_a_fetch_task_leaves_nothing_unsaid(tmp_path):
    command = ["anatomy", "FetchReachDense-v4", "--resets", "30", "--episodes", "2", "--quiet", "--json"]
    assert main([*command, str(tmp_path / "reach.json")]) == 0
    found = serialise.from_dict(Anatomy, read_json(tmp_path / "reach.json"), "reach.json")
    size = found.interface
    assert (size.observation.shape, size.desired_goal.shape, size.action.shape) == ([10], [3], [4])
    assert (size.action.low, size.action.high, size.observation.low) == (-1.0, 1.0, None)
    assert (size.max_episode_steps, size.autoreset_mode, size.terminates) == (50, "SameStep", False)
    assert (found.reward.kind, found.reward.unit) == ("dense", "m")
    assert found.reward.threshold == pytest.approx(0.05, rel=1e-6)
    assert [field.name for field in found.fields][:4] == ["hand x", "hand y", "hand z", "right finger opening"]
    assert all(field.lowest <= field.highest and field.unit and field.frame for field in found.fields)
    assert found.fields[0].lowest < found.fields[0].highest
    assert found.motion is not None
    assert found.gripper is not None
    assert found.unsaid == []
    told = "\n".join(describe(found))
    for part in (
        "hand velocity z",
        "minus the distance",
        "closer than 0.05 m",
        "Gripper: blocked",
        "by integration 1.94 %",
    ):
        assert part in told


def test_what_cannot_be_named_is_said():
    gym.register("AnatomyPoint-v0", entry_point="tests.check.point:Point", max_episode_steps=50)
    try:
        found = dissected("AnatomyPoint-v0")
    finally:
        del gym.registry["AnatomyPoint-v0"]
    assert [field.name for field in found.fields] == ["number 0", "number 1", "number 2", "number 3"]
    assert (found.motion, found.gripper, found.floor.expected) == (None, None, None)
    assert found.reward.threshold == pytest.approx(0.1, rel=1e-6)
    assert len(found.unsaid) == 2
    assert all(sentence in describe(found) for sentence in found.unsaid)


NAMED = [entry for entry in envs.registered() if "quantities" in entry.capabilities]


@pytest.mark.parametrize("entry", NAMED, ids=lambda entry: entry.id)
def test_an_environment_that_names_its_numbers_names_all_of_them(entry):
    spec = entry.make(num_envs=1, threads=1).spec
    named = entry.quantities
    assert (len(named.observation), len(named.goal), len(named.action)) == (
        spec.size("observation"),
        spec.size("desired_goal"),
        spec.action_dim,
    )
    assert len({quantity.name for quantity in named.observation}) == spec.size("observation")


def test_what_is_no_goal_environment_is_refused_in_a_sentence(capsys):
    assert main(["anatomy", "CartPole-v1", "--quiet"]) == 1
    assert main(["anatomy", "FetchPush-v4", "--episodes", "0"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("wellposed: CartPole-v1")
    assert told[-1] == "wellposed: episodes must be at least 1, got 0."


@pytest.mark.parametrize("wrong", [{"resets": 0}, {"episodes": -1}, {"seed": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match=f"{next(iter(wrong))} must be at least"):
        AnatomySettings("FetchReach-v4", **wrong)


@pytest.mark.parametrize(("shown", "open_", "half"), [(1, 1, 1), (2, 0, 0)])
def test_the_past_explains_a_speed_that_is_not_shown_and_adds_nothing_to_one_that_is(shown, open_, half):
    time, episode = np.tile(np.arange(20), 40), np.repeat(np.arange(40), 20)
    speed = np.random.default_rng(0).standard_normal(40)[episode]
    both = np.column_stack([speed * time, speed]), np.column_stack([speed * (time + 1), speed])
    before, after = (SimpleNamespace(numbers=x[:, :shown], observation=x[:, :shown]) for x in both)
    seen = SimpleNamespace(time=time, episode=episode, action=np.zeros((800, 1)), before=before, after=after)
    found = _past(SimpleNamespace(random=seen))  # type: ignore[arg-type]
    assert found is not None
    assert (found.open, found.half) == (open_, half)
    assert found.explained == pytest.approx(half, abs=0.01)
