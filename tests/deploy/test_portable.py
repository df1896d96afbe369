"""An exported policy acts as the agent does, in every format, and a file that was tampered with is refused."""

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from jax import export as jax_export

from tests.agents.data import SPEC, seen
from wellposed.agents import ALGORITHMS, make_agent
from wellposed.agents.bc import imitate
from wellposed.arrays import turned
from wellposed.deploy import load_policy
from wellposed.errors import UserError
from wellposed.export import content, portable_of, why_not
from wellposed.nn.inputs import InputConfig
from wellposed.portable import HEADER, PortablePolicy, loaded
from wellposed.recipes import default_config
from wellposed.types import Geometry, Moment, Spec, Turn

# A hand and a block in the plane; where on the x axis they are does not matter.
PLANE = SPEC._replace(
    obs=(SPEC.obs[0]._replace(shape=(5,)), *SPEC.obs[1:]),
    geometry=Geometry(effector=(0, 1), points=((0, 1), (2, 3)), shift_axes=(0,), mirror=None),
)
BOUNDED = SPEC._replace(action_bounds=((-2.0, 0.0), (2.0, 0.5)))
INPUTS = {
    "all": InputConfig(),
    "plain": InputConfig(relative=False, distances=False, normalise=False),
    "tight": InputConfig(clip=0.5),
}
TOLERANCE: Any = {"atol": 1e-5, "rtol": 0}


def trained(algo: str, spec: Spec, inputs: InputConfig = INPUTS["all"]) -> Any:
    """An agent whose input statistics are not those of a fresh one."""
    config: Any = ALGORITHMS[algo].config
    agent = make_agent(algo, config(hidden=(16, 16), batch_size=16, inputs=inputs), spec, 0)
    rng = np.random.default_rng(1)
    met = {name: 3 + 2 * array.astype(np.float64) for name, array in seen(rng, (64,), spec).items()}
    agent.observe(Moment(met, met))
    return agent


def observed(spec: Spec, n: int = 40) -> dict[str, np.ndarray]:
    return {name: 3 + 4 * array for name, array in seen(np.random.default_rng(2), (n,), spec).items()}


def through_onnx(policy: PortablePolicy, obs: dict[str, Any]) -> Any:
    """Actions by onnxruntime."""
    return onnxruntime.InferenceSession(content(policy, "onnx")).run(["action"], obs)[0]


def portable(algo: str, agent: Any) -> PortablePolicy:
    card = {"algorithm": algo, "environment": {"id": "Toy-v0"}, "run": "toy"}
    return portable_of(algo, agent.config, agent.spec, agent.state(), card)


@pytest.fixture(scope="module", params=["sac", "td3", "ppo"])
def pair(request) -> tuple[Any, PortablePolicy]:
    """An agent with a geometry, and its portable policy."""
    agent = trained(request.param, PLANE)
    return agent, portable(request.param, agent)


def test_numpy_acts_as_the_agent(pair):
    agent, policy = pair
    obs = observed(PLANE)
    np.testing.assert_allclose(policy.act(obs)[0], agent.act(obs)[0], **TOLERANCE)


def test_onnx_acts_as_the_agent_on_batches_of_any_size(pair):
    agent, policy = pair
    for n in (1, 7):
        obs = {name: array.astype(np.float32) for name, array in observed(PLANE, n).items()}
        np.testing.assert_allclose(through_onnx(policy, obs), agent.act(obs)[0], **TOLERANCE)
    model = onnxruntime.InferenceSession(content(policy, "onnx")).get_modelmeta()
    assert json.loads(model.custom_metadata_map["wellposed"]) == policy.header.card


def test_stablehlo_acts_as_the_agent(pair):
    agent, policy = pair
    obs = {name: array.astype(np.float32) for name, array in observed(PLANE, 7).items()}
    found = jax_export.deserialize(bytearray(content(policy, "stablehlo"))).call(obs)
    np.testing.assert_allclose(found, agent.act(obs)[0], **TOLERANCE)


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_a_file_holds_the_same_policy(pair, form, tmp_path):
    _, policy = pair
    file = tmp_path / f"policy.{form}"
    file.write_bytes(content(policy, form))
    found = load_policy(file)
    assert found.card == policy.header.card
    np.testing.assert_array_equal(found(observed(PLANE)), policy.act(observed(PLANE))[0])


