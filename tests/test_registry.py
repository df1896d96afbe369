"""A registry: names are taken once, and installed packages add theirs by entry point."""

import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

import pytest

from wellposed.errors import UserError
from wellposed.registry import Registry


class Point:
    """An entry point of an installed package."""

    def __init__(self, name: str, entry: Any):
        self.name, self.entry, self.value, self.dist = name, entry, f"shapes:{name}", None

    def load(self) -> Any:
        if isinstance(self.entry, Exception):
            raise self.entry
        return self.entry


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Any:
    groups = {
        "test.shapes": [Point("broken", ImportError("no cube")), Point("ball", 3)],
        "test.clash": [Point("square", 5), Point("ball", 3)],
    }
    monkeypatch.setattr(metadata, "entry_points", lambda group: groups[group])
    return lambda group: Registry("shape", group)


def test_entries_are_found_by_name_ours_first(shapes):
    ours = shapes("test.shapes")
    ours.register("square", 4)
    with pytest.warns(UserWarning, match="The shape of 'shapes:broken' could not be registered: ImportError"):
        assert dict(ours) == {"square": 4, "ball": 3}
    assert ours.find("ball") == 3
    with pytest.raises(UserError, match="There is no shape 'cube'; there are square, ball"):
        ours.find("cube")


def test_a_name_that_is_taken_is_refused_from_inside_and_from_an_installed_package(shapes):
    ours = shapes("test.clash")
    ours.register("square", 4)
    with pytest.raises(ValueError, match="shape 'square' is registered already"):
        ours.register("square", 1)
    with pytest.warns(UserWarning, match="shape 'square' is registered already"):
        assert dict(ours) == {"square": 4, "ball": 3}


def test_threads_that_ask_at_once_all_find_what_is_registered(monkeypatch):
    """Else the second would find Gymnasium's Fetch, which is another environment, and train on it."""
    from wellposed.envs import registry as environments
    from wellposed.envs import suites

    def slow() -> None:
        time.sleep(0.2)
        for register in fetch:
            register()

    fetch = suites.SUITES
    monkeypatch.setattr(suites, "SUITES", (slow,))
    monkeypatch.setattr(environments, "_REGISTRY", {})
    monkeypatch.setattr(environments, "_loaded", False)
    with ThreadPoolExecutor(2) as pool:
        tags = [entry.tags for entry in pool.map(environments.find, ["FetchReach-v4"] * 2)]
    assert tags[0] == tags[1]
    assert "gymnasium" not in tags[0]
