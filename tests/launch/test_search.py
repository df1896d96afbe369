"""Searches on made-up trainings: which settings are tried, what is cut short, and what the winner is worth."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runs.test_store import EPISODE, EVALUATION, PROVENANCE, SUMMARY, moment
from wellposed import stats
from wellposed.analysis.search import Claim, Look, Trial, is_pruned, score_of, winner
from wellposed.analysis.space import Range
from wellposed.errors import UserError
from wellposed.launch import drive
from wellposed.launch.drive import Searched, load_searched
from wellposed.launch.rows import Folder, make_folder
from wellposed.launch.search import Memory, Question, Search, Seen
from wellposed.launch.states import PRUNED, state_of
from wellposed.launch.work import stop_where_pruned
from wellposed.recipes import default_config
from wellposed.runs.files import write_json
from wellposed.runs.record import EvaluationRow, encode
from wellposed.runs.store import RunReader
from wellposed.runs.writer import RunWriter, unobserved
from wellposed.serialise import from_dict

STEPS, EPISODES = range(0, 8001, 1000), 50
BASE = replace(default_config("FetchReach-v4"), total_steps=8000, eval_every=1000)
SPACE = {
    "agent.learning_rate": Range(low=1e-4, high=1e-2, log=True, points=3),
    "agent.batch_size": Range(low=64, high=256, integer=True, points=3),
    "agent.gamma": Range(choice=[0.95, 0.98]),
}


def asked(method: str = "random", trials: int | None = 12, seeds: Sequence[int] = (0,), **settings: Any) -> Question:
    return Question(Search(method, SPACE, trials, **settings), BASE, [*seeds])  # type: ignore[arg-type]


def evaluated(step: int, success: float) -> EvaluationRow:
    rate = round(success * EPISODES) / EPISODES
    sure = replace(EVALUATION.any_success, value=1.0, ci95=(1.0, 1.0))
    return replace(
        EVALUATION, step=step, episodes=EPISODES, success_rate=rate, success_ci95=(0.0, 1.0), any_success=sure
    )


def trained(name: str, config: dict[str, Any]) -> list[EvaluationRow]:
    """A made-up training: better the nearer the learning rate is to 1e-3, with the noise of its seed."""
    rng = np.random.default_rng([*name.encode()])
    best = 0.9 - 0.5 * abs(np.log10(config["agent"]["learning_rate"]) + 3) + 0.05 * rng.standard_normal()
    return [evaluated(step, np.clip(best * step / 8000, 0, 1)) for step in STEPS]


class World:
    """Runs that make progress as somebody works on them, in memory."""

    def __init__(self, train: Callable[[str, dict[str, Any]], list[EvaluationRow]] = trained):
        self.train, self.rows, self.done = train, dict[str, list[EvaluationRow]](), dict[str, int]()

    def read(self, name: str) -> Seen:
        seen = self.rows.get(name, [])[: self.done.get(name, 0)]
        return Seen(seen, ended=bool(seen) and seen[-1].step == STEPS[-1])

    def work(self, question: Question, rng: np.random.Generator, propose: Any = None, die: float = 0.3) -> list[Trial]:
        """Search to the end; now and then who drives it dies, and knows nothing afterwards."""
        asked_for = propose or (lambda number, _: question.search.settings(number))
        memory = Memory()
        while not (progress := question.progress(self.read, asked_for, memory)).ended:
            for row in progress.rows:
                self.rows.setdefault(row.name, self.train(row.name, row.config))
            open_ = [row.name for row in progress.rows if row.name not in progress.pruned]
            open_ = [name for name in open_ if not self.read(name).ended]
            for name in rng.choice(open_, min(6, len(open_)), replace=False):
                self.done[name] = self.done.get(name, 0) + int(rng.integers(1, 4))
            memory = Memory() if rng.random() < die else memory
        assert progress.claim is not None
        return progress.trials


def repeated(trials: Sequence[Trial]) -> list[int]:
    """The numbers of trials whose settings were tried before."""
    tried = [tuple(trial.settings.values()) for trial in trials]
    return [trial.number for i, trial in enumerate(trials) if tried[i] in tried[:i]]


def test_a_grid_is_every_combination_once():
    search = asked("grid", None).search
    tried = [tuple(search.settings(number).values()) for number in range(search.size)]
    assert tried == list(product([1e-4, pytest.approx(1e-3), pytest.approx(1e-2)], [64, 160, 256], [0.95, 0.98]))


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_settings_fill_their_ranges_and_do_not_depend_on_the_number_of_trials(method):
    few, many = asked(method, 64).search, asked(method, 128).search
    tried = [few.settings(number) for number in range(64)]
    assert tried == [many.settings(number) for number in range(64)]
    rates, sizes, gammas = (np.array([one[name] for one in tried]) for name in SPACE)
    assert 20 <= (rates < 1e-3).sum() <= 44  # half of them: uniform in the logarithm
    assert ((rates >= 1e-4) & (rates <= 1e-2)).all()
    assert {type(one["agent.batch_size"]) for one in tried} == {int}
    assert 64 <= sizes.min() < 80
    assert 240 < sizes.max() <= 256
    assert 20 <= (gammas == 0.95).sum() <= 44
    if method == "sobol":  # each half of the range holds half of the points, which random ones miss
        assert (rates < 1e-3).sum() == (gammas == 0.95).sum() == 32


@pytest.mark.parametrize("one", [*SPACE.values(), Range(low=1, high=3, integer=True), Range(low=-1.0, high=1.0)])
def test_a_share_of_a_range_is_where_its_value_lies(one):
    for share in np.linspace(0, 1, 11):
        assert one.value(one.place(one.value(share))) == pytest.approx(one.value(share))
    values = [one.value(share) for share in np.linspace(0, 1, 3000, endpoint=False)]
    if one.integer and one.high == 3:
        assert [values.count(number) for number in (1, 2, 3)] == pytest.approx([1000] * 3, abs=2)


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"low": 1.0}, {"low": 2.0, "high": 1.0}, {"low": 0.0, "high": 1.0, "log": True}, {"choice": []},
        {"low": 0.5, "high": 3.0, "integer": True}, {"choice": [1, 1]}, {"choice": [1, 2], "low": 0.0},
        {"low": 0.0, "high": 1.0, "points": 1}, {"low": 0.0, "high": 1.0, "logarithmic": True},
    ],
)  # fmt: skip
def test_a_range_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError):
        from_dict(Range, wrong, "the space")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"space": {"agent.learning_rat": SPACE["agent.learning_rate"]}}, "learning_rate"),
        ({"space": {"agent.batch_size": Range(low=64, high=256)}}, "integer = true"),
        ({"space": {"seed": Range(choice=[1, 2])}}, "whole manifest"),
        ({"space": {"agent.gamma": Range(low=0.5, high=1.5)}}, "gamma"),
        ({"space": {}}, "at least one setting"),
        ({"objective": "succes"}, "did you mean 'success'"),
        ({"objective": "episode_return"}, "maximize"),
        ({"objective": "success", "direction": "minimize"}, "maximize"),
        ({"objective": "steps"}, "until_success"),
        ({"fresh_seeds": "0-4"}, "fresh_seeds has 0"),
        ({"trials": None}, "needs trials"),
        ({"method": "grid"}, "a grid has none"),
    ],
)
def test_a_search_that_cannot_be_is_refused_with_what_to_do(settings, named):
    with pytest.raises(UserError, match=named):
        Question(Search(**({"method": "random", "space": SPACE, "trials": 4} | settings)), BASE, [0])


@pytest.mark.parametrize("pruning", [None, "median", "halving"])
@pytest.mark.parametrize("method", ["grid", "random"])
def test_a_search_is_the_same_in_whatever_order_runs_end_and_whoever_dies(method, pruning):
    question = asked(method, None if method == "grid" else 16, [0, 1], pruning=pruning, parallel=3)
    told = [World().work(question, np.random.default_rng(seed), die=die) for seed, die in ((0, 0.0), (1, 0.3))]
    assert told[0] == told[1]
    assert [trial.number for trial in told[0]] == list(range(question.search.size))
    assert repeated(told[0]) == []
    outcomes = {trial.outcome for trial in told[0]}
    assert outcomes == ({"complete", "pruned"} if pruning else {"complete"})


def test_no_more_trials_are_under_way_than_asked_where_one_depends_on_another():
    question, world = asked(pruning="median", parallel=3), World()
    first = question.progress(world.read, lambda number, _: question.search.settings(number), Memory())
    assert [trial.number for trial in first.trials] == [0, 1, 2]
    free = replace(question, search=replace(question.search, pruning=None))
    assert len(free.progress(world.read, lambda number, _: free.search.settings(number), Memory()).trials) == 12


def test_a_trial_that_is_pruned_stops_all_of_its_seeds_where_it_was_worse():
    question, world = asked(seeds=[0, 1], pruning="median", trials=30), World()
    trials = world.work(question, np.random.default_rng(0))
    pruned = [trial for trial in trials if trial.outcome == "pruned"]
    assert pruned
    assert all(trial.looks[-1].step < 8000 and len(trial.each) == 2 for trial in pruned)
    spent = sum(len(rows[: world.done[name]]) for name, rows in world.rows.items())
    assert spent < 0.95 * len(STEPS) * len(world.rows)
    best = winner(trials, "maximize")
    assert best is not None
    assert best.outcome == "complete"


def test_a_run_that_diverged_scores_nothing_and_a_refused_combination_is_a_failed_trial():
    rows = [evaluated(step, 0.8) for step in (0, 1000, 2000)]
    known = {"budget": 8000, "bar": 0.7}
    assert score_of("success", rows, 8000, **known) == 0.8
    assert score_of("success", rows, 8000, diverged=2500, **known) == 0.0
    assert score_of("success", rows, 2000, diverged=2500, **known) == 0.8
    assert score_of("area", rows, 8000, diverged=2000, **known) == pytest.approx(0.8 * 2000 / 8000)
    assert score_of("area", rows, 8000, **known) == pytest.approx(0.8)
    assert score_of("steps", rows, 8000, **known) == 1000
    assert score_of("steps", rows, 8000, budget=8000, bar=0.9) == 16000
    assert score_of("episode_return", rows, 8000, diverged=2500, **known) is None
    question = Question(Search("grid", {"num_envs": Range(choice=[1, 16])}), BASE, [0])
    assert question.rows(0, {"agent.gamma": 2.0}, [0]) == []


def test_equal_scores_are_never_cut():
    looks = [Look(step, 0.0, 0.0) for step in (0, 1000, 2000, 4000)]
    same = [Trial(n, {}, [], "complete", looks, [0.0]) for n in range(9)]
    better = [replace(trial, looks=[replace(look, score=0.1) for look in looks]) for trial in same]
    for rule in ("median", "halving"):
        for n in range(1, 5):
            assert not is_pruned(rule, looks[:n], same, "maximize")
            assert not is_pruned(rule, looks[:n], better[:4], "maximize"), "four are too few to compare with"
        assert is_pruned(rule, looks[:3], better, "maximize")
        assert not is_pruned(rule, looks[:3], better, "minimize")
    assert not is_pruned("halving", looks, better, "maximize"), "the third look is no rung"


def test_halving_keeps_the_better_half_of_those_that_got_there():
    looks = lambda score: [Look(0, 0.0, 0.0), Look(1000, score, score)]  # noqa: E731
    known = [Trial(n, {}, [], "pruned", looks(n / 10), [n / 10]) for n in range(6)]
    cut = [is_pruned("halving", looks(score), known, "maximize") for score in (0.05, 0.15, 0.25, 0.35, 0.55)]
    assert cut == [True, True, False, False, False]


def noise(name: str, _: dict[str, Any]) -> list[EvaluationRow]:
    """A training on which no setting has any influence: half of the seeds' episodes succeed."""
    return [evaluated(step, np.random.default_rng([*name.encode(), step]).binomial(10, 0.5) / 10) for step in STEPS]


