"""Runs that learn from pixels, from configuration to verdict: every way, as small as it gets."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wellposed.config import override
from wellposed.envs.rendering import working_backend
from wellposed.errors import UserError
from wellposed.recipes import default_config
from wellposed.runs.store import RunReader
from wellposed.training import train
from wellposed.verdict import assess

backend = None
with suppress(UserError):
    backend = working_backend()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(backend is None, reason="nothing that draws")]

SMALL: dict[str, Any] = {
    "total_steps": 208, "num_envs": 2, "random_steps": 100, "eval_every": 104, "eval_episodes": 2, "stop_rule": "twice",
    "updates_per_step": 0.1, "updates_per_call": 4, "replay.capacity": 1000, "agent.hidden": [8], "agent.batch_size": 8,
}  # fmt: skip
EYE: dict[str, Any] = {"agent.features": 4, "agent.looks": 2}
WAYS: dict[str, dict[str, Any]] = {
    "estimate": EYE | {"agent.head_start": 8},
    "distil": EYE | {"agent.autoencode": 8, "agent.frozen": True},
    "sac": {"agent.inputs.encoder": "frames", "agent.inputs.memory": 2, "agent.inputs.width": 4, "agent.shift": 1,
            "agent.shared_encoder": True, "updates_per_call": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """A run on states."""
    return train(override(default_config("FetchPush-v4"), SMALL), tmp_path_factory.mktemp("teacher"), quiet=True)[0]


@pytest.mark.parametrize("algo", WAYS)
def test_a_way_from_pixels_trains_and_is_judged(algo, teacher, tmp_path):
    begun = {} if algo == "sac" else {"init_from": str(teacher)}
    settings = SMALL | WAYS[algo] | begun | {"env.pixels.size": 16}
    path, summary = train(override(default_config("FetchPush-v4", algo), settings), tmp_path, quiet=True)
    assert summary.updates == 20
    sight = [row.metrics["sight/miss"] for row in RunReader(path).metrics]
    assert np.isfinite(sight).all()
    assert sight
    told = assess(path, episodes=2).sees
    assert told.startswith("Acting, it sees camera (16 x 16 x 3), own (10), desired_goal (3).")
    assert told.endswith("It began with the networks of another run.") == bool(begun)


@pytest.mark.parametrize("algo", ["estimate", "distil"])
def test_demonstrations_enter_the_replay_and_are_not_cloned(algo, tmp_path):
    settings = SMALL | WAYS[algo] | {"env.pixels.size": 16, "demonstrations": "oracle:2"}
    config = override(default_config("FetchPush-v4", algo), settings)
    with pytest.raises(UserError, match="cannot clone demonstrations; with --clone-updates 0"):
        train(config, tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())
    path, _ = train(replace(config, clone_updates=0), tmp_path, quiet=True)
    assert RunReader(path).status == "finished"
    assert assess(path, episodes=2).sees.endswith("It began with demonstrations.")
