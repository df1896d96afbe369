"""A fact is what its path leads to, in the unit of its metric, with all that a published number must carry."""

from dataclasses import replace

import pytest

from course.chapters import facts
from course.chapters.metrics import METRICS, PICKS
from course.chapters.results import Curve, Measured, Results, VariantResult
from course.chapters.spec import AskedMeasurement, Chapter
from course.chapters.values import AbsentError
from tests.chapters.tiny import TOML, load, made_up
from wellposed.errors import UserError
from wellposed.runs import provenance
from wellposed.runs.record import MEANS

DATA = {
    "floor": {"value": 0.054, "ci95": [0.041, 0.07]},
    "fields": [{"name": "gripper x", "unit": "m"}, {"name": "gripper y", "unit": "m"}],
    "rare": {"value": 0.0008, "ci95": [0.000311, 0.002055]},
    "few": {"value": 0.6234, "ci95": [0.4376, 0.7891]},
    "rows": [{"step": step, "success": success} for step, success in ((100, 0.5), (200, 0.9), (300, 0.95), (400, 1.0))],
    "rates": {"0.02": {"success": 0.5}, "0.05": {"success": 0.25}},
    "motion": 0.0412,
    "expert": {"success_rate": 0.9, "success_ci95": [0.8, 0.95], "more": 1},
    "need": {"value": 31000.0, "censored": False},
    "more": {"value": 31000.0, "censored": True},
    "crossings": [
        {"share": 0.9, "level": 0.0082, "low": 0.0071, "high": 0.01},
        {"share": 0.5, "level": 0.031, "low": 0.03, "high": None},
    ],
    "fits": True,
    "ends": [1.0, 2.5],
    "unknown": None,
}
CONFIG = {"agent": {"gamma": 0.95, "hidden": [64, 64], "mirror": True, "anneal": None}, "num_envs": 1}


@pytest.fixture
def chapter(tmp_path) -> Chapter:
    """The tiny chapter with a measurement."""
    return replace(
        load(tmp_path), measurements={"counted": AskedMeasurement("counting", None, ["width.narrow 0.5"], False)}
    )


@pytest.fixture
def results() -> Results:
    origin = provenance.collect(threads=1, autoreset_mode="SameStep", devices=["cpu"])
    measured = Measured("counting", {}, {}, "0", replace(origin, commit="def", dirty=True, cpu="another"), 1.0, DATA)
    variant = VariantResult(CONFIG, [made_up(0), made_up(1)])
    return Results({"width": {"narrow 0.5": variant}}, {"counted": measured}, {})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("counted.floor", "0.054 (95 % CI 0.041-0.070)"),
        ("counted.floor.percent", "5.4 % (95 % CI 4.1-7.0)"),
        ("counted.floor.value", "0.054"),
        ("counted.floor.ci95.percent", "4.1 %, 7.0 %"),
        ("counted.fields.1.unit", "m"),
        ('counted.rates."0.02".success.percent', "50.0 %"),
        ("counted.motion.mm", "41.2 mm"),
        ("counted.motion.cm", "4.1 cm"),
        ("counted.expert", "90.0 % (95 % CI 80.0-95.0)"),
        ("counted.crossings.0", "0.0082 (95 % CI 0.0071 to 0.0100)"),
        ("counted.rare.percent", "0.080 % (95 % CI 0.031-0.205)"),
        ("counted.few.percent", "62 % (95 % CI 44-79)"),
        ("counted.crossings.mm", "8.2 mm (95 % CI 7.1 to 10.0), 31.0 mm (95 % CI 30.0 to beyond)"),
        ("counted.need", "31,000"),
        ("counted.more", "more than 31,000"),
        ("counted.unknown", "none"),
        ("counted.fits", "yes"),
        ("counted.ends", "1, 2.5"),
        ("width.narrow 0.5.success.mean", "90 %"),
        ('width."narrow 0.5".success.each', "90.0 %, 90.0 %"),
        ("width.narrow 0.5.success.n", "2"),
        ("width.narrow 0.5.solved", "2 of 2"),
        ("width.narrow 0.5.already_solved", "10 % (95 % CI 2-40, 10 episodes)"),
        ("width.narrow 0.5.random_success.mean", "20.0 %"),
        ("width.narrow 0.5.steps.median", "200"),
        ("width.narrow 0.5.success[table].mean", "80 %"),
        ("width.narrow 0.5.steps_to[50%].median", "200"),
        ("width.narrow 0.5.steps_to[51%].median", "more than 200"),
        ("width.narrow 0.5.min[train/temperature].max", "0.05"),
        ("width.narrow 0.5.max[train/temperature].max", "0.2"),
        ("width.narrow 0.5.max[rollout/moved_rate].max", "12.5 %"),
        ("width.narrow 0.5.steps_to_max[train/temperature].median", "100"),
        ("width.narrow 0.5.peak_success.max", "90 %"),
        ("width.narrow 0.5.final_distance.each", "0, 0.01"),
    ],
)
def test_a_fact_is_what_its_path_leads_to(chapter, results, path, text):
    assert facts.fact(chapter, results, path).text == text


