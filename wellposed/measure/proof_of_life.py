"""Proof of life as data: what the measurement is told, and what it finds of a machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProofOfLifeSettings:
    """Nothing has to be said."""

    seed: int = 0  # of the tiny trainings


@dataclass(frozen=True)
class Finding:
    """One thing that was examined."""

    name: str
    ok: bool
    required: bool  # whether the machine is unfit where this is not so
    evidence: str


@dataclass(frozen=True)
class RoundTrip:
    """A trained agent, written to a file and read by another one."""

    arrays: int
    numbers: int
    unequal: int  # arrays of which a bit differs after reading
    unequal_before: int  # before reading, between the two agents: the comparison can fail
    actions: int  # numbers in the greedy actions of both for the same observations
    unequal_actions: int  # of which a bit differs


@dataclass(frozen=True)
class Twice:
    """The same training, two times, and once with another seed."""

    steps: int
    updates: int
    sha256: str  # of the weights of the first
    sha256_again: str
    sha256_other_seed: str
    differences: int  # quantities of the two records that differ in a bit: rows, weights, optimisers, streams, replay


@dataclass(frozen=True)
class Rounding:
    """One set of numbers in float32, added up in many orders."""

    numbers: int
    orders: int
    sums: int  # different results among them
    lowest: float
    highest: float
    span: float  # between the lowest and the highest
    spacing: float  # between neighbouring float32 numbers there
    exact: float  # the sum without rounding


@dataclass(frozen=True)
class ProofOfLife:
    """What is known of a machine before anything is learnt on it."""

    findings: list[Finding]
    unfit: int  # required findings that are not ok
    container: str  # which one this is in; "none" outside
    rendering: dict[str, str]  # back end -> "renders", or why it does not
    checkpoint: RoundTrip
    twice: Twice
    rounding: Rounding
