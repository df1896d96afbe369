"""A reader's file is anything at all: one sentence with its line, exit code 1, and nothing else breaks."""

import os
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from course.chapters.load import chapter_folders, find_chapters
from course.exercises import EXERCISES, PREDICT, WRITE, submission
from course.exercises.guard import Guarded, OutputTrap, ReaderError, load
from wellposed.cli import main
from wellposed.errors import UserError

HEAD = "import numpy as np\n\n\ndef reward(achieved, desired, threshold):\n"
RIGHT = HEAD + "    return -(np.linalg.norm(achieved - desired, axis=-1) > threshold).astype(float)\n"


def first_fault(source: str | bytes, number: str = "1.1") -> ReaderError | None:
    """What is said of a file, without a process of its own."""
    exercise, trap = WRITE[number], OutputTrap()
    before, sys.stdout = sys.stdout, trap
    try:
        function = load(exercise, source if isinstance(source, bytes) else source.encode())
        trap.check()
        guarded = Guarded(exercise, function, trap, limit=None)
        for one in exercise.properties:
            assert one.counterexample(guarded) is None
    except ReaderError as error:
        return error
    finally:
        sys.stdout = before
    return None


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        (HEAD + "    d = achieved - desired\n    return d[7]\n", 6, "raises IndexError: index 7 is out of bounds"),
        (HEAD + "    return helper(1)\n\n\ndef helper(x):\n    return x / 0\n", 9, "raises ZeroDivisionError"),
        (HEAD + "    return reward(achieved, desired, threshold)\n", 5, "raises RecursionError"),
        (HEAD + "    raise NotImplementedError\n", 5, "is still to be written"),
        (HEAD + "    exit()\n", 5, "ends the process"),
        (HEAD + "    achieved -= desired\n    return achieved\n", 5, "changes its input"),
        (HEAD + "    desired[..., 0] = 0\n    return achieved\n", 5, "changes its input"),
        (HEAD + "    print('here', threshold)\n    return 0.0\n", 5, "prints 'here"),
        ("print('hello')\n" + RIGHT, 1, "prints 'hello'"),
        (HEAD + "    d = achieved - desired\n    if d.size:\n        return d\n    return 0\n", 7, "of shape [1, 3]"),
        (HEAD + "    return np.linalg.norm(achieved - desired, axis=-1) > threshold\n", 5, "numbers of type bool"),
        (HEAD + "    return [0.0 for _ in achieved]\n", 5, "returns [0.0], expected one reward"),
        (HEAD + "    x = 1\n", 5, "returns None"),
        (HEAD + "    yield 0.0\n", 4, "returns a generator"),
        (HEAD + "    return (1,\n", 5, "is not Python"),
        ("x = 1\0\n", 1, "is not Python"),
        ("import nothing_of_this_name\n", 1, "raises ModuleNotFoundError"),
        (
            "import numpy\n\ndef rewards(a, b, c):\n    return 0\n",
            4,
            "not define the function `reward(achieved, desired",
        ),
        ("reward = 3\n", 1, "does not define the function"),
        ("", 1, "does not define the function"),
        ("\ndef reward(desired, achieved, threshold):\n    return 0.0\n", 2, "takes (desired, achieved, threshold)"),
        ("\ndef reward(achieved, desired):\n    return 0.0\n", 2, "takes (achieved, desired)"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(source, line, what):
    fault = first_fault(source)
    assert fault is not None
    assert what in str(fault)
    assert fault.line == line
    assert "\n" not in str(fault)


def test_of_a_function_that_raises_the_arguments_are_told():
    fault = first_fault(HEAD + "    return 1 / 0\n")
    assert "given achieved = [[1.25 0.75 0.5 ]]" in str(fault)


@pytest.mark.parametrize("end", ["", "\n" * 3, "\nreward = np.vectorize(lambda x: x) and reward\n"])
def test_a_right_file_has_no_fault(end):
    assert first_fault(RIGHT + end) is None


def test_names_that_are_added_to_an_input_are_a_fault():
    source = "def same_bits(one, other):\n    one['more'] = 1\n    return True\n"
    assert "changes its input `one`" in str(first_fault(source, "0.2"))


def test_a_field_of_a_batch_cannot_be_written_to():
    source = (
        "def relabel(batch, goal, compute_reward, compute_terminated):\n    batch.reward[:] = 0\n    return batch\n"
    )
    fault = first_fault(source, "4.2")
    assert (fault and fault.line, "changes its input" in str(fault)) == (2, True)


def test_numpy_where_jax_compiles_is_explained():
    source = "import numpy as np\n\n\ndef temperature_loss(log_temperature, log_prob, target_entropy):\n"
    source += "    return -np.mean(np.multiply(log_temperature, log_prob + target_entropy))\n"
    fault = first_fault(source, "3.2")
    assert (fault and fault.line, "write it with jax.numpy" in str(fault)) == (5, True)


def check(file: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a check of exercise 1.1."""
    code = main(["exercise", "check", "1.1", str(file), *more])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_right_function_passes_and_a_wrong_one_is_told_where(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(RIGHT)
    code, out, err = check(file, capsys)
    assert (code, err) == (0, "")
    assert out.count("ok  ") == 5
    file.write_text(RIGHT.replace(">", ">="))
    code, out, err = check(file, capsys)
    assert (code, err) == (1, "")
    assert out.count("ok  ") == 4
    for told in (
        "FAIL at exactly the threshold",
        "threshold = 0.25",
        "should be  [0.]",
        "returned   [-1.]",
        "<=",
        "hint",
    ):
        assert told in out, told


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("x = 0\n\nwhile True:\n    x += 1\n", {3, 4}),
        (HEAD + "    return sum(range(10**12))\n", {5}),  # it holds Python's lock all the time
        (
            HEAD
            + "    while True:\n        try:\n            x = 1\n        except BaseException:\n            x = 2\n",
            {5, 6, 7},
        ),
    ],
)
def test_what_never_ends_is_ended_and_told_where_it_was(tmp_path, capsys, source, lines):
    file = tmp_path / "mine.py"
    file.write_text(source)
    code, out, err = check(file, capsys, "--limit", "0.2")
    assert (code, out) == (1, "")
    found = re.search(r"mine\.py, line (\d+), was still running after 0\.2 s", err)
    assert found is not None
    assert int(found[1]) in lines
    assert "Traceback" not in err


def test_a_function_that_ends_its_process_is_told(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(HEAD + "    import os\n    os._exit(0)\n")
    code, out, err = check(file, capsys)
    assert (code, out) == (1, "")
    assert f"{file}, line 4: the function ended the process that called it" in err


def test_what_is_no_file_is_said(tmp_path, capsys):
    code, _, err = check(tmp_path / "none.py", capsys)
    assert code == 1
    assert "There is no " in err
    assert "wellposed exercise start 1.1" in err
    assert check(tmp_path, capsys)[0] == 1
    assert main(["exercise", "check", "9.9", "mine.py"]) == 1
    assert "There is no exercise '9.9'; there are 0.1, " in capsys.readouterr().err
    assert main(["exercise", "check", "1.1", "mine.py", "--limit", "0"]) == 1


def test_a_stub_is_written_and_never_overwrites(tmp_path, capsys):
    file = tmp_path / "mine.py"
    for number, exercise in EXERCISES.items():
        assert main(["exercise", "start", number, str(file)]) == 0
        assert file.read_text() == exercise.stub
        file.unlink()
    file.write_text("my work")
    assert main(["exercise", "start", "4.1", str(file)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert file.read_text() == "my work"
    assert main(["exercise", "start", "4.1", str(tmp_path / "no" / "mine.py")]) == 1
    assert "Could not write" in capsys.readouterr().err


def test_a_hint_holds_the_equations_and_a_solution_the_laboratorys_own_code(tmp_path, capsys):
    for number, exercise in WRITE.items():
        file = tmp_path / f"{number}.py"
        assert main(["exercise", "start", number, str(file), "--hint"]) == 0
        compile(file.read_text(), number, "exec")
        assert all(one.equation in file.read_text() for one in exercise.properties)
        shown = submission.solution(exercise)
        assert "def " in shown
        assert '"""' in shown, "a solution is commented"
        assert "course/exercises" not in shown
    capsys.readouterr()
    file.write_text(RIGHT)
    code, out, _ = check(file, capsys)
    assert code == 0
    assert "The laboratory's own, wellposed/envs/goals.py, line " in out
    file.write_text(RIGHT.replace(">", "<"))
    code, out, _ = check(file, capsys)
    assert code == 1
    assert "The laboratory's own" not in out, "a solution comes after passing"


def test_all_exercises_are_listed(capsys):
    assert main(["exercise", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(EXERCISES)
    chapters = Counter(int(number.split(".")[0]) for number in EXERCISES)
    assert chapters.keys() == chapter_folders(find_chapters()).keys()
    assert min(chapters.values()) >= 2
    assert {int(number.split(".")[0]) for number in PREDICT} == {*range(2, 12)}


def test_a_file_that_is_too_large_is_refused(tmp_path):
    file = tmp_path / "mine.py"
    file.write_bytes(np.zeros(submission.LARGEST + 1, np.uint8).tobytes())
    with pytest.raises(UserError, match="larger than"):
        submission.read_source(EXERCISES["1.1"], file)


CHEAT = """import json, os, sys
folder = sys.argv[1]
with open(folder + "/found.json", "w") as file:
    json.dump({found}, file)
os._exit(0)
"""


@pytest.mark.parametrize(
    "found",
    [
        '{"found": [None] * 5}',
        '{"answers": [[] for _ in range(5)]}',
        '{"answers": [[{"array": ["<f8", [1], "AAAAAAAAAAA="]}] * 9 for _ in range(5)]}',
        '{"answers": [[{"array": ["O", [1], "AAAAAAAAAAA="]}] * 9 for _ in range(5)]}',
        '{"answers": [7] * 5}',
        '{"answers": None}',
        "[]",
        "7",
    ],
)
def test_a_file_that_writes_the_verdict_itself_does_not_pass(tmp_path, capsys, found):
    file = tmp_path / "mine.py"
    file.write_text(CHEAT.replace("{found}", found))
    code, _, err = check(file, capsys)
    assert code == 1
    assert "Traceback" not in err


def test_the_judge_asks_what_the_function_was_asked_and_believes_only_answers():
    from course.exercises.answers import Answers

    for exercise in WRITE.values():
        guarded = Guarded(exercise, exercise.own(), OutputTrap(), limit=None)
        for one in exercise.properties:
            guarded.answers = []
            assert one.counterexample(guarded) is None
            assert one.counterexample(Answers(exercise, guarded.answers)) is None
            if guarded.answers:
                with pytest.raises(UserError, match="did not answer every question"):
                    one.counterexample(Answers(exercise, guarded.answers[:-1]))


FORKS = """import os, time
def reward(achieved, desired, threshold):
    if os.fork() == 0:
        {before}
        if os.fork() == 0:
            own = {mark!r} + str(os.getpid())  # it is called more than once
            open(own, "w").write(str(os.getpid()))
            os.rename(own, {mark!r})
            time.sleep(600)
        os._exit(0)
    while not os.path.exists({mark!r}):
        time.sleep(0.01)
    return -(((achieved - desired) ** 2).sum(-1) ** 0.5 > threshold).astype(float)
"""


@pytest.mark.parametrize("before", ["pass", "os.setsid()"])
def test_no_process_of_a_file_outlives_its_check(tmp_path, capsys, before):
    file, mark = tmp_path / "mine.py", tmp_path / "mark"
    file.write_text(FORKS.format(before=before, mark=str(mark)))
    check(file, capsys)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


@pytest.mark.parametrize(
    "source",
    [
        "hoard = bytearray(5 * 2**30)\n" + RIGHT,
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**60, 2**60))\nhoard = bytearray(5 * 2**30)\n"
        + RIGHT,
    ],
)
def test_memory_is_bounded_before_the_file_is_executed_and_stays_so(tmp_path, capsys, source):
    file = tmp_path / "mine.py"
    file.write_text(source)
    code, _, err = check(file, capsys)
    assert code == 1
    assert "MemoryError" in err or "ValueError" in err
