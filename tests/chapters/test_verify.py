"""What `wellposed chapter verify` says of a chapter is what its run directories bear out, whoever wrote into them."""

import json
import re
from pathlib import Path

import pytest

from course.chapters.criteria import verify_criterion
from course.chapters.gather import Runs
from course.chapters.results import Results, VariantResult
from course.chapters.spec import Criterion
from course.chapters.verify import Verification, describe, verify
from tests.chapters.tiny import TOML, as_seed, load, made_up, write_chapter
from wellposed.cli import main
from wellposed.runs.files import read_json, write_json


def outcomes(found: Verification) -> list[str]:
    return [judged.outcome for judged in found.criteria]


def test_what_is_there_passes(chapter, runs):
    found = verify(chapter, Runs(runs))
    assert found.holds
    assert outcomes(found) == ["pass", "pass"]
    told = describe(chapter, found)
    assert told[1] == "pass   width.json: what a width needs"
    assert told[-2] == "       width.narrow 0.5 end_steps max: 160; 160 (one seed); equals 160"
    assert told[-1] == "1 of 1 deliverables, 2 of 2 criteria. The chapter is done."


def test_what_is_missing_fails_and_names_the_command(chapter, tmp_path):
    found = verify(chapter, Runs(tmp_path / "nothing"))
    assert outcomes(found) == ["missing", "missing"]
    assert not found.deliverables[0].there
    reason = "1 of 1 runs are not trained and evaluated yet (seeds 0). `wellposed chapter run 4` creates it."
    assert found.criteria[0].reason == reason
    assert found.deliverables[0].reason == f"width.narrow 0.5: {reason}"


