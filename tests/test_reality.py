"""Sealed realities: what is drawn, what is spent, what is refused, and what a forged ledger gives away."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wellposed import reality as module
from wellposed import serialise
from wellposed.cli import main
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.suites.fetch.oracle import ScriptedPush
from wellposed.envs.suites.fetch.quantities import fetch_quantities
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError
from wellposed.reality import Entry, Record, play, read_record, require_head, seal, selection, table
from wellposed.recorded import read_recording
from wellposed.runs.record import EpisodeRow
from wellposed.seeding import evaluation_env_seeds
from wellposed.translated import Translated
from wellposed.verdict import play_under

REACH = Path(__file__).parent / "old_records" / "FetchReach-v4_sac_3782acf1ecbe_s0"
EXAMPLE = Path(__file__).parent.parent / "examples" / "fetch_to_panda.toml"
PAGE = Path(__file__).parent.parent / "docs" / "reality.md"
TOML = """
title = "A slow arm"
budget = 10
[env]
"max_episode_steps" = 3
"control.delay" = 1
[hidden]
"dynamics.gain" = "0.5..1.5"
"control.hold" = "1,2"
"sensors.noise" = "0.001..0.01"
"""


def sealed(folder: Path, text: str = TOML, seed: int | None = 0) -> Record:
    (folder / "arm.toml").write_text(text)
    return seal(folder / "arm.toml", seed)


def test_what_is_hidden_is_drawn_once_and_from_its_range(tmp_path):
    drawn = []
    for i, seed in enumerate((0, 0, 1, None, None)):
        (tmp_path / str(i)).mkdir()
        found = sealed(tmp_path / str(i), seed=seed).reality
        where = found.around(
            EnvConfig("FetchReach-v4", control=Control(0.5), sensors=Sensors(1.0), dynamics=Dynamics("2"))
        )
        gain, noise = found.settings["dynamics.gain"], found.settings["sensors.noise"]
        assert 0.5 <= gain <= 1.5
        assert 0.001 <= noise <= 0.01
        assert where.dynamics == Dynamics(gain=str(gain)), "the run's own dynamics do not apply"
        assert where.sensors == Sensors(noise)
        assert where.control == Control(0.5, delay=1, hold=found.settings["control.hold"]), "how it acts stays"
        drawn.append((found.settings, found.episodes))
    assert drawn[0] == drawn[1]
    assert len({str(settings) for settings, _ in drawn}) == 4
    assert len({str(episodes) for _, episodes in drawn}) == 4


def test_the_documented_reality_can_be_sealed(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    where = sealed(tmp_path, text).reality.around(EnvConfig("FetchPush-v4"))
    assert (where.control.delay, where.sensors.delay) == (1, 1)
    assert 0.5 <= float(where.dynamics.friction) <= 1.5


def test_its_episodes_are_no_others():
    mine = set(evaluation_env_seeds(0, 1000, "reality"))
    assert len(mine) == 1000
    assert not mine & {*evaluation_env_seeds(0, 1000, "held-out"), *evaluation_env_seeds(0, 1000, "monitoring")}
    assert min(mine) >= 3 * 2**29, "where no episode of training is"


def test_each_episode_is_played_once_and_all_are_on_the_ledger(tmp_path):
    first = sealed(tmp_path)
    one = play(REACH, first.folder, 4)
    two = play(REACH, first.folder, 6)
    assert [row.seed for row in [*one.rows, *two.rows]] == first.reality.episodes
    again = read_record(first.folder)
    assert again == two.record
    assert [(e.kind, e.first, e.episodes) for e in again.entries] == [
        ("sealed", 0, 0), ("begun", 0, 4), ("ended", 0, 4), ("begun", 4, 6), ("ended", 4, 6)
    ]  # fmt: skip
    assert again.entries[-1].success == [row.success for row in two.rows]
    assert again.entries[-1].success_at_limit == [], "success does not end an episode of Reach"
    assert one.rows[0].drawn == {"dynamics.gain": first.reality.settings["dynamics.gain"]}
    with pytest.raises(UserError, match="0 of 10 episodes left, and 1 are asked for"):
        play(REACH, first.folder, 1)
    assert read_record(first.folder) == again


def test_episodes_can_be_recorded_and_what_cannot_be_spends_nothing(tmp_path):
    record = sealed(tmp_path)
    played = play(REACH, record.folder, 3, "identification", record_in=tmp_path / "r.npz")
    found = read_recording(tmp_path / "r.npz")
    assert list(found.length) == [row.length for row in played.rows] == [3, 3, 3]
    assert (found.about.delay, found.about.env) == (0, EnvConfig("FetchReach-v4", {}, 3))
    assert np.all(found.applied[::3] == 0), "commands are a step late"
    assert found.state["physics"].shape[0] == 9
    hidden = str(played.record.reality.settings["dynamics.gain"])
    with np.load(tmp_path / "r.npz") as file:
        assert hidden[:8] not in str(file["about"])


def test_episodes_are_spent_before_they_are_played(tmp_path, monkeypatch):
    """A process that is killed has seen something."""
    record = sealed(tmp_path)

    def killed(*_: Any, **__: Any) -> None:
        assert read_record(record.folder).spent == 3
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "play_under", killed)
        with pytest.raises(KeyboardInterrupt):
            play(REACH, record.folder, 3)
    after = play(REACH, record.folder, 2).record
    assert after.spent == 5
    assert [entry.kind for entry in after.entries] == ["sealed", "begun", "begun", "ended"]
    assert "interrupted, not known" in table(after)[1]


def unended(tmp_path: Path) -> Path:
    run = shutil.copytree(REACH, tmp_path / REACH.name)
    (run / "summary.json").unlink()
    return run


@pytest.mark.parametrize(
    ("text", "run", "why"),
    [
        (TOML, unended, "has not ended"),
        ('title = "same"\nbudget = 10\n', lambda _: REACH, "trained in exactly this environment"),
        ('title = "block"\nbudget = 10\n[env]\nid = "FetchPush-v4"\n', lambda _: REACH, "FetchPush-v4 shows"),
        ('title = "rope"\nbudget = 10\n[hidden]\n"dynamics.mass" = "1..2"\n', lambda _: REACH, "cannot vary|mass"),
        (TOML, lambda folder: folder / "nothing", "not a run"),
    ],
)
def test_what_is_refused_spends_nothing(tmp_path, text, run, why):
    record = sealed(tmp_path, text)
    with pytest.raises(UserError, match=why):
        play(run(tmp_path), record.folder, 2)
    assert read_record(record.folder) == record


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("budget = 10", "", "budget"),
        ("budget = 10", "budget = 0", "must be 1 to"),
        ("budget = 10", "budget = 10\nruns = 3", "unknown.*runs"),
        ("control.delay", "control.dely", "did you mean 'control.delay'"),
        ('"control.delay" = 1', '"control.delay" = -1', "is 0 to"),
        ("0.5..1.5", "1.5..0.5", "is no range"),
        ('"0.5..1.5"', "0.5", "Expected `str`"),
    ],
)
def test_a_mistake_in_what_is_asked_is_a_sentence_and_seals_nothing(tmp_path, before, after, why):
    assert before in TOML
    with pytest.raises(UserError, match=why):
        sealed(tmp_path, TOML.replace(before, after))
    assert not (tmp_path / "arm").exists()


def test_a_reality_is_sealed_once(tmp_path):
    first = sealed(tmp_path)
    with pytest.raises(UserError, match="sealed once"):
        sealed(tmp_path, seed=1)
    assert read_record(first.folder) == first


def ledger(tmp_path: Path) -> Record:
    """Three evaluations of two policies, without playing."""
    record = sealed(tmp_path)
    for i, policy in enumerate("aba"):
        told = {"purpose": "evaluation", "policy": policy * 64, "run": "R_s0", "first": 2 * i, "episodes": 2}
        record = record.append(kind="begun", **told).append(kind="ended", success=[True, False], **told)
    return record


def test_the_mean_over_seeds_is_told_of_runs_that_differ_in_nothing_else(tmp_path):
    record = sealed(tmp_path)
    for run, outcomes in (("A_s0", [True, True]), ("A_s1", [True, False]), ("B_s0", [False, False])):
        told = {"purpose": "evaluation", "policy": run, "run": run, "first": record.spent, "episodes": 2}
        record = record.append(kind="begun", **told).append(kind="ended", success=outcomes, **told)
    (line,) = [line for line in table(record) if "mean over" in line]
    assert line.startswith("A, mean over 2 seeds x 2 episodes: 75.0 %")


def rechained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with digests that fit again, as somebody makes them who knows how."""
    previous, found = rows[0]["previous"], []
    for row in rows:
        found.append(row | {"previous": previous})
        previous = serialise.from_dict(Entry, found[-1], "row").digest
    return found


