"""Realities as measurements: what is spent stands on a ledger, once, and what is told follows from it."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from course.chapters.load import find_chapters
from course.measure import MEASUREMENTS, realities
from course.measure.kinds import Context
from course.measure.realities import IdentificationSettings, PredictiveSettings, RealitySettings, less
from wellposed import predictive, serialise, stats
from wellposed.errors import UserError
from wellposed.reality import Played, Record, read_record, require_head, seal
from wellposed.runs.record import Estimate

SKILL = {"bad_s0": 0.2, "bad_s1": 0.3, "good_s0": 0.9, "good_s1": 1.0, "fair_s0": 0.5, "fair_s1": 0.6}
RUNS = {name: [Path(f"{name}_s{i}") for i in range(2)] for name in ("bad", "good", "fair")}


@pytest.fixture
def context(tmp_path, monkeypatch) -> Context:
    """Runs that succeed with known rates, in a reality of a chapter."""
    (tmp_path / "table.toml").write_text('title = "A table"\nbudget = 100\n[hidden]\n"dynamics.mass" = "0.5..2"\n')
    seal(tmp_path / "table.toml", 0)

    def play(run: Path, folder: Path, episodes: int, purpose: Any, _threads: int = 1, record_in=None) -> Played:
        record: Record = read_record(folder)
        told = {"purpose": purpose, "policy": run.name, "run": run.name, "first": record.spent, "episodes": episodes}
        wins = round(SKILL[run.name] * episodes)
        success = [i < wins for i in range(episodes)]
        record = record.append(kind="begun", **told).append(kind="ended", success=success, **told)
        if record_in:
            record_in.write_text("")
        return Played(record, [], None)  # type: ignore[arg-type]

    def verdict(run: Path, _threads: int = 1) -> Any:
        row = SimpleNamespace(success_rate=min(1.0, SKILL[run.name] + 0.1), success_at_limit=None)
        return SimpleNamespace(checkpoint=run.name, trained=row)

    for module in (realities, predictive):
        monkeypatch.setattr(module, "stored_verdict", verdict)
    monkeypatch.setattr(realities, "play", play)
    return Context(1, RUNS, brought=tmp_path, kept=tmp_path / "kept")


def measured(kind: str, settings: Any, context: Context) -> Any:
    found = MEASUREMENTS[kind].measure(settings, context)
    assert serialise.from_dict(MEASUREMENTS[kind].result, serialise.to_dict(found), "here") == found
    return found


def test_each_run_plays_episodes_of_its_own_and_the_published_ledger_stays(context):
    found = measured("reality", RealitySettings("table", ["bad", "good"], 10), context)
    bad, good = found.rows
    assert (bad.success.value, good.success.value) == pytest.approx((0.25, 0.95))
    assert (bad.simulated.value, bad.runs, bad.gained) == (pytest.approx(0.35), 2, None)
    assert good.gained.value == pytest.approx(0.7)
    assert good.gained == less(good.success, bad.success)
    assert (found.spent, found.budget) == (40, 100)
    assert read_record(context.brought / "table").spent == 0
    assert read_record(context.brought / "table").head == found.head


@pytest.mark.parametrize("name", ["../table", "sub/table", "..", "", "/table"])
def test_a_reality_is_a_folder_of_the_chapter_and_nothing_else(context, name):
    with pytest.raises(UserError, match="is no folder of the chapter"):
        realities.opened(name, context)


def test_a_copy_that_is_a_link_is_not_played_in(context, tmp_path):
    shutil.copytree(context.brought / "table", tmp_path / "elsewhere")
    context.kept.mkdir()
    (context.kept / "table").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="table is a link"):
        realities.opened("table", context)


def test_what_was_spent_is_not_spent_again(context):
    once = measured("reality", RealitySettings("table", ["bad", "good"], 10), context)
    assert measured("reality", RealitySettings("table", ["bad", "good"], 10), context) == once
    assert measured("reality", RealitySettings("table", ["bad", "good"], 12), context).spent == 48


def test_the_copy_must_be_of_what_was_published(context):
    measured("reality", RealitySettings("table", ["bad"], 1), context)
    shutil.rmtree(context.brought / "table")
    seal(context.brought / "table.toml", 1)
    with pytest.raises(UserError, match="does not hold the row"):
        measured("reality", RealitySettings("table", ["bad"], 1), context)


def test_the_chosen_one_is_judged_on_episodes_that_did_not_choose_it(context):
    chosen = measured("reality", RealitySettings("table", ["bad", "good"], 10, choose_by=20), context).chosen
    assert (chosen.run, chosen.among, chosen.by, chosen.seen) == ("good_s1", 4, 5, 1.0)
    assert chosen.success.value == 1.0
    assert chosen.success.ci95 == pytest.approx(stats.wilson(10, 10)[1:])
    assert chosen.expected == pytest.approx(stats.expected_best(np.full(4, (1 + 2 + 4 + 5) / 20), 5), abs=0.06)
    with pytest.raises(UserError, match="does not suffice for 4 runs"):
        measured("reality", RealitySettings("table", ["bad", "good"], 10, choose_by=3), context)


def test_an_order_that_simulation_predicts_has_the_correlation_one(context):
    found = measured("predictive", PredictiveSettings("table", list(RUNS), 10), context)
    assert (found.policies, found.rank_correlation.value) == (6, pytest.approx(1.0, abs=0.03))
    assert found.pairs[0].policy in ("good_s0", "good_s1")
    assert 0.8 < found.attenuation < 1


def test_identified_parameters_stand_beside_what_was_hidden(context, monkeypatch):
    true = read_record(context.brought / "table").reality.settings["dynamics.mass"]
    close = SimpleNamespace(name="mass", estimate=1.05 * true, low=0.9 * true, high=1.2 * true, identifiable=True)
    unknown = SimpleNamespace(name="friction", estimate=1.3, low=None, high=None, identifiable=False)
    recording: Any = SimpleNamespace(length=[1] * 50)
    recording.first = lambda n: n
    monkeypatch.setattr(realities, "read_recording", lambda _: recording)
    monkeypatch.setattr(
        realities, "identify", lambda *_: SimpleNamespace(parameters=[close, unknown], gap=[], unknown=["friction"])
    )
    settings = IdentificationSettings("table", "bad", ["mass", "friction"], [10, 50])
    found = measured("identification", settings, context)
    mass = [(row.episodes, row.parameter, row.inside) for row in found.rows][::2]
    assert mass == [(10, "mass", True), (50, "mass", True)]
    assert (found.furthest, found.unknown, found.rows[1].off) == (pytest.approx(0.05), 1, None)
    entries = read_record(context.kept / "table").entries
    assert [(entry.purpose, entry.episodes) for entry in entries[1:]] == [("identification", 50)] * 2
    measured("identification", settings, context)
    assert read_record(context.kept / "table").spent == 50


def test_a_difference_adds_the_halves_of_its_intervals_in_squares():
    found = less(Estimate(0.8, (0.7, 0.85)), Estimate(0.5, (0.4, 0.6)))
    assert found.value == pytest.approx(0.3)
    assert found.ci95 == pytest.approx((0.3 - np.hypot(0.1, 0.1), 0.3 + np.hypot(0.05, 0.1)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (lambda: RealitySettings("table", []), "must name"),
        (lambda: RealitySettings("table", ["a"], choose_by=-1), "choose_by"),
        (lambda: PredictiveSettings("table", ["a"], 0), "at least 1"),
        (lambda: IdentificationSettings("table", "a", ["rate"]), "some of friction"),
        (lambda: IdentificationSettings("table", "a", ["mass"], [0]), "at least 1"),
    ],
)
def test_settings_that_ask_nothing_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        settings()


def test_chapter_10_publishes_the_heads_of_its_realities():
    folder = find_chapters() / "ch10_reality"
    text = (folder / "chapter.md").read_text()
    published = dict(re.findall(r"^\| `(\w+)` \|.*\| `([0-9a-f]{12})` \|$", text, re.MULTILINE))
    assert published.keys() == {path.parent.name for path in folder.glob("*/sealed.json")}
    for name, head in published.items():
        require_head(read_record(folder / name), head)
