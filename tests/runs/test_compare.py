"""Records that are held against another one although somebody altered them: a sentence, whatever they hold."""

import json
import lzma
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from course.chapters import traces
from tests.runs.test_store import CONFIG, PROVENANCE
from tests.runs.test_trust import interrupted
from wellposed.agents import PPOConfig, SACConfig
from wellposed.budget import budget
from wellposed.config import OnPolicyRunConfig, override
from wellposed.envs.make import EnvConfig
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.curriculum import Curriculum
from wellposed.errors import UserError
from wellposed.nn.inputs import InputConfig
from wellposed.recipes import default_config
from wellposed.runs.compare import differences
from wellposed.runs.store import RunReader
from wellposed.runs.writer import ReplayRows, RunWriter, Snapshot
from wellposed.serialise import whole

HELD = {"replay/held": np.array([0, 20])}


def two_parts(folder: Path, second: dict[str, np.ndarray], loop: dict[str, np.ndarray] = HELD) -> RunReader:
    """A run whose replay lies in two parts."""
    with RunWriter(folder, CONFIG, PROVENANCE) as run:
        for i, arrays in enumerate(({"rows": np.zeros((10, 1))}, second), 1):
            state = {"w": np.full(3, float(i))}
            run.save(Snapshot(100 * i, 50, 1.0, 0.5, state, loop, ReplayRows(10 * i - 10, 10 * i, 0, arrays)))
    return RunReader(run.path)


@pytest.mark.parametrize(
    "second",
    [
        {"rows": np.zeros((10, 2))},
        {"rows": np.zeros(10)},
        {"rows": np.zeros((10, 1), np.float32)},
        {"row": np.zeros((10, 1))},
        {},
    ],
)
def test_parts_of_a_replay_that_do_not_fit_together_are_named(tmp_path, second):
    whole = two_parts(tmp_path / "whole", {"rows": np.ones((10, 1))})
    assert differences(whole, whole) == []
    with pytest.raises(UserError, match="parts of its replay do not fit"):
        differences(whole, two_parts(tmp_path / "other", second))


@pytest.mark.parametrize("held", [{}, {"replay/held": np.array(3)}, {"replay/held": np.array([0.0, 20.0])}])
def test_a_checkpoint_that_does_not_say_what_its_replay_holds_is_named(tmp_path, held):
    with pytest.raises(UserError, match="does not say which rows"):
        differences(*[two_parts(tmp_path, {"rows": np.ones((10, 1))}, held)] * 2)


def test_an_array_that_only_one_record_has_is_a_difference(tmp_path):
    one = two_parts(tmp_path / "one", {"rows": np.ones((10, 1))})
    other = two_parts(tmp_path / "other", {"rows": np.ones((10, 1))}, HELD | {"extra": np.arange(3)})
    [found] = differences(one, other)
    assert (found.quantity, found.one) == ("loop/extra", None)
    assert "int64[3]" in str(found)


def test_without_a_checkpoint_there_is_nothing_to_compare(tmp_path):
    with RunWriter(tmp_path, CONFIG, PROVENANCE) as run:
        pass
    with pytest.raises(UserError, match="holds no checkpoint"):
        differences(RunReader(run.path), RunReader(run.path))


@pytest.mark.parametrize("step", [None, [100], "100", -1, 2**63, 50])
def test_an_episode_of_no_step_is_refused(tmp_path, step):
    path = interrupted(tmp_path)
    rows = [json.loads(line) for line in (path / "episodes.jsonl").read_text().splitlines()]
    rows[1]["step"] = step  # the first one is of step 100
    (path / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=r"line 2: step .* is missing or out of order"):
        _ = RunReader(path).episodes


PACKED = lzma.compress(save({"a": np.zeros(3, np.float32)}))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff" * 20, "it is not an xz file"),
        (lzma.compress(b"\xff" * 20), "it is not a safetensors file"),
        (PACKED[:-9], "it is cut short"),
        (lzma.compress(bytes(traces.MAX_BYTES + 1)), "it holds more than 4,194,304 bytes"),
    ],
)
def test_samples_of_traces_that_are_no_arrays_are_refused(tmp_path, content, says):
    traces.store_traces(tmp_path, {}, {})
    (tmp_path / traces.SAMPLES).write_bytes(content)
    with pytest.raises(UserError, match=rf"{traces.SAMPLES} is damaged: {says}"):
        traces.load_traces(tmp_path)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Control(delay=10**9),
        lambda: InputConfig(width=2**31),
        lambda: InputConfig(memory=2**31),
        lambda: EnvConfig("FetchReach-v4", max_episode_steps=2**40),
        lambda: OnPolicyRunConfig(EnvConfig("FetchReach-v4"), rollout_steps=2**40, agent=PPOConfig()),
        lambda: Curriculum("success", window=2**31),
        lambda: SACConfig(shift=2**31),
    ],
)
def test_counts_beyond_all_use_are_refused_before_anything_is_made(ask):
    with pytest.raises(UserError, match=r"must be|is 0 to"):
        ask()


def whole_numbers(data: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """The settings of a configuration that are whole numbers, or lists of them, by dotted name."""
    for name, value in data.items():
        if isinstance(value, dict):
            yield from whole_numbers(value, f"{prefix}{name}.")
        elif type(value) is int or (isinstance(value, list) and value and all(type(one) is int for one in value)):
            yield prefix + name, value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algo", "settings"),
    [
        ("sac", {"env.curriculum.kind": "success", "env.sensors.noise": 0.01}),
        ("td3", {"env.curriculum.kind": "linear", "env.control.delay": 1, "env.control.hold": 2}),
        ("sac", {"agent.inputs.encoder": "history", "agent.inputs.memory": 4, "env.sensors.delay": 1}),
        ("sac", {"agent.inputs.encoder": "gru", "agent.inputs.memory": 4}),
        ("sac", {"env.pixels.size": 48, "agent.shift": 4}),
        ("estimate", {}),
        ("distil", {}),
        ("ppo", {}),
    ],
)
def test_no_number_of_a_configuration_takes_memory_before_it_is_refused_or_planned(algo, settings):
    """A configuration may be a stranger's: whatever its numbers are, asking what it takes must not take it."""
    config = override(default_config("FetchPush-v4", algo), settings)
    budget(config)  # imports and caches are no number's
    for name, value in whole_numbers(whole(config)):
        for much in (2**31, 2**62):
            tracemalloc.start()
            with suppress(UserError):
                budget(override(config, {name: much if isinstance(value, int) else [much] * len(value)}))  # type: ignore[arg-type]
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 3e7, f"{name} = {much} took {peak / 1e6:.0f} MB"
