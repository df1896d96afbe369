"""Rules on a run without a replay: each fires on its fault and stays silent beside it, and none asks for a replay."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.diagnose.rows import evidence
from wellposed.diagnose import ON_POLICY_RULES, RULES, Evidence, diagnose
from wellposed.recipe import default_config
from wellposed.runs.record import MetricsRow

FLAT = [1] * 9
REPLAY = ("goals_", "replay", "target", "temperature", "td_error")
SOUND = {"train/kl": 0.02, "train/clip_fraction": 0.2, "train/explained_variance": 0.5, "probe/exploration": 0.6}
# rule: (rows, successes) of its fault, and the same of what looks like it and is none
CASES: dict[str, tuple[tuple, tuple]] = {
    "large_policy_steps": (({"train/kl": 2.0},), ({"train/kl": 0.1},)),
    "ignorant_critic": (({"train/explained_variance": -0.3}, FLAT), ({"train/explained_variance": -0.3},)),
    "lost_noise": (({"probe/exploration": 0.01}, FLAT), ({"probe/exploration": 0.01},)),
}


def found(rows: dict | None = None, successes: list[int] | None = None) -> Evidence:
    """A sound run of PPO with some metrics replaced; what only a replay has is left out."""
    kept: list[MetricsRow] = []
    made = evidence(SOUND | (rows or {}), None, successes)
    for row in made.rows:
        gone = {
            n for n in row.metrics if any(word in n for word in ("goals_", "replay", "target", "temperature", "td_"))
        }
        metrics = {name: value for name, value in row.metrics.items() if name not in gone}
        kept.append(replace(row, metrics=metrics | {"probe/reward_min": -0.3, "probe/reward_max": -0.01}))
    return replace(made, config=default_config("FetchReachDense-v4", "ppo"), rows=kept)


def named(*changes) -> list[str]:
    return [finding.name for finding in diagnose(found(*changes)).findings]


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_fires_on_its_fault_and_not_on_what_only_looks_like_it(rule):
    assert named(*CASES[rule][0]) == [rule]
    assert named(*CASES[rule][1]) == []


def test_a_sound_run_has_no_finding_and_one_without_rows_neither():
    assert named() == named({}, FLAT) == []
    assert diagnose(replace(found(), rows=[])).findings == []


def test_every_rule_of_its_own_is_tried_and_told_of():
    own = {rule.__name__ for rule in ON_POLICY_RULES if rule not in RULES}
    assert own == CASES.keys()
    page = (Path(__file__).parents[2] / "docs" / "diagnose.md").read_text()
    assert all(f"`{rule}`" in page for rule in own)


def test_a_rule_that_both_share_still_fires():
    assert named({"probe/terminated_wrong": 0.1}) == ["wrong_terminations"]
    assert named({"probe/actor_travel": 0.0}) == ["frozen_actor"]