def test_on_pure_noise_the_best_of_a_search_is_above_the_truth_and_fresh_seeds_are_not():
    question, world = asked(trials=30, fresh_seeds="1000-1014"), World(noise)
    world.work(question, np.random.default_rng(0), die=0.0)
    claim = question.progress(world.read, lambda number, _: question.search.settings(number), Memory()).claim
    assert claim is not None
    assert claim.winner.score >= 0.8
    assert claim.interval.low < 0.5 < claim.interval.high < claim.winner.score
    assert claim.flattery.low > 0
    assert claim.flattery.estimate == pytest.approx(claim.winner.score - np.mean(claim.fresh))
    told = " ".join(claim.lines)
    assert "Best of 30 trials" in told
    assert "winner's curse" in told
    assert "15 seeds" in told


def test_the_interval_of_fresh_seeds_covers_the_truth_and_that_of_the_winners_own_does_not():
    rng, covered = np.random.default_rng(0), np.zeros(2)
    for _ in range(200):
        scores = rng.normal(10.0, 1.0, (20, 3))  # 20 trials that do not differ, 3 seeds each
        trials = [Trial(n, {}, [], "complete", [], [*each]) for n, each in enumerate(scores)]
        best = winner(trials, "maximize")
        assert best is not None
        claim = Claim(best, 20, "episode_return", "maximize", [*rng.normal(10.0, 1.0, 5)], 50)
        intervals = stats.over_seeds(np.array(best.each)), claim.interval
        covered += [one.low <= 10.0 <= one.high for one in intervals]
    assert covered[0] < 0.8 * 200, "who reports the winner's own seeds is wrong far more often than 5 %"
    assert covered[1] > 0.9 * 200


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data["trials"][0]["settings"].pop("a"),
        lambda data: data["trials"][0]["settings"].update(c=1),
        lambda data: data["trials"][0]["settings"].update(a="x"),
        lambda data: data["trials"][0]["settings"].update(b=3),
        lambda data: data["trials"][0].update(each=[]),
        lambda data: data["claim"].update(fresh=[]),
    ],
)
def test_what_a_search_found_is_of_its_space(tmp_path, damage):
    search = Search("random", {"a": Range(low=0.0, high=1.0), "b": Range(choice=[1, 2])}, trials=1)
    trial = Trial(0, {"a": 0.5, "b": 1}, ["run"], "complete", [], [0.5])
    found = Searched("?", "FetchReach-v4", search, [trial], Claim(trial, 1, "success", "maximize", [0.4], 10))
    data = encode(found)
    write_json(tmp_path / "trials.json", data)
    assert load_searched(tmp_path) == found
    damage(data)
    write_json(tmp_path / "trials.json", data)
    with pytest.raises(UserError, match="edited by hand or is damaged"):
        load_searched(tmp_path)


