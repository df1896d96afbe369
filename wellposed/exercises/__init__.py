"""Exercises that check themselves: the reader writes the one function a chapter is about, in a file of their own.

`EXERCISES` is all of them, by their numbers: the chapter's, a dot, and the exercise's within it. `WRITE` are those in
which a function is written, `PREDICT` those in which a measurement is predicted.
"""

from wellposed.exercises import ch00, ch01, ch02, ch03, ch04, ch05, predictions
from wellposed.exercises.exercise import Predict, Write

WRITE: dict[str, Write] = {
    exercise.id: exercise for chapter in (ch00, ch01, ch02, ch03, ch04, ch05) for exercise in chapter.EXERCISES
}
PREDICT: dict[str, Predict] = {exercise.id: exercise for exercise in predictions.EXERCISES}
EXERCISES: dict[str, Write | Predict] = dict(sorted([*WRITE.items(), *PREDICT.items()]))

# What `run` takes on two cores, from nothing: `python -m benchmarks.exercises`, beside another training. Trials of one
# kind were measured once (0.1 like 1.1, 2.2 like 2.1, 3.2 like 3.1, 4.2 and 5.1 like 4.1); 2.3 and 5.3 are the
# seconds of the chapters' own runs, two at a time.
MINUTES: dict[str, float] = {
    "0.1": 2, "0.2": 0.5, "1.1": 2, "1.2": 0.1, "2.1": 3, "2.2": 3, "2.3": 3, "3.1": 2, "3.2": 2, "3.3": 4,
    "4.1": 2, "4.2": 2, "4.3": 4, "5.1": 2, "5.2": 0.1, "5.3": 9,
}  # fmt: skip

__all__ = ["EXERCISES", "MINUTES", "PREDICT", "WRITE", "Predict", "Write"]
