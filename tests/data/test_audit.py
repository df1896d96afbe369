"""The audit of a replay: it tells where goals come from, whatever index arithmetic chose them."""

import numpy as np
import pytest

from tests.data.test_episodes import make, play, same
from wellposed.data import ReplayBuffer
from wellposed.probe import audit, goal_origins
from wellposed.runs.record import METRICS
from wellposed.seeding import seed_sequence

SEED = seed_sequence(0, "audit")
ORIGINS = ("future", "original", "past", "foreign")


def filled(capacity: int = 60, episodes: int = 4, **settings) -> ReplayBuffer:
    buffer = make(capacity, **settings)
    for episode in range(episodes):
        play(buffer, episode, length=5 + episode % 3)
    return buffer


def origins(buffer: ReplayBuffer) -> list[float]:
    _, _, found = audit(buffer, 4, 256, SEED)
    return [found[f"probe/goals_{name}"] for name in ORIGINS]


def test_each_origin_by_hand():
    """An episode that achieves 0 10 20 30, and pursued 99; transition 1 of 3. What lies beyond its end is another's."""
    achieved = np.array([0.0, 10, 20, 30, 40])[None, :, None].repeat(5, axis=0)
    goals = np.array([[20.0], [99], [10], [40], [77]])
    t, length, stored = np.full(5, 1), np.full(5, 3), np.full((5, 1), 99.0)
    found = goal_origins(goals, t, length, achieved, stored, [[0]])
    assert [found[f"probe/goals_{name}"] for name in ORIGINS] == pytest.approx([0.2, 0.2, 0.2, 0.4])


@pytest.mark.parametrize("capacity", [60, 20])  # 20: the ring has wrapped
def test_sound_relabelling_is_told_as_such(capacity):
    future, original, past, foreign = origins(filled(capacity))
    assert (past, foreign) == (0, 0)
    assert original == pytest.approx(0.2, abs=0.03)
    assert future == pytest.approx(0.8, abs=0.03)
    assert origins(filled(capacity, k=0)) == [0, 1, 0, 0]
    assert origins(filled(capacity, strategy="episode"))[2] > 0.2


@pytest.mark.parametrize("capacity", [60, 20])
def test_goals_of_other_episodes_are_noticed(capacity, monkeypatch):
    original = ReplayBuffer.draw

    def draw(self, n, rng):
        rows, after, hindsight = original(self, n, rng)
        return rows, after, np.roll(hindsight, 1)

    monkeypatch.setattr(ReplayBuffer, "draw", draw)
    assert origins(filled(capacity))[3] > 0.3


def test_it_hands_out_what_training_would_get_and_draws_from_no_stream():
    buffer = filled()
    before = {name: array.copy() for name, array in buffer.state().items()}
    batch, _, found = audit(buffer, 2, 64, SEED)
    again = buffer.sample(2, 64, np.random.default_rng(SEED))
    assert same(batch, again)
    assert all(np.array_equal(before[name], array) for name, array in buffer.state().items())
    assert found.keys() <= METRICS.keys()
    assert found == audit(buffer, 2, 64, SEED)[2]


def test_the_age_of_what_is_sampled(monkeypatch):
    buffer = filled(600, episodes=60)
    assert audit(buffer, 8, 256, SEED)[2]["probe/replay_age"] == pytest.approx(0.5, abs=0.03)
    monkeypatch.setattr(ReplayBuffer, "_any_rows", lambda _, n, rng: (rng.random(n) * 30).astype(np.int64))
    assert audit(buffer, 8, 256, SEED)[2]["probe/replay_age"] > 0.9
    assert audit(filled(), 1, 64, SEED)[2]["probe/replay_transitions"] == 5 + 6 + 7 + 5


def test_a_row_knows_its_number_when_the_ring_has_wrapped():
    buffer = filled(20, episodes=9)
    numbers = buffer.number(np.arange(20))
    assert sorted(numbers)[: buffer.end - buffer.oldest] == list(range(buffer.oldest, buffer.end))
