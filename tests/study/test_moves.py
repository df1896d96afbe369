"""Moves of a recipe: each a valid configuration with one thing changed, doubled outwards until it breaks."""

from dataclasses import replace

import pytest

from tests.study.made_up import tiny
from wellposed import serialise
from wellposed.config import override
from wellposed.recipes import default_config
from wellposed.study.stability import SETTINGS, Rows, changes, ladders, left_out, next_moves, rows_of

ROWS = Rows(filled=10_200, episode=51)


@pytest.mark.parametrize("algo", ["sac", "td3"])
def test_every_move_is_a_configuration_that_differs_in_its_setting_alone(algo):
    base = default_config("FetchSlide-v4", algo)
    before = serialise.flatten(serialise.to_dict(base))
    for (setting, _), factors in ladders(base, ROWS).items():
        for factor in factors:
            change = changes(base, setting, factor, ROWS)
            assert change is not None
            after = serialise.flatten(serialise.to_dict(override(base, change)))
            assert {name for name in after if after[name] != before[name]} == set(change), (setting, factor)


@pytest.mark.parametrize(
    ("setting", "factor", "change"),
    [
        ("learning rate", 2.0, {"agent.learning_rate": 2e-3}),
        ("horizon, 1/(1 - discount)", 2.0, {"agent.gamma": 0.975}),
        ("horizon, 1/(1 - discount)", 0.125, {"agent.gamma": 0.6}),
        ("temperature", 0.25, {"agent.temperature": 0.0125}),
        ("width", 0.5, {"agent.hidden": [32, 32, 32]}),
        ("replay size", 0.5, {"replay.capacity": 5_100}),
        ("replay size", 2.0, None),  # all that is written fits already
    ],
)
def test_factors_become_settings(setting, factor, change):
    found = changes(default_config("FetchPush-v4"), setting, factor, ROWS)
    assert found == (pytest.approx(change) if change and setting != "width" else change)


def test_a_replay_that_is_smaller_than_what_is_written_moves_both_ways():
    base = replace(default_config("FetchPush-v4"), replay=replace(default_config("FetchPush-v4").replay, capacity=6000))
    there = ladders(base, ROWS)
    assert there["replay size", True] == [2.0]  # 12,000 hold everything; 24,000 would be the same again
    assert changes(base, "replay size", 2.0, ROWS) == {"replay.capacity": 12_000}
    assert there["replay size", False] == [0.5, 0.25, 0.125]


def test_no_replay_is_smaller_than_an_episode():
    rows = rows_of(100, 50)
    assert rows == Rows(filled=102, episode=51)
    assert ladders(tiny(), rows)["replay size", False] == [0.5]


def test_what_cannot_be_moved_is_said():
    assert "TD3 has no temperature that could be moved here." in left_out(tiny("td3"), ROWS)
    assert left_out(tiny(), ROWS) == ["A larger replay changes nothing: all 10,200 rows that are written fit already."]
    short = override(tiny(), {"agent.gamma": 0.5, "agent.hidden": [1]})
    assert ("horizon, 1/(1 - discount)", False) in ladders(short, ROWS)  # 1 - gamma = 1 is a discount of 0
    assert ladders(short, ROWS)["horizon, 1/(1 - discount)", False] == [0.5]
    assert "The width cannot be moved down by a factor of two." in left_out(short, ROWS)


def walk(breaks: dict[tuple[str, bool], float]) -> dict[tuple[str, float], bool]:
    """All moves that are tried where a setting breaks at a factor, farther out as well."""
    there = {(setting, up): [2.0 ** (n if up else -n) for n in (1, 2, 3)] for setting in SETTINGS for up in (0, 1)}
    ladder = {(setting, bool(up)): factors for (setting, up), factors in there.items()}
    held: dict[tuple[str, float], bool] = {}
    while todo := next_moves(ladder, held):
        assert not held.keys() & set(todo), "tried twice"
        for setting, factor in todo:
            at = breaks.get((setting, factor > 1))
            held[setting, factor] = at is None or (factor < at if factor > 1 else factor > at)
    return held


def test_doubling_stops_where_it_breaks_and_after_the_third():
    held = walk({("width", True): 4.0, ("width", False): 0.5})
    assert {factor: ok for (setting, factor), ok in held.items() if setting == "width"} == {
        0.5: False,
        2: True,
        4: False,
    }
    assert {f for setting, f in held if setting == "learning rate"} == {0.5, 0.25, 0.125, 2, 4, 8}
    assert all(ok for (setting, _), ok in held.items() if setting != "width")


@pytest.mark.parametrize("doublings", [1, 2, 3])
def test_a_setting_is_doubled_as_often_as_was_asked_and_no_further(doublings):
    factors = {factor for found in ladders(tiny(), ROWS, doublings).values() for factor in found}
    assert factors == {2.0**n for n in range(-doublings, doublings + 1) if n}
