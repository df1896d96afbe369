import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from wellposed import stats


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_and_stays_inside_the_unit_interval(case):
    successes, trials = case
    ours = stats.wilson(successes, trials)
    theirs = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)
    assert 0 <= ours.low <= ours.estimate <= ours.high <= 1


def test_wilson_of_a_perfect_hundred():
    assert stats.wilson(100, 100).low == pytest.approx(100 / (100 + 1.959964**2), abs=1e-6)


@pytest.mark.parametrize("case", [(1, 0), (-1, 5), (6, 5)])
def test_an_impossible_rate_is_refused(case):
    with pytest.raises(ValueError, match="a rate needs"):
        stats.wilson(*case)


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = [
        b.low <= 1.0 <= b.high for b in (stats.bootstrap_mean(rng.exponential(size=60), seed=i) for i in range(400))
    ]
    assert 0.90 < np.mean(hits) < 0.98


def test_bootstrap_repeats_with_its_seed_and_only_then():
    values = np.random.default_rng(0).normal(size=30)
    assert stats.bootstrap_mean(values, seed=1) == stats.bootstrap_mean(values, seed=1)
    assert stats.bootstrap_mean(values, seed=1) != stats.bootstrap_mean(values, seed=2)


def test_the_mean_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no values"):
        stats.bootstrap_mean(np.array([]))
