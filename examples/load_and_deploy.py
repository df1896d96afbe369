"""A trained policy in a plain loop, as one would run it on a robot: no trainer, and from a file no JAX either.

    run=$(wellposed train FetchReach-v4 --until-success 0.98 --quiet | tail -1)
    wellposed export "$run" --out reach.npz
    python examples/load_and_deploy.py reach.npz

On a robot `env.step` is replaced by the robot's own: sensors in, one action out, at the rate of training.
"""

import sys

import gymnasium as gym

import wellposed as wp


def deploy(path: str, episodes: int) -> list[bool]:
    """Play episodes greedily; for each whether its last step was a success."""
    policy = wp.load_policy(path)  # a run's directory will do as well
    env = gym.make(policy.card["environment"]["id"])
    ends = []
    for seed in range(episodes):
        (obs, info), over = env.reset(seed=seed), False
        policy.reset()  # only a policy with memory needs it
        while not over:
            obs, _, terminated, truncated, info = env.step(policy(obs))
            over = terminated or truncated
        ends.append(bool(info["is_success"]))
    env.close()
    return ends


if __name__ == "__main__":
    import gymnasium_robotics  # noqa: F401  (registers the Fetch environments)

    found = deploy(sys.argv[1], episodes=10)
    print(f"{sum(found)} of {len(found)} episodes ended in success")
