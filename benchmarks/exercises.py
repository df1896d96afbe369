"""What `wellposed exercise run` takes: each exercise from its first line to its last, training included, in minutes.

The function handed in is the laboratory's own, in a reader's file, so that both trials train equally long; for a whole
algorithm it is the right file of the tests, which is only checked. A prediction
is made up; its runs are trained from the beginning, where a reader who has done the chapter has most of them.

    python -m benchmarks.exercises              # about half an hour on two idle cores
    python -m benchmarks.exercises --only 4.1 4.2
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import print_header
from course.exercises import EXERCISES, MINUTES, Build, Predict, Write
from tests.exercises.right import RIGHT


def answer(exercise: Write | Build | Predict) -> str:
    """A reader's file that holds everything asked for."""
    if isinstance(exercise, Build):
        return RIGHT[exercise.id]
    if isinstance(exercise, Write):
        arguments = ", ".join(exercise.parameters)
        return (
            f"from course.exercises import WRITE\n\nOWN = WRITE[{exercise.id!r}].own()\n\n\n"
            f"def {exercise.function}({arguments}):\n    return OWN({arguments})\n"
        )
    middle = {one.name: (one.low, (one.low + one.high) / 2, 0.9 * one.high) for one in exercise.quantities}
    return f'PREDICTION = {middle!r}\nREASON = "Nobody thought about this one at all."\n'


def minutes(exercise: Write | Build | Predict, folder: Path) -> float:
    """Minutes of one `wellposed exercise run`, from nothing.

    Raises:
        SystemExit: if it fails.
    """
    file = folder / "mine.py"
    file.write_text(answer(exercise))
    command = [sys.executable, "-m", "wellposed", "exercise", "run", exercise.id, str(file), "--quiet"]
    began = time.perf_counter()
    done = subprocess.run([*command, "--runs-dir", str(folder / "runs")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"exercise {exercise.id} ended with code {done.returncode}:\n{done.stdout}{done.stderr}")
    return (time.perf_counter() - began) / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=EXERCISES, default=list(EXERCISES))
    print_header("Minutes of `wellposed exercise run`", "jax", "mujoco")
    for number in parser.parse_args().only:
        with tempfile.TemporaryDirectory() as folder:
            took = minutes(EXERCISES[number], Path(folder))
        print(f"{number}  {took:4.1f} min, stated {MINUTES[number]:g}", flush=True)


if __name__ == "__main__":
    main()
