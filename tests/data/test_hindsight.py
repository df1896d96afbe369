import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.data import hindsight

moments = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n)))


@given(moments, st.integers(0, 2**32))
def test_future_goals_come_strictly_later_and_from_the_episode(moment, seed):
    t, length = (np.full(50, x) for x in moment)
    goals = hindsight.future(t, length, np.random.default_rng(seed))
    assert ((t < goals) & (goals <= length)).all()


@given(moments, st.integers(0, 2**32))
def test_episode_goals_come_from_the_episode(moment, seed):
    t, length = (np.full(50, x) for x in moment)
    goals = hindsight.episode(t, length, np.random.default_rng(seed))
    assert ((goals >= 1) & (goals <= length)).all()


@pytest.mark.parametrize(
    ("strategy", "expected"), [("future", {3, 4, 5}), ("episode", {1, 2, 3, 4, 5}), ("final", {5})]
)
def test_every_allowed_moment_is_drawn_equally_often(strategy, expected):
    n = 30_000
    t, length = np.full(n, 2), np.full(n, 5)
    goals, counts = np.unique(hindsight.STRATEGIES[strategy](t, length, np.random.default_rng(0)), return_counts=True)
    assert set(goals.tolist()) == expected
    assert np.allclose(counts / n, 1 / len(expected), atol=0.01)


def test_k_goals_for_each_original_one():
    assert hindsight.relabelled_share(4) == 0.8
    assert hindsight.relabelled_share(0) == 0
