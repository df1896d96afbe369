"""Searches by TPE: what Optuna's journal keeps through kills. They need the extra `search`."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.launch.test_search import SPACE, World, asked, noise, repeated, search_in, trained
from wellposed.analysis.search import Look, Trial, is_pruned
from wellposed.errors import UserError
from wellposed.launch.rows import Folder
from wellposed.launch.search import Question

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")
from wellposed.launch import tpe  # noqa: E402

QUESTION = asked("tpe", 24, parallel=3, pruning="median", fresh_seeds="1000-1001")


def names(question: Question, number: int, settings: dict[str, Any]) -> list[str]:
    return [row.name for row in question.rows(number, settings, question.seeds)]


def journal(path: Path, kind: type[tpe.Journal] = tpe.Journal, question: Question = QUESTION) -> tpe.Journal:
    return kind(path, question.search, partial(names, question))


def searched(
    path: Path, seed: int, kills: float, kind: type[tpe.Journal] = tpe.Journal, train: Any = trained
) -> list[Trial]:
    """The trials of a search whose process dies between the choices of some trials; another one then goes on."""
    rng, here = np.random.default_rng(seed), [journal(path, kind)]

    def propose(number: int, known: list[Trial]) -> dict[str, Any]:
        if rng.random() < kills:
            with path.open("ab") as file:
                file.write(b'{"op_code": 4, "worker')  # it died while it wrote
            here[0] = journal(path, kind)
        return here[0].settings(number, known)

    return World(train).work(QUESTION, rng, propose, die=kills)


class Forgetful(tpe.Journal):
    """A journal whose process draws from one sampler, which begins again with the process."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.sampler = optuna.samplers.TPESampler(seed=0)

    def _choose(self, number: int) -> Any:
        scratch = optuna.create_study(direction="maximize", sampler=self.sampler)
        scratch.add_trials(self.study.get_trials())
        return scratch.ask(self.places)


def test_a_search_that_is_killed_again_and_again_has_the_same_trials_none_twice_and_none_left_out(tmp_path):
    whole = searched(tmp_path / "whole", 0, 0.0)
    assert searched(tmp_path / "killed", 1, 0.3) == whole
    assert [trial.number for trial in whole] == list(range(24))
    assert repeated(whole) == []
    assert {trial.outcome for trial in whole} == {"complete", "pruned"}
    blind = searched(tmp_path / "blind", 0, 0.0, train=noise)
    assert [trial.settings for trial in blind[:10]] == [trial.settings for trial in whole[:10]]  # drawn at random
    differs = [a.settings != b.settings for a, b in zip(blind[12:], whole[12:], strict=True)]
    assert sum(differs) > 6, "scores are used; a choice may still come from the same draw over the whole space"


def test_a_search_that_repeats_trials_after_a_kill_is_caught(tmp_path):
    assert repeated(searched(tmp_path / "whole", 0, 0.0, Forgetful)) == []
    assert repeated(searched(tmp_path / "killed", 1, 0.3, Forgetful))


def test_the_journal_names_the_runs_of_each_trial_and_says_what_came_of_it(tmp_path, monkeypatch):
    question = replace(QUESTION, search=replace(QUESTION.search, trials=8))
    found = search_in(tmp_path / "one", question, 0.4, np.random.default_rng(1), monkeypatch)
    again = search_in(tmp_path / "other", question, 0.0, np.random.default_rng(0), monkeypatch)
    assert found == again
    told = journal(tmp_path / "one" / "search.journal", question=question).study.get_trials()
    for trial, mine in zip(told, found.trials, strict=True):
        assert trial.user_attrs["runs"] == mine.runs
        assert trial.state.name.lower() == mine.outcome
        assert trial.intermediate_values == {look.step: look.score for look in mine.looks}
        assert trial.params["agent.learning_rate"] == mine.settings["agent.learning_rate"]
    rows = [row.name for row in Folder(tmp_path / "one").rows]
    assert len(rows) == len({*rows}) == 8 + 2


def test_the_journal_of_another_search_is_refused(tmp_path):
    journal(tmp_path / "journal").settings(0, [])
    other = replace(QUESTION, base=replace(QUESTION.base, num_envs=8))
    with pytest.raises(UserError, match="another search"):
        journal(tmp_path / "journal", question=other).settings(0, [])
    (tmp_path / "journal").write_text("no journal\n")
    with pytest.raises(UserError, match="is damaged"):
        journal(tmp_path / "journal")


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_median_rule_is_optunas(direction):
    rng = np.random.default_rng(0)
    for _ in range(50):
        study = optuna.create_study(direction=direction, pruner=optuna.pruners.MedianPruner(5, 0, 1))
        known = []
        for number in range(7):
            looks = [Look(step, 0.0, rng.normal()) for step in range(5)]
            known.append(Trial(number, {}, [], "complete", looks, [looks[-1].score]))
            values = {look.step: look.score for look in looks}
            study.add_trial(optuna.trial.create_trial(value=looks[-1].score, intermediate_values=values))
        trial, looks = study.ask(), []
        for step in range(4):
            looks.append(Look(step, 0.0, rng.normal()))
            trial.report(looks[-1].score, step)
            assert is_pruned("median", looks, known, direction) == (step > 0 and trial.should_prune())


def test_choices_of_any_kind_come_back_as_they_were(tmp_path):
    space = {"a": replace(SPACE["agent.gamma"], choice=[[256, 256], None, True, "x", 0.5])}
    search = replace(QUESTION.search, space=space, pruning=None)
    own = tpe.Journal(tmp_path / "journal", search, lambda *_: [])
    values = [own.settings(number, [])["a"] for number in range(16)]
    assert all(value in space["a"].choice for value in values)
    assert [256, 256] in values
