"""Every way from pixels: what the actor does depends on the picture, the robot's own numbers and the goal alone."""

from contextlib import closing
from typing import Any

import numpy as np
import pytest

from tests.envs.test_pixels import made, push
from wellposed.agents import ALGORITHMS, make_agent
from wellposed.envs.wrappers.pixels import CAMERA, Pixels
from wellposed.nn.inputs import InputConfig
from wellposed.types import Moment, Obs, Spec

FRAMES: Any = {"inputs": InputConfig(encoder="frames", memory=2)}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "estimate": ("estimate", {}),
    "distil": ("distil", {}),
    "critics on the truth": ("sac", FRAMES | {"critic_sees": "truth"}),
    "critics on pixels": ("sac", FRAMES),
    "one encoder, trained by the critics": ("sac", FRAMES | {"shared_encoder": True, "shift": 1}),
}


def moments(**pixels: Any) -> tuple[Spec, Moment, Moment]:
    """An environment's spec, a moment in it, and the same one with the block elsewhere."""
    with closing(made(1, pixels=Pixels(16, **pixels))) as env:
        before = env.reset(seed=0)
        push(env, before.truth["achieved_goal"][0, :2] + np.array([0.1, 0.0]))
        return env.spec, before, env.now


@pytest.fixture(scope="module")
def moved() -> tuple[Spec, Moment, Moment]:
    """As `moments`, of pictures alone."""
    return moments()


def agent_of(way: str, spec: Spec, before: Moment) -> Any:
    """A small fresh agent that has seen a moment."""
    algo, settings = WAYS[way]
    agent = make_agent(algo, ALGORITHMS[algo].config(hidden=(8,), **settings), spec, 0)
    agent.observe(before)
    return agent


def actions(agent: Any, obs: Obs) -> np.ndarray:
    """What an agent does at the start of an episode, greedily and exploring, [2, n, action_dim]."""
    carry = agent.initial_carry(1)
    return np.stack([agent.act(obs, carry, rng)[0] for rng in (None, np.random.default_rng(0))])


def leaks(agent: Any, before: Obs, after: Obs) -> bool:
    """Whether moving the block changes what the agent does although the picture stays."""
    return not np.array_equal(actions(agent, before), actions(agent, after | {CAMERA: before[CAMERA]}))


@pytest.mark.parametrize("way", WAYS)
def test_moving_the_block_while_the_picture_stays_changes_nothing_that_the_actor_does(moved, way):
    spec, before, after = moved
    agent = agent_of(way, spec, before)
    assert not leaks(agent, before.obs, after.obs)
    assert not np.array_equal(actions(agent, before.obs), actions(agent, after.obs)), "it does not see the picture"
    for axis in np.eye(3):  # also where the geometry says that only ways matter, of which a picture has none
        elsewhere = before.obs | {"desired_goal": before.obs["desired_goal"] + 0.1 * axis}
        assert not np.array_equal(actions(agent, before.obs), actions(agent, elsewhere)), "it does not see the goal"
    told = [
        moment.obs | {name: moment.truth[name] for name in ("observation", "achieved_goal")} for moment in moved[1:]
    ]
    assert not leaks(agent, *told)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shown", ["frames", "blank"])
def test_an_actor_that_is_shown_what_is_achieved_has_a_leak(way, shown):
    spec, before, after = moments(shown=shown, leak=True)
    assert leaks(agent_of(way, spec, before), before.obs, after.obs)