FORGERIES: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "an outcome": lambda rows: rows[2].update(success=[True, True]),
    "an outcome that was not noted": lambda rows: rows[-1].update(success_at_limit=[True]),
    "an outcome before the end": lambda rows: rows[-2].update(success_at_limit=[True, True]),
    "a policy": lambda rows: [row.update(policy="c" * 64) for row in rows[1:3]],
    "a purpose": lambda rows: [row.update(purpose="identification") for row in rows[1:3]],
    "a time": lambda rows: rows[1].update(time="2020-01-01T00:00:00+00:00"),
    "the last outcome": lambda rows: rows[-1].update(success=[True, True, True]),
    "the last policy": lambda rows: rows[-1].update(policy="c" * 64),
    "one left out": lambda rows: rows.__delitem__(slice(1, 3)),
    "an end left out": lambda rows: rows.__delitem__(2),
    "two swapped": lambda rows: rows.__setitem__(slice(1, 5), rows[3:5] + rows[1:3]),
    "one doubled": lambda rows: rows.append(rows[-1]),
    "the first left out": lambda rows: rows.__delitem__(0),
    "all left out": lambda rows: rows.clear(),
    "a key more": lambda rows: rows[1].update(note="x"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_ledger_is_found(tmp_path, name):
    record = ledger(tmp_path)
    file = record.folder / "ledger.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    FORGERIES[name](rows)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=r"does not follow|edited by hand|were removed"):
        read_record(record.folder)


def test_a_budget_or_a_hidden_value_cannot_be_changed_afterwards(tmp_path):
    record = ledger(tmp_path)
    file = record.folder / "sealed.json"
    file.write_text(file.read_text().replace('"budget": 10', '"budget": 99'))
    with pytest.raises(UserError, match=r"row 1 does not follow from sealed\.json"):
        read_record(record.folder)


def test_a_seed_that_is_none_is_a_sentence_even_of_a_forger(tmp_path):
    record = sealed(tmp_path)
    file = record.folder / "sealed.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"seed": -1}))
    first = serialise.to_dict(record.entries[0]) | {"previous": hashlib.sha256(file.read_bytes()).hexdigest()}
    (record.folder / "ledger.jsonl").write_text(json.dumps(first) + "\n")
    with pytest.raises(UserError, match="no seed is below 0"):
        read_record(record.folder)


@pytest.mark.parametrize("forge", [lambda rows: rows[:3], lambda rows: rows[:1] + rows[3:]])
def test_rows_that_are_removed_at_the_end_or_written_anew_are_found_by_a_published_head_only(tmp_path, forge):
    """By whoever knows how; it is why heads are published."""
    record = ledger(tmp_path)
    early = Record(record.folder, record.reality, record.entries[:3]).head
    file = record.folder / "ledger.jsonl"
    rows = forge([json.loads(line) for line in file.read_text().splitlines()])
    for place, row in enumerate(rows[1:]):
        row["first"] = 2 * (place // 2)
    file.write_text("".join(json.dumps(row) + "\n" for row in rechained(rows)))
    forged = read_record(record.folder)
    with pytest.raises(UserError, match="does not hold the row whose digest was published"):
        require_head(forged, record.head)
    if len(rows) == 3:
        require_head(forged, early)  # it stands for what came up to then


def test_no_more_is_spent_than_there_is_even_by_a_forger(tmp_path):
    record = sealed(tmp_path)
    told = {"purpose": "evaluation", "policy": "a" * 64, "run": "R_s0"}
    record.append(kind="begun", first=0, episodes=11, **told)
    with pytest.raises(UserError, match="row 2 does not follow"):
        read_record(record.folder)


def test_it_is_told_whether_a_policy_could_have_been_selected():
    begun = Entry("", "2026-01-02", "begun", "evaluation", "a", "R", "2026-01-01", 0, 5)
    assert selection([]) == "No policy was evaluated here."
    assert selection([begun, begun]) == "One policy was evaluated, 2 times: it was not selected among others here."
    other = replace(begun, policy="b", trained="2026-01-03")
    told = selection([replace(begun, purpose="identification"), begun, other])
    assert "2 policies were evaluated, 2 times in all: one of them may have been selected" in told
    assert "1 of 2 began to train after the first episodes were played here" in told
    assert told.endswith("5 episodes served identification.")


def diagonal(size: int, first: int = 0) -> str:
    return f"constant = {[0.0] * size}\nterms = {[[i, first + i, 1] for i in range(size)]}\n"


SAME = (
    f"[sees.observation]\n{diagonal(10)}[sees.achieved_goal]\n{diagonal(3, 10)}[sees.desired_goal]\n{diagonal(3, 13)}"
    f"[does]\n{diagonal(4)}"
)


def test_a_policy_that_is_shown_the_same_in_other_words_does_the_same(tmp_path):
    """And something else where a number is translated in another way."""
    texts = {"plain": TOML, "same": TOML + SAME, "other": TOML + SAME.replace("[0, 0, 1]", "[0, 0, -1]")}
    found = {}
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        found[name] = play(REACH, sealed(tmp_path / name, text).folder, 3).rows
    distances = {name: [row.final_distance for row in rows] for name, rows in found.items()}
    assert distances["same"] == pytest.approx(distances["plain"], rel=1e-6)
    assert distances["other"] != pytest.approx(distances["plain"], rel=1e-3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SAME.replace(diagonal(10), diagonal(9)), "The policy reads"),
        (SAME.replace("[sees.desired_goal]", "[sees.goal]"), "The policy reads"),
        (SAME.replace(f"[does]\n{diagonal(4)}", f"[does]\n{diagonal(3)}"), "An action has 3 numbers here, and 4"),
        (SAME.replace("[2, 15, 1]", "[2, 16, 1]"), r"term \[2, 16, 1\] is beyond"),
        (SAME.replace("[2, 15, 1]", "[-1, 15, 1]"), r"term \[-1, 15, 1\] is beyond"),
    ],
)
def test_a_translation_that_does_not_fit_spends_nothing(tmp_path, text, why):
    record = sealed(tmp_path, TOML + text)
    with pytest.raises(UserError, match=why):
        play(REACH, record.folder, 2)
    assert read_record(record.folder) == record


