"""Self-checking exercises: the reader writes the central function of a chapter in a file of their own.

`EXERCISES` holds all of them by number, chapter.exercise: `WRITE` those in which a function is written or mended,
`BUILD` those in which an algorithm is, step by step, `PREDICT` those in which a measurement is predicted.
"""

from course.exercises import (
    ch00,
    ch01,
    ch02,
    ch03,
    ch04,
    ch05,
    ch06,
    ch07,
    ch08,
    ch09,
    ch10,
    ch11,
    measured,
    predictions,
)
from course.exercises.builds import hindsight, ppo, sac
from course.exercises.exercise import Build, Predict, Write

WRITE: dict[str, Write] = {
    exercise.id: exercise
    for chapter in (ch00, ch01, ch02, ch03, ch04, ch05, ch06, ch07, ch08, ch09, ch10, ch11)
    for exercise in chapter.EXERCISES
}
BUILD: dict[str, Build] = {exercise.id: exercise for exercise in (ppo.EXERCISE, sac.EXERCISE, hindsight.EXERCISE)}
PREDICT: dict[str, Predict] = {exercise.id: exercise for exercise in (*predictions.EXERCISES, *measured.EXERCISES)}
EXERCISES: dict[str, Write | Build | Predict] = dict(
    sorted([*WRITE.items(), *BUILD.items(), *PREDICT.items()], key=lambda one: [*map(int, one[0].split("."))])
)

# Minutes of `run` on two cores without finished runs, by `python -m benchmarks.exercises` next to another training.
# Trials of the same kind were measured once (0.1 like 1.1, 2.2 and 2.5 like 2.1, 3.2 like 3.1, 4.2, 4.5 and 5.1 like
# 4.1); 2.3 and 5.3 are the times of the chapters' own runs, two at a time; 6.3 and 7.3 are reckoned from those of
# chapter 4, 8.1, 8.3 and those of 9 to 11 from what they play and train; of 2.4, 3.4 and 4.4 it is the check, which
# trains nothing.
MINUTES: dict[str, float] = {
    "0.1": 2, "0.2": 0.5, "1.1": 2, "1.2": 0.1, "2.1": 3, "2.2": 3, "2.3": 3, "2.4": 0.7, "2.5": 3,
    "3.1": 2, "3.2": 2, "3.3": 4, "3.4": 1.3, "4.1": 2, "4.2": 2, "4.3": 4, "4.4": 0.1, "4.5": 2,
    "5.1": 2, "5.2": 0.1, "5.3": 9, "6.1": 0.1, "6.2": 0.1, "6.3": 10, "7.1": 0.3, "7.2": 0.5, "7.3": 7,
    "8.1": 1, "8.2": 0.1, "8.3": 10, "9.1": 1, "9.2": 1, "9.3": 0.2, "9.4": 14,
    "10.1": 0.1, "10.2": 0.5, "10.3": 12, "11.1": 0.3, "11.2": 0.5, "11.3": 5,
}  # fmt: skip


def file_of(number: str) -> str:
    """The name of a reader's file for an exercise, where none is given: `ex4_1.py` for 4.1."""
    return f"ex{number.replace('.', '_')}.py"


__all__ = ["BUILD", "EXERCISES", "MINUTES", "PREDICT", "WRITE", "Build", "Predict", "Write", "file_of"]
