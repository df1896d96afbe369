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
from wellposed.stats import BETTER, above_bar, most_trials
from wellposed.training import train

BAR = 0.05
CONFIG = RunConfig(
    env=EnvConfig("FetchReach-v4"), total_steps=4_000, num_envs=4, random_steps=200, eval_every=400, updates_per_call=4,
    until_success=BAR, stop_rule="test", agent=SACConfig(hidden=(16, 16), batch_size=32),
)  # fmt: skip


def outcome(rate: float, bar: float, at_a_time: int = TEST_ENVS) -> tuple[float, float]:
    """The probability that the test says "above", and the mean number of trials, of a policy with this rate: exact."""
    failing = [comb(at_a_time, k) * (1 - rate) ** k * rate ** (at_a_time - k) for k in range(at_a_time + 1)]
    open_, trials, passed, mean = np.ones(1), 0, 0.0, 0.0  # probability of each number of failures while undecided
    while open_.sum() > 1e-12:
        mean += at_a_time * open_.sum()
        open_, trials = np.convolve(open_, failing), trials + at_a_time
        said = [above_bar(trials - failures, trials, bar) for failures in range(trials + 1)]
        passed += open_[[one is True for one in said]].sum()
        open_[[one is not None for one in said]] = 0.0
    return float(passed), float(mean)


@pytest.mark.parametrize("bar", [0.2, 0.5, 0.75, 0.9, 0.95, 0.98])
def test_both_errors_are_as_stated(bar):
    better = bar / (bar + (1 - bar) / BETTER)
    assert outcome(bar, bar)[0] <= 0.15
    assert outcome(better, bar)[0] >= 0.89
    assert outcome(max(0.0, bar - (1 - bar) / 2), bar)[0] < 0.02
    assert outcome(1.0, bar)[0] == 1.0


def test_fewer_episodes_are_played_far_from_the_bar():
    trials = [outcome(rate, 0.95)[1] for rate in (0.1, 0.5, 0.8, 0.9, 0.966)]
    assert all(less < more for less, more in pairwise(trials[1:]))
    assert trials[0] == pytest.approx(TEST_ENVS, abs=0.1)
    assert trials[-1] < most_trials(0.95)


def test_two_evaluations_of_50_pass_a_policy_at_the_bar_more_often():
    """What the test is better than: it is not the number of episodes alone."""
    at_least_48 = sum(comb(50, k) * 0.05**k * 0.95 ** (50 - k) for k in range(3))
    assert at_least_48**2 > 1.8 * outcome(0.95, 0.95)[0]


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


def test_without_a_bar_evaluations_have_a_fixed_number_of_episodes(tmp_path):
    config = replace(CONFIG, until_success=None, total_steps=400, eval_episodes=3)
    path, _ = train(config, tmp_path, quiet=True)
    assert [(row.step, row.episodes) for row in RunReader(path).evaluations] == [(0, 3), (400, 3)]
