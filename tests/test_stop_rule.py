"""A sequential test says when a bar is passed, in evaluations that are played beside training."""

import time
from dataclasses import replace
from itertools import pairwise
from math import comb

import numpy as np
import pytest

from tests.records import unequal
from wellposed.agents import SACConfig
from wellposed.config import RunConfig
from wellposed.envs.make import EnvConfig
from wellposed.errors import NotFiniteError
from wellposed.loop import monitor
from wellposed.rollout.evaluate import TEST_ENVS
from wellposed.runs import checkpoint
from wellposed.runs.store import RunReader
from wellposed.stats import BETTER, above_bar, at_least, most_trials, sequential_test
from wellposed.training import train

BAR = 0.05
CONFIG = RunConfig(
    env=EnvConfig("FetchReach-v4"), total_steps=4_000, num_envs=4, random_steps=200, eval_every=400, updates_per_call=4,
    until_success=BAR, stop_rule="test", agent=SACConfig(hidden=(16, 16), batch_size=32),
)  # fmt: skip


@pytest.mark.parametrize("bar", [0.2, 0.5, 0.75, 0.9, 0.95, 0.98])
def test_both_errors_are_as_stated(bar):
    better = bar / (bar + (1 - bar) / BETTER)
    assert sequential_test(bar, bar, TEST_ENVS)[0] <= 0.15
    assert sequential_test(better, bar, TEST_ENVS)[0] >= 0.89
    assert sequential_test(max(0.0, bar - (1 - bar) / 2), bar, TEST_ENVS)[0] < 0.02
    assert sequential_test(1.0, bar, TEST_ENVS)[0] == 1.0


def test_fewer_episodes_are_played_far_from_the_bar():
    trials = [sequential_test(rate, 0.95, TEST_ENVS)[1] for rate in (0.1, 0.5, 0.8, 0.9, 0.966)]
    assert all(less < more for less, more in pairwise(trials[1:]))
    assert trials[0] == pytest.approx(TEST_ENVS, abs=0.1)
    assert trials[-1] < most_trials(0.95)


def test_two_evaluations_of_50_pass_a_policy_at_the_bar_more_often():
    """What the test is better than: it is not the number of episodes alone."""
    at_least_48 = sum(comb(50, k) * 0.05**k * 0.95 ** (50 - k) for k in range(3))
    assert at_least(0.95, 0.95, 50) == pytest.approx(at_least_48)
    assert at_least_48**2 > 1.8 * sequential_test(0.95, 0.95, TEST_ENVS)[0]


def test_the_probability_of_passing_is_the_share_of_policies_that_pass():
    """Played, instead of summed over all outcomes."""
    rng, passed, played = np.random.default_rng(0), [], []
    for _ in range(2_000):
        successes, trials, said = 0, 0, None
        while said is None:
            successes, trials = successes + rng.binomial(TEST_ENVS, 0.9), trials + TEST_ENVS
            said = above_bar(int(successes), trials, 0.9)
        passed.append(said)
        played.append(trials)
    probability, trials = sequential_test(0.9, 0.9, TEST_ENVS)
    assert np.mean(passed) == pytest.approx(probability, abs=4 * np.std(passed) / 2_000**0.5)
    assert np.mean(played) == pytest.approx(trials, abs=4 * np.std(played) / 2_000**0.5)


def test_a_share_of_trials_counts_as_evaluations_count_it():
    """40 of 40 are asked where 39.2 would be enough; 19 of 20 are exactly 95 %, whatever their rounding."""
    assert at_least(0.9, 0.98, 40) == pytest.approx(0.9**40)
    assert at_least(0.9, 0.95, 20) == pytest.approx(0.9**20 + 20 * 0.9**19 * 0.1)
    assert at_least(0.0, 0.0, 20) == 1.0


@pytest.mark.parametrize(("rule", "at_the_bar"), [("test", "14 %"), ("twice", "54 %")])
def test_a_run_says_at_its_start_how_often_its_rule_passes_what_it_should_not(rule, at_the_bar):
    config = replace(CONFIG, until_success=0.95, stop_rule=rule, eval_episodes=50)
    assert f"passes: {at_the_bar} at a true rate of 95 %, " in monitor.chance_of_passing(config)
    assert "90 %." in monitor.chance_of_passing(config)
    assert monitor.chance_of_passing(replace(config, until_success=None)) == ""
    assert "99 %" in monitor.chance_of_passing(replace(config, until_success=1.0))


def test_bars_that_no_number_of_episodes_reaches_are_tested_as_nearby_ones():
    assert above_bar(400, 400, 1.0) is above_bar(400, 400, 0.99) is True
    assert above_bar(0, 1_000, 0.0) is above_bar(0, 1_000, 0.01) is False


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """A run that the test ended, and its summary."""
    return train(CONFIG, tmp_path_factory.mktemp("solved"), quiet=True)


@pytest.mark.slow
def test_the_weights_that_passed_are_those_that_are_kept(solved):
    path, summary = solved
    rows, newest = RunReader(path).evaluations, RunReader(path).load_checkpoint()[0]
    assert summary.stop_reason == "solved"
    assert summary.step == summary.solved.step == newest.step == rows[-1].step < CONFIG.total_steps
    assert summary.updates == newest.updates
    assert len(checkpoint.manifests(path)) == 2


@pytest.mark.slow
def test_evaluations_come_twice_as_often_from_half_of_the_bar_on(solved):
    rows = RunReader(solved[0]).evaluations
    for one, other in pairwise(rows):
        assert other.step - one.step == (200 if one.success_rate >= BAR / 2 else 400)
    assert all(row.episodes % TEST_ENVS == 0 for row in rows)


@pytest.mark.slow
def test_the_speed_of_evaluations_changes_nothing(solved, tmp_path, monkeypatch):
    play = monitor.play_episodes

    def slow(*args, **kwargs):
        time.sleep(0.3)
        return play(*args, **kwargs)

    monkeypatch.setattr(monitor, "play_episodes", slow)
    assert unequal(train(CONFIG, tmp_path, quiet=True)[0], solved[0]) == set()


@pytest.mark.slow
def test_a_run_that_diverges_after_the_weights_that_pass_is_solved(solved, tmp_path, monkeypatch):
    """Whether training or the evaluation is faster does not decide it."""
    play, passed = monitor.play_episodes, solved[1].updates

    def slow(*args, **kwargs):
        time.sleep(0.3)
        return play(*args, **kwargs)

    def learn(self, _):
        if self.agent.updates > passed:
            raise NotFiniteError("loss", "the loss is NaN.")

    monkeypatch.setattr(monitor, "play_episodes", slow)
    monkeypatch.setattr(monitor.Monitor, "learn", learn)
    path, summary = train(CONFIG, tmp_path, quiet=True)
    assert summary.step == solved[1].step
    assert RunReader(path).failure is None


@pytest.mark.slow
def test_without_a_bar_evaluations_have_a_fixed_number_of_episodes(tmp_path):
    config = replace(CONFIG, until_success=None, total_steps=400, eval_episodes=3)
    path, _ = train(config, tmp_path, quiet=True)
    assert [(row.step, row.episodes) for row in RunReader(path).evaluations] == [(0, 3), (400, 3)]
