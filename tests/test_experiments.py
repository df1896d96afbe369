"""Experiments as data: what is asked is checked, what is finished is not trained again, what is found is stored."""

import shutil
from pathlib import Path

import pytest

from wellposed import serialise
from wellposed.agents import SACConfig, TD3Config
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.launch.answers import Answer, load_answers, run_experiment
from wellposed.launch.manifest import Experiment, load_experiment
from wellposed.runs.store import run_name

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parent.parent
QUESTION = """
title = "Does a wider network help?"
env = "FetchReach-v4"
seeds = "0-1"
until_success = 0.98
[base]
total_steps = 320
random_steps = 160
num_envs = 4
eval_every = 160
eval_episodes = 4
"agent.batch_size" = 16
"agent.hidden" = [8]
[variants.narrow]
[variants.wide]
"agent.hidden" = [16]
"""


def ask(folder: Path, text: str = QUESTION) -> Path:
    file = folder / "question.toml"
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> tuple[Path, list[Answer]]:
    """The folder of an experiment that was run, and what was told meanwhile."""
    folder = tmp_path_factory.mktemp("answered")
    return folder, list(run_experiment(ask(folder), folder / "runs", threads=2, quiet=True))


@pytest.fixture
def copy(answered, tmp_path) -> Path:
    """A copy of that folder."""
    return shutil.copytree(answered[0], tmp_path / "copy")


def test_each_variant_is_trained_with_each_seed_and_the_answers_are_stored(answered):
    folder, told = answered
    file = folder / "question.toml"
    stored = load_answers(file.with_suffix(".json"))
    assert [(a.variant, a.seed) for a in stored.answers] == [("narrow", 0), ("narrow", 1), ("wide", 0), ("wide", 1)]
    assert sorted(told, key=lambda one: one.run) == sorted(stored.answers, key=lambda one: one.run)
    assert stored.experiment == load_experiment(file)
    assert [step for step, _ in told[0].curve] == [0, 160, 320]
    assert (folder / "runs" / told[0].run / "summary.json").exists()


def test_what_is_finished_is_not_trained_again(answered, copy):
    runs, (_, first) = copy / "runs", answered
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*/summary.json")}
    file = ask(copy, QUESTION + '[variants.widest]\n"agent.hidden" = [32]\n')
    again = list(run_experiment(file, runs, threads=1, quiet=True))
    assert sorted(again[:4], key=lambda one: one.run) == sorted(first, key=lambda one: one.run)
    assert len(again) == 6
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_a_run_that_was_cut_short_goes_on_and_the_answer_is_the_same(answered, copy):
    file, runs, (_, first) = copy / "question.toml", copy / "runs", answered
    (runs / first[1].run / "summary.json").unlink()  # as if it had died right before its end
    again = {(answer.variant, answer.seed): answer for answer in run_experiment(file, runs, threads=2, quiet=True)}
    assert again.keys() == {(answer.variant, answer.seed) for answer in first}
    assert [again[answer.variant, answer.seed].curve for answer in first] == [answer.curve for answer in first]
    assert {answer.run for answer in load_answers(file.with_suffix(".json")).answers} == {a.run for a in first}