def test_an_interval_stays_where_scores_can_lie():
    best = Trial(0, {}, [], "complete", [], [0.9])
    assert Claim(best, 9, "area", "maximize", [0.1, 0.9], 50).interval == pytest.approx((0.5, 0.0, 1.0))
    assert Claim(best, 9, "steps", "minimize", [100.0, 900.0], 50).interval.low == 0.0
    assert Claim(best, 9, "episode_return", "maximize", [0.1, 0.9], 50).interval.low < 0.0
    late = Claim(replace(best, each=[400.0]), 9, "steps", "minimize", [500.0, 600.0, 550.0], 50)
    assert late.flattery.estimate == 150.0
    assert late.flattery.low < 150.0 < late.flattery.high
    assert np.isnan(Claim(best, 9, "area", "maximize", [0.5], 50).flattery.low)
    assert "no interval" in " ".join(Claim(best, 9, "area", "maximize", [0.5], 50).lines)


class Killed(BaseException):
    """Whoever drives the search is gone."""


def write(folder: Folder, index: int) -> None:
    """Write the record of a made-up training; it ends early if the search prunes it."""
    row = folder.rows[index]
    rows = trained(row.name, row.config)
    if state_of(folder.runs, row) != "waiting":
        raise AssertionError(f"{row.name} is trained twice")
    with RunWriter(folder.runs, row.config, PROVENANCE) as run:
        for evaluation in rows:
            run.log_evaluation(evaluation, [EPISODE])
        run.save(moment({"w": np.zeros(1)}, 8000, 50))
        run.finish(replace(SUMMARY, step=8000, final_evaluation=rows[-1]))


