"""The report: complete, self-contained, and safe to open."""

import base64
import io
import re
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest

from wellposed.agents import SACConfig
from wellposed.analysis.curves import learning_curve
from wellposed.config import RunConfig
from wellposed.demo import demo_config
from wellposed.envs import EnvConfig, make_env, rendering
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError
from wellposed.report import figures, video
from wellposed.report.page import _measures, write_report
from wellposed.runs.files import write_json
from wellposed.runs.record import encode
from wellposed.runs.store import RunReader
from wellposed.stats import over_seeds
from wellposed.training import train
from wellposed.verdict import sentence, stored_verdict

pytestmark = pytest.mark.usefixtures("few_held_out")


def config(seed: int, total_steps: int = 400) -> RunConfig:
    return replace(demo_config(seed), total_steps=total_steps, eval_episodes=4, agent=SACConfig(hidden=(16,)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [train(config(seed), folder, quiet=True)[0] for seed in (0, 1)]


@pytest.mark.slow
def test_a_report_holds_verdict_curve_baselines_configuration_and_provenance(runs, tmp_path):
    page = write_report(runs[:1], tmp_path / "deep" / "report.html", video=False).read_text()
    assert "FetchReach-v4: " in page
    assert "95 % CI" in page
    for part in ("<svg", "seconds of training", "gradient updates", "already solved at reset", "random actions"):
        assert part in page, part
    for part in (
        "agent.gamma",
        "agent.inputs.clip",
        "replay.strategy",
        "gymnasium-robotics",
        "commit",
        "steps/s",
        "updates/s",
    ):
        assert part in page, part


def test_lengths_are_printed_in_the_unit_of_goals_and_as_plain_numbers_where_there_is_none(runs):
    verdict = stored_verdict(runs[0])
    numbers = lambda env: {row[0]: row[1] for row in _measures(env, verdict.trained)}  # noqa: E731
    fetch, other = numbers("FetchReach-v4"), numbers("HandReach-v3")
    names = "distance to the goal at the end", "path of the end effector"
    assert [re.findall(r"[a-z]+", fetch[name])[0] for name in names] == ["mm", "m"]
    assert [re.findall(r"[a-z]+", other[name])[0] for name in names] == ["to", "to"]
    noisy = replace(verdict, noise=0.03)
    assert ", positions off by 30 mm: " in sentence(noisy)
    assert ", positions off by 0.03: " in sentence(replace(noisy, env="HandReach-v3"))


@pytest.mark.slow
@pytest.mark.skipif(
    all(rendering.probe_backend(name) is not None for name in rendering.BACKENDS),
    reason="no OpenGL back-end works here",
)
def test_the_video_plays_twelve_arms_in_every_browser(runs, tmp_path):
    page = write_report(runs[:1], tmp_path / "report.html").read_text()
    (encoded,) = re.findall(r'src="data:video/mp4;base64,([^"]*)"', page)
    with av.open(io.BytesIO(base64.b64decode(encoded)), "r") as film:
        stream = film.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert stream.codec_context.name == "h264"
    assert frames[0].shape == (3 * 240 + 2 * 4, 4 * 240 + 3 * 4, 3)
    assert len(frames) == 2 * 4 * 14
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50, "nothing moved"


def test_a_new_goal_in_the_video_is_the_one_that_the_policy_is_shown():
    """Also where sensors stand between."""
    env = make_env(EnvConfig("FetchReach-v4", max_episode_steps=10**6, sensors=Sensors(0.01)), 2, "evaluation")
    policy = RandomPolicy(env.spec.action_dim, np.random.default_rng(0))
    moments = list(video._play(policy, env, [1, 2], whole=False))
    env.close()
    goals = np.array([now.truth["desired_goal"] for now in moments])
    assert np.array_equal(goals, [now.obs["desired_goal"] for now in moments])
    assert len(np.unique(goals, axis=0)) == len(moments) / video._STEPS_PER_GOAL
    hand = np.array([now.truth["achieved_goal"] for now in moments])
    assert np.linalg.norm(np.diff(hand, axis=0), axis=-1).max() < 0.1, "the arm goes on from where it stands"


@pytest.mark.slow
def test_nothing_in_it_is_fetched_or_run(runs, tmp_path):
    page = write_report(runs, tmp_path / "r.html", video=False).read_text()
    assert "<script" not in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(address.startswith(("data:", "#")) for address in addresses), addresses
    assert "No video: it was not asked for" in page
    assert "seed 0" in page
    assert "seed 1" in page


def test_without_opengl_the_report_says_why_there_is_no_video(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "probe_backend", lambda _: "not here")
    page = write_report(runs[:1], tmp_path / "r.html").read_text()
    assert "No video: No OpenGL back-end works here" in page
    assert "apt-get install" in page


def test_what_comes_from_outside_is_escaped(runs, tmp_path, monkeypatch):
    wicked = "<script>alert(1)</script>"
    real: Any = RunReader.provenance.fget
    monkeypatch.setattr(RunReader, "provenance", property(lambda self: replace(real(self), command=[wicked])))
    page = write_report(runs[:1], tmp_path / "r.html", video=False).read_text()
    assert wicked not in page
    assert "&lt;script&gt;" in page


@pytest.mark.slow
def test_runs_of_different_configurations_are_not_averaged(runs, tmp_path):
    other, _ = train(config(0, total_steps=200), tmp_path, quiet=True)
    page = write_report([*runs, other], tmp_path / "r.html", video=False).read_text()
    assert "2 seeds x " in page
    assert "one seed x " in page
    assert page.count("<code>total_steps</code>") == 2


def test_a_run_named_twice_does_not_count_twice(runs, tmp_path):
    with pytest.raises(UserError, match="named twice"):
        write_report([runs[0], runs[0]], tmp_path / "r.html", video=False)


def test_the_verdict_over_several_seeds_comes_first_with_an_interval_that_counts_them(runs, tmp_path, few_held_out):
    page = write_report(runs, tmp_path / "r.html", video=False).read_text()
    (sentence,) = re.findall(r'class="verdict[^>]*><strong>(.*?)</strong>', page)
    rates = [stored_verdict(path).trained.success_rate for path in runs]
    found = re.fullmatch(
        r"FetchReach-v4: ([\d.]+) % \(mean, 95 % CI ([\d.]+)-([\d.]+), 2 seeds x (\d+) episodes\)", sentence
    )
    assert found is not None
    *said, episodes = (float(number) for number in found.groups())
    due = over_seeds(np.array(rates), few_held_out)
    assert episodes == few_held_out
    assert said == pytest.approx([100 * number for number in due], abs=0.51), "two seeds need not carry tenths"


def test_a_curve_of_several_runs_is_taken_where_all_of_them_were_evaluated(runs):
    first, second = (RunReader(path).evaluations for path in runs)
    curve = learning_curve([first, second[:-1]])
    assert curve.step.tolist() == [row.step for row in second[:-1]]
    assert np.allclose(
        curve.success, [(a.success_rate + b.success_rate) / 2 for a, b in zip(first, second[:-1], strict=False)]
    )
    assert (curve.low <= curve.success).all()
    assert (curve.success <= curve.high).all()
    alone = learning_curve([first])
    assert tuple(alone.low) == tuple(row.success_ci95[0] for row in first)
    with pytest.raises(UserError, match="no learning curve"):
        learning_curve([first, []])


def test_the_same_curve_draws_the_same_figure(runs):
    curve = learning_curve([RunReader(runs[0]).evaluations])
    assert figures.learning_curve(curve, 0.0, 0.05) == figures.learning_curve(curve, 0.0, 0.05)


def test_a_stored_verdict_is_of_the_checkpoint_that_is_there(runs):
    """Another checkpoint, as after a run was taken up again, is judged anew."""
    kept = stored_verdict(runs[0])
    assert stored_verdict(runs[0]) == kept
    file = runs[0] / "verdict.json"
    write_json(file, encode(replace(kept, checkpoint="0" * 64, seed=kept.seed + 1)))
    assert stored_verdict(runs[0]) == kept
