"""What chance comes to, and that who lifts is seen to lift."""

import pytest

from course.measure import MEASUREMENTS, lift
from course.measure.kinds import Context
from course.measure.lift import LiftSettings
from wellposed.envs.suites.fetch.oracle import ScriptedPickAndPlace
from wellposed.errors import UserError

CONTEXT = Context(2, {})


def shares(monkeypatch, policy) -> list[float]:
    """Moved, between the fingers, held, lifted by 2 cm and by 5 cm."""
    monkeypatch.setattr(lift, "RandomPolicy", lambda *_: policy)
    found = MEASUREMENTS["lift"].measure(LiftSettings("FetchPickAndPlace-v4", episodes=7), CONTEXT)
    assert found.episodes == 7
    assert [event.event for event in found.events][-1] == "it was lifted by more than 5 cm"
    return [event.share.value for event in found.events]


def test_who_rests_does_nothing_and_who_lifts_is_seen_to(monkeypatch):
    script = ScriptedPickAndPlace()

    class Rests(ScriptedPickAndPlace):
        def act(self, obs, carry=(), rng=None):
            return 0 * script.act(obs)[0], ()

    class Lifts(ScriptedPickAndPlace):
        def act(self, obs, carry=(), rng=None):
            return script.act(obs | {"desired_goal": obs["desired_goal"] * [1, 1, 0] + [0, 0, 0.6]})

    assert shares(monkeypatch, Rests()) == [0.0] * 5
    assert shares(monkeypatch, Lifts()) == [1.0] * 5


@pytest.mark.parametrize("env", ["FetchReach-v4", "PointMaze_UMaze-v3"])
def test_a_task_without_an_object_is_refused(env):
    with pytest.raises(UserError, match="has no object to lift"):
        MEASUREMENTS["lift"].measure(LiftSettings(env, episodes=1), CONTEXT)


@pytest.mark.parametrize("change", [{"episodes": 0}, {"seed": -1}, {"heights": []}, {"heights": [0.0]}])
def test_senseless_settings_are_refused(change):
    with pytest.raises(UserError, match="heights above 0"):
        LiftSettings("FetchPickAndPlace-v4", **change)
