"""JSON of frozen dataclasses: strict to read, nothing lost, and a hash that any change changes."""

from dataclasses import dataclass, replace

import pytest

from wellposed import serialise
from wellposed.agents import SACConfig
from wellposed.config import RunConfig
from wellposed.envs.make import EnvConfig
from wellposed.nn.inputs import InputConfig

DEFAULT = RunConfig(EnvConfig("FetchReach-v4"))


def test_a_configuration_survives_json():
    changed = replace(DEFAULT, seed=3, until_success=0.98, agent=SACConfig(hidden=(7, 8), gamma=0.9))
    assert serialise.from_dict(RunConfig[SACConfig], serialise.to_dict(changed), "here") == changed


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.pop("num_envs"), "missing key num_envs"),
        (lambda d: d["agent"].pop("gamma"), "agent: missing key gamma"),
        (lambda d: d.update(extra=1), "unknown key extra"),
        (lambda d: d.update(seed="0"), "Expected `int`"),
        (lambda d: d["agent"].update(critic_sees="all"), "Invalid enum value"),
    ],
)
def test_what_is_missing_unknown_or_of_another_type_is_an_error(edit, message):
    data = serialise.to_dict(DEFAULT)
    edit(data)
    with pytest.raises(ValueError, match=message):
        serialise.from_dict(RunConfig[SACConfig], data, "config.json")


def test_a_later_field_is_left_out_while_it_has_its_default_at_any_depth():
    """A new setting, however deep, orphans no stored run and renames none."""
    data = serialise.to_dict(DEFAULT)
    assert data["env"] == {"id": "FetchReach-v4"}
    assert "memory" not in data["agent"]["inputs"]
    assert serialise.from_dict(RunConfig[SACConfig], serialise.whole(DEFAULT), "here") == DEFAULT
    changed = replace(DEFAULT, agent=SACConfig(inputs=InputConfig(width=3)))
    data = serialise.to_dict(changed)
    assert data["agent"]["inputs"]["width"] == 3
    assert serialise.from_dict(RunConfig[SACConfig], data, "here") == changed
    data["agent"]["inputs"]["forgetting"] = 3
    with pytest.raises(ValueError, match="here: agent: inputs: unknown key forgetting"):
        serialise.from_dict(RunConfig[SACConfig], data, "here")


def test_data_are_overridden_by_dotted_name_in_a_copy():
    data = serialise.to_dict(DEFAULT)
    changed = serialise.override(data, {"agent.inputs.relative": False, "num_envs": 3})
    assert data == serialise.to_dict(DEFAULT)
    assert (changed["num_envs"], changed["agent"]["inputs"]["relative"]) == (3, False)
    for name in ("agent.inputs.x", "agent.gamma.x", "x"):
        with pytest.raises(ValueError, match=f"no setting '{name}'"):
            serialise.override(data, {name: 1})


def test_every_field_changes_the_hash():
    data = serialise.to_dict(DEFAULT)
    hashes = {serialise.content_hash(data)}
    flat = [(data, key) for key in data if key not in ("agent", "replay", "env")]
    flat += [(data[part], key) for part in ("agent", "replay", "env") for key in data[part]]
    for holder, key in flat:
        kept = holder[key]
        holder[key] = f"not {kept}"
        hashes.add(serialise.content_hash(data))
        holder[key] = kept
    assert len(hashes) == len(flat) + 1
    assert serialise.content_hash(data) in hashes


def test_a_nan_is_refused():
    @dataclass
    class Anything:
        number: float

    with pytest.raises(ValueError, match="Out of range"):
        serialise.to_dict(Anything(float("nan")))