def test_every_metric_can_be_told_with_every_statistic(chapter, results):
    for metric in METRICS:
        if metric in {*MEANS} - {"final_distance"}:
            continue  # the runs that were made up have none
        for pick in PICKS:
            assert facts.fact(chapter, results, f"width.narrow 0.5.{metric}.{pick}").text


def test_steps_to_a_rate_end_at_the_second_of_two_evaluations_in_a_row(chapter, results):
    """One evaluation at 90 % is luck; a run that never has two needs more than it used, as one that diverges does."""

    def median(*curves: list[int], ended: str = "budget") -> str:
        runs = [
            made_up(seed, solved_at=None, ended=ended, curve=Curve(10, [10, 20, 30, 40], [0] * 4, [0.0] * 4, curve))
            for seed, curve in enumerate(curves)
        ]
        one = replace(results, experiments={"width": {"narrow 0.5": VariantResult(CONFIG, runs)}})
        return facts.fact(chapter, one, "width.narrow 0.5.steps_to[90%].median").text

    assert median([9, 5, 9, 9]) == "40"
    assert median([0, 9, 10, 0]) == "30", "what comes later does not undo it"
    assert median([9, 0, 9, 0]) == "more than 1,000"
    assert median([9, 9, 0, 0], ended="diverged") == "20"
    assert median([9, 9, 0, 0], [0, 9, 9, 0], [0, 0, 0, 9]) == "30"


def test_a_fact_carries_where_it_comes_from(chapter, results):
    own = facts.fact(chapter, results, "width.narrow 0.5.success").origin
    assert (own.command, own.runs, own.seeds) == ("wellposed chapter run 4", ["run0", "run1"], [0, 1])
    assert (own.steps, own.updates, own.commits, own.machines) == (400, 200, ["abc"], ["a processor, 2 cores"])
    measured = facts.fact(chapter, results, "counted.motion").origin
    assert (measured.runs, measured.steps) == (own.runs, 400)
    assert measured.commits == ["abc", "def with uncommitted changes"]
    assert facts.criteria_table(chapter, results).origin == own, "two criteria on the same runs count them once"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("width.narrow 0.5.sucess", "no metric 'sucess'; did you mean 'success'"),
        ("width.narrow 0.5.success.average", "no statistic 'average'"),
        ("width.wide.success", "no variant 'wide"),
        ("with.wide.success", "Chapter 4 has no 'with'; did you mean 'width'"),
        ("counted.flor", "no 'flor'; did you mean 'floor'"),
        ("counted.fields.2.unit", "no '2'. There are 0, 1"),
        ("counted.rates", "counted.rates: This is a table, with 0.02, 0.05"),
        ("width.narrow 0.5.path_length", "has no path_length"),
        ("width.narrow 0.5.steps_to[0]", r"steps_to\[0\] is not a success rate in percent"),
        ("width.narrow 0.5.steps_to[101%]", r"steps_to\[101%\] is not a success rate"),
        ("width.narrow 0.5.success[floor]", "no goals of the kind 'floor'. There are air, table"),
    ],
)
def test_a_fact_that_is_not_there_is_named(chapter, results, path, message):
    with pytest.raises(UserError, match=message):
        facts.fact(chapter, results, path)


