"""The certificate: a sound environment is certified, and every broken one fails for its own reason and no other."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import wellposed as wp
from tests.check.broken import BROKEN
from tests.check.sound import SOUND
from wellposed import cli
from wellposed.check import certify
from wellposed.check.certificate import CONDITIONS, describe
from wellposed.envs.rays import best_norm, quaternions
from wellposed.errors import UserError


@cache
def complaints(name: str) -> dict[str, str]:
    found = certify(name, gamma=0.95).findings
    return {f.name: f"{f.status}: {f.evidence}" for f in found if f.status in ("warns", "fails")}


@pytest.mark.parametrize("env", [env.__name__ for env in SOUND])
def test_a_sound_environment_is_certified(env):
    found = certify(f"tests.check.sound:{env}", gamma=0.95)
    assert [f for f in found.findings if f.status in ("warns", "fails")] == []
    assert found.verdict == "ready"


@pytest.mark.parametrize(("condition", "env"), [(c, env.__name__) for c, envs in BROKEN.items() for env in envs])
def test_a_broken_environment_fails_for_its_own_reason_and_no_other(condition, env):
    found = complaints(f"tests.check.broken:{env}")
    assert found.keys() == {condition}, found


@pytest.mark.parametrize(
    ("env", "status"),
    [
        ("FaintTrace", "warns"), ("FaintUntilContact", "warns"), ("WearsOut", "fails"), ("KeepsItsSpeed", "fails"),
        ("CornerIsWorthLess", "warns"), ("WrongSign", "fails"),
    ],
)  # fmt: skip
def test_what_training_survives_is_warned_of_and_refused_is_what_it_does_not(env, status):
    (told,) = complaints(f"tests.check.broken:{env}").values()
    assert told.startswith(status), told


def test_every_condition_is_broken_by_some_environment():
    assert BROKEN.keys() == {condition.name for condition in CONDITIONS}
    assert sum(map(len, BROKEN.values())) >= 30


def test_the_page_about_it_names_every_condition_and_counts_the_broken_environments():
    page = (Path(__file__).parents[2] / "docs" / "check.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]
    named = {name.strip() for row in rows for cell in row.split("|") for name in cell.split(",")}
    assert {condition.name for condition in CONDITIONS} <= named
    assert f"holds {sum(map(len, BROKEN.values()))} environments with one thing wrong each" in page


@pytest.mark.slow
def test_an_environment_of_ours_and_one_of_gymnasium_are_examined_by_name():
    found = {f.name: f for f in certify("FetchReach-v4", gamma=0.95).findings}
    assert all(f.status == "holds" for f in found.values())
    assert found["success geometric"].numbers["threshold"] == pytest.approx(0.05, rel=1e-3)
    assert found["success geometric"].numbers["norm"] == "Euclidean distance"
    assert found["acting"].numbers["idle"] == [3]  # Reach blocks its gripper
    assert complaints("PointMaze_UMaze-v3") == {}


def test_a_suite_whose_goals_are_no_vectors_is_refused_with_the_reason():
    """FrankaKitchen: a goal is a dict with an entry for each task, and the reward counts what is still to be done."""
    found = certify("FrankaKitchen-v1", gamma=0.95)
    assert not found.posed
    (failing,) = (f for f in found.findings if f.status == "fails")
    assert failing.name == "flat numbers"
    assert failing.evidence.startswith("achieved_goal is Dict(")
    with pytest.raises(UserError, match="achieved_goal is Dict"):
        wp.make_vec("FrankaKitchen-v1")


@pytest.mark.slow
def test_the_certificate_is_the_same_each_time():
    first, second = (certify("tests.check.point:Point", gamma=0.95, seed=1).findings for _ in range(2))
    assert first == second
    assert first != certify("tests.check.point:Point", gamma=0.95, seed=2).findings


@pytest.mark.slow
def test_the_command_prints_what_to_do_and_its_exit_code_says_whether_it_is_posed(tmp_path, capsys):
    assert cli.main(["check", "tests.check.point:Point", "--json", str(tmp_path / "certificate.json")]) == 0
    assert "ready (47 conditions hold, 0 warn, 0 fail, 0 stay open)" in capsys.readouterr().out
    data = json.loads((tmp_path / "certificate.json").read_text())
    assert (data["verdict"], len(data["findings"])) == ("ready", len(CONDITIONS))
    assert cli.main(["check", "tests.check.broken:NoComputeReward"]) == 1
    out = capsys.readouterr().out
    assert "FAIL The reward can be asked for any pair of goals." in out
    assert "What to do: Add compute_reward(self, achieved_goal, desired_goal, info)" in out
    assert "not posed" in out
    assert cli.main(["check", "tests.check.broken:HugeReward"]) == 0
    assert "ready with warnings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FetchPsh-v4", "Did you mean FetchPush-v4"),
        ("no_such_module:Env", "'no_such_module' could not be imported"),
        ("tests.check.point:Nothing-v0", "Gymnasium could not make"),
        ("tests.check.broken:breaks", "could not be made: TypeError"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(name, message):
    with pytest.raises(UserError, match=message):
        wp.certify(name, gamma=0.95)


def test_what_does_not_hold_is_told_with_why_and_what_to_do():
    for finding in certify("tests.check.broken:WrongSign", gamma=0.95).findings:
        told = describe(finding)
        assert finding.evidence[1:] in told
        assert ("What to do" in told) == (finding.status in ("warns", "fails"))


def boundary(norm, axes=3, n=60) -> np.ndarray:
    """Where rays leave the unit ball of a norm, scaled by 0.2."""
    ways = np.random.default_rng(0).normal(size=(n, axes))
    return 0.2 * ways / norm(ways)[:, None]


@pytest.mark.parametrize(
    ("norm", "name"),
    [
        (lambda x: np.linalg.norm(x, axis=1), "Euclidean distance"),
        (lambda x: np.abs(x).max(axis=1), "largest difference on an axis"),
        (lambda x: np.abs(x).sum(axis=1), "sum of differences"),
    ],
)
def test_the_norm_of_a_boundary_is_recognised(norm, name):
    found, radius, scatter = best_norm(boundary(norm))
    assert (found, radius) == (name, pytest.approx(0.2))
    assert scatter < 1e-9


def test_a_radius_for_each_axis_is_recognised_and_an_axis_that_does_not_matter():
    found, _, scatter = best_norm(boundary(lambda x: np.linalg.norm(x * [1, 2, 0], axis=1)))
    assert found == "Euclidean distance with a radius for each axis (0.2, 0.1, any)"
    assert scatter < 1e-6


def test_rotations_are_recognised_by_their_length():
    turns = np.random.default_rng(0).normal(size=(50, 4))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    places = np.random.default_rng(1).normal(size=(50, 3))
    assert quaternions(np.hstack([places, turns])) == [slice(3, 7)]
    assert quaternions(np.hstack([places, 1.1 * turns])) == []
