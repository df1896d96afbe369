"""The one door, its configuration, and the registry behind it."""

import importlib.metadata
import importlib.util
import warnings
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import tyro

from wellposed import envs
from wellposed.envs import registry
from wellposed.envs.make import EnvConfig, installed, make_env, wrappers
from wellposed.envs.wrappers.control import Control, ControlledVecEnv
from wellposed.envs.wrappers.curriculum import Curriculum, CurriculumVecEnv
from wellposed.envs.wrappers.dynamics import Dynamics, DynamicsVecEnv
from wellposed.envs.wrappers.sensors import SensedVecEnv, Sensors
from wellposed.errors import UserError


def test_a_configuration_can_be_compared_and_hashed_but_not_changed():
    one, same = (EnvConfig("FetchPush-v4", {"a": [1]}, control=Control(0.5)) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    for other in (replace(one, kwargs={}), replace(one, control=Control()), replace(one, max_episode_steps=3)):
        assert other != one
    with pytest.raises(FrozenInstanceError):
        one.id = "FetchReach-v4"  # type: ignore[misc]


def test_the_command_line_takes_every_setting():
    words = ["FetchPush-v4", "--kwargs", "a=[1, 2]", "b=red", "c=1e-3", 'd={"e": false}', "f=", "--control.delay", "2"]
    words += ["--sensors.noise", "0.01", "--sensors.each", "object.bias=0.5"]
    sensors = Sensors(0.01, each={"object.bias": 0.5})
    read = tyro.cli(EnvConfig, args=[*words, "--max-episode-steps", "30"])
    arguments = {"a": [1, 2], "b": "red", "c": 1e-3, "d": {"e": False}, "f": ""}
    assert read == EnvConfig("FetchPush-v4", arguments, 30, control=Control(delay=2), sensors=sensors)


def test_the_parts_of_a_goal_are_named_on_the_command_line(capsys):
    read = tyro.cli(EnvConfig, args=["FetchPush-v4", "--goal-parts", "[[0, 2], [1]]"])
    assert read == EnvConfig("FetchPush-v4", goal_parts=((0, 2), (1,)))
    assert tyro.cli(EnvConfig, args=["FetchPush-v4"]).goal_parts == ()
    with pytest.raises(SystemExit):
        tyro.cli(EnvConfig, args=["FetchPush-v4", "--goal-parts", "[0, 2]"])
    assert "is not a list of lists" in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize("word", ["a", "=1", '{"a": 1}'])
def test_an_argument_without_a_name_or_a_value_is_refused(word, capsys):
    with pytest.raises(SystemExit):
        tyro.cli(EnvConfig, args=["FetchPush-v4", "--kwargs", word])
    assert "is not KEY=VALUE" in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kwargs": [1]}, "--env.kwargs must be arguments by name"),
        ({"max_episode_steps": 0}, "--env.max-episode-steps must be 1 to 10,000,000"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(change, message):
    with pytest.raises(UserError, match=message):
        replace(EnvConfig("FetchPush-v4"), **change)


def test_arguments_that_an_environment_does_not_take_are_refused_by_name():
    with pytest.raises(UserError, match=r"--env.kwargs does not fit FetchPush-v4: .*'colour'"):
        make_env(EnvConfig("FetchPush-v4", {"colour": "red"}), 1, "training")


def test_wrappers_stand_in_the_order_of_the_fields_and_a_curriculum_only_in_training():
    config = EnvConfig(
        "FetchPush-v4", {}, 7, Dynamics("2"), Control(0.5), Sensors(0.01), curriculum=Curriculum("linear")
    )
    names = [field.name for field in fields(EnvConfig)]
    between = names[names.index("max_episode_steps") + 1 : names.index("geometry")]
    assert wrappers(config) == [getattr(config, name) for name in between]
    found = {}
    for role in ("training", "evaluation"):
        env, kinds = make_env(config, 2, role), []
        assert env.spec.max_episode_steps == 7
        while hasattr(type(env), "__getattr__"):
            kinds.append(type(env))
            env = env.env  # type: ignore[attr-defined]
        found[role] = kinds
    assert found == {
        "training": [CurriculumVecEnv, SensedVecEnv, ControlledVecEnv, DynamicsVecEnv],
        "evaluation": [SensedVecEnv, ControlledVecEnv, DynamicsVecEnv],
    }


def test_no_envs_or_no_threads_is_refused():
    for wrong in ({"num_envs": 0}, {"threads": 0}):
        with pytest.raises(UserError, match="at least 1"):
            envs.make_vec("FetchReach-v4", **wrong)


def test_an_environment_whose_package_is_missing_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"cube-single-v0 needs the extra ogbench: `make setup EXTRAS=dev,ogbench`"):
        envs.make_vec("cube-single-v0")
    assert installed(envs.find("FetchReach-v4"))


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        envs.register(envs.registered()[0])


def test_nobody_changes_an_entry_from_outside():
    for entry in (envs.find("FetchSlide-v4"), envs.registered()[4]):
        assert entry.id == "FetchSlide-v4"
        entry.settings["agent.hidden"].append(7)
        entry.settings.clear()
    assert envs.find("FetchSlide-v4").settings["agent.hidden"] == [128, 128, 128]


@pytest.mark.usefixtures("toy_suite")
def test_a_suite_of_another_package_is_found_by_its_entry_point():
    assert "ToyBeam-v0" in {entry.id for entry in envs.registered()}
    env = make_env(EnvConfig("ToyBeam-v0"), 2, "training")
    assert env.reset(seed=0).obs["camera"].dtype == np.uint8


@pytest.mark.usefixtures("toy_suite")
@pytest.mark.parametrize("value", ["no_such_module:register_all", "toy_suite:ToyBeam", "toy_suite:nothing"])
def test_a_broken_plug_in_is_a_warning_and_nothing_else(monkeypatch, value):
    points = [
        importlib.metadata.EntryPoint("broken", value, registry.GROUP),
        importlib.metadata.EntryPoint("toy", "toy_suite:register_all", registry.GROUP),
    ]
    if value.endswith("ToyBeam"):
        points.append(points[1])  # registers twice
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [p for p in points if p.group == group])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = {entry.id for entry in envs.registered()}
        envs.registered()
    told = [str(warning.message) for warning in caught if "could not be registered" in str(warning.message)]
    assert {"FetchReach-v4", "ToyBeam-v0"} <= found
    assert len(told) == 1
    assert value in told[0] or "registered already" in told[0]