@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("spec", [SPEC, PLANE], ids=["no geometry", "geometry"])
def test_every_way_of_showing_an_observation_is_exported(inputs, spec):
    agent = trained("sac", spec, inputs)
    policy = portable("sac", agent)
    obs = observed(spec)
    np.testing.assert_allclose(policy.act(obs)[0], agent.act(obs)[0], **TOLERANCE)
    np.testing.assert_allclose(through_onnx(policy, obs), agent.act(obs)[0], **TOLERANCE)


@pytest.mark.parametrize("name", ["mean", "std", "plus", "minus", "groups", "weights.1", "biases.2"])
def test_another_array_is_another_policy(name):
    agent = trained("sac", PLANE)
    policy = portable("sac", agent)
    array = policy.arrays[name]
    changed = np.roll(array, 1, axis=0) if array.dtype.kind == "i" else array + np.float32(0.5)
    other = replace(policy, arrays=policy.arrays | {name: changed})
    assert np.abs(other.act(observed(PLANE))[0] - agent.act(observed(PLANE))[0]).max() > 1e-3


def test_a_cloned_policy_is_exported():
    agent = trained("td3", SPEC)
    obs = observed(SPEC)
    before = portable("td3", agent).act(obs)[0]
    imitate(agent, obs, np.tanh(obs["desired_goal"] - obs["achieved_goal"]), 3, np.random.default_rng(0))
    after = portable("td3", agent).act(obs)[0]
    np.testing.assert_allclose(after, agent.act(obs)[0], **TOLERANCE)
    assert np.abs(after - before).max() > 1e-3


def test_actions_are_in_the_units_of_the_environment():
    agent = trained("ppo", BOUNDED)
    policy, obs = portable("ppo", agent), {name: a.astype(np.float32) for name, a in observed(BOUNDED).items()}
    expected = np.array([-2.0, 0.0]) + (agent.act(obs)[0] + 1) / 2 * np.array([4.0, 0.5])
    np.testing.assert_allclose(loaded(policy)(obs), expected, **TOLERANCE)
    np.testing.assert_allclose(through_onnx(policy, obs), expected, **TOLERANCE)
    hlo = jax_export.deserialize(bytearray(content(policy, "stablehlo"))).call(obs)
    np.testing.assert_allclose(hlo, expected, **TOLERANCE)


def test_numbers_far_from_zero_are_read_in_double_precision():
    far = 4e6
    goals = [one._replace(origin=(far, -far)) if one.kind == "goal" else one for one in SPEC.obs]
    agent = trained("sac", SPEC._replace(obs=tuple(goals)))
    policy, near = portable("sac", agent), observed(SPEC)
    shown: dict[str, Any] = {name: array.astype(np.float64) for name, array in near.items()}
    for name in ("achieved_goal", "desired_goal"):
        shown[name] += np.array([far, -far])
    expected = agent.act(near)[0]
    np.testing.assert_allclose(loaded(policy)(shown), expected, atol=1e-5)
    shown["observation"] = shown["observation"].astype(np.float32)
    np.testing.assert_allclose(through_onnx(policy, shown), expected, atol=1e-5)
    with pytest.raises(UserError, match="take --format npz or onnx"):
        content(policy, "stablehlo")


def test_ways_between_points_are_shown_and_a_turned_frame_is_turned(tmp_path):
    turn = Turn(axes=(0, 1), angle=0.4, pairs=((0, 1), (2, 3)))
    geometry = Geometry((0, 1), ((0, 1), (2, 3)), (0,), differences=((0, 1),), turn=turn)
    agent = trained("sac", PLANE._replace(geometry=geometry))
    policy, obs = portable("sac", agent), observed(PLANE)
    shown = {name: turned(array, ((0, 1),), 0.4) for name, array in obs.items()}
    shown["observation"] = turned(obs["observation"], turn.pairs, 0.4)
    expected = agent.act(shown)[0]
    np.testing.assert_allclose(policy.act(shown)[0], expected, **TOLERANCE)
    (tmp_path / "policy.npz").write_bytes(content(policy, "npz"))
    np.testing.assert_allclose(load_policy(tmp_path / "policy.npz")(obs), expected, **TOLERANCE)
    np.testing.assert_allclose(through_onnx(policy, obs), expected, **TOLERANCE)
    hlo = jax_export.deserialize(bytearray(content(policy, "stablehlo"))).call(obs)
    np.testing.assert_allclose(hlo, expected, **TOLERANCE)
    assert np.abs(policy.act(obs)[0] - expected).max() > 1e-3