def test_the_exit_code_says_whether_it_holds(tmp_path, runs, capsys):
    where = ["--chapters", str(write_chapter(tmp_path).parent), "--runs-dir", str(runs)]
    assert main(["chapter", "verify", "4", *where]) == 0
    assert main(["chapter", "status", *where]) == 0
    out = capsys.readouterr().out
    assert " 4  Hindsight: done\n    1 of 1 runs; 1 of 1 deliverables; criteria: 2 pass, 0 fail, 0 missing" in out
    write_chapter(tmp_path, TOML.replace("at_least = 0.0", "at_least = 1.0"))
    assert main(["chapter", "verify", "4", *where, "--json", "-"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [judged["outcome"] for judged in found["criteria"]] == ["fail", "pass"]
    assert found["criteria"][0]["bound"] == "at least 100.0 %"


def edit(file: Path, old: str, new: str, count: int = 1) -> int:
    """Replace text in a file; returns the line on which the first replacement stands."""
    text = file.read_text()
    assert re.search(old, text), f"{old} is not in {file}"
    line = text[: re.search(old, text).start()].count("\n") + 1  # type: ignore[union-attr]
    file.write_text(re.sub(old, new, text, count=count))
    return line


SOLVED = '{"success_rate": 0.98, "step": 160, "updates": 0, "seconds": 1.0}'
EDITS = [  # file, what stands there, what is written instead, and what is said about it
    ("config.json", r'"gamma": 0.95', '"gamma": 0.9', "config.agent.gamma is not what this run was started with"),
    ("config.json", r'"hash": "\w+"', '"hash": "0"', "does not match its own hash"),
    ("verdict.json", r'"success_rate": [\d.]+', '"success_rate": 0.9', "which 4 episodes cannot give"),
    ("verdict.json", r'"already_solved_rate": [\d.]+', '"already_solved_rate": 0.5', "already_solved_rate is not"),
    ("verdict.json", r'"success": (true|false)', '"success": 1', "Expected `bool`, got `int`"),
    ("verdict.json", r'\{\n *"seed": (\d{4,}),', r'{ "sead": \1,', "missing required field `seed`"),
    ("verdict.json", r'"goal_kind": ""', '"goal_kind": "", "more": 1', "more"),
    ("verdict.json", r'"seed": \d{4,}', '"seed": 7', "per_episode.0.seed is not what its held-out episodes"),
    ("verdict.json", r"\{", "", "is not valid JSON .*line 2"),
    ("evaluations.jsonl", r'"success_rate": [\d.]+', '"success_rate": 1.0', "at the last step|1.0 over 4"),
    ("episodes.jsonl", r'"success": \w+', '"success": "yes"', "Expected `bool`"),
    ("episodes.jsonl", r'"step": 0', '"step": 1', "out of order"),
    ("summary.json", r'"step": 160', '"step": 100', "step is not what evaluations.jsonl says"),
    ("summary.json", r'"stop_reason": "budget"', '"stop_reason": "solved"', "stop_reason is not what"),
    ("summary.json", r'"solved": null', f'"solved": {SOLVED}', "solved is not what evaluations.jsonl says"),
    ("provenance.json", r'"cores": \d+', '"cores": "many"', "Expected `int`, got `str`"),
    ("metrics.jsonl", r'"updates": \d+', '"updates": -1.5', "metrics.jsonl, line 1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "message"), EDITS)
def test_a_record_edited_by_hand_is_named_with_its_line_and_fails_its_criteria(
    chapter, runs, run, name, old, new, message
):
    if name == "episodes.jsonl" and "yes" in new:  # of an episode that did not succeed this would change nothing
        (run / name).write_text((run / name).read_text().replace('"success": false', '"success": true'))
    line = edit(run / name, old, new)
    found = verify(chapter, Runs(runs))
    assert outcomes(found) == ["fail", "fail"]
    said = found.criteria[0].reason
    assert re.search(message, said), said
    assert name in said
    if "hash" not in said and "episodes" not in name and "JSON" not in said:
        assert f"line {line}" in said
    assert not found.deliverables[0].there


def test_it_fails_only_the_criteria_that_rest_on_it(tmp_path, runs, run):
    """One of two experiments has an edited run; the other's criterion passes all the same."""
    other = TOML[TOML.index("[experiments.width]") : TOML.index("[[deliverables]]")]
    other = other.replace("experiments.width", "experiments.seed").replace('seeds = "0"', 'seeds = "1"')
    criterion = TOML[TOML.index("[[criteria]]") : TOML.index('[[criteria]]\nsays = "It used')]
    chapter = load(tmp_path, TOML + other + criterion.replace("width.narrow", "seed.narrow"))
    as_seed(run, 1)
    assert outcomes(verify(chapter, Runs(runs))) == ["pass", "pass", "pass"]
    edit(run / "summary.json", '"step": 160', '"step": 100')
    assert outcomes(verify(chapter, Runs(runs))) == ["fail", "fail", "pass"]


def test_a_verdict_of_another_checkpoint_does_not_count(chapter, runs, run):
    data = read_json(run / "verdict.json")
    write_json(run / "verdict.json", data | {"checkpoint": "0" * 64})
    found = verify(chapter, Runs(runs))
    assert outcomes(found) == ["missing", "missing"]
    (file,) = sorted((run / "checkpoints").glob("*.safetensors"))[-1:]
    write_json(run / "verdict.json", data)
    assert verify(chapter, Runs(runs)).holds
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert "is truncated or was altered" in verify(chapter, Runs(runs)).criteria[0].reason


def test_a_summary_that_a_reader_could_edit_counts_for_nothing_and_is_refused(chapter, runs):
    file = runs / "ch04_hindsight" / "width.json"
    line = edit(file, r'"step": 160', '"step": 1')
    found = verify(chapter, Runs(runs))
    assert outcomes(found) == ["pass", "pass"]
    assert (
        f"width.json, line {line}: variants.narrow 0.5.runs.0.step is not what its runs give"
        in found.deliverables[0].reason
    )
    file.unlink()
    reason = verify(chapter, Runs(runs)).deliverables[0].reason
    assert "does not exist. `wellposed chapter run 4` writes it again." in reason


RANDOM = "inside width.narrow 0.5.random_success, 5.7 % to 51.0 %"


def bounded(**bounds) -> Criterion:
    told = {"metric": "success", "statistic": "mean"} | bounds
    return Criterion(says="A claim.", of="width.narrow 0.5", **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("criterion", "passes", "bound"),
    [
        (bounded(at_least=0.9), True, "at least 90.0 %"),
        (bounded(at_least=0.91), False, "at least 91.0 %"),
        (bounded(at_most=0.9), True, "at most 90.0 %"),
        (bounded(at_most=0.89), False, "at most 89.0 %"),
        (bounded(equals=0.9), True, "equals 90.0 %"),
        (bounded(equals=1), False, "equals 100.0 %"),
        (bounded(equals=True), False, "equals yes"),
        (bounded(within=(0.8, 0.95)), True, "within 80.0 % to 95.0 %"),
        (bounded(within=(0.91, 0.95)), False, "within 91.0 % to 95.0 %"),
        (bounded(inside="width.narrow 0.5.random_success"), False, RANDOM),
        (bounded(inside="width.narrow 0.5.success"), True, None),
        (bounded(statistic="low", at_least=0.9), False, "at least 90.0 %"),
        (bounded(metric="solved", equals=1), True, "equals 100.0 %"),
        (bounded(metric="steps", statistic="median", at_most=200), True, "at most 200"),
        (bounded(metric="steps", statistic="max", at_most=199), False, "at most 199"),
        (bounded(metric="success[table]", at_least=0.8), True, "at least 80.0 %"),
        (bounded(metric="success[table]", at_least=0.81), False, "at least 81.0 %"),
        (bounded(metric="success[floor]", at_least=0.0), False, "at least 0"),
        (bounded(metric="last[train/temperature]", at_most=0.05), True, "at most 0.05"),
        (bounded(metric="last[train/temprature]", at_most=0.05), False, "at most 0.05"),
    ],
)  # fmt: skip
def test_every_bound_is_kept_on_one_side_of_it_only(chapter, criterion, passes, bound):
    results = Results({"width": {"narrow 0.5": VariantResult({}, [made_up(seed) for seed in range(3)])}}, {}, {})
    found = verify_criterion(chapter, results, {}, criterion)
    assert found.outcome == ("pass" if passes else "fail"), found
    if bound is not None:
        assert found.bound == bound
    if "floor" in criterion.metric or "temprature" in criterion.metric:
        assert "did you mean 'train/temperature'" in found.reason or "no goals of the kind 'floor'" in found.reason


def test_a_seed_that_was_not_there_leaves_no_mean_to_be_judged(chapter):
    runs = [made_up(0), made_up(1), made_up(2, solved_at=None)]
    results = Results({"width": {"narrow 0.5": VariantResult({}, runs)}}, {}, {})
    assert verify_criterion(chapter, results, {}, bounded(metric="steps", at_most=1e9)).outcome == "fail"
    assert (
        verify_criterion(chapter, results, {}, bounded(metric="steps", statistic="median", at_most=200)).outcome
        == "pass"
    )
    assert (
        verify_criterion(chapter, results, {}, bounded(metric="steps", statistic="max", at_most=1e9)).outcome == "fail"
    )