def search_in(
    path: Path, question: Question, kills: float, rng: np.random.Generator, monkeypatch: Any
) -> drive.Searched:
    """Search in a folder, killed again and again between two runs, or between two steps of the journal."""
    monkeypatch.setattr(drive, "LOOK", 60.0)
    folder = make_folder(path, [], ["test"])

    def work(indices: list[int]) -> None:
        for index in rng.permutation(indices):
            write(folder, int(index))
            if rng.random() < kills:
                raise Killed

    while True:
        try:
            drive.run_search(folder, question, "Which?", work)
            return drive.load_searched(path)
        except Killed:
            journal = path / "search.journal"
            if journal.exists():  # the last line is torn, as by a kill in the middle of writing it
                with journal.open("ab") as file:
                    file.write(b'{"op_code": 4, "wor')


def test_a_search_that_is_killed_again_and_again_trains_each_run_once_and_finds_the_same(tmp_path, monkeypatch):
    question = asked(trials=8, fresh_seeds="1000-1001", parallel=2, pruning="median")
    whole = search_in(tmp_path / "whole", question, 0.0, np.random.default_rng(0), monkeypatch)
    killed = search_in(tmp_path / "killed", question, 0.5, np.random.default_rng(1), monkeypatch)
    assert whole == killed
    assert whole.claim is not None
    rows = Folder(tmp_path / "killed").rows
    assert len({row.name for row in rows}) == len(rows) == 8 + 2
    assert [row.label for row in rows[-2:]] == ["winner"] * 2


