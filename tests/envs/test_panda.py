"""What panda-gym's package can make, and what it cannot."""

from pathlib import Path

import pytest

from wellposed import plugin
from wellposed.envs.gym import make_one
from wellposed.errors import UserError

assets = pytest.importorskip("panda_gym.assets", reason="needs the extra panda")


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setattr(plugin, "ALLOWED", ["panda_gym:PandaStack-v3", "panda_gym:PandaFlip-v3"])


def test_two_blocks_can_be_stacked():
    """Its goal is two places, and success one distance over both."""
    env = make_one("panda_gym:PandaStack-v3")
    obs, _ = env.reset(seed=0)
    assert obs["achieved_goal"].shape == (6,)
    goal = obs["desired_goal"]
    assert env.get_wrapper_attr("compute_reward")(goal, goal, {}) == 0
    env.close()


def test_flip_cannot_be_made_for_a_picture_is_missing():
    """panda-gym issue 71."""
    assert not (Path(assets.get_data_path()) / "colored_cube.png").exists()
    with pytest.raises(UserError, match=r"PandaFlip-v3 could not be made: .*texture"):
        make_one("panda_gym:PandaFlip-v3")
