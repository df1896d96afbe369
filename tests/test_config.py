from dataclasses import dataclass, replace

import pytest

from wellposed import config
from wellposed.agents.sac import SACConfig
from wellposed.recipe import RunConfig

DEFAULT = RunConfig("FetchReach-v4")


def test_a_configuration_survives_json():
    changed = replace(DEFAULT, seed=3, until_success=0.98, agent=SACConfig(hidden=(7, 8), gamma=0.9))
    assert config.from_dict(RunConfig, config.to_dict(changed), "here") == changed


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.pop("num_envs"), "missing key num_envs"),
        (lambda d: d["agent"].pop("gamma"), "agent: missing key gamma"),
        (lambda d: d.update(extra=1), "unknown key extra"),
        (lambda d: d.update(seed="0"), "Expected `int`"),
        (lambda d: d["replay"].update(strategy="past"), "Invalid enum value"),
    ],
)
def test_what_is_missing_unknown_or_of_another_type_is_an_error(edit, message):
    data = config.to_dict(DEFAULT)
    edit(data)
    with pytest.raises(ValueError, match=message):
        config.from_dict(RunConfig, data, "config.json")


def test_every_field_changes_the_hash():
    data = config.to_dict(DEFAULT)
    hashes = {config.content_hash(data)}
    flat = [(data, key) for key in data if key not in ("agent", "replay")]
    flat += [(data[part], key) for part in ("agent", "replay") for key in data[part]]
    for holder, key in flat:
        kept = holder[key]
        holder[key] = f"not {kept}"
        hashes.add(config.content_hash(data))
        holder[key] = kept
    assert len(hashes) == len(flat) + 1
    assert config.content_hash(data) in hashes


def test_a_nan_is_refused():
    @dataclass
    class Anything:
        number: float

    with pytest.raises(ValueError, match="Out of range"):
        config.to_dict(Anything(float("nan")))
