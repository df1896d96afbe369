"""The geometry that an environment declares: read wherever it is said, refused where wrong, shown in its frame."""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from tests.check.pushers import NoWay, Pusher, Turned
from wellposed import cli, serialise
from wellposed.check.declaration import with_ways
from wellposed.config import stored_config
from wellposed.envs.geometry import declared, geometry_of, relative, require_fitting
from wellposed.envs.gym import GymGoalVecEnv
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.rules import fields_of
from wellposed.errors import UserError
from wellposed.recipes import default_config
from wellposed.training import train
from wellposed.types import Geometry, Mirror, Turn

POINTS = {"effector": [0, 1], "points": [[0, 1], [2, 3]]}
PLAIN = Geometry((0, 1), ((0, 1), (2, 3)), (0, 1))
MIRROR = Mirror((0, 1, 2, 3, 4, 5), (-1, 1) * 3, (0.0,) * 6, (-1, 1), (0.0, 0.0), (-1, 1))


class Says(NoWay):
    geometry = {**POINTS, "shift_axes": (0, np.int64(1))}  # noqa: RUF012


class SaysByMethod(NoWay):
    def geometry(self):
        return PLAIN


class SaysElse(NoWay):
    def geometry(self, of: str):
        return f"the {of} of something else"


class Wrong(NoWay):
    geometry = {"effector": [0, 1], "point": [[0, 1]]}  # noqa: RUF012


class Beyond(NoWay):
    geometry = {"effector": [0, 6], "points": [[0, 6]]}  # noqa: RUF012


@pytest.mark.parametrize("kind", [Says, SaysByMethod])
def test_an_attribute_or_a_method_declares_it(kind):
    assert declared(kind()) == PLAIN


def test_what_is_only_called_so_is_none():
    assert declared(SaysElse()) is None
    assert declared(NoWay()) is None


def test_training_sees_it_with_the_differences_that_the_observation_lacks():
    env = GymGoalVecEnv("tests.envs.test_declared_geometry:Says")
    assert env.spec.geometry == replace(PLAIN, differences=((0, 1),))
    env.close()


def test_differences_that_the_observation_holds_are_not_derived():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((50, 4))
    seen = np.hstack([points, points[:, 2:] - points[:, :2]])
    nearly = np.hstack([points, points[:, 2:] - 0.99 * points[:, :2]])
    held, derived = (geometry_of(Says(), fields_of(Says()), rows) for rows in (seen, nearly))
    assert held is not None
    assert held.differences == ()
    assert derived is not None
    assert derived.differences == ((0, 1),)


@pytest.mark.slow
def test_a_configured_geometry_is_completed_on_the_command_line_and_refused_in_python(tmp_path):
    """Without the way to it, networks that ignore where hand and block are do not see the block at all."""
    env = EnvConfig("tests.check.pushers:NoWay", geometry=PLAIN)
    assert with_ways(env) == replace(env, geometry=replace(PLAIN, differences=((0, 1),)))
    assert with_ways(with_ways(env)) == with_ways(env)
    held = EnvConfig("FetchPush-v4", geometry=default_geometry("FetchPush-v4"))
    assert with_ways(held) == held  # Fetch's observation has it
    with pytest.raises(UserError, match=r"Add differences=\(\(0, 1\),\)"):
        train(replace(default_config(env.id), env=env), tmp_path, quiet=True)
    assert list(tmp_path.iterdir()) == []
    text = json.dumps(POINTS | {"shift_axes": [0, 1]})
    settings = [
        "--total-steps",
        "32",
        "--random-steps",
        "16",
        "--num-envs",
        "16",
        "--quiet",
        "--runs-dir",
        str(tmp_path),
    ]
    assert cli.main(["train", env.id, "--env.geometry", text, *settings]) == 0
    [path] = tmp_path.iterdir()
    assert stored_config(path).env == with_ways(env)


def default_geometry(name: str) -> Geometry | None:
    with closing(make_env(EnvConfig(name), 1, "training")) as env:
        return env.spec.geometry


