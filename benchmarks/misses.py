"""Where a trained policy misses: success and signed errors by how far the goal lies from where the object began.

    python -m benchmarks.misses RUN --episodes 400

`along`: how far beyond the goal the object came to rest, seen from where it began (negative: it fell short); `across`:
to the side of that line. Metres. The episodes are held out, the policy is greedy.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from benchmarks.machine import print_header

ENVS = 100


def last_places(path: Path, episodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the achieved goal began, where it should be, and where it was at the end, [episodes, goal_dim] each."""
    from wellposed import seeding
    from wellposed.envs.make import make_env
    from wellposed.verdict import load_run

    config, agent, _ = load_run(path)
    env = make_env(config.env, min(ENVS, episodes), "evaluation", threads=len(os.sched_getaffinity(0)))
    seeds = seeding.evaluation_env_seeds(0, episodes, "held-out")
    found = []
    for first in range(0, episodes, env.num_envs):
        chunk = (seeds[first:] + seeds)[: env.num_envs]
        now, carry, step = env.reset(seed=chunk), agent.initial_carry(env.num_envs), None
        start, goal = now.truth["achieved_goal"], now.truth["desired_goal"]
        for _ in range(env.spec.max_episode_steps):
            action, carry = agent.act(now.obs, carry)
            step, now = env.step(action), env.now
        assert step is not None
        found.append(np.stack([start, goal, step.next_truth["achieved_goal"]]))
    env.close()
    start, goal, end = np.concatenate(found, axis=1)[:, :episodes]
    return start, goal, end


def table(start: np.ndarray, goal: np.ndarray, end: np.ndarray, threshold: float = 0.05) -> list[str]:
    """One line for each fifth of the episodes, nearest goals first."""
    way = (goal - start)[:, :2]
    distance = np.linalg.norm(way, axis=1)
    ahead = way / distance[:, None]
    miss = (end - goal)[:, :2]
    along = (miss * ahead).sum(axis=1)
    across = miss[:, 0] * -ahead[:, 1] + miss[:, 1] * ahead[:, 0]
    success = np.linalg.norm(end - goal, axis=1) < threshold
    lines = [f"{'distance, m':<14}{'n':>5}{'success':>9}{'along: median':>15}{'spread':>9}{'across: spread':>16}"]
    for fifth in np.array_split(np.argsort(distance), 5):
        near, far = distance[fifth[[0, -1]]]
        lines.append(
            f"{near:.2f} to {far:.2f}  {len(fifth):>5}{success[fifth].mean():>9.0%}{np.median(along[fifth]):>15.3f}"
            f"{along[fifth].std():>9.3f}{across[fifth].std():>16.3f}"
        )
    lines.append(f"{'all':<14}{len(success):>5}{success.mean():>9.1%}{np.median(along):>15.3f}{along.std():>9.3f}")
    return lines


def main() -> None:
    """Print the table for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--episodes", type=int, default=400)
    args = parser.parse_args()
    print_header("Where the policy misses", "jax", "mujoco")
    for path in args.runs:
        print(path.name)
        print("\n".join(table(*last_places(path, args.episodes))))


if __name__ == "__main__":
    main()
