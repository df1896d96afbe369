"""Guarded moves: each policy stands beside the bound of what it can remember."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from course.measure import MEASUREMENTS, guarded
from course.measure.guarded import GuardedSettings
from course.measure.kinds import Context
from wellposed import serialise
from wellposed.envs.suites.peg.oracle import EachProbe
from wellposed.errors import UserError

INPUTS = {"plain": ("state", 1), "four": ("history", 4), "gru": ("gru", 8)}


@pytest.fixture
def measure(monkeypatch):
    """Measures runs that all probe each cell once, whatever they say that they remember."""

    def load_run(path):
        encoder, memory = INPUTS[path.name]
        inputs = SimpleNamespace(encoder=encoder, memory=memory)
        env = SimpleNamespace(id=path.env, kwargs={})
        return SimpleNamespace(env=env, agent=SimpleNamespace(inputs=inputs)), EachProbe(), None

    monkeypatch.setattr(guarded, "load_run", load_run)

    def measured(*names, env="PegProbe-v0", episodes=20):
        runs: Any = {name: [SimpleNamespace(name=name, env=env)] * 2 for name in names}
        return MEASUREMENTS["guarded"].measure(GuardedSettings(list(names), episodes=episodes), Context(1, runs))

    return measured


@pytest.mark.slow
def test_policies_by_hand_keep_their_bounds_and_one_that_remembers_more_than_it_says_does_not(measure):
    found = measure("plain", "four", "gru")
    assert [(row.policy, row.plays) for row in found.rows[:3]] == [
        ("one cell for ever", "greedy"), ("any cell", "drawn"), ("each cell once", "greedy"),
    ]  # fmt: skip
    assert max(row.above for row in found.rows[:3]) <= 0
    assert found.rows[2].success.value == 1.0
    learnt = {(row.policy, row.plays): row for row in found.rows[3:]}
    assert {key: row.bound for key, row in learnt.items()} == pytest.approx(
        {("plain", "greedy"): 0.2, ("plain", "drawn"): 0.67232, ("four", "greedy"): 0.8, ("four", "drawn"): 0.9,
         ("gru", "greedy"): 1.0, ("gru", "drawn"): 1.0}
    )  # fmt: skip
    assert [learnt[name, "greedy"].remembers for name in INPUTS] == [1, 4, None]
    assert learnt["plain", "greedy"].above > 0.5, "it counts, so it is no policy without memory"
    assert found.furthest_above == learnt["plain", "greedy"].above
    assert serialise.from_dict(type(found), serialise.to_dict(found), "here") == found


def test_a_run_of_another_task_is_refused(measure):
    with pytest.raises(UserError, match="was trained on PegInsert-v0"):
        measure("plain", env="PegInsert-v0", episodes=1)
    with pytest.raises(UserError, match="cells must be"):
        GuardedSettings([], cells=9)


def test_a_policy_that_is_asked_to_draw_is_handed_a_generator():
    given = []
    policy = SimpleNamespace(
        initial_carry=lambda n: np.zeros(n), act=lambda obs, carry, rng: given.append(rng) or (obs, carry)
    )
    drawing, rng = guarded.Drawing(policy, np.random.default_rng(0)), np.random.default_rng(1)  # type: ignore[arg-type]
    drawing.act({}, drawing.initial_carry(2), None)
    drawing.act({}, drawing.initial_carry(2), rng)
    assert given == [drawing.rng] * 2
