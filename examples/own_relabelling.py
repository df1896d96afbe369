"""A relabelling of one's own: goals that were achieved soon after a transition, seldom those of much later.

    wellposed train FetchReach-v4 --plugin examples/own_relabelling.py --replay.strategy geometric

The distance in time has the geometric distribution of the discount: a goal n steps ahead is drawn in proportion to
gamma^(n-1), as a policy that is discounted by gamma weighs its future (Eysenbach 2021, arXiv 2011.08909, equation 5).
"""

import numpy as np

from wellposed.data.hindsight import STRATEGIES

GAMMA = 0.9  # of the distribution: goals are 10 steps ahead in the mean, where the episode is long enough


def geometric(t: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """States later than t, up to the last of the episode: n steps ahead with a probability proportional to GAMMA^(n-1).

    Drawn by inverting the distribution function, (1 - GAMMA^n) / (1 - GAMMA^(length - t)).
    """
    left = length - t
    share = rng.random(t.shape) * (1 - GAMMA**left)
    ahead = 1 + np.floor(np.log1p(-share) / np.log(GAMMA)).astype(np.int64)
    return t + np.minimum(ahead, left)  # rounding must not lead out of the episode


STRATEGIES.register("geometric", geometric)
