"""Each rule on rows made up by hand: it fires on its fault, stays silent beside it, and never says to stop."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.diagnose.rows import evidence
from wellposed.config import override
from wellposed.diagnose import ON_POLICY_RULES, RULES, _words, diagnose, lines, tell
from wellposed.diagnose.evidence import Evidence
from wellposed.recipes import default_config
from wellposed.runs.record import Failure

FLAT, DROPPED = [1] * 9, [1, 5, 20, 25, 25, 24, 25, 3, 2]
HALF = [1, 6] + [13] * 11
BROKEN = Failure(900, 450, "loss", "train/q_mean at update 450 is not finite.")
FALLING = [1.0, 0.8, 0.5, 0.2, 0.1, 0.05, 0.05, 0.05]
# rule: (rows, settings, successes) of its fault, and the same of what looks like it and is none
RANGE = ("probe/reward_least", "probe/reward_greatest")
# 1 at the goal, which ends the episode: worth 0.05 a step.
ONCE = {"probe/reward_min": 0.0, "probe/reward_max": 1.0, "probe/ends_at_goal": 1.0} | dict(
    zip(RANGE, (0.0, 1.0), strict=True)
)
CASES: dict[str, tuple[tuple, tuple]] = {
    "wrong_rewards": (({"probe/reward_wrong": 0.3},), ({"probe/reward_wrong": 0.001},)),
    "wrong_terminations": (({"probe/terminated_wrong": 0.004},), ({"probe/terminated_wrong": 0.0},)),
    "foreign_goals": (({"probe/goals_foreign": 0.8},), ({"probe/goals_foreign": 0.001},)),
    "past_goals": (({"probe/goals_past": 0.4},), ({"probe/goals_past": 0.4}, {"replay.strategy": "episode"})),
    "relabelling_without_effect": (({"probe/goals_original": 1.0},), ({"probe/goals_original": 0.25},)),
    "goal_blind": (({"probe/goal_in_inputs": 0.0},), ({"probe/goal_in_inputs": 0.9},)),
    "reward_scale": (({"probe/reward_min": -100.0},), ({"probe/reward_min": -100.0}, {"agent.bound_targets": False})),
    "unanswered_actions": (({"probe/action_answered": 0.01},), ({"probe/action_answered": 0.5},)),
    "clipped_actions": (
        ({"rollout/action_max": 0.1},),
        ({"rollout/action_max": 0.1}, {"random_share": 0.0, "random_steps": 0}),
    ),
    "unobserved_motion": (({"probe/motion_observed": 0.12},), ({"probe/motion_observed": 0.48},)),
    "stale_samples": (({"probe/replay_age": 0.9},), ({"probe/replay_age": 0.52},)),
    "hindsight_off": (
        ({"probe/goals_original": 1.0}, {"replay.k": 0}),
        ({"probe/goals_original": 1.0, "probe/reward_min": -0.3, "probe/reward_max": -0.01}, {"replay.k": 0}),
    ),
    "small_replay": (({}, {"replay.capacity": 5_000}), ({}, {"replay.capacity": 5_000, "total_steps": 2_000})),
    "frozen_actor": (
        ({"probe/actor_travel": 0.0},),
        ({"probe/actor_travel": [0.5, 0.5, 0.6, 0.7, 0.7, 0.8, 0.8, 0.9]},),
    ),
    "frozen_critic": (({"probe/critic_travel": 1.0},), ({"probe/critic_travel": [1 + 1e-6 * i for i in range(8)]},)),
    "no_target_network": (({"probe/target_lag": 0.0},), ({"probe/target_lag": 1e-5},)),
    "frozen_targets": (({"probe/target_travel": 0.0},), ({"probe/target_travel": 1e-3},)),
    "frozen_normaliser": (
        ({"probe/normaliser_count": 16.0},),
        ({"probe/normaliser_count": 0.0}, {"agent.inputs.normalise": False}),
    ),
    "dead_units": (({"probe/actor_dead": 1.0, "probe/critic_dead": 1.0},), ({"probe/actor_dead": 0.4},)),
    "long_horizon": (({}, {"agent.gamma": 0.999}), ({}, {"agent.gamma": 0.98})),
    "large_steps": (({}, {"agent.learning_rate": 0.03}), ({}, {"agent.learning_rate": 3e-3})),
    "few_updates": (
        ({"time/updates_per_step": 0.01}, {"updates_per_step": 0.01}),
        ({"time/updates_per_step": 0.125}, {"updates_per_step": 0.125}),
    ),
    "temperature_collapse": (
        ({"train/temperature": 1e-4, "probe/exploration": 0.02},),
        ({"train/temperature": 2e-3, "probe/exploration": 0.08},),
    ),
    "entropy_over_goal": (
        (ONCE | {"train/entropy": 1.3}, {}, FLAT),
        (ONCE | {"train/entropy": 1.3, "probe/ends_at_goal": 0.0}, {}, FLAT),  # it pays for ever
    ),
    "critic_divergence": (({"probe/q_max": 90.0},), ({"probe/q_max": 2.0},)),
    "values_at_bound": (({"probe/target_at_bound": 1.0},), ({"probe/target_at_bound": 0.5},)),
    "actor_saturation": (
        ({"probe/greedy_saturation": 1.0}, {}, FLAT),
        ({"probe/greedy_saturation": 1.0},),  # at high success it is a policy that knows what it wants
    ),
    "clipped_inputs": (({"probe/inputs_clipped": 0.4},), ({"probe/inputs_clipped": 0.05},)),
    "collapsed_features": (({"probe/critic_rank": 1.0}, {}, FLAT), ({"probe/critic_rank": 4.0}, {}, FLAT)),
    "falling_loss": (
        ({"probe/td_error": FALLING, "probe/q_spread": 0.001}, {}, FLAT),
        ({"probe/td_error": FALLING, "probe/q_spread": 0.001},),  # the same curve at high success is convergence
    ),
    "blind_encoder": (
        ({"probe/td_error": FALLING, "sight/miss": 0.1, "sight/miss_at_first": 0.1}, {}, FLAT),
        ({"probe/td_error": FALLING, "sight/miss": 0.05, "sight/miss_at_first": 0.1}, {}, FLAT),  # it warms up
    ),
    "not_finite": (({}, {}, None, BROKEN), ({},)),
    "starved_hindsight": (
        ({"rollout/moved_rate": 0.0, "probe/success_gained": 0.0, "probe/goal_moved": 0.0}, {}, FLAT),
        ({"rollout/moved_rate": 0.1, "probe/success_gained": 0.004}, {}, FLAT),
    ),
    "evaluation_gap": (({"rollout/success_rate": 0.9}, {}, FLAT), ({"rollout/success_rate": 0.3}, {}, FLAT)),
    "forgetting": (({}, {}, DROPPED), ({}, {}, [1, 5, 20, 25, 25, 24, 25, 3, 25])),
    "half_learnt": (
        ({}, {}, HALF, None, {"table": [0.0, 0.4] + [0.95] * 11, "air": [0.1] * 13}),
        ({}, {}, HALF, None, {"table": [0.0, 0.4] + [0.95] * 11, "air": [0.05 * i for i in range(13)]}),  # on its way
    ),
}


def many_updates(found: Evidence) -> Evidence:
    """The same run with ten times the updates: some rules wait for them."""
    return replace(found, rows=[replace(row, updates=10 * row.updates) for row in found.rows])


def named(*changes) -> list[str]:
    return [finding.name for finding in diagnose(many_updates(evidence(*changes))).findings]


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_fires_on_its_fault_first(rule):
    assert named(*CASES[rule][0])[:1] == [rule]


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_is_silent_on_what_only_looks_like_its_fault(rule):
    assert rule not in named(*CASES[rule][1])


@pytest.mark.parametrize(("value", "found"), [(24.0, []), (60.0, ["critic_divergence"])])
def test_soft_values_hold_what_is_paid_for_entropy(value, found):
    """Chapter 3, corollary: at a price of 0.5 and 2.7 nats a step the values of a sound run reach 27."""
    rows = {"train/temperature": 0.5, "train/entropy": 2.7, "probe/q_max": value, "probe/q_min": value - 5}
    assert named(rows, {"agent.bound_targets": False}) == found
    assert named(rows, {"agent.bound_targets": True}) == ["critic_divergence"], "a bounded target holds no entropy"


def test_a_policy_that_stays_for_a_head_start_is_not_frozen():
    rows = [replace(row, metrics=row.metrics | {"probe/actor_travel": 0.5}) for row in evidence().rows]
    config = override(default_config("FetchPush-v4", "estimate"), {"agent.head_start": 10**6})
    assert named_in(replace(evidence(), rows=rows)) == ["frozen_actor"]
    assert named_in(replace(evidence(), rows=rows, config=config)) == []


def test_every_rule_is_tried():
    assert len(CASES) == len(RULES)


def test_every_rule_has_its_words_and_none_are_left_over():
    assert {rule.__name__ for rule in (*RULES, *ON_POLICY_RULES)} == _words().keys()


def test_a_number_that_was_not_logged_is_left_out_of_the_sentence():
    told = lambda norm: diagnose(evidence({"probe/actor_travel": 0.0, "probe/actor_gradient": norm})).findings[0]  # noqa: E731
    assert told(0.25).evidence.endswith("(step 6,400); the typical norm of its gradient is 0.25.")
    assert told(None).evidence.endswith("(step 6,400).")
    assert told(0.25).numbers["gradient"] == 0.25


def test_a_sound_run_has_no_finding():
    assert named() == []
    assert named({}, {}, FLAT) == [], "a run that has not taken off yet is no fault"


@pytest.mark.parametrize("rule", CASES)
def test_what_was_not_logged_proves_nothing(rule):
    """Settings alone, without a row that shows their effect, are no evidence either."""
    blank = replace(evidence(*CASES[rule][0]), rows=[])
    assert rule in ("forgetting", "half_learnt", "not_finite") or named_in(blank) == []


def named_in(found: Evidence) -> list[str]:
    return [finding.name for finding in diagnose(found).findings]


@pytest.mark.parametrize("rule", CASES)
def test_a_finding_is_whole_and_never_says_to_stop(rule):
    found = next(f for f in diagnose(many_updates(evidence(*CASES[rule][0]))).findings if f.name == rule)
    assert 0.5 <= found.sure <= 1
    for sentence in (found.evidence, found.why, found.advice):
        assert sentence.endswith("."), sentence
    assert "step" in found.evidence
    assert any(digit in found.evidence for digit in "0123456789")
    text = f"{found.evidence} {found.advice}".lower()
    assert not any(word in text for word in ("stop", "abort", "give up", "cancel", "kill", "abandon")), text
    assert found.how_sure in tell(found)


def rewards(low: float, high: float) -> dict[str, float]:
    return {"probe/reward_min": low, "probe/reward_max": high}


@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.0), (-1.0, -1.0), (0.0, 1.0), (0.0, 10.0)])
def test_any_sparse_reward_without_hindsight_is_noticed(low, high):
    settings = {"replay.k": 0, "agent.bound_targets": False}
    assert "hindsight_off" in named(rewards(low, high), settings)
    assert "hindsight_off" not in named(rewards(low - 0.017, high + 0.21), settings), "a graded reward needs none"


def test_a_bound_on_targets_is_held_against_the_rewards_it_is_for():
    assert named(rewards(0.0, 1.0))[0] == "reward_scale"
    assert "reward_scale" not in named(rewards(-1.0, -1.0)), "no success was seen yet"


def test_rewards_are_held_against_the_range_that_the_environment_names():
    of_maze = {"probe/reward_least": 0.0, "probe/reward_greatest": 1.0}
    assert "reward_scale" not in named(rewards(0.0, 1.0) | of_maze)
    assert "reward_scale" in named(rewards(-1.0, 0.0) | of_maze)
    assert "reward_scale" not in named(rewards(0.0, 1.0) | dict.fromkeys(of_maze)), "no range is named"


def test_nobody_is_told_to_raise_updates_to_what_they_are_where_no_episode_has_ended():
    none = {"time/updates_per_step": 0.0}
    for settings, advice in (({}, "lower --num-envs"), ({"updates_per_step": 0.01}, "Raise --updates-per-step")):
        (found,) = [f for f in diagnose(evidence(none, settings)).findings if f.name == "few_updates"]
        assert advice in found.advice


def test_a_filter_leaves_less_of_actions_without_clipping_them():
    assert "clipped_actions" in named({"rollout/action_max": 0.6})
    assert "clipped_actions" not in named({"rollout/action_max": 0.6}, {"env.control.smoothing": 0.5})
    assert "clipped_actions" in named({"rollout/action_max": 0.1}, {"env.control.smoothing": 0.5})


def test_the_lowest_return_is_that_of_the_lowest_reward():
    rows, settings = rewards(-7.0, 0.0) | {"probe/target_at_bound": 1.0}, {"agent.bound_targets": False}
    found = diagnose(many_updates(evidence(rows, settings))).findings
    assert "-7/(1 - gamma) = -140 " in next(f for f in found if f.name == "values_at_bound").evidence


@pytest.mark.parametrize("length", [50.0, 700.0])
def test_the_replay_that_is_advised_is_large_enough(length):
    few = {"replay.capacity": 5_000, "total_steps": 10**6, "agent.gamma": 0.99}
    [found] = [
        f for f in diagnose(evidence({"probe/episode_length": length}, few)).findings if f.name == "small_replay"
    ]
    advised = int("".join(digit for digit in found.advice if digit.isdigit()))
    assert advised == 2_000 * length
    assert "small_replay" not in named({"probe/episode_length": length}, few | {"replay.capacity": advised})


def test_a_temperature_is_read_against_the_size_of_the_reward():
    rows, settings = {"train/temperature": 0.05, "probe/exploration": 0.02}, {"agent.bound_targets": False}
    assert "temperature_collapse" not in named(rows, settings)
    assert "temperature_collapse" in named(rows | rewards(-100.0, 0.0) | {"probe/reward_least": -100.0}, settings)
    assert "temperature_collapse" in named(rows | rewards(-100.0, 0.0) | dict.fromkeys(RANGE), settings)


def test_a_temperature_that_is_right_for_a_goal_that_is_rewarded_once_is_not_called_collapsed():
    rows = {"train/temperature": 2.5e-3, "probe/exploration": 0.02}
    assert "temperature_collapse" in named(rows)
    assert "temperature_collapse" not in named(ONCE | rows)


def test_the_temperature_that_is_advised_is_the_recipes():
    [found] = [f for f in diagnose(evidence(*CASES["entropy_over_goal"][0])).findings if f.name == "entropy_over_goal"]
    assert "--agent.temperature 0.0025" in found.advice
    assert "it ends the episode" in found.evidence


def test_a_graded_reward_is_named_where_half_is_learnt():
    case = CASES["half_learnt"][0]
    advice = [f.advice for f in diagnose(evidence(*case)).findings if f.name == "half_learnt"]
    graded = evidence(rewards(-0.31, -0.02), *case[1:])
    assert advice == ["Let goals start near and grow: --env.curriculum.kind success."]
    assert "sparse reward" in next(f.advice for f in diagnose(graded).findings if f.name == "half_learnt")


def test_causes_are_told_before_what_they_lead_to():
    rows = {"probe/target_at_bound": 1.0, "probe/goals_foreign": 0.8, "probe/greedy_saturation": 1.0}
    found = diagnose(many_updates(evidence(rows, {"agent.gamma": 0.999}, FLAT))).findings
    assert [finding.kind for finding in found] == ["mechanism", "setting", "symptom", "symptom"]
    assert found[0].name == "foreign_goals"


def test_what_an_untrained_network_shows_is_no_evidence():
    fresh = evidence({"probe/target_lag": 0.0, "probe/actor_travel": 0.0, "probe/critic_travel": 0.0})
    assert named_in(replace(fresh, rows=[replace(row, updates=0) for row in fresh.rows])) == []


def test_a_run_that_learns_in_spite_of_a_fault_is_told_so():
    wrong = {"probe/reward_wrong": 0.3}
    assert lines(diagnose(evidence(wrong)))[1] == "It learns in spite of what follows."
    assert lines(diagnose(evidence(wrong, {}, FLAT)))[1].startswith("wrong rewards (mechanism")
    assert lines(diagnose(evidence()))[1:] == ["No rule finds anything wrong with it."]


def test_the_page_names_every_rule():
    page = (Path(__file__).parents[2] / "docs" / "diagnose.md").read_text()
    assert [rule for rule in CASES if f"`{rule}`" not in page] == []
