"""Long exercises: right files pass, each mistake is found in its step, and a check says how far a file came."""

import json

import pytest

from course.exercises import BUILD, MINUTES, Write, submission
from course.exercises.guard import Guarded, OutputTrap, load
from tests.exercises.right import RIGHT
from tests.exercises.test_properties import first_lacking
from tests.exercises.wrong_builds import SLIPS
from wellposed.cli import main

COMPILED = ("actor_loss", "critic_loss", "squashed_gaussian", "update", "value_loss")  # by JAX, for seconds
NEW = [
    pytest.param(number, step, id=f"{number}: {step.function}", marks=[pytest.mark.slow] * (step.function in COMPILED))
    for number, build in BUILD.items()
    for step in build.steps
    if not isinstance(step, Write)  # those are exercises of their own, with mistakes of their own
]


@pytest.mark.parametrize(("number", "step"), NEW)
def test_a_right_step_has_every_property_and_each_is_the_first_that_some_mistake_lacks(number, step):
    assert first_lacking(step, load(step, RIGHT[number].encode())) is None
    slips = SLIPS[number, step.function]
    assert len(slips) >= 3
    for slip in slips:
        assert RIGHT[number].count(slip.right) == 1, slip.right
        source = RIGHT[number].replace(slip.right, slip.wrong)
        lacks = first_lacking(step, load(step, source.encode()))
        assert lacks is not None, f"{slip.wrong!r} passed"
        assert lacks.startswith(slip.lacks), f"{slip.wrong!r} lacks {lacks!r}"
    named = [slip.lacks for slip in slips]
    assert [one.name for one in step.properties if not one.name.startswith(tuple(named))] == []


@pytest.mark.parametrize("number", BUILD)
def test_a_long_exercise_is_complete(number, tmp_path, capsys):
    build, file = BUILD[number], tmp_path / "mine.py"
    assert MINUTES[number] > 0
    assert main(["exercise", "start", number, str(file), "--hint"]) == 0
    compile(build.stub, number, "exec")
    assert max(map(len, build.stub.splitlines())) <= 120
    for i, step in enumerate(build.steps, 1):
        assert f"# Step {i} of {len(build.steps)}\ndef {step.function}(" in build.stub
        assert all(one.equation in file.read_text() for one in step.properties)
        assert all(one.equation and one.hint.endswith((".", "?")) for one in step.properties)
    shown = submission.solution(build)
    assert shown.count("The laboratory's own, wellposed/") == len(build.steps)
    assert "course/exercises" not in shown
    assert capsys.readouterr().out.startswith(f"{file}: fill it in")


def checked(number: str, source: str, tmp_path, capsys, *more: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a check."""
    file = tmp_path / "mine.py"
    file.write_text(source)
    code = main(["exercise", "check", number, str(file), *more])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_check_goes_step_by_step_and_stops_at_the_first_that_fails(tmp_path, capsys):
    code, out, err = checked("4.4", RIGHT["4.4"], tmp_path, capsys)
    assert (code, err) == (0, "")
    assert out.startswith("step 1 of 6 passed: draw_transitions\nstep 2 of 6 passed: future\n")
    assert "all 6 steps passed" in out
    assert "def sample(" in out, "a solution"
    code, out, err = checked("4.4", RIGHT["4.4"].replace("row + moment - t", "row + moment"), tmp_path, capsys)
    assert (code, err) == (1, "")
    assert "step 2 of 6 passed: future\nstep 3 of 6: goals\nFAIL the row of a moment" in out
    assert "because    the state of moment m lies m - t rows after" in out
    assert "step 3 of 6: 2 of 2 properties missing" in out
    assert "step 4" not in out
    assert "def sample(" not in out


def test_what_is_still_to_be_written_comes_after_what_passed(tmp_path, capsys):
    build = BUILD["4.4"]
    code, out, err = checked("4.4", build.stub, tmp_path, capsys)
    assert (code, out) == (1, "")
    assert "mine.py, line " in err
    assert "is still to be written" in err
    begun = RIGHT["4.4"][: RIGHT["4.4"].index("def goals")]
    code, out, err = checked("4.4", begun, tmp_path, capsys)
    assert (code, err) == (1, "")
    assert out.splitlines()[1:3] == ["step 2 of 6 passed: future", "step 3 of 6: goals"]
    assert "does not define the function `goals(achieved, row, t, moment)`" in out
    code, out, _ = checked("4.4", begun, tmp_path, capsys, "--json", "-")
    found = json.loads(out)
    assert (code, found["passed"], [step["passed"] for step in found["steps"]]) == (1, False, [True, True])
    assert "does not define" in found["fault"]


@pytest.mark.parametrize(
    "found",
    ['{"answers": [[[], [], []]]}', '{"answers": []}', '{"answers": [[[]]] * 9}', '{"answers": [], "error": 7}'],
)
def test_a_file_that_writes_the_verdict_itself_passes_no_step(tmp_path, capsys, found):
    cheat = f"import json, os, sys\njson.dump({found}, open(sys.argv[1] + '/found.json', 'w'))\nos._exit(0)\n"
    code, out, err = checked("4.4", cheat, tmp_path, capsys)
    assert (code, out) == (1, "")
    assert err


def test_the_judge_is_told_what_the_steps_answered():
    from course.exercises.answers import Answers

    build = BUILD["4.4"]
    for step in build.steps:
        guarded = Guarded(step, load(step, RIGHT["4.4"].encode()), OutputTrap(), limit=None)
        for one in step.properties:
            guarded.answers = []
            assert one.counterexample(guarded) is None
            assert one.counterexample(Answers(step, guarded.answers)) is None
