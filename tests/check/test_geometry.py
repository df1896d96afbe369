"""Found geometry: what is true of an environment with known symmetries is found however it is shown, and no more."""

from typing import Any

import numpy as np
import pytest

from tests.check import pushers
from tests.check.pushers import BROKEN, HIDDEN, SOUND, NoWay, Permuted, Pusher, Sealed, Turned
from wellposed.check import symmetry
from wellposed.check.declaration import declaration, describe
from wellposed.check.geometry import Seen, find_geometry, turn_of
from wellposed.check.mirrors import reflection, turned_pairs
from wellposed.cli import main
from wellposed.commands.runs import _with_found_geometry
from wellposed.envs import EnvConfig, make_env
from wellposed.envs.geometry import read
from wellposed.errors import UserError
from wellposed.recipes import default_config

FOUND: dict[type, Any] = {}


def found(kind) -> Any:
    """What is found of an environment of `pushers`, once in a process."""
    if kind not in FOUND:
        FOUND[kind] = find_geometry(f"tests.check.pushers:{kind.__name__}")
    return FOUND[kind]


def held(kind) -> set[str]:
    return {f"{one.symmetry.kind} {one.symmetry.axis}" for one in found(kind).tried if one.holds}


ALL = {"shift 0", "shift 1", "mirror 0", "mirror 1"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOUND)
def test_all_four_symmetries_are_found_however_they_are_shown(kind):
    assert held(kind) == ALL
    assert found(kind).geometry.shift_axes == (0, 1)
    assert found(kind).by_state == (kind is not Sealed)


@pytest.mark.parametrize(("kind", "true"), BROKEN.items())
def test_of_what_is_broken_is_found_what_holds_and_nothing_else(kind, true):
    assert held(kind) == set(true)
    if kind is pushers.Unlabelled:
        assert found(kind).geometry is None
        assert "the effector's position" in found(kind).why


@pytest.mark.slow
@pytest.mark.parametrize("kind", HIDDEN)
def test_of_what_is_broken_and_hides_its_state_nothing_is_found(kind):
    assert held(kind) == set()
    assert found(kind).geometry.points == ((0, 1), (2, 3))


@pytest.mark.slow
def test_where_states_can_be_written_twins_agree_to_the_last_digits_and_else_within_the_tolerance():
    exact, matched = ([one.error for one in found(kind).tried if one.holds] for kind in (Pusher, Sealed))
    assert max(exact) < 1e-9
    assert max(matched) > 1e-5
    assert all(one.needed < 0.9 < one.within for one in found(Sealed).tried)


def test_differences_are_derived_where_the_observation_lacks_them():
    assert found(Pusher).geometry.differences == ()
    assert found(NoWay).geometry.differences == ((0, 1),)


def test_the_mirror_turns_round_what_points_along_its_axis():
    """Hand, puck, velocity, way: x and y each."""
    mirror = found(Pusher).geometry.mirror
    assert mirror.observation_sign == (-1, 1) * 4
    assert mirror.observation_order == tuple(range(8))
    assert (mirror.goal_sign, mirror.action_sign) == ((-1, 1), (-1, 1))


@pytest.mark.slow
def test_a_goal_of_two_points_is_found_with_its_points_and_the_ways_to_both():
    """Eight numbers: hand, puck, velocity, second puck. Goals: the place of each puck."""
    two = found(pushers.Two)
    assert held(pushers.Two) == ALL
    assert two.geometry.goal_points == ((0, 1), (2, 3))
    assert two.geometry.effector == (0, 1)
    assert two.geometry.points == ((0, 1), (2, 3), (6, 7))
    assert two.geometry.differences == ((0, 1), (0, 2))
    assert two.geometry.mirror.goal_sign == (-1, 1, -1, 1)
    assert two.geometry.mirror.observation_sign == (-1, 1) * 4
    assert read({**two.geometry.__dict__}, "it") == two.geometry


@pytest.mark.slow
def test_what_is_let_fall_at_a_reset_comes_to_rest_first():
    assert found(pushers.Dropped).geometry.points == found(pushers.Two).geometry.points
    assert held(pushers.Dropped) == ALL


@pytest.mark.slow
def test_what_only_the_second_point_breaks_is_seen():
    assert held(pushers.SecondWalled) == {"shift 1", "mirror 1"}


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ((3, 4, 5, 9, 10, 11), [[0, 1, 2], [3, 4, 5]]),
        ((3, 4, 5, 6, 7, 8), [[0, 1, 2, 3, 4, 5]]),  # one run
        ((3, 4, 9, 10, 11, 12), [[0, 1, 2, 3, 4, 5]]),  # of two lengths
        ((9, 3), [[0, 1]]),  # few enough for one point
    ],
)
def test_points_of_a_goal_are_the_equal_runs_in_which_the_observation_holds_it(columns, parts):
    seen = np.random.default_rng(0).standard_normal((50, 14))
    achieved = seen[:, columns]
    assert Seen(seen, achieved, achieved, 50, 0.1).parts.tolist() == parts


def test_numbers_that_are_equal_by_chance_are_taken_for_the_neighbours_of_those_before():
    """Two blocks that are never lifted have one height."""
    seen = np.random.default_rng(0).standard_normal((50, 8))
    seen[:, 2] = seen[:, 7] = 0.02
    achieved = seen[:, [0, 1, 2, 5, 6, 7]]
    assert Seen(seen, achieved, achieved, 50, 0.1).held.tolist() == [0, 1, 2, 5, 6, 7]


