import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, ttest_1samp
from scipy.stats import t as student_t

from wellposed import stats


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_and_stays_inside_the_unit_interval(case):
    successes, trials = case
    ours = stats.wilson(successes, trials)
    theirs = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert {type(number) for number in ours} == {float}, "records hold numbers of Python"
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


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_is_scipys_and_stays_inside_the_unit_interval(case):
    ours = stats.clopper_pearson(*case)
    theirs = binomtest(*case).proportion_ci(0.95, method="exact")
    assert ours[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= ours.low <= ours.estimate <= ours.high <= 1


def test_clopper_pearson_has_its_closed_form_at_a_perfect_score():
    assert stats.clopper_pearson(100, 100).low == pytest.approx(0.025 ** (1 / 100))
    assert stats.clopper_pearson(0, 20).high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_clopper_pearson_never_covers_less_than_it_says_and_wilson_does():
    """Exact coverage, summed over all outcomes: Wilson's is right on average over rates, not at each."""
    n, least = 20, {}
    for interval in (stats.clopper_pearson, stats.wilson):
        bounds = np.array([interval(k, n)[1:] for k in range(n + 1)])
        rates = np.linspace(0.001, 0.999, 999)
        inside = (bounds[:, :1] <= rates) & (rates <= bounds[:, 1:])
        least[interval] = (inside * binom.pmf(np.arange(n + 1)[:, None], n, rates)).sum(axis=0).min()
    assert least[stats.clopper_pearson] >= 0.95
    assert least[stats.wilson] < 0.9


def test_the_t_interval_is_scipys():
    values = np.array([3.0, 5.0, 4.0, 9.0, 1.0])
    theirs = ttest_1samp(values, 0).confidence_interval(0.95)
    assert stats.student(values)[1:] == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    with pytest.raises(ValueError, match="at least two"):
        stats.student(np.array([1.0]))


def test_with_five_seeds_t_covers_what_it_says_and_z_and_the_bootstrap_do_not():
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    mean, spread = draws.mean(axis=1), draws.std(axis=1, ddof=1)
    z = np.abs(mean) <= 1.959964 * spread / np.sqrt(5)
    assert z.mean() == pytest.approx(2 * student_t.cdf(1.959964, 4) - 1, abs=0.02), "0.878, whatever is simulated"
    covered = {
        interval: np.mean([b.low <= 0 <= b.high for b in map(interval, draws)])
        for interval in (stats.over_seeds, lambda values: stats.bootstrap_mean(values, resamples=200))
    }
    over_seeds, bootstrap = covered.values()
    assert over_seeds == pytest.approx(0.95, abs=0.015)
    assert bootstrap < 0.86


def successes(mean: float, unreachable: float, n: int = 400) -> np.ndarray:
    """Rates of five seeds on the same 100 episodes, of which a share is out of reach for all, [n x 5]."""
    rng = np.random.default_rng(0)
    reachable = rng.random((n, 1, 100)) >= unreachable
    return ((rng.random((n, 5, 100)) < mean) & reachable).mean(axis=2)


@pytest.mark.parametrize(("mean", "unreachable"), [(0.99, 0.0), (0.95, 0.0), (0.99, 0.02), (1.0, 0.01), (0.5, 0.0)])
def test_the_interval_of_a_rate_over_seeds_covers_it(mean, unreachable):
    truth, cases = mean * (1 - unreachable), successes(mean, unreachable)
    bounds = np.array([stats.over_seeds(rates, 100) for rates in cases])
    assert ((bounds[:, 1] <= truth) & (truth <= bounds[:, 2])).mean() >= 0.95
    assert (bounds >= 0).all()
    assert (bounds <= 1).all()
    assert (bounds[:, 2] > bounds[:, 1]).all(), "an interval without a width claims what nobody knows"


def test_neither_t_alone_nor_pooled_episodes_cover_where_all_seeds_fail_in_the_same_episodes():
    """The wrong variants: the first takes the episodes for all there are, the second five times 100 for 500."""
    truth, cases = 0.99 * 0.98, successes(0.99, 0.02)
    t = [stats.student(rates) for rates in cases]
    pooled = [stats.over_seeds(rates, 100, shared=False) for rates in cases]
    assert np.mean([b.low <= truth <= b.high for b in t]) < 0.7
    assert np.mean([b.low <= truth <= b.high for b in pooled]) < 0.9


def test_seeds_that_do_not_differ_have_the_interval_of_their_episodes():
    assert stats.over_seeds(np.ones(5), 100) == stats.clopper_pearson(100, 100)
    assert stats.over_seeds(np.ones(5), 100, shared=False)[1:] == stats.clopper_pearson(500, 500)[1:]
    assert stats.over_seeds(np.array([0.97]), 100)[1:] == pytest.approx(stats.clopper_pearson(97, 100)[1:])


def test_seeds_that_differ_widely_have_the_t_interval_inside_the_unit_interval():
    rates = np.array([0.2, 0.9, 0.5, 0.7, 0.4])
    assert stats.over_seeds(rates, 100)[1:] == pytest.approx(stats.student(rates)[1:])
    low = stats.over_seeds(np.array([0.1, 1.0, 1.0]), 100)
    assert (low.low, low.high) == (0.0, 1.0)
    assert stats.student(np.array([0.1, 1.0, 1.0])).high > 1, "without the bounds it would say 145 %"


def test_without_a_spread_no_interval_of_steps_is_made_up():
    for values in ([1600.0], [1600.0] * 5):
        found = stats.over_seeds(np.array(values))
        assert found.estimate == 1600
        assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(("values", "episodes"), [([], None), ([1.0, np.inf], None), ([1.2], 100), ([-0.1, 0.5], 100)])
def test_what_is_no_metric_over_seeds_is_refused(values, episodes):
    with pytest.raises(ValueError, match=r"over seeds needs|rates lie"):
        stats.over_seeds(np.array(values), episodes)


@pytest.mark.parametrize(("spread", "half"), [(1.0, 1.0), (1.0, 0.1), (0.02, 0.05), (0.0, 0.1)])
def test_the_seeds_needed_are_the_fewest_that_do(spread, half):
    n = stats.seeds_needed(spread, half)

    def width(n: int) -> float:
        return student_t.ppf(0.975, n - 1) * spread / np.sqrt(n)

    assert width(n) <= half
    assert n == 2 or width(n - 1) > half


def test_z_would_plan_too_few_seeds():
    assert stats.seeds_needed(1.0, 1.0) == 7 > np.ceil(1.96**2)


@pytest.mark.parametrize(("rate", "half"), [(1.0, 0.01), (0.98, 0.01), (0.5, 0.1), (0.0, 0.4)])
def test_the_episodes_needed_are_the_fewest_that_do(rate, half):
    n = stats.episodes_needed(rate, half)
    widths = [stats.clopper_pearson(rate * m, m) for m in (n, n - 1)]
    assert widths[0].high - widths[0].low <= 2 * half < widths[1].high - widths[1].low
    if rate == 1:
        assert n == np.ceil(np.log(0.025) / np.log(1 - 2 * half)), "closed form"


def test_the_bound_of_the_spread_holds_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    assert np.mean([stats.spread_bound(values) >= 1 for values in draws]) == pytest.approx(0.8, abs=0.03)
    assert np.mean(draws.std(axis=1, ddof=1) >= 1) < 0.5, "the spread that was seen is too small more often than not"


@pytest.mark.parametrize(
    "call",
    [
        lambda: stats.seeds_needed(1.0, 0.0),
        lambda: stats.seeds_needed(-1.0, 1.0),
        lambda: stats.episodes_needed(1.5, 0.1),
        lambda: stats.episodes_needed(0.5, 0.0),
        lambda: stats.spread_bound(np.array([1.0])),
    ],
)
def test_what_cannot_be_planned_is_refused(call):
    with pytest.raises(ValueError, match=r"needed|at least two"):
        call()


def test_an_interval_that_may_be_negative_is_not_joined_by_a_minus():
    assert stats.describe_interval((0.91, 0.963)) == "95 % CI 91.0-96.3"
    assert stats.describe_interval((-0.07, -0.02)) == "95 % CI -7.0 to -2.0"


def expected_score(low: float, high: float) -> float:
    """Mean interval score of a uniform variable in [0, 1], for intervals of 80 %."""
    values = (np.arange(2000) + 0.5) / 2000
    return float(np.mean([stats.interval_score(low, high, value, 0.8) for value in values]))


def test_the_interval_score_is_best_at_the_true_interval_and_is_its_width_where_it_holds():
    assert stats.interval_score(0.25, 0.75, 0.5, 0.8) == 0.5
    assert stats.interval_score(0.25, 0.75, 1.0, 0.8) == pytest.approx(0.5 + 10 * 0.25)
    assert stats.interval_score(0.25, 0.75, 0.125, 0.5) == pytest.approx(0.5 + 4 * 0.125)
    grid = np.linspace(0, 1, 21)
    best = min((expected_score(low, high), low, high) for low in grid[:10] for high in grid[10:])
    assert best[1:] == pytest.approx((0.1, 0.9))
    assert expected_score(0, 1) == 1, "saying everything scores its width"
    with pytest.raises(ValueError, match="low <= high"):
        stats.interval_score(0.5, 0.4, 0.5, 0.8)


def test_the_best_of_many_looks_too_good_as_chapter_10_says():
    percent = lambda policies, episodes: 100 * stats.expected_best(np.full(policies, 0.9), episodes)  # noqa: E731
    assert [percent(1, 100), percent(20, 100), percent(20, 1000)] == pytest.approx([90, 95.17, 91.73], abs=0.01)
    assert pytest.approx(0.9999, abs=5e-5) == 1 - (1 - 0.9**5) ** 10
    drawn = np.random.default_rng(0).binomial(100, 0.9, (20_000, 20)).max(axis=1)
    assert drawn.mean() == pytest.approx(percent(20, 100), abs=0.05)
    assert percent(20, 100) - 90 < 100 * np.sqrt(np.log(20) / 200) == pytest.approx(12.24, abs=0.01)
    for wrong in ([], [1.1]):
        with pytest.raises(ValueError, match="a highest success"):
            stats.expected_best(np.array(wrong), 5)