def test_settings_may_be_written_as_nested_tables(tmp_path):
    nested = QUESTION.replace('"agent.hidden" = [16]', "agent.hidden = [16]").replace(
        '"agent.batch_size" = 16\n"agent.hidden" = [8]', "[base.agent]\nbatch_size = 16\nhidden = [8]"
    )
    assert nested != QUESTION
    one, other = (load_experiment(ask(tmp_path, text)).runs() for text in (QUESTION, nested))
    assert one == other


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"agent.hidden" = [16]', '"agent.hiden" = [16]', "no setting 'agent.hiden'"),
        ('"agent.hidden" = [16]', '"agent.hidden.x" = 1', "no setting 'agent.hidden.x'"),
        ('"agent.hidden" = [16]', '"agent.hidden" = "wide"', "hidden"),
        ('"agent.hidden" = [16]', '"agent.hidden" = [-1]', "takes up to 100 widths"),
        ('seeds = "0-1"', 'seeds = "a"', "--seeds takes"),
        ('seeds = "0-1"', "", "missing"),
        ("title", "titel", "titel|missing"),
        ('"agent.hidden" = [16]', '"agent.hidden" = 2026-01-01', "holds a date"),
        ('"agent.hidden" = [16]', '"agent.hidden" = ' + "[" * 4000 + "]" * 4000, "not valid TOML"),
        ("[base]", "[base", "not valid TOML"),
        ("FetchReach-v4", "FetchReech-v4", "Did you mean"),
        ("[variants.narrow]", "[variants.narrow]\nseed = 4", "seed is set for the whole experiment"),
        ("[variants.narrow]", '[variants.narrow]\n"agent.hidden" = [16]', "asked for twice"),
        ("[variants.narrow]", '[variants.narrow]\n"agent.policy_delay" = 3', "no setting 'agent.policy_delay'"),
        ("[variants.narrow]", '[variants.narrow]\nalgo = "td3"\n"agent.temperature" = 1.0', "--algo td3 --help"),
        ("[variants.narrow]", '[variants.narrow]\nalgo = "dqn"', "no algorithm 'dqn'"),
        ("[variants.narrow]", "[variants.narrow]\nalgo = ['sac']", "no algorithm"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_before_anything_is_trained(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message):
        list(run_experiment(ask(tmp_path, QUESTION.replace(old, new)), tmp_path / "runs", threads=1, quiet=True))
    assert not (tmp_path / "runs").exists()


def test_a_variant_may_be_another_algorithm(tmp_path):
    extra = '[variants.td3]\nalgo = "td3"\n"agent.policy_delay" = 3\n'
    runs = load_experiment(ask(tmp_path, QUESTION + extra)).runs()
    assert [type(of_one[0].agent) for of_one in runs.values()] == [SACConfig, SACConfig, TD3Config]
    config = runs["td3"][1]
    assert (config.algo, config.seed, config.agent.policy_delay, config.agent.hidden) == ("td3", 1, 3, (8,))


@pytest.mark.parametrize("file", sorted((REPOSITORY / "experiments").glob("*.toml")), ids=lambda file: file.stem)
def test_the_experiments_of_the_repository_can_be_run_and_their_answers_fit(file):
    experiment = load_experiment(file)
    runs = experiment.runs()
    assert len({of_one[0] for of_one in runs.values()}) == len(runs), "two variants are the same"
    if not file.with_suffix(".json").exists():
        return  # asked, not answered yet
    answers = load_answers(file.with_suffix(".json"))
    assert answers.experiment == experiment, "the question changed after it was answered"
    asked = [(name, run_name(serialise.to_dict(config))) for name, of_one in runs.items() for config in of_one]
    assert [(answer.variant, answer.run) for answer in answers.answers] == asked, "the default recipe has changed since"


def test_the_command_line_prints_each_answer_and_where_they_are(copy, capsys):
    file = copy / "question.toml"
    assert main(["experiment", str(file), "--runs-dir", str(copy / "runs"), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[-1] == str(file.with_suffix(".json"))
    assert min(lines[:4]).startswith("narrow, seed 0: ")


def test_arguments_of_the_environment_are_those_of_the_base_and_of_the_variant():
    base, variants = {"env.kwargs": {"reward": "dense"}}, {"wide": {}, "narrow": {"env.kwargs.clearance": 5e-4}}
    runs = Experiment("", "PegInsert-v0", "0", None, base, variants).runs()
    assert runs["wide"][0].env.kwargs == {"reward": "dense"}
    assert runs["narrow"][0].env.kwargs == {"reward": "dense", "clearance": 5e-4}


def test_faults_of_single_quantities_are_those_of_the_base_and_of_the_variant():
    variants = {"plain": {}, "blind": {"env.sensors.each": {"object.dropped": 1.0}}}
    runs = Experiment("", "FetchPush-v4", "0", None, {"env.sensors.each.hand.noise": 0.01}, variants).runs()
    assert runs["plain"][0].env.sensors.each == {"hand.noise": 0.01}
    assert runs["blind"][0].env.sensors.each == {"hand.noise": 0.01, "object.dropped": 1.0}
