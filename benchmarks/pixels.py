"""What a frame costs: frames per second of one core, of Push as a policy sees it, rendered without a GPU or with one.

python -m benchmarks.pixels --rounds 7
"""

import argparse
import time
from contextlib import closing

import numpy as np

from benchmarks.machine import print_header
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.pixels import Eye

FRAMES = 400  # of a round
ASKED = 2_500  # frames a second of a core, at 84 x 84


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    args = parser.parse_args()
    print_header("Frames of FetchPush-v4, its scene trimmed", "mujoco")
    with closing(make_env(EnvConfig("FetchPush-v4"), 1, "evaluation")) as env:
        env.reset(seed=0)
        qpos = env.physics.data[0].qpos  # type: ignore[attr-defined]
        for size in (48, 84):
            eye, rates = Eye(env.task.model, env.task.view, size), []  # type: ignore[attr-defined]
            for _ in range(args.rounds + 1):  # the first one warms up
                began = time.process_time()
                for _ in range(FRAMES):
                    eye.look(qpos)
                rates.append(FRAMES / (time.process_time() - began))
            eye.close()
            asked = f"; asked at least {ASKED:,}" if size == 84 else ""
            low, middle, high = np.percentile(rates[1:], [0, 50, 100])
            print(f"{size} x {size}: {middle:,.0f} frames per second of a core ({low:,.0f} to {high:,.0f}{asked})")


if __name__ == "__main__":
    main()
