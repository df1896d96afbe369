"""A run without a replay: it repeats, keeps to whole rollouts, carries no setting that nothing reads, and is a run like
any other to all that reads records.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.records import unequal
from tests.test_divergence import after
from tests.test_resume import TINY_PPO
from wellposed import plan as plans
from wellposed import serialise, verdict
from wellposed.agents import ALGORITHMS, PPO, SACConfig
from wellposed.budget import Demand, budget
from wellposed.cli import main
from wellposed.config import OnPolicyRunConfig, RunConfig, override, read_config
from wellposed.data import rollout
from wellposed.diagnose import read_evidence
from wellposed.envs.make import EnvConfig
from wellposed.errors import UserError
from wellposed.examination import with_checkpoint
from wellposed.loop import on_policy
from wellposed.plan import Calibration, Rates
from wellposed.recipes import default_config
from wellposed.runs.record import METRICS
from wellposed.runs.store import RunReader, run_name
from wellposed.study.stability import Rows, ladders, left_out
from wellposed.training import train

CONFIG = replace(TINY_PPO, total_steps=430)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished tiny run; its budget is no whole number of rollouts."""
    return train(CONFIG, tmp_path_factory.mktemp("runs"), threads=1, quiet=True)[0]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads_with_and_without_probes(run, tmp_path, monkeypatch):
    monkeypatch.setattr(on_policy, "probe_rollout", lambda *_: {})
    again, _ = train(CONFIG, tmp_path, threads=2, quiet=True)
    found = unequal(run, again)
    assert found
    assert {name.split("/")[0] for name in found} == {"metrics metrics probe"}


def test_it_evaluates_and_ends_after_whole_rollouts_and_the_plan_knows(run):
    reader, planned = RunReader(run), budget(CONFIG)
    assert [row.step for row in reader.evaluations] == [0, 160, 320, 440]
    assert reader.summary is not None
    assert (planned.steps, planned.updates) == (440, reader.summary.updates) == (440, 22 * 2)
    assert planned.evaluations == len(reader.evaluations)
    assert verdict.load_run(run)[1].updates == reader.summary.updates


def test_its_record_holds_what_ppo_has_to_tell_and_nothing_of_a_replay(run):
    told = RunReader(run).metrics[-1].metrics.keys()
    assert {f"train/{name}" for name in ("kl", "clip_fraction", "explained_variance", "value_loss", "entropy")} <= told
    assert {"probe/reward_wrong", "probe/actor_travel", "probe/goal_in_inputs", "rollout/success_rate"} <= told
    assert not {name for name in told if "replay" in name or "target" in name or "probe/goals" in name}
    assert told <= METRICS.keys() | ALGORITHMS["ppo"].metrics.keys()
    last = RunReader(run).metrics[-1].metrics
    assert (last["probe/reward_wrong"], last["probe/terminated_wrong"]) == (0, 0)
    assert last["probe/normaliser_count"] == 440


@pytest.mark.slow
def test_a_truncated_episode_keeps_its_future_in_training(run, tmp_path, monkeypatch):
    """With the wrong advantages training goes elsewhere: the loop does hand over ends and true successors."""
    original = rollout.gae

    def as_if_terminated(*args):
        rewards, values, next_values, _, ended, gamma, lam = args
        return original(rewards, values, next_values, ended, ended, gamma, lam)

    monkeypatch.setattr(rollout, "gae", as_if_terminated)
    other, _ = train(CONFIG, tmp_path, quiet=True)
    assert "agent/learner.nets.critic.heads[0].weights[0]" in unequal(run, other)


def test_a_loss_that_is_not_finite_is_named(tmp_path, monkeypatch):
    after(monkeypatch, PPO, "update", 9, lambda _, told: told | {"train/kl": float("nan")})
    with pytest.raises(UserError, match=r"diverged: train/kl at update 18 is not finite.*Lower --agent") as error:
        train(CONFIG, tmp_path, quiet=True)
    assert "bound-targets" not in str(error.value), "it has none"
    (path,) = tmp_path.iterdir()
    assert RunReader(path).status == "diverged"
    assert RunReader(path).load_checkpoint()[0].step == 160


