"""The laboratory has all properties of the exercises, and each typical mistake lacks first the one that names it."""

from collections import Counter

import pytest

from course.exercises import EXERCISES, MINUTES, WRITE, Write
from course.exercises.guard import Guarded, OutputTrap, ReaderError, load
from tests.exercises.wrong import WRONG

FAULTS = {  # exercises whose file holds faults
    "2.5": [
        "nothing leaks from one episode into the one before",
        "at a time limit the future keeps its value, and it is that of the true successor",
    ],
    "4.5": ["the goal is the new one", "it is judged by the state that the transition led to"],
}


def first_lacking(exercise: Write, function) -> str | None:
    """Name of the first property that a function does not have, or cannot be asked about; None if it has all."""
    guarded = Guarded(exercise, function, OutputTrap(), limit=None)
    for one in exercise.properties:
        try:
            if one.counterexample(guarded):
                return one.name
        except ReaderError:
            return one.name
    return None


@pytest.mark.parametrize("number", WRITE)
def test_the_laboratory_has_every_property(number):
    assert first_lacking(WRITE[number], WRITE[number].own()) is None


@pytest.mark.parametrize("case", WRONG, ids=lambda case: f"{case.exercise}: {case.lacks}")
def test_a_mistake_lacks_first_the_property_that_names_it(case):
    lacks = first_lacking(WRITE[case.exercise], case.function)
    assert lacks is not None, "it passed"
    assert lacks.startswith(case.lacks), lacks


def test_each_property_is_the_first_that_some_mistake_lacks():
    counts = Counter(case.exercise for case in WRONG)
    for number in WRITE.keys() - FAULTS.keys():
        assert counts[number] >= 3
        exercise = WRITE[number]
        named = {case.lacks for case in WRONG if case.exercise == number}
        assert [one.name for one in exercise.properties if not any(one.name.startswith(lacks) for lacks in named)] == []


@pytest.mark.parametrize("number", FAULTS)
def test_a_file_to_repair_runs_and_lacks_what_its_faults_are_and_nothing_else(number):
    exercise = WRITE[number]
    guarded = Guarded(exercise, load(exercise, exercise.stub.encode()), OutputTrap(), limit=None)
    lacks = [one.name for one in exercise.properties if one.counterexample(guarded)]
    assert lacks == FAULTS[number]


@pytest.mark.parametrize("number", EXERCISES)
def test_an_exercise_is_complete(number):
    exercise = EXERCISES[number]
    assert MINUTES[number] > 0
    compile(exercise.stub, number, "exec")
    assert max(map(len, exercise.stub.splitlines())) <= 120
    if isinstance(exercise, Write):
        names = [one.name for one in exercise.properties]
        assert len(names) == len(set(names))
        assert all(one.equation and one.hint.endswith((".", "?")) for one in exercise.properties)
        assert f"def {exercise.function}({', '.join(exercise.parameters)}):" in exercise.stub
