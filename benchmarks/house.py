"""How much a newcomer must read, and how large the laboratory is.

    python -m benchmarks.house

The way from `wellposed.train` to the SAC update on a relabelled batch is found by running it: one short training is
profiled, and every file counts, whole, that has a function on the stack between the entry of `train` and the place
where a batch is relabelled, or where the loss of that batch is computed. The laboratory is the package without the
course.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import wellposed

PACKAGE = Path(wellposed.__file__).parent
COURSE = ("chapters", "exercises", "book", "measure")  # packages of the course
AT_MOST = {"lines from wellposed.train to the relabelled loss": 1200, "lines of the laboratory": 15_801}


def stack(frame: FrameType | None) -> Iterator[str]:
    """The files of our package on the stack of a frame, up to the entry of `train`; none if it is not below it."""
    files = []
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(str(PACKAGE)):
            files.append(str(Path(file).relative_to(PACKAGE)))
            if frame.f_code.co_name == "train" and files[-1] == "training.py":
                yield from files
                return
        frame = frame.f_back


def way() -> set[str]:
    """The files on the way from `wellposed.train` to the loss of the first relabelled batch."""
    found: set[str] = set()
    places = {("data/hindsight.py", "relabel"), ("agents/sac.py", "critic_loss")}
    seen = set()

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(PACKAGE)):
            place = str(Path(file).relative_to(PACKAGE)), frame.f_code.co_name
            if place in places - seen and (files := set(stack(frame))):
                seen.add(place)
                found.update(files)

    config = wellposed.default_config("FetchReach-v4")
    config = type(config)(config.env, total_steps=1_600, random_steps=0, eval_every=1_600, eval_episodes=1)
    with tempfile.TemporaryDirectory() as folder:
        sys.setprofile(watch)
        try:
            wellposed.train(config, folder, quiet=True)
        finally:
            sys.setprofile(None)
    if missing := places - seen:
        raise SystemExit(f"The training never came to {missing}.")
    return found


def lines(file: Path) -> int:
    """The number of lines of a file."""
    return file.read_text().count("\n")


def laboratory() -> list[Path]:
    """The modules of the package that are not of the course."""
    return [file for file in sorted(PACKAGE.rglob("*.py")) if file.relative_to(PACKAGE).parts[0] not in COURSE]


def main() -> int:
    """Print both counts; exit code 1 if one of them is above what is asked."""
    files = sorted(way())
    for file in files:
        print(f"{lines(PACKAGE / file):>6} {file}")
    counts = sum(lines(PACKAGE / file) for file in files), sum(map(lines, laboratory()))
    for (what, asked), count in zip(AT_MOST.items(), counts, strict=True):
        print(f"{count:>6} {what} (at most {asked:,})")
    return int(any(count > asked for asked, count in zip(AT_MOST.values(), counts, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