def test_what_was_not_made_is_absent(chapter):
    empty = Results({}, {}, {})
    for path, name in (("width.narrow 0.5.success", "width.narrow 0.5"), ("counted.floor", "counted")):
        with pytest.raises(AbsentError) as said:
            facts.fact(chapter, empty, path)
        assert said.value.name == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("agent.gamma", "0.95"),
        ("agent.hidden", "64, 64"),
        ("agent.mirror", "true"),
        ("agent.anneal", "none"),
        ("num_envs", "1"),
    ],
)
def test_a_setting_is_the_recorded_one(chapter, results, name, text):
    assert facts.setting(chapter, results, "width.narrow 0.5", name).text == text


def test_tables(chapter, results):
    table = facts.experiment_table(chapter, results, "width")
    assert table.head == [
        "variant",
        "solved",
        "success, held out",
        "steps to the bar",
        "updates to it",
        "seconds to it",
    ]
    assert table.rows[0][:2] == ["narrow 0.5", "2 of 2"]
    wider = facts.experiment_table(chapter, results, "width", columns=["solved", "steps_to[50%]"])
    assert (wider.head, wider.rows[0][:2]) == (["variant", "solved", "steps to 50%"], table.rows[0][:2])
    assert wider.rows[0][2] == facts.fact(chapter, results, "width.narrow 0.5.steps_to[50%]").text
    asked = chapter.experiments["width"]
    endless = replace(asked, question=replace(asked.question, until_success=None))
    with pytest.raises(UserError, match="width has no bar, so it has no solved"):
        facts.experiment_table(
            replace(chapter, experiments={"width": endless}), results, "width", ["solved", "success"]
        )
    table = facts.list_table(chapter, results, "counted.fields")
    assert (table.head, table.rows) == (["name", "unit"], [["gripper x", "m"], ["gripper y", "m"]])
    table = facts.list_table(chapter, results, "counted.rates")
    assert (table.rows, table.numeric) == ([["0.02", "0.5"], ["0.05", "0.25"]], [False, True])
    table = facts.list_table(chapter, results, "counted.rates", columns=["success.percent"])
    assert (table.head, table.rows) == (["", "success"], [["0.02", "50.0 %"], ["0.05", "25.0 %"]])
    table = facts.list_table(chapter, results, "counted.fields", columns=["unit"])
    assert (table.head, table.rows) == (["unit"], [["m"], ["m"]])
    with pytest.raises(UserError, match=r"The records of counted.fields have no 'units'"):
        facts.list_table(chapter, results, "counted.fields", columns=["units"])
    assert [row[3] for row in facts.criteria_table(chapter, results).rows] == ["pass", "fail"]
    assert [row[3] for row in facts.criteria_table(chapter, Results({}, {}, {})).rows] == ["missing", "missing"]
    with pytest.raises(UserError, match=r"counted.ends is not a list of records"):
        facts.list_table(chapter, results, "counted.ends")


def test_rows_over_steps_stop_with_the_last_run_and_say_how_many_are_in_training(chapter, results):
    """A run that has ended is carried on in the mean; what no run was trained for is not printed."""
    runs = [made_up(0, solved_at=200), made_up(1, solved_at=300)]
    ended = replace(results, experiments={"width": {"narrow 0.5": VariantResult(CONFIG, runs)}})
    table = facts.list_table(chapter, ended, "counted.rows", columns=["step", "success.percent"])
    assert table.head == ["step", "success", facts.SEEDS]
    assert table.rows == [["100", "50.0 %", "2 of 2"], ["200", "90.0 %", "2 of 2"], ["300", "95.0 %", "1 of 2"]]


def test_the_time_is_the_stated_one(tmp_path):
    assert facts.minutes(load(tmp_path)).text == "3 min"
    assert facts.study_minutes(load(tmp_path)).text == "1 h"
    assert (
        facts.study_minutes(load(tmp_path, TOML.replace("study_minutes = 60", "study_minutes = 90"))).text
        == "1 h 30 min"
    )