def test_what_is_permuted_is_found_permuted():
    plain, other = found(Pusher).geometry, found(Permuted).geometry
    where = {old: new for new, old in enumerate(Permuted.order)}
    assert other.points == tuple(tuple(where[i] for i in point) for point in plain.points)
    assert other.mirror.observation_sign == tuple(plain.mirror.observation_sign[old] for old in Permuted.order)


@pytest.mark.slow
def test_a_frame_that_is_turned_by_30_degrees_is_found_turned_and_is_else_the_same():
    plain, other = found(Pusher).geometry, found(Turned).geometry
    assert other.turn.axes == (0, 1)
    assert other.turn.angle == pytest.approx(np.radians(30), abs=1e-4)
    assert other.turn.pairs == ((0, 1), (2, 3), (4, 5), (6, 7))
    assert (other.points, other.shift_axes, other.mirror) == (plain.points, plain.shift_axes, plain.mirror)


def test_a_declaration_is_python_and_says_what_was_found():
    for kind in (Pusher, NoWay, Turned):
        scope = {}
        exec(declaration(found(kind).geometry), scope)
        assert read(scope["geometry"], "it") == found(kind).geometry
        assert declaration(found(kind).geometry) in describe(found(kind))


def test_what_cannot_be_trained_on_is_refused():
    with pytest.raises(UserError, match="not a well-posed goal environment"):
        find_geometry("tests.check.broken:FallsOff")


def test_numbers_that_change_places_in_the_mirror_are_told_from_those_that_turn_round():
    rng = np.random.default_rng(0)
    here = rng.standard_normal((200, 5))
    order, sign, offset = np.array([0, 2, 1, 3, 4]), np.array([1, 1, 1, -1, -1]), np.array([0, 0, 0, 1.5, 0])
    there = offset + sign * here[:, order] + 0.01 * rng.standard_normal(here.shape)
    seen = reflection(here, there, np.array([0, 0, 0, 1.5, 0]))
    np.testing.assert_array_equal(seen.order, order)
    np.testing.assert_array_equal(seen.sign, sign)
    np.testing.assert_array_equal(seen.offset, offset)
    assert seen.error.max() < 0.05


def test_vectors_in_a_turned_plane_are_found_in_their_order():
    rng, angle = np.random.default_rng(0), 0.4
    here = rng.standard_normal((200, 5))
    normal = np.array([np.cos(angle), np.sin(angle)])
    there = here.copy()
    there[:, [3, 1]] -= 2 * np.outer(here[:, [3, 1]] @ normal, normal)
    assert turned_pairs(here, there, [0, 1, 2, 3, 4], angle, first=True) == [(3, 1)]
    assert turned_pairs(here, there, [0, 1, 2, 3, 4], angle, first=False) == []


@pytest.mark.parametrize("degrees", [-40, 0, 3, 30])
def test_the_turn_is_read_off_the_directions_of_actions(degrees):
    angle = np.radians(degrees)
    effect = 0.05 * np.array(
        [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1], [0, 0, 0]]
    )
    if abs(degrees) < 5:
        assert turn_of(effect) is None
    else:
        assert turn_of(effect) == ((0, 1), pytest.approx(angle))
    skew = effect.copy()
    skew[1] = effect[0] + 0.5 * effect[1]
    assert turn_of(skew) is None


@pytest.mark.slow
def test_of_fetch_is_found_what_it_declares(monkeypatch):
    """With fewer pairs than the command plays; `benchmarks.geometry` has all four tasks."""
    monkeypatch.setattr(symmetry, "PAIRS", 10)
    seen: Any = find_geometry("FetchReach-v4").geometry
    declared: Any = make_env(EnvConfig("FetchReach-v4"), 1, "training").spec.geometry
    assert (seen.points, seen.shift_axes) == (declared.points, declared.shift_axes)
    assert seen.mirror.observation_sign == declared.mirror.observation_sign
    assert seen.mirror.goal_offset == pytest.approx(declared.mirror.goal_offset, abs=1e-5)


@pytest.mark.slow
def test_training_takes_over_what_is_found_and_says_so_where_there_is_nothing(capsys):
    config = _with_found_geometry(default_config("tests.check.pushers:Pusher"))
    assert config.env.geometry == found(Pusher).geometry
    assert "symmetries shift 0, mirror 0, shift 1, mirror 1" in capsys.readouterr().err
    with pytest.raises(UserError, match="Train without --geometry found"):
        _with_found_geometry(default_config("tests.check.pushers:Unlabelled"))


@pytest.mark.slow
def test_check_prints_the_evidence_and_the_declaration(capsys):
    assert main(["check", "tests.check.pushers:Walled", "--find-geometry"]) == 0
    told = capsys.readouterr().out
    assert "holds shift along axis 1" in told
    assert "no    shift along axis 0" in told
    assert '"points": [[0, 1], [2, 3]],' in told
    assert main(["check", "tests.check.pushers:Unlabelled", "--find-geometry"]) == 1
    assert "No geometry was found" in capsys.readouterr().out