def test_goals_of_several_points_are_exported():
    fields = SPEC.obs[0]._replace(shape=(7,)), *(one._replace(shape=(4,)) for one in SPEC.obs[1:])
    points = (0, 1), (2, 3), (4, 5)
    geometry = Geometry((0, 1), points, (0,), None, ((0, 1), (0, 2)), goal_points=((0, 1), (2, 3)))
    agent = trained("sac", SPEC._replace(obs=fields, geometry=geometry))
    obs = observed(agent.spec)
    np.testing.assert_allclose(portable("sac", agent).act(obs)[0], agent.act(obs)[0], **TOLERANCE)


def test_what_cannot_be_exported_is_refused_by_a_sentence():
    config = default_config("FetchReach-v4")
    assert why_not(config) is None
    remembers = replace(config, agent=replace(config.agent, inputs=InputConfig(encoder="gru", memory=2)))
    assert "remembers" in str(why_not(remembers))


@pytest.fixture(scope="module")
def file(tmp_path_factory, pair) -> Any:
    path = tmp_path_factory.mktemp("policy") / "policy.npz"
    path.write_bytes(content(pair[1], "npz"))
    return path


def test_a_file_opens_without_jax_and_without_an_environment(file):
    program = (
        "import sys\n"
        "for name in ('jax', 'mujoco', 'gymnasium'): sys.modules[name] = None\n"
        "import numpy as np, wellposed as wp\n"
        f"policy = wp.load_policy({str(file)!r})\n"
        "print(policy({'observation': np.zeros(5), 'achieved_goal': np.zeros(2), 'desired_goal': np.ones(2)}).shape)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "(2,)\n"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("plus", np.array([99]), "points beyond"),
        ("mean", np.array([np.nan]), "not finite"),
        ("std", np.array([0.0]), "not above 0"),
        ("weights.0", np.zeros((1, 2)), "is not a policy"),
        ("weights.0", np.array([{}], object), "is not a policy"),
    ],
)
def test_a_file_that_does_not_fit_together_is_refused(file, tmp_path, name, value, why):
    with np.load(file) as arrays:
        changed = dict(arrays) | {name: np.broadcast_to(value, arrays[name].shape) if value.ndim == 1 else value}
    other = tmp_path / "other.npz"
    np.savez(other, **changed)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=why):
        load_policy(other)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"shape": [2**31]}, "2,147,483,6.. numbers, and its arrays hold only"),  # 8 GB, had it been tried
        ({"shape": [2**16, 2**16]}, "arrays hold only"),
        ({"shape": [-1, -5]}, "negative length"),
        ({"origin": [1.0, 2.0]}, "is not a policy"),
        ({"origin": [[1.0] * 5] * 3}, "is not a policy"),
        ({"pairs": [[0, 99]], "angle": 1.0}, "is not a policy"),
    ],
)
def test_what_the_header_states_of_an_observation_must_fit_and_costs_no_memory(file, tmp_path, change, why):
    with np.load(file) as arrays:
        changed = dict(arrays)
    header = json.loads(str(changed[HEADER]))
    header["fields"][0] |= change
    other = tmp_path / "other.npz"
    np.savez(other, **changed | {HEADER: np.array(json.dumps(header))})  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=why):
            load_policy(other)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_file_of_something_else_is_refused(tmp_path):
    for content_ in (b"", b"PK nothing", b"12345678{", b"\x80\x04pickle"):
        (tmp_path / "x.npz").write_bytes(content_)
        with pytest.raises(UserError, match="is not a policy"):
            load_policy(tmp_path / "x.npz")
    with pytest.raises(UserError, match="neither a run nor a policy"):
        load_policy(tmp_path / "nothing")
