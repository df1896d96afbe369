"""SAC against Stable-Baselines3: stored answers here, live ones in tests/peers."""

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.agents import sb3_case
from wellposed.agents.sac import SACConfig

REFERENCE = Path(__file__).parent.parent / "reference"
TOLERANCE = 1e-5  # relative


@pytest.mark.parametrize("temperature", ["fixed", "learnt"])
def test_losses_and_weights_after_one_update_are_those_of_stable_baselines3(temperature):
    case = load_file(REFERENCE / f"sb3_sac_{temperature}_temperature.safetensors")
    errors = sb3_case.compare(case)
    # Two or three losses; five networks of three layers; the temperature where it is learnt.
    assert len(errors) == 5 * 3 * 2 + (4 if temperature == "learnt" else 2)
    assert max(errors.values()) < TOLERANCE, errors


@pytest.mark.parametrize(
    ("changed", "quantity"),
    [
        ({"gamma": 0.96}, "critic loss"),
        ({"tau": 0.06}, "target0/weight0"),
        ({"learning_rate": 1.1e-3}, "actor/weight0"),
        ({"bound_targets": True, "gamma": 0.5}, "critic loss"),
    ],
)
def test_the_comparison_notices_another_algorithm(changed, quantity):
    case = load_file(REFERENCE / "sb3_sac_fixed_temperature.safetensors")
    settings = {"gamma": 0.95, "tau": 0.05, "learning_rate": 1e-3, "temperature": 0.05, "bound_targets": False}
    errors = sb3_case.compare(case, SACConfig(**(settings | changed)))
    assert errors[quantity] > TOLERANCE
