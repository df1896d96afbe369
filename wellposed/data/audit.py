"""What a replay really hands to the learner: minibatches, held against the rows that they were made of.

The goals of a minibatch are looked up among all that the transition's own episode achieved. So the audit does not trust
the index arithmetic that relabelled them.
"""

import numpy as np

from wellposed.data.episodes import ReplayBuffer
from wellposed.types import Batch, Metrics

ROWS = 1024  # transitions whose episodes are searched


def audit(
    replay: ReplayBuffer, updates: int, batch_size: int, seed: np.random.SeedSequence
) -> tuple[Batch, np.ndarray, Metrics]:
    """Minibatches [updates, batch_size, ...] as training gets them, and what they are made of (names in `METRICS`).

    Between them the rows of all these transitions [updates * batch_size]. Drawn twice from the same fresh generator:
    once as training samples, once to learn which rows these are.
    """
    batch = replay.sample(updates, batch_size, np.random.default_rng(seed))
    rows, _, _ = replay.draw(updates * batch_size, np.random.default_rng(seed))
    age, held = replay.end - 1 - replay.number(rows), replay.end - replay.oldest
    chosen = np.random.default_rng(seed).permutation(len(rows))[:ROWS]
    time, length, achieved, stored = replay.episodes_of(rows[chosen])
    goals = (batch.truth or batch.obs)["desired_goal"].reshape(len(rows), -1)[chosen]
    return (
        batch,
        rows,
        goal_origins(goals, time, length, achieved, stored)
        | {
            "probe/replay_transitions": float(replay.transitions),
            "probe/replay_age": float(np.mean(age) / max(1, held - 1)),
            "probe/episode_length": float(np.mean(length)),
        },
    )


def goal_origins(
    goals: np.ndarray, time: np.ndarray, length: np.ndarray, achieved: np.ndarray, stored: np.ndarray
) -> Metrics:
    """Where the goals [n, g] of transitions come from, as shares that sum to 1.

    Args:
        goals: what the learner gets as desired goal.
        time: t of each transition [n].
        length: L of its episode [n].
        achieved: achieved goals of all states of that episode [n, T, g]; those beyond L do not count.
        stored: the goal that the episode pursued [n, g].
    """
    moment = np.arange(achieved.shape[1])
    match = (achieved == goals[:, None]).all(axis=2) & (moment <= length[:, None])
    later = (match & (moment > time[:, None])).any(axis=1)
    own = (goals == stored).all(axis=1) & ~later
    earlier = match.any(axis=1) & ~later & ~own
    shares = {"future": later, "original": own, "past": earlier, "foreign": ~(later | own | earlier)}
    return {f"probe/goals_{name}": float(np.mean(share)) for name, share in shares.items()}
