"""What a policy sees in a picture: the parts of the task and nothing else, and no number of the block."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from contextlib import closing
from typing import Any

import mujoco
import numpy as np
import pytest

from wellposed.envs import EnvConfig, make_env
from wellposed.envs.rendering import working_backend
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.pixels import CAMERA, OWN, Eye, Pixels, hidden_parts, seen_otherwise
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError

try:
    working_backend()
except UserError as error:
    pytest.skip(str(error), allow_module_level=True)

VARIED = Pixels(16, moved=0.02, turned=2.0, light=0.2, colour=0.1)


def made(num_envs: int = 3, env_id: str = "FetchPush-v4", pixels: Pixels = Pixels(16), **settings: Any) -> Any:  # noqa: B008
    return make_env(EnvConfig(env_id, pixels=pixels, **settings), num_envs, "training", seed=1)


def push(env: Any, block: np.ndarray) -> None:
    """Put the block of env 0 elsewhere, at x and y [2] in metres."""
    state = env.get_state()
    data, scene = env.physics.data[0], env.task.scene
    data.qpos[scene.object_qpos][:2] = block
    mujoco.mj_forward(env.physics.models[0], data)
    env.simulations[0].read()
    env.set_state(state | {"physics": env.physics.get_state(), "readings": env.readings.copy()})


def test_a_policy_sees_a_frame_its_own_hand_and_the_goal():
    with closing(made(3)) as env:
        seen, true = env.reset(seed=0)
        assert {name: (array.shape, array.dtype) for name, array in seen.items()} == {
            CAMERA: ((3, 16, 16, 3), np.uint8), OWN: ((3, 10), np.float64), "desired_goal": ((3, 3), np.float64),
        }  # fmt: skip
        assert [one.name for one in env.spec.obs] == [CAMERA, OWN, "desired_goal"]
        assert [one.name for one in env.spec.truth] == ["observation", "achieved_goal", "desired_goal"]
        assert np.array_equal(seen[OWN][:, :3], true["observation"][:, :3])
        assert np.ptp(seen[CAMERA]) > 50
    with closing(made(1, pixels=Pixels(16, own=False))) as env:
        assert set(env.reset(seed=0).obs) == {CAMERA, "desired_goal"}
    with closing(made(1, pixels=Pixels(16, leak=True))) as env:
        seen, true = env.reset(seed=0)
        assert [one.name for one in env.spec.obs] == [*seen] == [CAMERA, OWN, "achieved_goal", "desired_goal"]
        assert np.array_equal(seen["achieved_goal"], true["achieved_goal"])


def test_the_block_is_seen_in_the_frame_and_in_no_number():
    with closing(made(1)) as env:
        env.reset(seed=0)
        before, here = env.now.obs, env.now.truth["achieved_goal"][0]
        push(env, here[:2] + np.array([0.1, 0.0]))
        after = env.now.obs
        assert np.allclose(env.now.truth["achieved_goal"][0] - here, [0.1, 0, 0], atol=1e-3)
        assert all(np.array_equal(before[name], after[name]) for name in (OWN, "desired_goal"))
        assert np.abs(after[CAMERA].astype(int) - before[CAMERA]).max() > 50


def test_neither_the_goal_nor_its_marker_is_in_the_frame():
    with closing(made(1)) as env:
        env.reset(seed=0)
        before, state = env.now.obs[CAMERA], env.get_state()
        env.set_state(state | {"desired_goal": state["desired_goal"] + 0.05})
        assert np.array_equal(env.now.obs[CAMERA], before)


def test_what_is_hidden_is_the_arm_and_what_is_shown_are_hand_block_and_table():
    with closing(made(1)) as env:
        model, view = env.task.model, env.task.view
        hidden = {
            mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_BODY, model.geom_bodyid[i]) for i in hidden_parts(model, view)
        }
        assert "robot0:shoulder_pan_link" in hidden
        assert not [name for name in hidden if any(part in name for part in ("gripper_link", "object", "table"))]
        assert (model.geom_group != 5).all()  # the physics' own model stays what it is


def test_the_last_frame_of_an_episode_is_of_its_end_and_the_next_one_of_a_beginning():
    with closing(made(2, max_episode_steps=3)) as env, closing(made(2, max_episode_steps=9)) as longer:
        env.reset(seed=0)
        longer.reset(seed=0)
        action = np.full((2, 4), 0.7, np.float32)
        for _ in range(3):
            short, long = env.step(action), longer.step(action)
        assert short.truncated.all()
        assert np.array_equal(short.next_obs[CAMERA], long.next_obs[CAMERA])
        assert not np.array_equal(env.now.obs[CAMERA], short.next_obs[CAMERA])
        following = env.step(action)
        assert np.array_equal(following.obs[CAMERA], env.now.obs[CAMERA]) is False
        eye = env._thread.submit(Eye, env.task.model, env.task.view, 16).result()
        frame = env._thread.submit(eye.look, env.physics.data[1].qpos).result()
        assert np.array_equal(frame, env.now.obs[CAMERA][1])
        env._thread.submit(eye.close).result()


def test_frames_that_were_handed_out_stay_as_they_are():
    with closing(made(2)) as env:
        first = env.reset(seed=0).obs[CAMERA]
        kept = first.copy()
        step = env.step(np.ones((2, 4), np.float32))
        assert step.obs[CAMERA] is first
        assert np.array_equal(first, kept)


@pytest.mark.parametrize("pixels", [Pixels(16), VARIED])
def test_it_goes_on_from_a_state_bit_for_bit(pixels):
    action = np.full((3, 4), 0.5, np.float32)
    with (
        closing(made(3, pixels=pixels, max_episode_steps=4)) as env,
        closing(made(3, pixels=pixels, max_episode_steps=4)) as fresh,
    ):
        env.reset(seed=0)
        env.step(action)
        state = {key: value.copy() for key, value in env.get_state().items()}
        expected = [env.step(action).next_obs[CAMERA] for _ in range(7)]
        fresh.reset(seed=9)
        fresh.set_state(state)
        assert np.array_equal(expected, [fresh.step(action).next_obs[CAMERA] for _ in range(7)])


def test_how_an_episode_looks_depends_on_its_seed_and_not_on_the_number_of_envs():
    with closing(made(1, pixels=VARIED)) as one, closing(made(3, pixels=VARIED)) as three, closing(made(1)) as plain:
        alone, beside, own = (env.reset(seed=0).obs[CAMERA] for env in (one, three, plain))
        assert np.array_equal(alone[0], beside[0])
        assert not np.array_equal(beside[0], beside[1])
        assert not np.array_equal(alone, own)
        env_again = one.reset(seed=0).obs[CAMERA]
        assert np.array_equal(env_again, alone)


def test_noise_and_drawn_dynamics_reach_the_robots_own_numbers():
    with closing(made(200, pixels=Pixels(8), sensors=Sensors(0.01))) as env:
        seen, true = env.reset(seed=0)
        assert abs((seen[OWN][:, :3] - true["observation"][:, :3]).std() / 0.01 - 1) < 0.15
    with closing(made(2, dynamics=Dynamics("0.5..1.5"))) as env:
        env.reset(seed=0)
        assert env.step(np.ones((2, 4), np.float32)).next_obs[CAMERA].shape == (2, 16, 16, 3)


def test_black_frames_and_those_of_others_are_shown_on_request():
    with closing(made(3)) as env, closing(made(3, pixels=Pixels(16, shown="blank"))) as blank:
        frames = env.reset(seed=0).obs[CAMERA]
        seen = blank.reset(seed=0).obs
        assert not seen[CAMERA].any()
        assert np.array_equal(seen[OWN], env.now.obs[OWN])
    with closing(made(3, pixels=Pixels(16, shown="others"))) as others:
        assert np.array_equal(others.reset(seed=0).obs[CAMERA], frames[[2, 0, 1]])


def test_words_of_a_command_line_change_what_they_name():
    own = Pixels(48, light=0.1)
    assert seen_otherwise(own, ["moved=0.02", "shown=blank"]) == Pixels(48, moved=0.02, light=0.1, shown="blank")
    assert seen_otherwise(own, []) is not None
    for words, told in (
        (["size=84"], "NAME=VALUE"),
        (["moved=far"], "takes a number"),
        (["shown=all"], "frames, blank"),
    ):
        with pytest.raises(UserError, match=told):
            seen_otherwise(own, words)
    with pytest.raises(UserError, match="whose policy sees pictures"):
        seen_otherwise(Pixels(), ["moved=0.02"])


def test_what_cannot_be_drawn_and_senseless_sizes_are_refused():
    with pytest.raises(UserError, match=r"--env.pixels.size needs an environment that says how it is seen"):
        made(1, "PointMaze_UMaze-v3")
    with pytest.raises(UserError, match=r"--env.pixels.size must be 0, or 8 to 512 pixels"):
        Pixels(4)
    with pytest.raises(UserError, match=r"--env.pixels.moved must be 0 or more"):
        Pixels(16, moved=-1.0)
    with pytest.raises(UserError, match=r"--env.pixels.leak needs pictures"):
        Pixels(leak=True)
