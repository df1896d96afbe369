"""The arithmetic of the endurance benchmark on samples that are made up, and its sampler on processes that are not."""

import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import endurance
from benchmarks.endurance import Finding, Sample, judge, observe, sample

MINUTES, WARM_UP = 120, 720.0
CHILD = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
print("ready", flush=True)
time.sleep(60)
"""


def samples(
    memory: Callable[[float], float] = lambda _: 6e8,
    handles: Callable[[int], int] = lambda _: 8,
    threads: Callable[[int], int] = lambda _: 18,
) -> list[Sample]:
    """Two hours, one sample in five seconds; memory by the share of the time that has passed, the rest by number."""
    count, rng = 12 * MINUTES, np.random.default_rng(0)
    noise = rng.normal(0, 3e5, count)
    return [Sample(5.0 * i, int(memory(i / count) + noise[i]), handles(i), threads(i)) for i in range(count)]


def found(**kinds) -> Finding:
    return judge(samples(**kinds), WARM_UP)


def test_what_is_level_but_for_noise_holds():
    finding = found()
    assert finding.holds
    assert abs(finding.growth) < 0.001
    assert (set(finding.handles), set(finding.threads)) == ({8}, {18})


@pytest.mark.parametrize(("leak", "holds"), [(0.02, False), (0.012, False), (0.008, True), (-0.02, True)])
def test_a_leak_of_two_percent_is_caught(leak, holds):
    finding = found(memory=lambda t: 6e8 * (1 + leak * (t - 0.1) / 0.9))
    assert finding.holds is holds
    assert finding.growth == pytest.approx(
        0.9 * leak, rel=0.1, abs=1e-4
    )  # from the middle of a tenth to that of another


def test_what_comes_before_the_warm_up_is_over_does_not_count():
    warming = lambda t: 6e8 * min(1.0, 0.5 + 5 * t)  # noqa: E731
    assert found(memory=warming).holds
    assert not judge(samples(memory=warming), 0.0).holds


def test_a_late_jump_is_caught_and_a_spike_is_none():
    assert not found(memory=lambda t: 6e8 * (1.02 if t > 0.93 else 1)).holds
    assert found(memory=lambda t: 6e8 * (2 if 0.94 < t < 0.96 else 1)).holds


def test_a_file_open_for_a_moment_is_none_too_many_and_one_that_stays_open_is():
    assert found(handles=lambda i: 8 + (i % 7 == 0)).holds
    assert not found(handles=lambda i: 8 + i // 1300).holds
    assert not found(handles=lambda i: 8 - i // 1300).holds
    assert not found(threads=lambda i: 18 + i // 1300).holds


def test_too_few_samples_are_no_finding():
    with pytest.raises(ValueError, match="19 samples"):
        judge(samples()[:163], WARM_UP)


def test_a_process_is_sampled_as_it_is():
    """Of this very process: a list, files and a thread more are seen as that."""
    before = sample(os.getpid(), time.monotonic())
    held, stop = mmap.mmap(-1, 2**26), threading.Event()  # not `bytearray`: malloc may have such a piece left over
    held.write(b"1" * len(held))
    files = [open(os.devnull) for _ in range(5)]  # noqa: SIM115
    thread = threading.Thread(target=stop.wait)
    thread.start()
    after = sample(os.getpid(), time.monotonic())
    stop.set()
    thread.join()
    for file in [*files, held]:
        file.close()
    assert before is not None
    assert after is not None
    assert after.memory - before.memory > 0.9 * 2**26
    assert (after.handles - before.handles, after.threads - before.threads) == (5, 1)


def test_a_process_that_is_gone_gives_no_sample():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        time.sleep(0.5)
        assert sample(process.pid, 0.0) is None  # not waited for yet
    assert sample(process.pid, 0.0) is None


def test_one_interrupt_ends_what_was_watched(monkeypatch, capsys):
    monkeypatch.setattr(endurance, "EVERY", 0.1)
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        seen = observe(process, 1.0)
    assert process.returncode == endurance.INTERRUPTED
    assert 5 <= len(seen) <= 11
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_process_that_dies_meanwhile_ends_the_watch(monkeypatch):
    monkeypatch.setattr(endurance, "EVERY", 0.1)
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.exit(7)"]) as process:
        observe(process, 60.0)
    assert process.returncode == 7
    assert time.monotonic() - began < 30