def test_a_second_process_does_not_drive_the_same_search(tmp_path):
    folder, question = make_folder(tmp_path, [], ["test"]), asked(trials=2)

    def work(_: list[int]) -> None:
        drive.run_search(folder, question, "Which?", lambda _: None)

    with pytest.raises(UserError, match="is being written by process"):
        drive.run_search(folder, question, "Which?", work)


def test_a_row_that_a_scheduler_could_not_do_ends_the_search_with_its_reason(tmp_path):
    folder, question = make_folder(tmp_path, [], ["test"]), asked(trials=2)
    with pytest.raises(UserError, match="no demonstrations here"):
        drive.run_search(
            folder, question, "Which?", lambda rows: folder.note_error(folder.rows[rows[0]], "no demonstrations here")
        )


def test_a_run_that_is_pruned_stops_at_its_next_evaluation_and_is_not_taken_up_again(tmp_path):
    row = asked().rows(0, {}, [0])[0]
    caught, told = [], stop_where_pruned(unobserved)
    before = signal.signal(signal.SIGTERM, lambda *_: caught.append(1))
    try:
        with RunWriter(tmp_path, row.config, PROVENANCE) as run:
            told(RunReader(run.path), EVALUATION, {})
            assert not caught
            (run.path / PRUNED).touch()
            assert state_of(tmp_path, row) == "running"
            told(RunReader(run.path), EVALUATION, {})
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught
    assert state_of(tmp_path, row) == "pruned"
