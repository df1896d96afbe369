"""A slice of the lives of life.py; `python -m tests.runs.life` takes 20,000 steps."""

from types import SimpleNamespace

import pytest

from tests.runs import life
from wellposed.runs import checkpoint, disk, lock

ONE_DIGEST = SimpleNamespace(sha256=lambda _: SimpleNamespace(hexdigest=lambda: "0" * 64))
BROKEN = {
    "rows are not cut": (disk, "truncate", lambda *_: None),
    "the lock is nobody's": (lock, "_try", lambda *_: True),
    "digests are not compared": (checkpoint, "hashlib", ONE_DIGEST),
}


def test_no_life_of_a_run_costs_a_row():
    life.live(examples=6, steps=25)


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_record_would_be_found(monkeypatch, what):
    monkeypatch.setattr(*BROKEN[what])
    with pytest.raises(Exception, match=r"rows|Rows|resumed|not refused|refused without need"):
        life.live(examples=60, steps=25, shrink=False)
