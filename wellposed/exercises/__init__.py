"""Exercises that check themselves: the reader writes the one function a chapter is about, in a file of their own.

`EXERCISES` is all of them, by their numbers: the chapter's, a dot, and the exercise's within it.
"""

from wellposed.exercises import ch00, ch01, ch02, ch03, ch04, ch05, predictions
from wellposed.exercises.exercise import Predict, Write

_ALL: tuple[Write | Predict, ...] = (
    *ch00.EXERCISES,
    *ch01.EXERCISES,
    *ch02.EXERCISES,
    *ch03.EXERCISES,
    *ch04.EXERCISES,
    *ch05.EXERCISES,
    *predictions.EXERCISES,
)
EXERCISES: dict[str, Write | Predict] = {exercise.id: exercise for exercise in sorted(_ALL, key=lambda e: e.id)}

__all__ = ["EXERCISES", "Predict", "Write"]
