"""What a run begins with beside its seed: the networks of another run, demonstrations, a file of settings."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wellposed as wp
from tests.chapters.tiny import as_seed
from tests.records import unequal
from tests.study.made_up import tiny
from wellposed.cli import main
from wellposed.config import config_in, override
from wellposed.data.episodes import ReplayBuffer
from wellposed.envs.make import make_env
from wellposed.errors import UserError
from wellposed.runs.checkpoint import load, manifests
from wellposed.runs.files import read_json
from wellposed.runs.store import RunReader, run_name
from wellposed.serialise import to_dict
from wellposed.start import (
    Demonstrations,
    fill,
    given,
    oracle_demonstrations,
    read_demonstrations,
    source_of,
    write_demonstrations,
)

TINY = replace(tiny(), until_success=None)


@pytest.fixture(scope="module")
def shown() -> Demonstrations:
    return oracle_demonstrations(TINY, 6)


@pytest.fixture(scope="module")
def env():
    env = make_env(TINY.env, TINY.num_envs, "training")
    yield env
    env.close()


def first_checkpoint(path: Path):
    """The manifest and arrays of a run's first checkpoint."""
    return RunReader(path).load_state(manifests(path)[-1])


def test_new_settings_leave_the_names_of_runs_as_they_were():
    assert {"init_from", "demonstrations", "clone_updates"}.isdisjoint(to_dict(TINY))
    begun = replace(TINY, demonstrations="oracle:2")
    assert run_name(to_dict(begun)) != run_name(to_dict(TINY))


def test_the_oracle_shows_whole_episodes_that_end_at_their_goals(shown):
    assert shown.length.tolist() == [50] * 6
    assert len(shown.action) == len(shown.obs["observation"]) == 6 * 51
    assert shown.before_action.sum() == 300
    assert np.abs(shown.action).max() <= 1
    last = ~shown.before_action
    away = np.linalg.norm(shown.obs["achieved_goal"][last] - shown.obs["desired_goal"][last], axis=1)
    assert (away < 0.05).all()


def test_demonstrations_are_the_first_episodes_of_the_replay(shown, env):
    replay = ReplayBuffer(TINY.replay, env.spec, TINY.num_envs, env.compute_reward, env.compute_terminated)
    fill(replay, shown, env)
    assert (replay.transitions, replay.end) == (300, 306)
    _, rows = replay.part(0)
    np.testing.assert_array_equal(rows["obs/observation"], shown.obs["observation"].astype(np.float32))
    here = shown.before_action
    reached = np.linalg.norm(shown.obs["achieved_goal"][1:] - shown.obs["desired_goal"][:-1], axis=1) < 0.05
    np.testing.assert_array_equal(rows["reward"][:-1][here[:-1]], np.where(reached, 0, -1)[here[:-1]])
    batch = replay.sample(1, 64, np.random.default_rng(0))
    assert set(np.unique(batch.reward)) <= {-1.0, 0.0}


