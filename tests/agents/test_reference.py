"""Our algorithms against Stable-Baselines3: stored answers here, live ones in tests/peers."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.agents.sb3_case import Case, compare_ppo, compare_sac, compare_td3, gae_error

REFERENCE = Path(__file__).parent.parent / "reference"
TOLERANCE = 1e-5  # relative


def case_of(name: str) -> Case:
    return load_file(REFERENCE / f"sb3_{name}.safetensors")


@pytest.mark.parametrize("temperature", ["fixed", "learnt"])
def test_losses_and_weights_after_one_update_of_sac_are_those_of_stable_baselines3(temperature):
    errors = compare_sac(case_of(f"sac_{temperature}_temperature"))
    # Two or three losses; five networks of three layers; the temperature where it is learnt.
    assert len(errors) == 5 * 3 * 2 + (4 if temperature == "learnt" else 2)
    assert max(errors.values()) < TOLERANCE, errors


@pytest.mark.parametrize("updates", [1, 2])
def test_losses_and_weights_after_updates_of_td3_are_those_of_stable_baselines3(updates):
    case = case_of(f"td3_{updates}_updates")
    errors = compare_td3(case)
    # The critics' loss, and the actor's at its turn; six networks of three layers.
    assert len(errors) == 6 * 3 * 2 + updates
    assert max(errors.values()) < TOLERANCE, errors
    for name in ("actor", "target_actor", "target0", "target1"):
        kept = np.array_equal(case[f"before/{name}/weight0"], case[f"after/{name}/weight0"])
        assert kept == (updates == 1), f"the reference must have moved {name} at the second update only"


@pytest.mark.parametrize(
    ("changed", "quantity"),
    [
        ({"gamma": 0.96}, "critic loss"),
        ({"tau": 0.06}, "target0/weight0"),
        ({"learning_rate": 1.1e-3}, "actor/weight0"),
        ({"bound_targets": True, "gamma": 0.5}, "critic loss"),
    ],
)
@pytest.mark.parametrize(("compare", "name"), [(compare_sac, "sac_fixed_temperature"), (compare_td3, "td3_2_updates")])
def test_the_comparison_notices_other_settings(compare, name, changed, quantity):
    assert compare(case_of(name), **changed)[quantity] > TOLERANCE


@pytest.mark.parametrize(
    ("changed", "quantity"),
    [
        ({"target_noise": 0.21}, "critic loss"),
        ({"target_noise_clip": 0.6}, "critic loss"),
        ({"policy_delay": 1}, "target_actor/weight0"),
        ({"policy_delay": 3}, "actor/weight0"),
    ],
)
def test_the_comparison_notices_other_settings_of_td3(changed, quantity):
    assert compare_td3(case_of("td3_2_updates"), **changed)[quantity] > TOLERANCE


def test_losses_and_weights_after_updates_of_ppo_are_those_of_stable_baselines3():
    case = case_of("ppo_3_updates")
    errors = compare_ppo(case, updates=3)
    # Four losses; two networks of three layers; the spread.
    assert len(errors) == 4 + 2 * 3 * 2 + 1
    assert max(errors.values()) < TOLERANCE, errors
    assert 0.2 < case["loss/clip_fraction"] < 0.8, "the reference must have ratios on both sides of the clipping"


@pytest.mark.parametrize(
    ("changed", "quantity"),
    [
        ({"clip": 0.21}, "policy loss"),
        ({"normalise_advantages": False}, "policy loss"),
        ({"entropy_weight": 0.011}, "log_std"),
        ({"learning_rate": 1.1e-3}, "critic/weight0"),
    ],
)
def test_the_comparison_notices_other_settings_of_ppo(changed, quantity):
    assert compare_ppo(case_of("ppo_3_updates"), updates=3, **changed)[quantity] > TOLERANCE


def test_advantages_are_those_of_stable_baselines3_and_wrong_ones_would_be_noticed():
    case = case_of("gae")
    assert gae_error(case) < TOLERANCE
    truncated_is_terminated = gae_error(case, terminated=case["ended"])
    episodes_run_together = gae_error(case, ended=np.zeros_like(case["ended"]))
    assert min(truncated_is_terminated, episodes_run_together, gae_error(case, lam=0.81)) > 1e-3
