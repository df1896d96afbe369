"""A policy on another robot: what it reads and does, as sums of the numbers that are shown and done there."""

from dataclasses import dataclass, field

import numpy as np

from wellposed.errors import UserError
from wellposed.serialise import LATER
from wellposed.types import Carry, Field, Obs, Policy


@dataclass(frozen=True)
class Affine:
    """Numbers as sums of others: a constant each, and terms [number, other, factor]."""

    constant: list[float]
    terms: list[tuple[int, int, float]] = field(default_factory=list, metadata=LATER)

    def of(self, others: np.ndarray) -> np.ndarray:
        """The numbers [n, k] of others [n, m]. Raises UserError if a term names one that is not there."""
        matrix = np.zeros((others.shape[1], len(self.constant)))
        for number, other, factor in self.terms:
            if not (0 <= number < matrix.shape[1] and 0 <= other < matrix.shape[0]):
                raise UserError(
                    f"The term [{number}, {other}, {factor:g}] is beyond {matrix.T.shape}, numbers and others."
                )
            matrix[other, number] += factor
        return others @ matrix + np.array(self.constant)


@dataclass(frozen=True)
class Translated:
    """A policy where another robot shows and does other numbers: a `Policy`."""

    policy: Policy
    fields: tuple[Field, ...]  # of what that robot shows
    sees: dict[str, Affine]  # what the policy reads, of all numbers that are shown, one field after another
    does: Affine | None  # the robot's action, of the policy's

    def initial_carry(self, n: int) -> Carry:
        """The policy's own."""
        return self.policy.initial_carry(n)

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim] of the robot, clipped to [-1, 1]."""
        if self.sees:
            joined = np.concatenate([obs[one.name].reshape(len(obs[one.name]), -1) for one in self.fields], axis=1)
            obs = {name: one.of(joined) for name, one in self.sees.items()}
        action, carry = self.policy.act(obs, carry, rng)
        return (action if self.does is None else np.clip(self.does.of(action), -1, 1)), carry
