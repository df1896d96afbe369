"""Progress over many runs: what is spared or was done before counts as done, and says nothing about speed."""

import time

import pytest

from wellposed.progress import TrainingProgress, Whole, duration


def test_the_rest_takes_as_long_as_what_is_done_took(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    whole = Whole(3, 3000)
    assert str(whole) == "0 of 3 runs"
    now[0] += 10
    whole.add(taken=500)
    whole.add(spared=500, ended=1)  # it stopped half-way
    assert whole.seconds_left == pytest.approx(20)
    assert str(whole) == "1 of 3 runs · 50 steps/s · about 20 s left"


def test_runs_add_to_the_whole_what_they_take_and_what_they_spare():
    """One stops early, one had taken 300 steps in an earlier process."""
    with TrainingProgress(quiet=True) as progress, progress.expect(2, 2000) as whole:
        with progress.follow("fresh", 1000) as run:
            for step in (4, 400, 600):
                run.advance(step, step // 2, 1.0)
        assert (whole.ended, whole.taken, whole.spared) == (1, 596, 404)
        with progress.follow("resumed", 1000) as run:
            for step in (300, 1000):
                run.advance(step, step // 2, 1.0)
        assert (whole.ended, whole.taken, whole.spared) == (2, 1296, 704)
        assert whole.seconds_left == 0
    assert progress.whole is None


def test_a_display_within_a_display_is_the_same_one(monkeypatch):
    progress, shown = TrainingProgress(quiet=True), []
    progress._shown = True
    monkeypatch.setattr(progress._live, "start", lambda: shown.append("start"))
    monkeypatch.setattr(progress._live, "stop", lambda: shown.append("stop"))
    with progress:
        with progress:
            assert shown == ["start"]
        assert shown == ["start"]
    assert shown == ["start", "stop"]


def test_a_loop_that_is_seen_goes_over_all_items():
    progress = TrainingProgress(quiet=True)
    assert list(progress.over([3, 1, 2], "numbers")) == [3, 1, 2]
    seen = []
    for item in progress.over(range(3), "numbers"):
        seen.append(progress._loops.tasks[0].description)
        assert progress._loops.tasks[0].completed == item
    assert seen[0] == "0 of 3 numbers"
    assert seen[1].startswith("1 of 3 numbers · ")
    assert progress._loops.tasks == []


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (119.4, "119 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_a_duration_is_told_in_its_unit(seconds, text):
    assert duration(seconds) == text