def test_the_panda_of_the_examples_shows_what_fetch_says_of_its_numbers(tmp_path):
    """Whatever it shows: ways are differences of places, relative velocities those of velocities."""
    shutil.copy(EXAMPLE, tmp_path)
    sees = seal(tmp_path / EXAMPLE.name, 0).reality.sees
    shown = np.random.default_rng(0).normal(size=(5, 24))
    shown[:, 18:21] = shown[:, 6:9]  # the cube is what is to reach the goal
    names = [quantity.name for quantity in fetch_quantities(True).observation]
    seen = dict(zip(names, sees["observation"].of(shown).T, strict=True))
    for i, axis in enumerate("xyz"):
        np.testing.assert_allclose(seen[f"object from hand {axis}"], seen[f"object {axis}"] - seen[f"hand {axis}"])
        step = 0.04 * shown[:, 12 + i]
        np.testing.assert_allclose(seen[f"object velocity from hand {axis}"], step - seen[f"hand velocity {axis}"])
        np.testing.assert_allclose(seen[f"object {axis}"], sees["achieved_goal"].of(shown)[:, i])
        np.testing.assert_allclose(seen[f"object turning {axis}"], 0.04 * shown[:, 15 + i])
        goal = sees["desired_goal"].of(shown)[:, i] - sees["achieved_goal"].of(shown)[:, i]
        np.testing.assert_allclose(goal, shown[:, 21 + i] - shown[:, 18 + i])


