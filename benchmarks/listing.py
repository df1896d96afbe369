"""`wellposed runs` on 5,000 finished runs, on one core: seconds in all, start of Python included, and where they go.

The runs are copies of one real small record, each with a seed, a name and rows of its own; what no listing reads
(checkpoints, replay, events) is there as links to one copy of each file.

    python -m benchmarks.listing
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from wellposed.cli import list_runs
from wellposed.runs import store
from wellposed.config import content_hash

EVALUATIONS, ASKED = 25, 1.0  # evaluations of each run; seconds
OWN = {"config.json", "evaluations.jsonl", "summary.json", "lock"}  # a run's own copy; the rest is linked


def small_record(folder: Path) -> Path:
    """One real run, trained here: tiny networks, and 25 evaluations."""
    from wellposed.agents import SACConfig
    from wellposed.recipe import RunConfig
    from wellposed.training import train

    steps, every = 16 * (EVALUATIONS - 1), 16
    agent = SACConfig(hidden=(8, 8), batch_size=16)
    config = RunConfig("FetchReach-v4", total_steps=steps, random_steps=320, eval_every=every, eval_episodes=2)
    return train(replace(config, agent=agent), folder, quiet=True)[0]


def make_runs(record: Path, folder: Path, count: int) -> None:
    """`count` runs in `folder`, which are the record but for their seed."""
    data = json.loads((record / "config.json").read_text())
    for seed in range(count):
        data["config"]["seed"] = seed
        data["hash"] = content_hash(data["config"])
        path = folder / store.run_name(data["config"])
        shutil.copytree(record, path, copy_function=_copy)
        (path / "config.json").write_text(json.dumps(data, indent=2) + "\n")


def _copy(source: str, target: str) -> None:
    if Path(source).name in OWN:
        shutil.copyfile(source, target)
    else:
        os.link(source, target)
