"""How long it takes until wellposed answers: imports and help, each in a fresh process.

python -m benchmarks.startup
"""

import subprocess
import sys
import time
from statistics import median

REPEATS = 7
ASKED = {
    "python": ["-c", "pass"],
    "import wellposed": ["-c", "import wellposed"],
    "wellposed --help": ["-m", "wellposed", "--help"],
    "wellposed train --help": ["-m", "wellposed", "train", "--help"],
    "import jax, equinox, optax": ["-c", "import jax, equinox, optax"],
}


def seconds(words: list[str]) -> float:
    """The median time of a Python process with these arguments."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return median(times)


def main() -> None:
    """Print the median seconds of each, the interpreter's own among them."""
    for name, words in ASKED.items():
        print(f"{name:<28} {seconds(words):.3f} s")


if __name__ == "__main__":
    main()
