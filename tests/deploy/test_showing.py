"""Films of any environment that draws itself; a window where there is a screen, and a sentence where there is none."""

import io
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pytest

from wellposed import showing
from wellposed.cli import main
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.policies import RandomPolicy
from wellposed.errors import UserError
from wellposed.report import video
from wellposed.report.video import encode_mp4
from wellposed.showing import drawn, film, film_chance, watch
from wellposed.types import Field, Moment


class Drawn(gym.Env):
    """A point on a line that draws how often it was stepped."""

    metadata = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 10,
    }

    def __init__(self, render_mode=None, frame=(5, 7, 3)):
        self.render_mode, self.frame = render_mode, frame
        box = lambda n: gym.spaces.Box(-2, 2, (n,), np.float64)  # noqa: E731
        names = "observation", "achieved_goal", "desired_goal"
        self.observation_space = gym.spaces.Dict({name: box(1) for name in names})
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def _obs(self):
        return {"observation": self.at.copy(), "achieved_goal": self.at.copy(), "desired_goal": self.goal.copy()}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.goal = self.np_random.uniform(-1, 1, (2, 1))
        self.steps = 0
        return self._obs(), {}

    def step(self, action):
        self.at = np.clip(self.at + 0.1 * action, -1.5, 1.5)
        self.steps += 1
        reward = float(self.compute_reward(self.at, self.goal, {}))
        return self._obs(), reward, False, False, {"is_success": reward == 0}

    def compute_reward(self, achieved, desired, info):
        return -(np.linalg.norm(achieved - desired, axis=-1) > 0.1).astype(np.float64)

    def render(self):
        return np.full(self.frame, self.steps, np.uint8)


gym.register("Drawn-v0", f"{__name__}:Drawn", max_episode_steps=4)
POLICY = RandomPolicy(1, np.random.default_rng(0))


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    """What draws by itself needs no OpenGL."""
    monkeypatch.setattr(showing, "working_backend", lambda: "egl")


def test_an_environment_that_draws_itself_is_filmed_step_by_step():
    frames, rate = drawn(POLICY, EnvConfig("Drawn-v0"), [3, 4])
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 1, 2, 3] * 2
    assert rate == 10
    with av.open(io.BytesIO(encode_mp4(frames, rate)), "r") as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (6, 4, 20)
        assert sum(1 for _ in container.decode(stream)) == 2 * len(frames)


@pytest.mark.parametrize(
    ("frame", "said"),
    [((5, 7), r"must give a uint8 array \[height, width, 3\]"), ("wide", r"render\(\) raised \w+Error")],
)
def test_what_draws_no_picture_is_refused(frame, said):
    with pytest.raises(UserError, match=said):
        drawn(POLICY, EnvConfig("Drawn-v0", {"frame": frame}), [3])


def test_a_film_of_a_run_is_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr(showing, "grid_video", lambda *given: given[1].id.encode())
    assert film(run, tmp_path / "film.mp4").read_bytes() == b"FetchReach-v4"


def test_a_film_of_uniform_actions_is_written(tmp_path, monkeypatch):
    seen = {"observation": np.zeros((3, 10))}
    monkeypatch.setattr(showing, "grid_video", lambda *given: given[0].act(seen)[0].tobytes())
    film_chance("FetchReach-v4", tmp_path / "film.mp4")
    actions = np.frombuffer((tmp_path / "film.mp4").read_bytes(), np.float32)
    assert actions.shape == (3 * 4,)
    assert -1 <= actions.min() < -0.5 < 0.5 < actions.max() <= 1


def test_without_a_screen_a_sentence_says_what_to_do(run, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["watch", str(run)]) == 1
    assert "There is no screen here" in capsys.readouterr().err


def test_the_viewer_shows_every_step_and_closing_it_ends(run, monkeypatch):
    import mujoco.viewer

    scene: Any = mujoco.MjvScene  # type: ignore[attr-defined]
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(showing.time, "sleep", lambda _: None)
    shown: list[float] = []

    class Viewer(nullcontext):
        def __init__(self, model, data, **_):
            super().__init__()
            self.data, self.user_scn = data, scene(model, 10)

        def is_running(self):
            return len(shown) < 5

        def sync(self):
            shown.append(self.data.time)
            assert self.user_scn.ngeom == 1

    monkeypatch.setattr(mujoco.viewer, "launch_passive", Viewer)
    watch(run, episodes=1)
    assert len(shown) == 5
    assert shown == sorted(set(shown))


def test_a_viewer_that_does_not_open_is_a_sentence(run, monkeypatch):
    import mujoco.viewer

    def launch(*_, **__):
        raise RuntimeError("`launch_passive` requires mjpython")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(mujoco.viewer, "launch_passive", launch)
    with pytest.raises(UserError, match="requires mjpython"):
        watch(run)


def test_what_a_policy_sees_stands_in_the_corner_of_its_tile():
    red, field = np.array([255, 0, 0], np.uint8), Field("camera", (8, 8, 3), "image", "uint8")
    env: Any = SimpleNamespace(
        spec=SimpleNamespace(obs=(field,)),
        physics=SimpleNamespace(data=[SimpleNamespace(qpos=None)] * 2),
        is_success=lambda *_: np.zeros(2, bool),
    )
    goals = {name: np.zeros((2, 3)) for name in ("achieved_goal", "desired_goal")}
    renderer: Any = SimpleNamespace(frame=lambda *_: np.zeros((video.TILE, video.TILE, 3), np.uint8))
    picture = video._mosaic(renderer, env, Moment({"camera": np.tile(red, (2, 8, 8, 1))}, goals))
    second, size = video.TILE + video.GAP, 8 * (video.TILE // 3 // 8)
    assert (picture[:size, second : second + size] == red).all()
    assert not picture[: video.TILE, second + size : second + video.TILE].any()
    assert not picture[size : video.TILE, second : second + video.TILE].any()


@pytest.mark.parametrize(("env", "steps"), [("FetchPush-v4", 50), ("PegInsert-v0", 100)])
def test_a_whole_episode_is_filmed_whatever_its_length(env, steps):
    one = make_env(EnvConfig(env), 1, "evaluation")
    policy = RandomPolicy(one.spec.action_dim, np.random.default_rng(0))
    assert len(list(video._play(policy, one, [1], whole=True))) == steps
    one.close()
