"""A position controller around the hand, as a linear system in discrete time: stability, phase, error of tracking.

A soft constraint drags the hand to a target that is put anew at each environment step (chapter 1). Its integrator is
linear, so one environment step is a matrix, and the loop with gain, filter and delay has a transfer function
in z. Chapter 6 derives everything here. Lengths are in goal units (metres for Fetch), frequencies in radians per step.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

ENOUGH = 400  # steps after which the error of a stable loop has gone, to any precision of interest


class Hand(NamedTuple):
    """One environment step of the hand along one axis.

    With place x, velocity w (times the constraint's time constant, a length) and action a,
    x' = x + first a + coast w and w' = kick a + kept w.
    """

    first: float  # displacement in the step of an action of 1, from rest
    coast: float
    kick: float
    kept: float

    @property
    def response(self) -> float:
        """Displacement per step of an action of 1 that is held, and in all after a single one: frequency zero."""
        return self.first + self.coast * self.kick / (1 - self.kept)


def dragged(length: float, eta: float = 0.1, substeps: int = 20) -> Hand:
    """The hand behind a critically damped constraint whose target an action of 1 puts `length` away.

    Args:
        length: goal units.
        eta: physics step over the constraint's time constant; Fetch: 2 ms over 20 ms.
        substeps: physics steps of an environment step.
    """
    one = np.array([[1 - eta**2, eta * (1 - 2 * eta)], [-eta, 1 - 2 * eta]])  # of (place - target, w), velocity first
    whole = np.linalg.matrix_power(one, substeps)
    return Hand(length * (1 - whole[0, 0]), whole[0, 1], -length * whole[1, 0], whole[1, 1])


@dataclass(frozen=True)
class Loop:
    """A proportional controller: it asks for `gain` times the way to the target, filtered and late."""

    hand: Hand
    length: float  # displacement for which an action of 1 asks
    gain: float  # share of the way that is asked for in a step
    smoothing: float = 0.0  # share of the action before that the filter keeps
    delay: int = 0  # steps

    @property
    def poles(self) -> np.ndarray:
        """The roots of 1 + L(z), L the open loop's transfer function from the error to the hand's place.

        L(z) = gain / length * (1 - s) z / (z - s) * z^-delay * (first (z - kept) + coast kick) / ((z - 1) (z - kept)).
        """
        hand, s = self.hand, self.smoothing
        moves = np.polymul([1.0, 0.0], [hand.first, hand.coast * hand.kick - hand.first * hand.kept])
        opened = np.polymul(np.poly([1.0, hand.kept, s]), [1.0, *[0.0] * self.delay])
        return np.roots(np.polyadd(opened, self.gain / self.length * (1 - s) * moves))

    @property
    def radius(self) -> float:
        """The size of the largest pole: what is left of an error in each step. The loop is stable below 1."""
        return float(np.abs(self.poles).max())

    @property
    def largest_gain(self) -> float:
        """The gain at which the loop ceases to be stable, with this filter and delay."""
        low, high = 0.0, 1.0
        while replace(self, gain=high).radius < 1:
            low, high = high, 2 * high
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if replace(self, gain=middle).radius < 1 else (low, middle)
        return low

    def errors(self, targets: np.ndarray) -> np.ndarray:
        """The error, target less place, at each step [t] of a hand that rests at 0 and follows targets [t]."""
        place = speed = filtered = 0.0
        queue, found = [0.0] * self.delay, []
        for target in targets:
            found.append(float(target) - place)
            filtered = (1 - self.smoothing) * self.gain * found[-1] / self.length + self.smoothing * filtered
            queue.append(filtered)
            action = queue.pop(0)
            place, speed = (
                place + self.hand.first * action + self.hand.coast * speed,
                self.hand.kick * action + self.hand.kept * speed,
            )
        return np.array(found)

    def error_bound(self, speed: float) -> float:
        """The largest error that a target which moves by at most `speed` in a step can cause, from rest.

        A target is a sum of steps, so the error is a sum of errors after steps of the target, each weighted by the
        target's motion: its size is at most `speed` times the sum of |error after a step of 1|. Infinite where the loop
        is not stable.
        """
        return speed * float(np.abs(self.errors(np.ones(ENOUGH))).sum()) if self.radius < 1 else float("inf")

    def worst_targets(self, speed: float, steps: int) -> np.ndarray:
        """The targets [steps] of at most this speed that cause the largest error, at their last step."""
        return np.cumsum(speed * np.sign(self.errors(np.ones(steps)))[::-1])


def phase_cost(frequency: float, smoothing: float, delay: int = 0) -> float:
    """The phase, in radians, that filter and delay cost at a frequency: atan2(s sin w, 1 - s cos w) + delay w.

    At low frequencies it is w (s / (1 - s) + delay): a filter costs what a delay of s / (1 - s) steps costs.
    """
    s = smoothing
    return float(np.arctan2(s * np.sin(frequency), 1 - s * np.cos(frequency)) + delay * frequency)
