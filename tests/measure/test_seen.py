"""What policies do when they are shown other pictures: success against the floor, and what must not be read."""

from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from course.chapters.values import check_path, follow
from course.measure import MEASUREMENTS, seen
from course.measure.kinds import Context
from course.measure.seen import SeenSettings, leaks
from wellposed import serialise
from wellposed.agents import ALGORITHMS, make_agent
from wellposed.analysis.robustness import paired_difference
from wellposed.config import RunConfig
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.rendering import working_backend
from wellposed.envs.wrappers.pixels import Pixels
from wellposed.errors import UserError
from wellposed.nn.inputs import InputConfig

EPISODES, SOLVED = 20, 2
WHERE = EnvConfig("FetchPush-v4", pixels=Pixels(16, moved=0.05))
SHOWN = {"black": ["shown=blank"], "camera": ["moved=0.02", "turned=2"]}
RUNS = {"push.honest": [Path("honest")], "push.leaky": [Path("leaky")]}


def played(agent: str, where: EnvConfig, seeds: list[int], *_: Any) -> list[Any]:
    """All succeed with frames, and half of them where the camera stands elsewhere; with black ones who has a leak."""
    pixels = where.pixels
    share = 0.5 if pixels.moved else 1.0 if pixels.shown == "frames" or agent == "leaky" else SOLVED / EPISODES
    return [SimpleNamespace(success=i < share * len(seeds), already_solved=i < SOLVED) for i in range(len(seeds))]


@pytest.fixture
def found(monkeypatch) -> Any:
    monkeypatch.setattr(seen, "load_run", lambda path: (RunConfig(WHERE), path.name, None))
    monkeypatch.setattr(seen, "play_under", played)
    monkeypatch.setattr(seen, "_leaks_in", lambda path, _: path.name == "leaky")
    return MEASUREMENTS["seen"].measure(SeenSettings(list(RUNS), SHOWN, EPISODES), Context(1, RUNS))


def test_success_stands_beside_the_floor_under_every_change(found):
    values = {name: {of: one.value for of, one in by.items()} for name, by in found.success.items()}
    assert values == {
        "frames": {"push.honest": 1.0, "push.leaky": 1.0},  # with the camera of the task, not that of training
        "black": {"push.honest": SOLVED / EPISODES, "push.leaky": 1.0},
        "camera": {"push.honest": 0.5, "push.leaky": 0.5},
    }
    assert found.floor["push.honest"].value == SOLVED / EPISODES
    assert found.above["black"]["push.honest"].value == 0
    leaky, marks = found.above["black"]["push.leaky"], np.arange(EPISODES)
    due = paired_difference(marks < EPISODES, marks < SOLVED)
    assert (leaky.value, *leaky.ci95) == (due.estimate, due.low, due.high)
    assert found.leaks == {"push.honest": False, "push.leaky": True}


def test_it_is_data(found):
    kind, data = MEASUREMENTS["seen"], serialise.to_dict(found)
    assert serialise.from_dict(kind.result, data, "here") == found
    path = 'above.black."push.leaky".value'
    check_path(kind.result, path)
    assert follow(data, path) == found.above["black"]["push.leaky"].value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"of": []}, "of must name"),
        ({"shown": {}}, "at least one change"),
        ({"shown": {"frames": ["shown=blank"]}}, "give the change another name"),
        ({"shown": {"far": ["mved=1"]}}, "'mved=1'; did you mean 'moved'"),
        ({"episodes": 0}, "episodes must be at least 1"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        SeenSettings(**({"of": list(RUNS), "shown": SHOWN} | settings))


def test_a_run_that_sees_no_pictures_is_refused(monkeypatch):
    monkeypatch.setattr(seen, "load_run", lambda path: (RunConfig(EnvConfig("FetchPush-v4")), path.name, None))
    with pytest.raises(UserError, match="honest sees no pictures"):
        MEASUREMENTS["seen"].measure(SeenSettings(["push.honest"], SHOWN, EPISODES), Context(1, RUNS))


def test_actions_may_change_with_what_is_allowed_and_with_nothing_else():
    before = {"camera": np.zeros((2, 1)), "block": np.zeros((2, 1))}
    after = {"camera": np.ones((2, 1)), "block": np.array([[1.0], [0.0]])}
    assert not leaks(lambda obs: obs["camera"], before, after, ("camera",)).any()
    assert leaks(lambda obs: obs["camera"] + 1e-9 * obs["block"], before, after, ("camera",)).tolist() == [True, False]


def drawn() -> bool:
    with suppress(UserError):
        return bool(working_backend())
    return False


@pytest.mark.slow
@pytest.mark.skipif(not drawn(), reason="nothing that draws")
def test_a_network_that_reads_what_is_achieved_is_found(monkeypatch):
    settings: Any = {"hidden": (8,), "inputs": InputConfig(encoder="frames", memory=2)}
    for leak in (False, True):
        where = EnvConfig("FetchPush-v4", pixels=Pixels(16, leak=leak))
        with closing(make_env(where, 1, "evaluation")) as env:
            moment, spec = env.reset(seed=0), env.spec
        agent = make_agent("sac", ALGORITHMS["sac"].config(**settings), spec, 0)
        agent.observe(moment)
        loaded = RunConfig(where), agent, None
        monkeypatch.setattr(seen, "load_run", lambda _, loaded=loaded: loaded)
        assert seen._leaks_in(Path("one"), 0) is leak
