"""A study from end to end: trained once, taken up after an interruption, written as one page that is safe to open."""

import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.made_up import BUDGET, tiny, trial
from wellposed import verdict
from wellposed.analysis.study import Move, Sensitivity, Stability, Study, sensitivity, share_curve
from wellposed.cli import main
from wellposed.envs.make import EnvConfig, make_vec
from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.launch.rows import row_of
from wellposed.nn.inputs import InputConfig
from wellposed.progress import TrainingProgress
from wellposed.report import figures
from wellposed.report.study import write_page
from wellposed.runs import provenance
from wellposed.runs.files import read_json
from wellposed.runs.record import Failure, decode
from wellposed.runs.store import RunReader
from wellposed.study import existence, run, stability, trials
from wellposed.study.run import Question, run_study

pytestmark = pytest.mark.slow
QUIET = TrainingProgress(True)


@pytest.fixture
def small(monkeypatch):
    """Few episodes, little imitation, and one setting, whose moves compile nothing anew."""
    assess = verdict.assess
    monkeypatch.setattr(verdict, "assess", lambda path, threads: assess(path, 4, 0, threads))
    monkeypatch.setattr(existence, "EPISODES", 10)
    monkeypatch.setattr(existence, "EVALUATION_ENVS", 4)
    monkeypatch.setattr(existence, "ROUNDS", 2)
    monkeypatch.setattr(existence, "UPDATES", 20)
    monkeypatch.setattr(stability, "SETTINGS", {"replay size": stability.SETTINGS["replay size"]})


def question(**changes) -> Question:
    return replace(Question(tiny(), seeds=[0, 1], stability_seeds=[0], bar=0.95), **changes)


@pytest.mark.usefixtures("small")
def test_a_study_is_interrupted_taken_up_and_trains_nothing_twice(tmp_path):
    out, runs = tmp_path / "study", tmp_path / "runs"
    for line in run_study(question(parts=("learnability", "stability")), out, runs, threads=1, progress=QUIET):
        if line.startswith("the recipe, seed 0"):
            break  # as if the process had ended here
    before = ends(runs)
    assert len(before) == 1
    assert not out.exists()
    lines = list(run_study(question(), out, runs, threads=1, progress=QUIET))
    assert lines[0].startswith("ProportionalReach, written by hand: 100.0 %")
    assert re.match(r"\d+ to \d+ runs to train, 1 side by side, \d+ s each \(as the first run\)", lines[1])
    assert len(ends(runs)) == len(list(runs.iterdir())) == 4  # two seeds, half a replay, other minibatches
    assert before.items() <= ends(runs).items()
    found = decode(Study, read_json(out / "study.json"), "study.json")
    assert found.learnability is not None
    assert [one.seed for one in found.learnability.trials] == [0, 1]
    assert found.stability is not None
    assert [(move.setting, move.factor) for move in found.stability.moves] == [("replay size", 0.5)]
    assert found.stability.base == found.learnability.trials[:1]
    assert found.stability.resampled is not None
    [other] = found.stability.resampled.trials
    assert other.seed == found.stability.base[0].seed
    assert other.run != found.stability.base[0].run
    check_page((out / "study.html").read_text())
    again_finds_the_same(out, runs, found)


