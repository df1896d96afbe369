"""One tiny run, with a verdict over few episodes, for all tests of what is taken out of runs."""

from dataclasses import replace
from pathlib import Path

import pytest

import wellposed as wp
from tests.study.made_up import tiny
from wellposed.runs.files import write_json
from wellposed.runs.record import encode


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A finished run of Reach; it is only read."""
    path, _ = wp.train(replace(tiny(), until_success=None), tmp_path_factory.mktemp("runs"), quiet=True)
    write_json(path / "verdict.json", encode(wp.assess(path, episodes=4)))
    return path