@pytest.mark.usefixtures("few_held_out")
def test_a_report_with_a_verdict_and_a_diagnosis_is_made_of_it(run, tmp_path):
    page = tmp_path / "report.html"
    assert main(["report", str(run), "--out", str(page), "--no-video"]) == 0
    assert "FetchReachDense-v4: PPO" in page.read_text()


def test_a_record_without_probes_is_probed_from_its_checkpoint(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / run.name)
    probed = RunReader(run).metrics[-1].metrics
    (copy / "metrics.jsonl").write_text("")
    found = with_checkpoint(copy, read_evidence(copy)).rows[-1].metrics
    assert found == {name: value for name, value in probed.items() if name.startswith("probe/")}


def test_its_settings_are_its_own_and_survive_json():
    config = override(default_config("FetchReachDense-v4", "ppo"), {"agent.clip": 0.1, "rollout_steps": 25})
    assert isinstance(config, OnPolicyRunConfig)
    data = serialise.to_dict(config)
    assert not {"replay", "updates_per_step", "updates_per_call", "random_steps", "random_share"} & data.keys()
    assert not {"tau", "bound_targets", "mirror", "temperature"} & data["agent"].keys()
    assert read_config(data, "here") == config
    with pytest.raises(ValueError, match="there is no setting 'replay"):
        override(config, {"replay.k": 0})
    with pytest.raises(ValueError, match="unknown key replay"):
        read_config(data | {"replay": {}}, "here")


def test_names_of_runs_with_a_replay_are_what_they_were():
    """A run's directory is named by its settings; older records are found again."""
    configs = {algo: default_config("FetchReach-v4", algo) for algo in ("sac", "td3")}
    then = {algo: replace(config, stop_rule="twice") for algo, config in configs.items()}
    names = {algo: run_name(serialise.to_dict(config)) for algo, config in then.items()}
    assert names == {"sac": "FetchReach-v4_sac_1d3996e3627c_s0", "td3": "FetchReach-v4_td3_b7c100558c46_s0"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: OnPolicyRunConfig(EnvConfig("FetchReach-v4"), "sac", agent=SACConfig()),
            "--algo must be one that learns without",
        ),
        (
            lambda: RunConfig(EnvConfig("FetchReach-v4"), "ppo", agent=TINY_PPO.agent),
            "--algo must be one that learns from",
        ),
        (
            lambda: OnPolicyRunConfig(EnvConfig("FetchReach-v4"), rollout_steps=0),
            "--rollout-steps must be greater than 0",
        ),
        (lambda: replace(TINY_PPO, num_envs=1), "--agent.batch-size must not exceed the 10 steps of a rollout, got 16"),
    ],
)
def test_a_configuration_that_cannot_run_is_refused_by_name(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_study_moves_what_there_is_and_says_what_there_is_not():
    config, rows = default_config("FetchReachDense-v4", "ppo"), Rows(filled=5_100, episode=51)
    assert {setting for setting, _ in ladders(config, rows)} == {"learning rate", "horizon, 1/(1 - discount)", "width"}
    said = left_out(config, rows)
    assert "PPO has no temperature that could be moved here." in said
    assert "PPO has no replay size that could be moved here." in said


def test_a_plan_speaks_of_a_rollout_and_of_no_replay(monkeypatch, tmp_path, capsys):
    rates = Rates(start=5.0, collect=0.01, update=0.1, together=0.05, evaluation=2.0, probe=0.1, checkpoint=0.25)
    monkeypatch.setattr(plans, "calibrate", lambda *_: Calibration(3.0, rates, None, 0, "here"))
    argv = ["FetchReachDense-v4", "--algo", "ppo", "--total-steps", "850", "--runs-dir", str(tmp_path)]
    assert main(["plan", *argv]) == 0
    out = capsys.readouterr().out
    assert "for 800 steps; there is no replay" in out
    assert "1,600" in out
    seconds = plans.expected_seconds(Demand((TINY_PPO,), 1), Calibration(3.0, rates, None, 0, "here"))
    assert seconds.training == pytest.approx(420 * 0.05), "no step is without its share of updates"
    assert Demand((TINY_PPO,), 1).largest_capacity(2**40) is None
    assert main(["plan", *argv, "--buffer", "1000"]) == 1
    assert "--buffer and --pixels are about a replay, and ppo has none." in capsys.readouterr().err
