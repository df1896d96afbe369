"""Proof of life: a training or a checkpoint that is not the same is found out, and so is a machine that is not fit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from course.measure import MEASUREMENTS, life
from course.measure.kinds import Context
from course.measure.life import ProofOfLife, ProofOfLifeSettings
from wellposed import doctor, serialise
from wellposed.agents import make_agent
from wellposed.agents.sac import SAC
from wellposed.envs.make import make_env
from wellposed.findings import Finding
from wellposed.types import Moment


def agent_of(seed: int) -> SAC:
    """An agent of the tiny training, untrained."""
    config = doctor.tiny_config()
    found = make_agent("sac", config.agent, make_env(config.env, 1, "training").spec, seed)
    assert isinstance(found, SAC)
    return found


OVER: Any = lambda items, _what: iter(items)  # noqa: E731


@pytest.fixture(scope="module")
def agents() -> list[SAC]:
    return [agent_of(0), agent_of(1)]


@pytest.fixture
def records(agents, monkeypatch) -> None:
    """Records by name, `"0"` and `"1"` of two seeds: what `life` reads of them, in place of trainings."""

    class Reader:
        def __init__(self, path):
            self.seed = int(Path(path).name[0])

        def load_checkpoint(self):
            return SimpleNamespace(step=400, updates=200), agents[self.seed].state()

    monkeypatch.setattr(life, "RunReader", Reader)
    monkeypatch.setattr(life, "differences", lambda one, other: ["weights"] * abs(one.seed - other.seed))
    monkeypatch.setattr(life, "load_run", lambda path: (doctor.tiny_config(), agents[int(path.name[0])], None))
    monkeypatch.setattr(life, "train", lambda settings, folder, **_: (Path(f"{settings.seed} {folder.name}"), None))


@pytest.mark.usefixtures("records")
def test_the_same_training_twice_is_equal_and_another_one_is_not():
    same = life._twice([Path("0"), Path("0"), Path("1")])
    assert same.differences == 0
    assert same.sha256 == same.sha256_again != same.sha256_other_seed
    assert life._twice_finding(same).ok
    other = life._twice([Path("0"), Path("1"), Path("0")])
    assert other.differences > 0
    assert not life._twice_finding(other).ok
    blind = life._twice([Path("0"), Path("0"), Path("0")])  # a seed that changes nothing governs nothing
    assert not life._twice_finding(blind).ok


@pytest.mark.usefixtures("records")
def test_a_checkpoint_is_read_by_another_agent_bit_for_bit(tmp_path):
    found = life._round_trip(Path("0"), tmp_path)
    assert (found.unequal, found.unequal_actions) == (0, 0)
    assert found.unequal_before > 0
    assert found.numbers > found.arrays > 50
    assert life._trip_finding(found).ok


@pytest.mark.usefixtures("records")
def test_a_checkpoint_that_leaves_something_out_is_found_out(tmp_path, monkeypatch, agents):
    """An agent that does not take over what it knows of its inputs acts otherwise, though every weight is right."""
    original = SAC.load_state
    goals = np.random.default_rng(0).normal(1, 0.1, (64, 3))
    obs = {"observation": np.ones((64, 10)), "achieved_goal": goals, "desired_goal": goals}
    agents[0].observe(Moment(obs, obs))

    def forgetful(self, state):
        scale = self.scaler.state()
        original(self, state)
        self.scaler.load_state(scale)

    monkeypatch.setattr(SAC, "load_state", forgetful)
    found = life._round_trip(Path("0"), tmp_path)
    assert found.unequal > 0
    assert found.unequal_actions > 0
    assert not life._trip_finding(found).ok


@pytest.mark.usefixtures("records")
def test_all_of_it_is_data_and_a_machine_that_is_not_fit_is_told(monkeypatch):
    findings = [
        Finding("devices", "fails", "no device"),
        Finding("OpenGL egl", "holds", "renders"),
        Finding("OpenGL osmesa", "warns", "not here"),
        Finding("OpenGL glfw", "warns", "no display"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: iter(findings))
    found = MEASUREMENTS["proof_of_life"].measure(ProofOfLifeSettings(), Context(1, {}, OVER))
    assert found.unfit == 1
    assert found.rendering == {"egl": "renders", "osmesa": "not here", "glfw": "no display"}
    ok = ["OpenGL egl", "the same training twice", "checkpoint round trip", "container"]
    assert [f.name for f in found.findings if f.ok] == ok
    assert serialise.from_dict(ProofOfLife, serialise.to_dict(found), "here") == found


def test_the_order_of_a_sum_matters_and_the_exact_sum_lies_among_them():
    found = life.sum_in_many_orders(0)
    assert found.sums > 10
    assert found.lowest < found.exact < found.highest
    assert 100 * found.spacing < found.span == found.highest - found.lowest
    whole = [float(np.cumsum(np.arange(k), dtype=np.float32)[-1]) for k in (3, 4)]  # small whole numbers never round
    assert whole == [3.0, 6.0]


def test_a_digest_tells_names_types_shapes_and_bits_apart():
    zero = np.zeros(4, np.float32)
    states = [{"a": zero}, {"b": zero}, {"a": -zero}, {"a": zero.reshape(2, 2)}, {"a": zero.view(np.int32)}]
    assert len({life.digest(state) for state in states}) == len(states)
    assert life.digest({"a": zero, "b": zero}) == life.digest({"b": zero.copy(), "a": zero.copy()})


def test_a_container_is_known_by_what_it_leaves_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(life, "MARKS", {str(tmp_path / "mark"): "Podman"})
    monkeypatch.setattr(life, "CGROUPS", ())
    assert life.find_container() == "none"
    (tmp_path / "mark").touch()
    assert life.find_container() == "Podman"
