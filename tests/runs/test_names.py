"""Run names: one plain directory for each configuration and seed, whatever a configuration says."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.runs.test_store import CONFIG, write_run
from wellposed import serialise
from wellposed.recipes import default_config
from wellposed.runs.store import RunReader, run_name

TEXT = st.text(st.characters()) | st.text("./\\:~-_\0\n ", max_size=9)  # surrogates too
HUGE = 10**5000  # Python itself refuses to write it in decimal


def is_plain(name: str) -> bool:
    """Whether a name is one component of a path that is shown, on any file system and in any terminal."""
    hidden_or_none = name.startswith((".", "-", "~")) or not name
    return name.isascii() and name.isprintable() and not hidden_or_none and not set(name) & set("/\\: ")


@given(env=TEXT, algo=TEXT, seed=st.integers())
@example("", "", 0)
@example(".", "..", -1)
@example("../../etc/passwd", "/", 0)
@example("a" * 5000, "b" * 5000, HUGE)
def test_any_configuration_has_a_plain_name(env, algo, seed):
    name = run_name({"env": env, "algo": algo, "seed": seed})
    assert is_plain(name)
    assert len(name.encode()) <= 255


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "a\\b", "a\nb", "a\0", "\x1b[31m", "é", "-rf", "a:b"])
def test_a_name_that_is_not_plain_is_noticed(name):
    assert not is_plain(name)


def test_names_that_are_cut_short_or_made_alike_stay_distinct():
    envs = ["x" * n for n in (99, 100, 101, 300, 301)] + ["a/b", "a:b", "a-b", "/", "..", ""]
    seeds = [0, -1, 1, 10**30 - 1, 10**30, 10**30 + 1, -(10**30), HUGE, HUGE + 1]
    names = [run_name({"env": env, "algo": algo, "seed": 0}) for env in envs for algo in ("sac", "y" * 200, "y" * 201)]
    names += [run_name(CONFIG | {"seed": seed}) for seed in seeds]
    assert len(set(names)) == len(names)


def test_a_run_of_a_long_name_and_seed_is_written_and_read(tmp_path):
    config = CONFIG | {"env": "../" + "x" * 500, "algo": "y" * 500, "seed": 10**80}
    path = write_run(tmp_path, config)
    assert list(tmp_path.iterdir()) == [path]
    assert RunReader(path).config == config


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a configuration by its dotted name, found by the fields of its dataclasses."""
    for field in dataclasses.fields(value):
        found = getattr(value, field.name)
        if dataclasses.is_dataclass(found):
            yield from leaves(found, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", found


def another(value: Any) -> Any:
    """A value that differs from this one as little as its type allows."""
    if value is None or isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, dict):
        return {**value, "x": 1}
    return [*value, 1] if isinstance(value, tuple) else value + 1


@pytest.mark.parametrize("algo", ["sac", "td3"])
def test_a_configuration_that_differs_in_any_one_setting_has_another_name(algo):
    config = default_config("FetchReach-v4", algo)
    data, settings = serialise.whole(config), dict(leaves(config))
    assert {"seed", "agent.gamma", "agent.inputs.clip", "replay.k", "env.curriculum.kind"} <= settings.keys()
    names = [run_name(serialise.override(data, {name: another(value)})) for name, value in settings.items()]
    assert len({run_name(data), *names}) == len(settings) + 1