@pytest.mark.parametrize(("kind", "said"), [(Wrong, "missing.*points"), (Beyond, r"\[0, 6\] should be 2 places")])
def test_a_wrong_declaration_is_refused_with_the_reason(kind, said):
    with pytest.raises(UserError, match=said):
        geometry_of(kind(), fields_of(kind()), np.zeros((3, 6)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"effector": (4, 5)}, "not among the points"),
        ({"shift_axes": (2,)}, "shift axes"),
        ({"differences": ((0, 2),)}, "differences"),
        ({"mirror": replace(MIRROR, goal_sign=(-1,))}, "numbers, not"),
        ({"mirror": replace(MIRROR, observation_order=(1, 2, 0, 3, 4, 5))}, "mirrored twice"),
        ({"mirror": replace(MIRROR, goal_offset=(0.0, 1.0))}, "mirrored twice"),
        ({"mirror": replace(MIRROR, action_sign=(2, 1))}, "1 or -1"),
        ({"turn": Turn((0, 1), 0.5, ((0, 7),))}, "turn"),
        ({"effector": (0, 1, 2), "points": ((0, 1, 2),)}, "2 places.*goal_points"),
        ({"goal_points": ((0,), (1,))}, "should be 1 places"),
        ({"goal_points": ((0, 1), (1, 2))}, "goal_points"),
        ({"goal_points": ((0, 1), (2,))}, "goal_points"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(change, said):
    require_fitting(replace(PLAIN, mirror=MIRROR), 6, 2, 2)
    with pytest.raises(UserError, match=said):
        require_fitting(replace(PLAIN, **change), 6, 2, 2)


def test_the_points_of_a_goal_are_its_parts_and_other_numbers_of_it_stand_alone():
    geometry = Geometry((0, 1), ((0, 1), (2, 3), (6, 7)), goal_points=((2, 3),))
    two = "tests.check.pushers:Two"
    with closing(make_env(EnvConfig(two, geometry=geometry), 1, "training")) as env:
        assert env.spec.goal_parts == ((2, 3), (0,), (1,))
    with closing(make_env(EnvConfig(two, geometry=geometry, goal_parts=((0, 1, 2, 3),)), 1, "training")) as env:
        assert env.spec.goal_parts == ((0, 1, 2, 3),)


def test_each_point_of_a_goal_is_turned():
    turn = Turn((0, 1), 0.4, ((0, 1),))
    geometry = Geometry((0, 1), ((0, 1),), turn=turn, goal_points=((0, 1), (2, 3)))
    two = "tests.check.pushers:Two"
    with (
        closing(make_env(EnvConfig(two), 1, "training")) as plain,
        closing(make_env(EnvConfig(two, geometry=geometry), 1, "training")) as shown,
    ):
        own, seen = plain.reset(3).obs["desired_goal"], shown.reset(3).obs["desired_goal"]
        inverse = np.exp(-0.4j)
        np.testing.assert_allclose(seen[:, ::2] + 1j * seen[:, 1::2], inverse * (own[:, ::2] + 1j * own[:, 1::2]))
        assert shown.is_success(seen, seen).all()
        assert shown.is_success(seen + 0.04, seen).tolist() == plain.is_success(own + 0.04, own).tolist()


def test_a_configuration_keeps_it_and_is_what_it_was_without():
    plain = EnvConfig("Pusher-v0")
    assert "geometry" not in serialise.to_dict(plain)
    config = EnvConfig("Pusher-v0", geometry=replace(PLAIN, mirror=MIRROR, turn=Turn((0, 1), 0.5, ())))
    data = serialise.to_dict(config)
    assert "goal_points" not in data["geometry"]  # so the names of runs with a geometry stay what they are
    assert serialise.from_dict(EnvConfig, data, "it") == config
    assert serialise.content_hash(data) != serialise.content_hash(serialise.to_dict(plain))


def test_a_turned_environment_is_the_other_one_in_its_frame():
    """Seen in the turned frame, the environment that shows all turned is the one that does not."""
    turn = Turn((0, 1), Turned.angle, ((0, 1), (2, 3), (4, 5), (6, 7)))
    name = "tests.check.pushers:{}".format
    plain = make_env(EnvConfig(name("Pusher")), 2, "training")
    shown = make_env(EnvConfig(name("Turned"), geometry=Geometry((0, 1), ((0, 1),), turn=turn)), 2, "training")
    one, other = plain.reset(3), shown.reset(3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        for key, value in one.obs.items():
            np.testing.assert_allclose(other.obs[key], value, atol=1e-12)
        action = rng.uniform(-1, 1, (2, 2)).astype(np.float32)
        step, turned = plain.step(action), shown.step(action)
        np.testing.assert_array_equal(turned.reward, step.reward)
        one, other = step.after, turned.after
    near = one.truth["desired_goal"] + np.array([0.049, 0.0])
    np.testing.assert_array_equal(shown.compute_reward(near, one.truth["desired_goal"]), [0, 0])
    assert not shown.is_success(near + np.array([0.01, 0.0]), one.truth["desired_goal"]).any()
    state = shown.get_state()
    np.testing.assert_allclose(shown.set_state(state).obs["observation"], shown.now.obs["observation"])
    plain.close()
    shown.close()


def test_the_mirror_of_what_is_shown_relative_to_an_origin_is_the_mirror_relative_to_it():
    rng = np.random.default_rng(0)
    mirror = replace(MIRROR, observation_order=(0, 3, 2, 1, 4, 5), observation_offset=(2.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    origin, seen = 1e6 * rng.standard_normal(6), rng.standard_normal((5, 6))
    image = lambda m, x: np.array(m.observation_offset) + np.array(m.observation_sign) * x[:, m.observation_order]  # noqa: E731
    shown = relative(mirror, origin, np.array([3.0, 4.0]))
    np.testing.assert_allclose(image(shown, seen) + origin, image(mirror, seen + origin), atol=1e-8)
    assert shown.goal_offset == (-6.0, 0.0)


def test_pushers_know_no_geometry_of_their_own():
    assert declared(Pusher()) is None
