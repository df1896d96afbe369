"""Robustness: what is asked for, paired play, the search, and what is written, on policies that are at hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from wellposed.analysis.robustness import Robustness, level_curve
from wellposed.cli import main
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.fetch.oracle import ProportionalReach
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError
from wellposed.report.robustness import describe
from wellposed.robustness import (
    YOURS,
    Player,
    Request,
    asked,
    cross_entropy,
    find_worst,
    play_challenge,
    play_curve,
    undisturbed,
    with_settings,
)
from wellposed.runs.record import decode
from wellposed.verdict import play_under

RECORDS = Path(__file__).parent / "old_records"
REACH = RECORDS / "FetchReach-v4_sac_3782acf1ecbe_s0"
MAZE = RECORDS / "PointMaze-UMaze-v3_sac_73946ef9f7ca_s0"


def player(episodes: int = 8, env: str = "FetchReach-v4") -> Player:
    return Player([ProportionalReach()], EnvConfig(env), 0.05, episodes, 0, 2)


def test_all_protocols_are_settings_that_exist():
    env = EnvConfig("FetchPush-v4")
    found = asked(Request())
    assert {kind: len(table) for kind, table in found.items()} == {"curves": 17, "challenges": 3, "sets": 3}
    for one in found["curves"].values():
        settings = [with_settings(env, {one["setting"]: level}) for level in one["levels"]]
        assert settings[0] == env, "the first level is none"
        assert len(set(settings)) == len(settings)
        steps = np.diff(one["levels"])
        assert (steps > 0).all() or (steps < 0).all()
    for one in found["challenges"].values():
        assert with_settings(env, one["settings"] | one["lengths"] | one["optional"]) != env
    for one in found["sets"].values():
        ranges = {f"dynamics.{key}": f"{ends[0]}..{ends[1]}" for key, ends in one.items() if key != "about"}
        assert 1 <= len(with_settings(env, ranges).dynamics.domains) <= 3


def test_what_is_asked_for_is_chosen_by_name_or_given_in_words():
    assert asked(Request(only=["noise", "easy"])) == {
        "curves": {"noise": asked(Request())["curves"]["noise"]},
        "challenges": {"easy": asked(Request())["challenges"]["easy"]},
        "sets": {},
    }
    own = asked(Request(dynamics=["friction=0.5..1.5", "mass=1..2"]))["sets"]
    assert own == {YOURS: {"about": "friction=0.5..1.5 mass=1..2", "friction": [0.5, 1.5], "mass": [1.0, 2.0]}}
    with pytest.raises(UserError, match=r"there is no 'noize'; did you mean 'noise'\?"):
        asked(Request(only=["noize"]))
    for wrong in (["friction=1"], ["friction=1..2", "mass=1..2", "gain=1..2", "damping=1..2"]):
        with pytest.raises(UserError, match="--dynamics takes"):
            asked(Request(dynamics=wrong))


def test_levels_are_played_on_the_same_episodes_and_a_level_of_nothing_loses_nothing():
    one = {"about": "an error", "setting": "sensors.noise", "unit": "radii", "levels": [0, 1e-9, 5.0]}
    found, subject = None, player()
    found = play_curve("noise", one, subject)
    assert [one.level for one in found.levels] == pytest.approx([0, 5e-11, 0.25])
    assert found.levels[1].success == found.levels[0].success
    assert found.levels[1].lost.value == 0 < found.levels[2].lost.value
    seeds = [[row.seed for row in rows] for (rows,) in subject.played.values()]
    assert seeds[0] == seeds[1] == seeds[2]


def test_several_policies_play_the_same_episodes_and_the_worst_case_is_that_of_all():
    one, two = player(4), player(4)
    two.policies *= 2
    assert two.outcomes("x", {"sensors.noise": 0.05}).shape == (2, 4)
    assert np.array_equal(two.outcomes("x", {}), np.repeat(one.outcomes("x", {}), 2, axis=0))


def test_what_an_environment_cannot_vary_is_left_off_a_challenge():
    one = {"about": "hard", "unit": "spreads", "lengths": {"sensors.noise": 1.0}, "settings": {"control.delay": 2}}
    found = play_challenge("hard", one | {"optional": {"dynamics.mass": "1..2"}}, player())
    assert found.settings == {"sensors.noise": pytest.approx(0.15), "control.delay": 2}  # Reach has no object
    assert found.lost.value > 0


def test_a_search_finds_the_worst_corner_of_a_cube():
    """Success falls towards (1, 0, .) and the third does not matter; scores are of 25 episodes, so they are rough."""
    rng = np.random.default_rng(0)
    chance = lambda points: np.clip(0.9 - 0.5 * points[:, 0] - 0.3 * (1 - points[:, 1]), 0, 1)  # noqa: E731
    judge = lambda points: [(one,) for one in rng.binomial(25, chance(points)) / 25]  # noqa: E731
    found = [cross_entropy(judge, 3, np.random.default_rng(seed)) for seed in range(20)]
    assert np.mean(chance(np.array(found))) < 0.2
    away = [cross_entropy(lambda p: [(-s,) for (s,) in judge(p)], 3, np.random.default_rng(i)) for i in range(5)]
    assert np.mean(chance(np.array(away))) > 0.7


@pytest.mark.slow
def test_the_worst_of_a_set_is_no_better_than_its_average(monkeypatch):
    monkeypatch.setattr("wellposed.robustness.ROUNDS", 2)
    monkeypatch.setattr("wellposed.robustness.CANDIDATES", 4)
    monkeypatch.setattr("wellposed.robustness.TRIALS", 4)
    subject = player()
    found = find_worst("gain", {"about": "gain", "gain": [0.001, 1.0]}, subject)
    assert found.found["gain"] < 0.6
    assert found.worst.value <= found.average.value
    assert found.searched == 2 * 4 * 4
    drawn = [row.drawn["dynamics.gain"] for row in subject.played["gain, average"][0]]
    assert len(set(drawn)) == 8
    assert {row.drawn["dynamics.gain"] for row in subject.played["gain, worst"][0]} == {found.found["gain"]}


def test_a_policy_trained_under_disturbance_is_first_judged_without():
    env = EnvConfig("FetchPush-v4", sensors=Sensors(0.01), dynamics=Dynamics("2"))
    assert undisturbed(env) == EnvConfig("FetchPush-v4")


def test_draws_of_an_episode_stand_in_its_row():
    where = EnvConfig("FetchReach-v4", sensors=Sensors(bias=0.01), dynamics=Dynamics("0.5..1.5"), max_episode_steps=2)
    rows = play_under(ProportionalReach(), where, [1, 2, 3], 0)
    again = play_under(ProportionalReach(), where, [3], 0)
    assert rows[2].drawn == again[0].drawn
    assert {"dynamics.friction", "bias.hand.0"} <= rows[0].drawn.keys()
    assert len({row.drawn["dynamics.friction"] for row in rows}) == 3


@pytest.mark.parametrize(
    ("levels", "rates", "words"),
    [
        ([0, 1, 2], [1.0, 1.0, 0.8], "success falls to 90 % at 1.5 (interval from 1.25 to 1.75)"),
        (
            [0, 1, 2],
            [1.0, 1.0, 0.95],
            "success stays above 90 % up to 2, the largest level tried (interval from 1.84 on)",
        ),
        ([1, 0.5], [1.0, 1.0], "success stays above 90 % down to 0.5, the smallest level tried"),
        ([0, 1], [0.9, 0.5], "success is not above 90 % without the disturbance either (interval from 0 to 0.128)"),
    ],
)
def test_where_success_falls_to_a_rate_is_said_in_a_sentence(levels, rates, words):
    """Of 100 episodes; Wilson: 100 in [0.963, 1], 95 in [0.888, 0.978], 90 in [0.826, 0.945], 80 in [0.711, 0.867]."""
    outcomes = np.array([[np.arange(100) < 100 * rate] for rate in rates])
    about = {"name": "noise", "about": "an error", "setting": "sensors.noise", "unit": "m"}
    curve = level_curve(about, levels, outcomes)
    assert describe(curve.crossings[0], curve) == words


@pytest.mark.slow
@pytest.mark.parametrize(("record", "friction"), [(REACH, "friction"), (MAZE, "mass")])
def test_the_commands_judge_any_run(record, friction, tmp_path, capsys):
    run = Path(shutil.copytree(record, tmp_path / record.name))
    words = ["--sensors", "noise=0.01", "delay=1", "--dynamics", f"{friction}=0.5..1.5"]
    assert main(["eval", str(run), "--episodes", "2", "--threads", "1", *words]) == 0
    assert f"sensors noise=0.01 delay=1, dynamics {friction}=0.5..1.5" in capsys.readouterr().out
    out = tmp_path / "out"
    only = ["--only", "sensor_delay", "larger", "--episodes", "2", "--threads", "1", "--quiet"]
    assert main(["robustness", str(run), str(run), *only]) == 1
    assert "robustness takes runs that differ in their seed only" in capsys.readouterr().err
    assert main(["robustness", str(run), *only, "--out", str(out)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == str(out / "robustness.html")
    found = decode(Robustness, json.loads((out / "robustness.json").read_text()), "robustness.json")
    assert [curve.name for curve in found.curves] == ["sensor_delay"]
    assert found.left_out[0].startswith("larger: --env.dynamics.size: this environment can vary friction")
    assert found.runs == [str(run)]
    assert len((out / "episodes.jsonl").read_text().splitlines()) == 2 * 5
    assert "<svg" in (out / "robustness.html").read_text()