def ends(runs: Path) -> dict[str, int]:
    """When each finished run was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in runs.glob("*/summary.json")}


def check_page(page: str) -> None:
    assert page.count("<section>") == 4
    assert "2 of 2 seeds had not reached it within 320 steps: 0, 1." in page
    assert "there is nothing to break" in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', page)


def again_finds_the_same(out: Path, runs: Path, found: Study) -> None:
    """One part alone: nothing is trained, the others stay as they stand; another study is not written over."""
    before = ends(runs)
    for _ in run_study(question(parts=("learnability",)), out, runs, threads=1, progress=QUIET):
        pass
    assert ends(runs) == before
    again = decode(Study, read_json(out / "study.json"), "study.json")
    assert (again.existence, again.learnability, again.stability) == (
        found.existence, found.learnability, found.stability,
    )  # fmt: skip
    with pytest.raises(UserError, match="another recipe, budget or bar"):
        list(run_study(question(bar=0.9), out, runs, threads=1, progress=QUIET))


def test_a_run_that_diverges_is_an_outcome(tmp_path, monkeypatch):
    """It stops nothing, it is not trained again, and it counts as a seed that never gets there."""
    config = question().base[0]
    row = row_of("the recipe", config)
    folder = tmp_path / row.name
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "failure.json").write_text("{}")
    assert list(local.train_rows([row], tmp_path, 1, QUIET)) == [row]
    monkeypatch.setattr(RunReader, "config", {"seed": config.seed})
    monkeypatch.setattr(RunReader, "summary", None)
    monkeypatch.setattr(RunReader, "failure", Failure(200, 100, "a loss", "a loss is not finite"))
    row = type("Row", (), {"seconds": 1.5})
    origin = type("Origin", (), {"commit": None, "dirty": None, "cpu": "a processor"})
    monkeypatch.setattr(RunReader, "evaluations", [row])
    monkeypatch.setattr(RunReader, "provenance", origin)
    found = trials.trial_of(config, tmp_path, 1)
    assert (found.diverged, found.solved, found.step, found.success.value) == (True, None, 200, 0.0)


def fake_outcomes(monkeypatch, solved_at) -> None:
    """Trials by a rule instead of by training: `solved_at(config)` is the step, or None."""
    monkeypatch.setattr(local, "train_rows", lambda *_: iter(()))
    monkeypatch.setattr(stability, "trial_of", lambda config, *_: trial(config.seed, solved_at(config)))


def test_the_step_at_which_it_breaks_is_found(monkeypatch, tmp_path):
    """Widths up to 32 are learnt, a quarter of the learning rate is not, all else holds."""

    def solved_at(config) -> int | None:
        fine = config.agent.hidden[0] <= 32 and config.agent.learning_rate > 2.6e-4
        return 200 if fine else None

    fake_outcomes(monkeypatch, solved_at)
    base = question(stability_seeds=[0, 1, 2]).of_seeds([0, 1, 2])
    work = stability.stability_of(base, [trial(seed, 200) for seed in range(3)], tmp_path, 1, QUIET)
    with pytest.raises(StopIteration) as end:
        next(work)
    found = {(edge.setting, edge.up): (edge.held, edge.breaks) for edge in end.value.value.edges}
    assert found["width", True] == (2.0, 4.0)
    assert found["width", False] == (0.125, None)
    assert found["learning rate", False] == (0.5, 0.25)
    assert found["learning rate", True] == (8.0, None)
    assert found["temperature", True] == (8.0, None)


def made_up_study(env: str = "FetchReach-v4") -> Study:
    """A study of trials that were not run."""
    base = [trial(seed, 200 + seed) for seed in range(3)]
    lost = [trial(seed, None, 0.2) for seed in range(3)]
    stable = Stability(
        base,
        [Move("width", 0.5, {"agent.hidden": [8, 8]}, lost), Move("width", 2.0, {}, base)],
        [],
        [],
        3,
        Move(stability.RESAMPLED, 1.0, {"replay.draw": 1}, base[:2]),
    )
    origin = provenance.collect(threads=1, autoreset_mode="SameStep", devices=["cpu"])
    record = question().record | {"env": env, "total_steps": BUDGET}
    return Study(env, 0.95, record, 1.0, origin, None, run.learnability([*base, trial(3, None, 0.1)]), stable)


def test_the_page_escapes_what_comes_from_outside(tmp_path):
    wicked = "<script>alert(1)</script>"
    write_page(made_up_study(wicked), tmp_path / "study.html")
    page = (tmp_path / "study.html").read_text()
    assert wicked not in page
    assert "&lt;script&gt;" in page
    assert "1 of 4 seeds had not reached it within 1,000 steps: 3." in page
    assert "&gt; 1,000" in page, "the steps of a censored seed"
    row = page[page.index(">same seeds, other minibatches<") :]
    assert "2 of 2" in row[: row.index("</tr>")]


def test_figures_of_the_same_numbers_are_the_same():
    study = made_up_study()
    assert study.stability is not None
    assert study.learnability is not None
    settings: list[Sensitivity] = sensitivity(study.stability)
    curve = share_curve(study.learnability.trials, BUDGET)
    for draw in (
        lambda: figures.sensitivity_figure(settings, 0.95),
        lambda: figures.share_figure(curve, BUDGET, 4),
        lambda: figures.rates_figure([("controller", 0.9, (0.8, 0.95)), ("random", 0.0, (0.0, 0.1))]),
    ):
        assert draw() == draw()
        assert draw().startswith("<svg")


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("inputs", [InputConfig(encoder="history", memory=2), InputConfig(encoder="gru", memory=2)])
def test_a_network_that_remembers_is_not_asked_to_imitate(inputs):
    config = tiny()
    found = existence.existence_of(replace(config, agent=replace(config.agent, inputs=inputs)), threads=1)
    assert found.known
    assert found.clone is None
    assert run._existence_line(found).endswith("; the recipe's network cannot imitate it from single moments.")


def test_a_linear_controller_is_fitted_where_none_is_written(monkeypatch):
    """On Reach the achieved goal follows the actions, so the fitted one heads for the goal as the written one does."""
    entry = replace(existence.envs.find("FetchReach-v4"), oracle=None)
    monkeypatch.setattr(existence.envs, "find", lambda _: entry)
    words, policy = existence.controller(EnvConfig("FetchReach-v4"))
    assert words == "a linear controller, fitted to random actions"
    obs, _ = make_vec("FetchReach-v4", 3).reset(seed=0)
    towards = (policy.act(obs)[0][:, :3] * (obs["desired_goal"] - obs["achieved_goal"])).sum(axis=1)
    assert (towards > 0).all()


def test_the_command_line(tmp_path, monkeypatch, capsys):
    asked = []

    def study(question, *_):
        asked.append(question)
        yield "a line"
        if question.bar == 0.5:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_study", study)
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # with more, an interrupt ends the process at once
    argv = ["study", "FetchReach-v4", "--budget", "400", "--out", str(tmp_path / "s"), "--quiet"]
    assert main([*argv, "--only", "existence", "stability", "--seeds", "0,3", "--algo", "td3"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a line", str(tmp_path / "s" / "study.html")]
    assert asked[0].parts == ("existence", "stability")
    assert (asked[0].recipe.total_steps, asked[0].recipe.algo, asked[0].seeds) == (400, "td3", [0, 3])
    assert [config.seed for config in asked[0].base] == [0, 1, 2]
    assert main([*argv, "--bar", "0.5"]) == 130
    assert "the same command resumes them" in capsys.readouterr().err
    assert main([*argv, "--bar", "1.5"]) == 1
    assert "bar is a share above 0" in capsys.readouterr().err
    assert json.dumps(question().record)
