"""`wellposed compare`: it claims no more than its intervals, says what else differs, finds the runs that are meant."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.diagnose.rows import evaluation
from tests.runs.test_store import PROVENANCE, moment
from wellposed.analysis.comparison import ABSENT, Comparison, Group, Run, as_data, compare
from wellposed.analysis.study import Trial
from wellposed.cli import main
from wellposed.compare import answer, find_runs, lines, read_groups
from wellposed.errors import UserError
from wellposed.runs.files import write_json
from wellposed.runs.record import (  # fmt: skip
    EpisodeRow,
    Estimate,
    Failure,
    Provenance,
    Resumption,
    Solved,
    Summary,
    Verdict,
    encode,
)
from wellposed.runs.store import RunReader, env_id, run_name
from wellposed.runs.writer import RunWriter

CONFIG = {"env": {"id": "FetchPush-v4"}, "algo": "sac", "total_steps": 1000, "until_success": 0.8}
CONFIG |= {"agent": {"gamma": 0.95, "hidden": [64, 64]}, "replay": {"k": 4}}
HERE = replace(PROVENANCE, commit="abc", cpu="one kind")
EPISODES = 100


def run(
    seed: int, success: float, reached_at: int | None, origin: Provenance = HERE, **by_kind: tuple[int, int]
) -> Run:
    """A run that is at the bar from a step on, or not within 1,000 steps, and succeeds in so many held-out episodes."""
    rows = [evaluation(s, 25 if reached_at is not None and s >= reached_at - 100 else 5) for s in range(0, 1001, 100)]
    trial = Trial(seed, f"r{seed}", None, False, 1000, 500, 10.0, Estimate(success, (0, 1)), EPISODES, "a", False, "c")
    return Run(trial, rows, by_kind, origin)


def group(successes: list[float], reached_at: list[int | None], config: dict = CONFIG, **origin: object) -> Group:
    here = replace(HERE, **origin)  # type: ignore[arg-type]
    pairs = zip(successes, reached_at, strict=True)
    return Group("label", config, [run(seed, rate, at, here) for seed, (rate, at) in enumerate(pairs)])


GOOD, BAD = [0.99, 1.0, 0.98, 0.99, 1.0], [0.7, 0.8, 0.75, 0.6, 0.72]
SOON: list[int | None] = [300, 400, 300, 400, 300]
LATE: list[int | None] = [900, 800, None, 900, None]
OTHER = CONFIG | {"replay": {"k": 0}}


def test_a_run_that_stopped_by_another_rule_says_itself_when_it_was_solved():
    """Its one evaluation at the bar is no pair."""
    stopped = group(GOOD, [None] * 5)
    solved = Solved(0.8, 200, 100, 2.0)
    runs = [replace(one, trial=replace(one.trial, solved=solved)) for one in stopped.runs]
    found = compare(replace(stopped, runs=runs), group(GOOD, SOON), bar=0.8)
    assert found.times[0].a.each == [200.0] * 5
    other = compare(replace(stopped, runs=runs), group(GOOD, SOON), bar=0.7)
    assert other.times[0].a.censored == [True] * 5


def test_the_better_group_is_named_with_how_much_and_how_sure():
    found = compare(group(GOOD, SOON), group(BAD, LATE, OTHER))
    assert answer(found) == "A is better: it succeeds more often and reaches the bar in fewer steps."
    assert found.success.difference.value == pytest.approx(np.mean(GOOD) - np.mean(BAD))
    said = "\n".join(lines(found))
    assert "They differ in one setting:\n  replay.k: 4 in A, 0 in B" in said
    assert "A minus B: +27.8 percentage points (95 % CI " in said
    assert (
        "A 300 (median, 94 % CI 300-400, 5 of 5 seeds reached it), B 900 (median, 94 % CI 800 or more, 3 of 5" in said
    )
    assert "A run of A succeeds more often than a run of B with probability 1.00 (95 % CI 0.64 to 1.00)." in said
    assert "times as many as B (97 % CI up to 0.44)." in said, "some of B may never get there"
    back = compare(group(BAD, LATE, OTHER), group(GOOD, SOON))
    assert "times as many as B (97 % CI 2.25 or more)." in "\n".join(lines(back))
    assert answer(back) == answer(found).replace("A", "B")
    assert back.success.difference.value == -found.success.difference.value


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (([0.98, 0.99, 0.97], [300, 400, 300]), ([0.95, 0.96, 0.94], [900, 800, 900])),
        ((GOOD, SOON), (GOOD[::-1], SOON)),
        (([1.0], [300]), ([0.1], [None])),
    ],
)
def test_no_difference_is_claimed_that_the_interval_does_not_support(a, b):
    """Three seeds each, well apart; the same twice; one seed, far apart: all undecided, whatever the means say."""
    found = compare(group(a[0], a[1]), group(b[0], b[1], OTHER))
    assert not found.success.shown
    assert answer(found).startswith("Neither is shown to be better.")
    said = "\n".join(lines(found))
    assert ("WARNING: one seed" in said) == (len(a[0]) == 1)
    assert "no difference is shown" in said


def test_what_a_difference_would_take_is_said_where_it_is_not_shown():
    found = compare(group([0.97, 0.99, 0.95, 1.0, 0.98], SOON), group([0.95, 0.97, 0.96, 0.94, 0.98], SOON))
    assert found.needed is not None
    assert f"about {found.needed.seeds} seeds each, and {found.needed.episodes} episodes" in "\n".join(lines(found))
    assert compare(group(GOOD, SOON), group(BAD, LATE)).needed is None


def test_better_and_sooner_may_be_different_groups():
    found = compare(group(GOOD, LATE), group(BAD, SOON))
    assert answer(found) == (
        "A succeeds more often and B reaches the bar in fewer steps: which is better depends on what matters to you."
    )
    sooner = compare(group(GOOD, SOON), group(GOOD, [900] * 5))
    assert answer(sooner).startswith("A learns faster")


def test_two_settings_that_differ_are_a_warning_and_all_are_listed():
    other = OTHER | {"agent": {"gamma": 0.98, "hidden": [64, 64]}}
    found = compare(group(GOOD, SOON), group(GOOD, SOON, other))
    assert found.changes == 2
    said = lines(found)
    (warning,) = (line for line in said if "Change one thing at a time" in line)
    assert warning.startswith("WARNING: they differ in 2 settings")
    assert said[said.index(warning) + 1 :][:2] == ["  agent.gamma: 0.95 in A, 0.98 in B", "  replay.k: 4 in A, 0 in B"]
    one = lines(compare(group(GOOD, SOON), group(GOOD, SOON, OTHER)))
    assert not any("WARNING" in line for line in one)


def test_what_comes_with_another_algorithm_is_one_change_and_shown():
    other = CONFIG | {"algo": "td3", "agent": {"gamma": 0.95, "hidden": [64, 64], "policy_delay": 2}}
    found = compare(group(GOOD, SOON), group(GOOD, SOON, other))
    assert found.changes == 1
    assert f"  agent.policy_delay: {ABSENT} in A, 2 in B" in lines(found)


def test_a_mechanism_that_only_one_group_has_is_one_change():
    with_it = CONFIG | {"env": {"id": "FetchPush-v4", "curriculum": {"kind": "linear", "finish": 100}}}
    assert compare(group(GOOD, SOON), group(GOOD, SOON, with_it)).changes == 1
    assert compare(group(GOOD, SOON, OTHER), group(GOOD, SOON, with_it)).changes == 2
    noisy = CONFIG | {"env": with_it["env"] | {"sensors": {"noise": 0.01, "delay": 1}}}
    assert compare(group(GOOD, SOON), group(GOOD, SOON, noisy)).changes == 2


def test_another_commit_machine_or_environment_is_said():
    far = Resumption(100, "", [], "def", False, {"jax": "2"}, "another kind", "later")
    b = group(GOOD, SOON, CONFIG | {"env": {"id": "FetchPushDense-v4"}}, resumed=[far], python="3.12")
    found = compare(group(GOOD, SOON), b)
    differing = {one.name: (one.a, one.b) for one in found.circumstances}
    assert differing == {
        "commit": ("abc", "abc and def"),
        "processor": ("one kind", "another kind and one kind"),
        "Python": ("3.11", "3.12"),
        "jax": ("1", "1 and 2"),
    }
    said = "\n".join(lines(found))
    assert "WARNING: not only settings differ:\n  commit: abc in A, abc and def in B" in said
    assert "WARNING: their environments differ" in said
    assert "They were not measured on the same machine and threads, so they are not compared." in said
    assert "not measured" not in "\n".join(lines(compare(group(GOOD, SOON), group(GOOD, SOON))))


def test_code_and_flags_that_differ_are_said_and_so_is_what_was_not_recorded():
    flags = {"jax_enable_x64": "False", "XLA_FLAGS": ""}
    known = {"flags": flags, "environment": "a" * 64, "packages": {"jax": "1", "panda-gym": "3"}}
    other = known | {"flags": flags | {"jax_enable_x64": "True"}, "environment": "b" * 64}
    a, b, before = (group([0.5, 0.5], [9, 9], **origin) for origin in (known, other, {}))
    same, differ, unknown, neither = compare(a, a), compare(a, b), compare(a, before), compare(before, before)
    assert (same.circumstances, same.unrecorded) == ([], [])
    assert {one.name: (one.a, one.b) for one in differ.circumstances} == {
        "jax_enable_x64": ("False", "True"), "code of the environment": ("a" * 12, "b" * 12),
    }  # fmt: skip
    assert {one.b for one in unknown.circumstances} == {"not recorded"}
    assert "panda-gym" in {one.name for one in unknown.circumstances}
    assert neither.circumstances == []
    said = (
        "Not recorded by all of them, so nothing is said of it: the flags of JAX and XLA, the code of the environment."
    )
    assert [said in lines(found) for found in (same, differ, unknown, neither)] == [False, False, True, True]


def test_kinds_of_goals_are_compared_where_all_runs_have_them():
    with_kinds = [
        Group("l", CONFIG, [run(i, 0.9, 300, air=(air, 50), table=(50, 50)) for i in range(5)]) for air in (40, 10)
    ]
    found = compare(with_kinds[0], with_kinds[1])
    assert [(one.of, one.shown) for one in found.by_kind] == [("air", True), ("table", False)]
    assert compare(with_kinds[0], group(GOOD, SOON)).by_kind == []


def test_the_bar_is_the_lower_of_both_unless_one_is_named():
    higher = CONFIG | {"until_success": 0.99}
    assert compare(group(GOOD, SOON), group(GOOD, SOON, higher)).bar == 0.8
    with pytest.raises(UserError, match=r"0\.9 is above 0\.8"):
        compare(group(GOOD, SOON), group(GOOD, SOON, higher), 0.9)
    easy = compare(group(GOOD, SOON), group(GOOD, SOON), 0.2)
    assert easy.times[0].a.each == [100] * 5, "at a bar of 20 % every run is there at the second evaluation"
    free = CONFIG | {"until_success": None}
    without = compare(group(GOOD, SOON, free), group(GOOD, SOON, free))
    assert without.times == []
    assert "name one with --bar" in lines(without)[-1]
    assert compare(group(GOOD, SOON, free), group(GOOD, SOON, free), 0.9).bar == 0.9


def test_runs_that_diverged_never_get_there_and_the_data_stay_json():
    bad = group([0.0] * 4, [None] * 4, OTHER)
    lost = [replace(one, trial=replace(one.trial, diverged=True)) for one in bad.runs]
    found = compare(group(GOOD, SOON), replace(bad, runs=lost))
    steps = found.times[0]
    assert (steps.ratio.low, steps.ratio.high, steps.ratio.decided) == (0.0, 0.0, True)
    assert steps.b.text == "never (none of 4 seeds reached it)"
    json.dumps(as_data(found), allow_nan=False)
    both = compare(replace(bad, runs=lost), replace(bad, runs=lost))
    assert both.times[0].restricted is None
    assert "Too few of the runs reached it to compare them." in "\n".join(lines(both))
    json.dumps(as_data(both), allow_nan=False)
    json.dumps(as_data(replace(both, a="not UTF-8: \udcff")))


def recorded(folder: Path, seed: int, success: int, config: dict = OTHER, end: str = "finished") -> Path:
    """A run directory with a verdict, without any training."""
    rows = [evaluation(step, 25) for step in (0, 100)]
    with RunWriter(folder, config | {"seed": seed}, HERE) as writer:
        for row in rows:
            writer.log_evaluation(row, [])
        writer.save(moment({"w": np.arange(4.0) + seed}, 100, 50))
        if end == "finished":
            writer.finish(Summary("budget", 100, 50, 1.5, 66.0, 33.0, 0.5, None, rows[-1]))
        elif end == "diverged":
            writer.fail(Failure(100, 50, "loss", "It was not finite."))
    episode = EpisodeRow(1, 50, True, True, -3.0, 0.01, 3, 0.1, 1.0, 0.4, False, "air")
    episodes = [replace(episode, seed=i, success=i < success) for i in range(EPISODES)]
    trained = replace(
        evaluation(100, success, episodes=EPISODES), success_by_kind={"air": Estimate(success / 100, (0, 1))}
    )
    state = RunReader(writer.path).load_checkpoint()[0].state.sha256
    write_json(writer.path / "verdict.json", encode(Verdict(env_id(config), 0, state, trained, trained, episodes)))
    return writer.path


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1, 2, 10):
        recorded(folder, seed, 95 + seed // 2)
    for seed in range(3):
        recorded(folder / "deeper", seed, 40 + seed, CONFIG, "finished" if seed else "diverged")
    return folder


def beginning(config: dict) -> str:
    return run_name(config | {"seed": 0}).removesuffix("_s0")


def test_the_command_says_it_and_writes_it(runs, tmp_path, capsys):
    a, b, file = beginning(OTHER), beginning(CONFIG).rpartition("_")[2][:6], tmp_path / "found.json"
    assert main(["compare", a, b, "--runs-dir", str(runs), "--json", str(file)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("A is better: it succeeds more often")
    assert "replay.k: 0 in A, 4 in B" in said
    assert "Success on held-out episodes, air: A " not in said, "the run that diverged was not asked for it"
    data = json.loads(file.read_text())
    assert data["seeds"] == [[0, 1, 2, 10], [0, 1, 2]]
    assert data["success"]["b"]["each"] == [0.0, 0.41, 0.42], "what diverged succeeds never"
    assert data["times"][0]["b"]["censored"] == [True, False, False]
    assert data.keys() == set(Comparison.__dataclass_fields__) | {"changes"}


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        ("{all}", [0, 1, 2, 10]),
        ("{all}_s1", [1]),
        ("{runs}/{all}_s[01]*", [0, 1, 10]),
        ("{runs}/{all}_s2, {all}_s10", [2, 10]),
        ("{runs}/deeper", [0, 1, 2]),
        ("{runs}/{all}_s0", [0]),
    ],
)
def test_runs_are_found_by_what_a_person_calls_them(runs, words, seeds):
    found = find_runs(words.format(runs=runs, all=beginning(OTHER)), runs)
    assert [reader.config["seed"] for reader in found] == seeds


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nothing", "no run called 'nothing'.*`wellposed runs` lists"),
        ("FetchPush-v4", r"several configurations: FetchPush-v4_sac_\w+ \(\d runs\), FetchPush"),
        ("", "name of a group of runs is empty"),
        ("/none/*", "no run called"),
    ],
)
def test_words_that_mean_no_group_are_refused_in_a_sentence(runs, words, message):
    with pytest.raises(UserError, match=message):
        find_runs(words, runs)


def test_a_run_does_not_count_twice_and_none_is_left_out_because_it_is_slow(runs, tmp_path):
    readers = find_runs(beginning(OTHER), runs)
    with pytest.raises(UserError, match="named in both groups"):
        read_groups(readers, readers[:1])
    recorded(tmp_path, 0, 95)
    with pytest.raises(UserError, match="two runs with seed 0"):
        find_runs(f"{tmp_path},{beginning(OTHER)}_s0", runs)
    cut = recorded(tmp_path, 3, 95, end="")
    with pytest.raises(UserError, match=f"is interrupted.*wellposed resume {cut}"):
        find_runs(str(tmp_path), runs)


def test_a_verdict_that_tells_of_goals_which_it_does_not_list_is_refused():
    episodes = [EpisodeRow(1, 50, True, True, -3.0, 0.01, 3, 0.1, 1.0, 0.4, False, kind) for kind in ("air", "table")]
    told = replace(evaluation(100, 2, episodes=2), success_by_kind={"air": Estimate(1.0, (0.2, 1.0))})
    assert Verdict("E", 0, "", told, told, episodes)
    with pytest.raises(ValueError, match="goals of the kind 'air' are told of, and none is listed"):
        Verdict("E", 0, "", told, told, [episodes[1]] * 2)