@pytest.mark.slow
def test_a_controller_that_is_written_for_fetch_pushes_the_pandas_cube(tmp_path):
    """And one whose hand goes the other way along y does not."""
    pytest.importorskip("panda_gym", reason="needs the extra panda")
    shutil.copy(EXAMPLE, tmp_path)
    found = seal(tmp_path / EXAMPLE.name, 0).reality
    where = found.around(EnvConfig("FetchPush-v4"))
    with closing(make_env(where, 1, "evaluation")) as env:
        fields = env.spec.obs
    assert found.does is not None
    mirrored = replace(found.does, terms=[(0, 0, 1.0), (1, 1, -1.0), (2, 2, 1.0)])
    policies = [Translated(ScriptedPush(), fields, found.sees, does) for does in (found.does, mirrored)]
    solved = [sum(row.success for row in play_under(one, where, found.episodes[:8], 0)) for one in policies]
    assert solved[0] >= 5
    assert solved[1] <= 1


def test_where_success_ends_an_episode_the_ledger_also_says_who_stays_at_the_goal(tmp_path, monkeypatch):
    def kept_running(*args: Any, **told: Any) -> list[EpisodeRow]:
        assert told["to_limit"]
        return [replace(row, success_at_limit=i == 0) for i, row in enumerate(play_under(*args))]

    monkeypatch.setattr(module, "play_under", kept_running)
    found = play(REACH, sealed(tmp_path).folder, 2)
    assert read_record(found.record.folder).entries[-1].success_at_limit == [True, False]
    assert "at the limit of episodes that go on after their goal 50.0 %" in "\n".join(table(found.record))


def test_the_command_line_seals_plays_and_shows(tmp_path, capsys):
    (tmp_path / "arm.toml").write_text(TOML)
    assert main(["reality", "seal", str(tmp_path / "arm.toml")]) == 0
    *_, head, folder = capsys.readouterr().out.split()
    assert main(["eval", str(REACH), "--reality", folder, "--episodes", "4", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["episodes"], len(data["per_episode"])) == (4, 4)
    assert main(["reality", "show", folder, "--head", head]) == 0
    shown = capsys.readouterr().out
    assert "4 of 10 episodes spent" in shown
    assert "One policy was evaluated, once" in shown
    assert f"head {data['head']}" in shown
    assert str(read_record(Path(folder)).reality.settings["dynamics.gain"]) not in shown
    assert main(["reality", "show", folder, "--head", "0" * 64]) == 1
    assert main(["eval", str(REACH), "--reality", folder, "--noise", "0.1"]) == 1
    assert "as it was sealed" in capsys.readouterr().err
