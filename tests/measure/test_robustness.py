"""Robustness as a measurement: variants on the same episodes, as data that a chapter's text can point into."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from course.chapters.values import check_path, follow
from course.measure import MEASUREMENTS
from course.measure.kinds import Context
from course.measure.robustness import RobustnessSettings
from wellposed import robustness, serialise
from wellposed.config import RunConfig
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.fetch.oracle import ProportionalReach
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.errors import UserError

RUNS = {"reach.eager": [Path("eager")], "reach.patient": [Path("patient")]}
SETTINGS = RobustnessSettings(list(RUNS), ["sensor_delay"], episodes=10)


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """Controllers in the place of trained agents: an eager one, and a patient one that was trained with other gains."""

    def load(path: Path):
        agent = ProportionalReach(1.5 if path.name == "eager" else 0.4)
        agent.spec = SimpleNamespace(radius=0.05)  # type: ignore[attr-defined]
        trained = EnvConfig("FetchReach-v4", dynamics=Dynamics(gain="0.5" if path.name == "patient" else "1"))
        return RunConfig(trained), agent, SimpleNamespace(state=SimpleNamespace(sha256=""))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(robustness, "load_run", load)
        yield


def measured(settings: RobustnessSettings):
    return MEASUREMENTS["robustness"].measure(settings, Context(1, RUNS))


@pytest.mark.slow
def test_variants_are_compared_under_each_condition_on_the_same_episodes():
    found = measured(SETTINGS)
    assert (found.runs, found.episodes) == (dict.fromkeys(RUNS, 1), 10)
    levels = [f"sensor_delay {level}" for level in (1, 2, 3, 5)]
    assert list(found.success) == list(found.gained) == ["clean", *levels]
    late, gained = found.success["sensor_delay 5"], found.gained["sensor_delay 5"]
    assert late["reach.eager"].value < 0.5 < late["reach.patient"].value
    assert list(gained) == ["reach.patient"]
    assert gained["reach.patient"].value == pytest.approx(late["reach.patient"].value - late["reach.eager"].value)
    assert gained["reach.patient"].ci95[0] > 0
    curve = found.curves["sensor_delay"]["reach.eager"]
    assert [row.level for row in curve.levels] == [0, 1, 2, 3, 5]
    assert curve.levels[4].success == late["reach.eager"]

    kind, data = MEASUREMENTS["robustness"], serialise.to_dict(found)
    assert serialise.from_dict(kind.result, data, "here") == found
    path = 'gained."sensor_delay 5"."reach.patient".ci95.0'
    check_path(kind.result, path)
    assert follow(data, path) == gained["reach.patient"].ci95[0]
    check_path(kind.result, 'worst_cases.yours."reach.patient".found.gain')


def test_what_an_environment_cannot_vary_is_refused():
    with pytest.raises(UserError, match="less_mass: "):
        measured(RobustnessSettings(["reach.eager"], ["less_mass"], episodes=1))


def test_what_is_asked_for_must_exist():
    with pytest.raises(UserError, match="there is no 'delays'"):
        RobustnessSettings(["reach.eager"], ["delays"])
    with pytest.raises(UserError, match="of must name"):
        RobustnessSettings([], ["noise"])
    with pytest.raises(UserError, match="only must name"):
        RobustnessSettings(["reach.eager"], [], ["gain=0.5..1"])


@pytest.mark.slow
def test_a_difference_is_that_of_the_outcomes_that_were_played():
    one = measured(RobustnessSettings(["reach.patient", "reach.eager"], ["sensor_delay"], episodes=10))
    other = measured(SETTINGS)
    for condition, gained in other.gained.items():
        assert one.gained[condition]["reach.eager"].value == pytest.approx(-gained["reach.patient"].value)
