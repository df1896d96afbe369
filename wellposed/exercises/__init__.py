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

MINUTES: dict[str, float] = {  # what `run` takes on two cores, from nothing: `python -m benchmarks.exercises`
    **dict.fromkeys(EXERCISES, 2.0),
}

__all__ = ["EXERCISES", "MINUTES", "PREDICT", "WRITE", "Predict", "Write"]
