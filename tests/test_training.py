"""The training loop: it repeats, keeps its ratio, stops when told, and learns."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from wellposed.agents import SACConfig, TD3Config
from wellposed.config import RunConfig
from wellposed.data import ReplayConfig
from wellposed.demo import demo_config
from wellposed.envs.make import EnvConfig
from wellposed.errors import UserError
from wellposed.findings import Finding
from wellposed.loop import monitor
from wellposed.loop.monitor import Monitor, reached
from wellposed.runs.record import Summary
from wellposed.runs.store import RunReader
from wellposed.side_by_side import train_side_by_side
from wellposed.training import train
from wellposed.verdict import assess, load_run

TINY = RunConfig(
    env=EnvConfig("FetchReach-v4"), total_steps=600, num_envs=4, random_steps=200, eval_every=200, eval_episodes=4,
    agent=SACConfig(hidden=(16, 16), batch_size=32),
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Callable[[int], tuple[Path, Summary]]:
    """The run of TINY with a seed, trained alone on all threads when it is first asked for."""
    folder = tmp_path_factory.mktemp("trained")
    return cache(lambda seed: train(replace(TINY, seed=seed), folder, quiet=True))


def weights(path) -> dict[str, np.ndarray]:
    return RunReader(path).load_checkpoint()[1]


def rows(path) -> list[tuple]:
    """Evaluations without their timing."""
    return [(e.step, e.updates, e.success_rate, e.means) for e in RunReader(path).evaluations]


@pytest.mark.slow
def test_another_draw_changes_the_minibatches_and_nothing_before_them(tmp_path, trained):
    """Until the first update both take the same random actions in the same episodes."""
    paths = [trained(0)[0], train(replace(TINY, replay=ReplayConfig(draw=1)), tmp_path, quiet=True)[0]]
    first, second = (weights(path) for path in paths)
    assert any(not np.array_equal(first[name], second[name]) for name in first)
    assert rows(paths[0])[0] == rows(paths[1])[0]
    ours, theirs = (load_file(sorted((path / "replay").glob("*.safetensors"))[0]) for path in paths)
    begin = TINY.num_envs * (1 + 50)
    assert all(np.array_equal(ours[name][:begin], theirs[name][:begin]) for name in ours)


def test_the_same_seed_gives_the_same_weights_and_evaluations_on_any_number_of_threads(tmp_path, trained):
    paths = [trained(0)[0], train(TINY, tmp_path, threads=1, quiet=True)[0]]
    first, second = (weights(path) for path in paths)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert rows(paths[0]) == rows(paths[1])


@pytest.mark.slow
def test_seeds_side_by_side_are_bit_for_bit_those_trained_alone(tmp_path, trained):
    configs_ = [replace(TINY, seed=seed) for seed in (0, 1, 2)]
    together = [path for path, _ in train_side_by_side(configs_, tmp_path, threads=2, quiet=True)]
    assert [path.name[-3:] for path in together] == ["_s0", "_s1", "_s2"]
    for config, path in zip(configs_, together, strict=True):
        alone = trained(config.seed)[0]
        assert alone.name == path.name
        first, second = weights(alone), weights(path)
        assert all(np.array_equal(first[name], second[name]) for name in first)
        assert rows(alone) == rows(path)


@pytest.mark.slow
def test_a_run_that_fails_stops_no_other_and_is_told_at_the_end(tmp_path):
    broken = replace(TINY, agent=replace(TINY.agent, learning_rate=1e30, bound_targets=False))
    runs, finished = [replace(TINY, seed=1), broken, replace(TINY, seed=2)], []
    with pytest.raises(UserError, match="diverged"):
        finished.extend(train_side_by_side(runs, tmp_path, threads=1, quiet=True))
    assert [(path.name[-3:], summary.stop_reason) for path, summary in finished] == [
        ("_s1", "budget"),
        ("_s2", "budget"),
    ]


@pytest.mark.slow
def test_after_an_interruption_no_further_run_is_begun(tmp_path):
    runs = [replace(TINY, seed=seed, total_steps=10**7, eval_every=10**6) for seed in range(3)]

    def interrupt_once_it_trains() -> None:
        while not list(tmp_path.glob("*/checkpoints/*.json")):
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_it_trains, daemon=True).start()
    found = list(train_side_by_side(runs, tmp_path, threads=1, quiet=True))
    assert [summary for _, summary in found] == [None]
    assert len(list(tmp_path.iterdir())) == 1


def test_runs_that_cannot_all_be_recorded_are_refused_before_any_is_begun(tmp_path, trained):
    finished = trained(1)[0]
    shutil.copytree(finished, tmp_path / finished.name)
    with pytest.raises(UserError, match="holds a finished run"):
        list(train_side_by_side([TINY, replace(TINY, seed=1)], tmp_path, quiet=True))
    with pytest.raises(UserError, match="asked for twice"):
        list(train_side_by_side([TINY, TINY], tmp_path, quiet=True))
    with pytest.raises(UserError, match="--threads must be at least 1"):
        list(train_side_by_side([TINY], tmp_path, threads=0, quiet=True))
    assert len(list(tmp_path.iterdir())) == 1


def test_another_seed_gives_other_weights(trained):
    first, second = (weights(trained(seed)[0]) for seed in (0, 1))
    assert not np.array_equal(first["learner.nets.actor.head.weights[0]"], second["learner.nets.actor.head.weights[0]"])


@pytest.mark.parametrize("ratio", [0.25, 1.0])
def test_the_ratio_of_updates_to_steps_is_kept(tmp_path, ratio):
    _, summary = train(replace(TINY, updates_per_step=ratio), tmp_path, quiet=True)
    assert summary.step == 600
    assert ratio * summary.step - TINY.updates_per_call < summary.updates <= ratio * summary.step


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize(("algo", "agent"), [("sac", SACConfig()), ("td3", TD3Config())])
def test_the_demonstration_learns_reach_and_says_when(tmp_path, algo, agent):
    config = replace(demo_config(seed=0), algo=algo, agent=agent, eval_episodes=100, eval_every=200)
    path, summary = train(config, tmp_path, quiet=True)
    assert summary.stop_reason == "solved"
    assert summary.solved is not None
    assert summary.solved.step == summary.step < 5000
    verdict = assess(path)
    assert verdict.trained.success_rate >= 0.98
    assert verdict.random.success_rate < 0.2
    assert verdict.trained.episodes == 100


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
def test_without_hindsight_nothing_is_learnt_in_the_same_time(tmp_path):
    config = demo_config(seed=0)
    no_hindsight = replace(config, total_steps=1000, eval_every=1000, replay=replace(config.replay, k=0))
    assert train(no_hindsight, tmp_path, quiet=True)[1].final_evaluation.success_rate < 0.9


def test_two_evaluations_in_a_row_are_asked_for(trained):
    evaluations = RunReader(trained(0)[0]).evaluations
    reached_once = replace(evaluations[0].any_success, value=1.0)
    low, high = (replace(evaluations[0], success_rate=rate, any_success=reached_once) for rate in (0.5, 1.0))
    config = replace(TINY, until_success=0.98)
    assert reached(config, [low, high, high])
    assert not reached(config, [high, low, high])
    assert not reached(config, [high])
    assert not reached(TINY, [high, high])


def test_an_interrupted_run_is_saved_and_says_so(tmp_path):
    """Ctrl-C in the middle: the loop ends cleanly, with a checkpoint of the moment."""

    def interrupt_once_it_trains() -> None:
        while not any(file.stat().st_size for file in tmp_path.glob("*/evaluations.jsonl")):
            time.sleep(0.05)
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt_once_it_trains, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        train(replace(TINY, total_steps=10**7, eval_every=10**6), tmp_path, quiet=True)
    (path,) = tmp_path.iterdir()
    assert RunReader(path).load_checkpoint()[0].step > 0, "not the checkpoint of the evaluation before"
    assert RunReader(path).status == "interrupted"
    assert RunReader(path).summary is None


def test_the_record_holds_what_it_promises(trained):
    path, summary = trained(0)
    reader = RunReader(path)
    assert path.name.startswith("FetchReach-v4_sac_")
    assert path.name.endswith("_s0")
    assert [e.step for e in reader.evaluations] == [0, 200, 400, 600]
    assert [m.step for m in reader.metrics] == [200, 400, 600]
    assert {"train/critic_loss", "rollout/success_rate"} <= reader.metrics[-1].metrics.keys()
    assert reader.summary == summary
    provenance = reader.provenance
    assert provenance.packages["mujoco"].startswith("3.")
    assert provenance.updates_per_second == summary.updates_per_second
    assert len((path / "episodes.jsonl").read_text().splitlines()) == 4 * TINY.eval_episodes
    assert list((path / "tensorboard").glob("events*"))
    assert len(list((path / "checkpoints").glob("*.safetensors"))) == 2
    assert json.loads((path / "config.json").read_text())["config"]["env"] == {"id": "FetchReach-v4"}
    config, agent, manifest = load_run(path)
    assert config == TINY
    assert agent.updates == manifest.updates == summary.updates


@pytest.mark.slow
def test_any_other_goal_environment_trains_through_the_same_loop(tmp_path):
    config = replace(TINY, env="PointMaze_UMaze-v3", num_envs=2, total_steps=800, random_steps=600, eval_every=800)
    path, summary = train(config, tmp_path, quiet=True)
    assert summary.updates > 0
    assert assess(path, episodes=3).trained.episodes == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_steps": -5}, "--total-steps must be greater than 0"),
        ({"num_envs": 0}, "--num-envs must be greater than 0"),
        ({"until_success": 98.0}, "--until-success is a share between 0 and 1"),
        ({"seed": -1}, "--seed must not be negative"),
        ({"updates_per_step": float("inf")}, "--updates-per-step must be greater than 0"),
        ({"algo": "dqn"}, "no algorithm 'dqn'; there are sac, td3"),
        ({"env": "FetchReech-v4"}, "Did you mean FetchReach-v4"),
    ],
)
def test_a_configuration_that_cannot_run_is_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        train(replace(TINY, **change), tmp_path / "runs", quiet=True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (SACConfig, {"temperature": 0.0}, "--agent.temperature must be greater than 0"),
        (ReplayConfig, {"k": -1}, "--replay.k must not be negative"),
        (ReplayConfig, {"capacity": 0}, "--replay.capacity must be greater than 0"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(kind, change, message):
    with pytest.raises(UserError, match=message):
        kind(**change)


def test_a_replay_too_small_for_an_episode_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--replay.capacity must hold an episode, 51 rows, got 50"):
        train(replace(TINY, replay=ReplayConfig(capacity=50)), tmp_path, quiet=True)


@pytest.mark.slow
def test_evaluation_takes_no_training_time(tmp_path):
    began = time.perf_counter()
    _, summary = train(replace(TINY, total_steps=200, eval_every=50, eval_episodes=25), tmp_path, quiet=True)
    wall = time.perf_counter() - began
    assert summary.evaluation_seconds > 0.5
    assert summary.seconds + summary.evaluation_seconds == pytest.approx(wall, abs=0.5)


def test_what_is_found_under_way_is_said_once(monkeypatch):
    found: list[Finding] = []
    monkeypatch.setattr(monitor, "diagnose", lambda _: SimpleNamespace(findings=found))
    said: list[str] = []
    loud: Any = SimpleNamespace(quiet=False, say=said.append)
    run: Any = SimpleNamespace(config=TINY, newest=([], []), said=set())
    for name in ("one", "one", "two"):
        found[:] = [Finding(name, "fails", "Seen.", why="It matters.", advice="Change it.", kind="setting")]
        Monitor.say_news(run, loud)
    assert [line.split()[0] for line in said] == ["one", "two"]
    Monitor.say_news(run, SimpleNamespace(quiet=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("counted", [-1, 99, 101])
def test_a_checkpoint_whose_two_counts_of_updates_differ_is_refused(counted):
    agent = SimpleNamespace(updates=0, load_state=lambda state: setattr(agent, "updates", int(state["updates"])))
    saved: Any = SimpleNamespace(agent={"updates": np.array(counted)}, manifest=SimpleNamespace(updates=100))
    with pytest.raises(UserError, match=f"had {counted} updates, its manifest counts 100"):
        monitor.restore(SimpleNamespace(agent=agent), saved)