def test_a_file_gives_back_what_was_written(shown, env, tmp_path):
    write_demonstrations(shown, tmp_path / "shown.npz")
    found = read_demonstrations(tmp_path / "shown.npz", env.spec)
    for name, array in shown.obs.items():
        np.testing.assert_array_equal(found.obs[name], array)
    np.testing.assert_array_equal(found.action, shown.action)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"length": np.array([50])}, r"observation must be \[51, 10\]"),
        ({"length": np.array([305])}, "50 are allowed"),
        ({"length": np.array([0.5])}, "whole numbers"),
        ({"action": np.full((306, 4), 1.5)}, r"lie in \[-1, 1\]"),
        ({"observation": np.full((306, 10), np.nan)}, "observation holds a NaN"),
        ({"achieved_goal": None}, "lacks achieved_goal"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(shown, env, tmp_path, change, why):
    arrays = shown.obs | {"action": shown.action, "length": shown.length} | change
    np.savez(tmp_path / "shown.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(UserError, match=why):
        read_demonstrations(tmp_path / "shown.npz", env.spec)


def test_a_run_begins_with_the_networks_and_statistics_of_another(run, tmp_path):
    path, _ = wp.train(replace(TINY, seed=1, init_from=str(run), total_steps=160), tmp_path, quiet=True)
    trained, begun = RunReader(run).load_checkpoint(), first_checkpoint(path)
    name = "learner.nets.actor.head.weights[0]"
    np.testing.assert_array_equal(begun[1][f"agent/{name}"], trained[1][name])
    assert begun[0].step == begun[0].updates == 0
    assert RunReader(path).provenance.given == {"init_from": trained[0].state.sha256}
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(begun[1]["agent/learner.key"], trained[1]["learner.key"])


def test_the_name_of_a_recipe_means_its_run_of_the_same_seed_beside_this_one(run):
    copy, folder = as_seed(run, 3), run.parent
    config = replace(TINY, seed=3, init_from=run.name.rpartition("_s")[0])
    assert source_of(config, folder) == copy
    assert source_of(replace(config, init_from=str(run)), folder) == run
    assert given(config, folder) == given(replace(config, init_from=str(copy)), folder)
    with pytest.raises(UserError, match=str(config.init_from)):
        given(replace(config, seed=4), folder)


def test_networks_of_another_shape_are_refused_before_anything_is_written(run, tmp_path):
    wider = override(TINY, {"agent.hidden": [8, 8]})
    with pytest.raises(UserError, match="does not fit this configuration"):
        wp.train(replace(wider, init_from=str(run)), tmp_path, quiet=True)
    assert not any(path.is_dir() for path in tmp_path.iterdir()) or not list(tmp_path.rglob("config.json"))


@pytest.mark.slow
def test_a_run_begins_with_demonstrations_and_is_taken_up_without_them(shown, tmp_path):
    file = tmp_path / "shown.npz"
    write_demonstrations(shown, file)
    config = replace(TINY, demonstrations=str(file), clone_updates=3)
    path, _ = wp.train(config, tmp_path / "whole", quiet=True)
    manifest, state = first_checkpoint(path)
    assert manifest.replay[0].end == 306
    assert float(state["agent/inputs.obs.observation.count"]) == 300 + manifest.step == 460
    rows = load(path, manifest.replay[0].stored)
    np.testing.assert_array_equal(rows["obs/observation"], shown.obs["observation"].astype(np.float32))
    assert set(RunReader(path).provenance.given) == {"demonstrations"}

    class StoppedError(Exception):
        pass

    def stop_after_the_first(*told):
        if told[1].step:
            raise StoppedError

    with pytest.raises(StoppedError):
        wp.train(config, tmp_path / "cut", quiet=True, on_evaluation=stop_after_the_first)
    (cut,) = (tmp_path / "cut").iterdir()
    file.unlink()
    list(wp.resume([cut], quiet=True))
    assert unequal(path, cut) == set()


def test_what_is_no_demonstration_is_refused(tmp_path):
    for source, why in (("oracle:x", "oracle:N"), (str(tmp_path / "none.npz"), "none.npz")):
        with pytest.raises(UserError, match=why):
            wp.train(replace(TINY, demonstrations=source), tmp_path, quiet=True)


@pytest.mark.slow
def test_evaluations_are_told_in_order_with_the_metrics_between(tmp_path):
    told = []
    path, _ = wp.train(TINY, tmp_path, quiet=True, on_evaluation=lambda *news: told.append(news))
    assert [(run.path, row.step) for run, row, _ in told] == [(path, 0), (path, 160), (path, 320)]
    assert [row for _, row, _ in told] == RunReader(path).evaluations
    assert [metrics for _, _, metrics in told][1:] == [row.metrics for row in RunReader(path).metrics]


@pytest.mark.slow
def test_a_run_is_trained_from_the_configuration_of_another(run, tmp_path, capsys):
    assert config_in(run / "config.json") == TINY
    plain = tmp_path / "settings.json"
    plain.write_text(json.dumps(read_json(run / "config.json")["config"]))
    assert config_in(plain) == TINY
    folder = str(tmp_path / "runs")
    argv = ["train", "--config", str(plain), "--total-steps", "160", "--runs-dir", folder, "--quiet"]
    assert main(argv) == 0
    path = Path(capsys.readouterr().out.strip())
    assert RunReader(path).config == to_dict(replace(TINY, total_steps=160))


def test_a_file_of_something_else_is_no_configuration(tmp_path):
    (tmp_path / "x.json").write_text('{"algo": "sac", "env": 3}')
    with pytest.raises(UserError, match="--config takes"):
        config_in(tmp_path / "x.json")
