"""How long it takes until wellposed answers: imports, help, and a policy from the disk to its first action.

python -m benchmarks.startup

Each in a fresh process, from its start to its end; for a policy from the call of `load_policy`, JAX not yet imported,
to its first action. What policies have learnt does not matter, so they are trained for a moment.
"""

import subprocess
import sys
import tempfile
import time
from statistics import median

import wellposed as wp
from wellposed.config import override

REPEATS = 7
POLICIES = ("FetchReach-v4", "PointMaze_UMaze-v3")
ACT = """
import sys, time, gymnasium, gymnasium_robotics, wellposed
obs = gymnasium.make(sys.argv[2]).observation_space.sample()
began = time.perf_counter()
wellposed.load_policy(sys.argv[1])(obs)
print(time.perf_counter() - began)
"""
ASKED = {
    "python": ["-c", "pass"],
    "import wellposed": ["-c", "import wellposed"],
    "wellposed --help": ["-m", "wellposed", "--help"],
    "wellposed train --help": ["-m", "wellposed", "train", "--help"],
    "import jax, equinox, optax": ["-c", "import jax, equinox, optax"],
}


def seconds(words: list[str]) -> tuple[float, str]:
    """The seconds of a Python process with these arguments, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    return time.perf_counter() - began, done.stdout


def to_an_action(env: str) -> list[float]:
    """Seconds from `load_policy` to the first action, of a run of a few steps."""
    short = {"total_steps": 400, "eval_every": 400, "eval_episodes": 4, "until_success": None}
    with tempfile.TemporaryDirectory() as folder:
        run, _ = wp.train(override(wp.default_config(env), short), folder, quiet=True)
        return [float(seconds(["-c", ACT, str(run), env])[1]) for _ in range(REPEATS)]


def main() -> None:
    """Print the median seconds of each, the interpreter's own among them."""
    for name, words in ASKED.items():
        print(f"{name:<48} {median(seconds(words)[0] for _ in range(REPEATS)):.3f} s", flush=True)
    for env in POLICIES:
        print(f"{f'load_policy, {env}, to an action':<48} {median(to_an_action(env)):.3f} s", flush=True)


if __name__ == "__main__":
    main()
