"""Right solutions of the long exercises, as a reader writes them: files."""

IN_HINDSIGHT = """import numpy as np


def draw_transitions(time, length, n, draw):
    rows = draw(n)
    while len(final := np.flatnonzero(time[rows] == length[rows])):
        rows[final] = draw(len(final))
    return rows


def future(t, length, u):
    return t + 1 + np.floor(u * (length - t)).astype(int)


def goals(achieved, row, t, moment):
    return achieved[(row + moment - t) % len(achieved)]


def relabelled(b, k):
    return round(b * k / (k + 1))


def outcomes(next_achieved, goal, failed, compute_reward, compute_terminated):
    reward = compute_reward(next_achieved, goal)
    return reward, np.maximum(compute_terminated(next_achieved, goal), failed)


def sample(store, b, k, draw, u, compute_reward, compute_terminated):
    time, length = store["time"], store["length"]
    row = draw_transitions(time, length, b, draw)
    after, first = (row + 1) % len(time), np.arange(b) < relabelled(b, k)
    moment = future(time[row], length[row], u)
    hindsight = goals(store["achieved_goal"], row, time[row], moment)
    reward, terminated = outcomes(
        store["achieved_goal"][after], hindsight, store["failed"][row], compute_reward, compute_terminated
    )
    return {
        "observation": store["observation"][row],
        "action": store["action"][row],
        "next_observation": store["observation"][after],
        "desired_goal": np.where(first[:, None], hindsight, store["desired_goal"][row]),
        "reward": np.where(first, reward, store["reward"][row]),
        "terminated": np.where(first, terminated, store["terminated"][row]),
    }
"""
RIGHT = {"4.4": IN_HINDSIGHT}
