"""Independent, named random streams from one seed.

Every stream of a run is derived from its seed and a name, so a new consumer of randomness never changes the numbers of
an old one, and global random state is never used.

Environments are seeded with integers (Gymnasium's interface). Training, the evaluations during it and held-out
evaluation take theirs from disjoint parts of the 31-bit range: no evaluation episode is trained on, and no episode that
decided when to stop counts in a verdict.
"""

import zlib
from typing import Literal

import numpy as np

from wellposed.errors import UserError, require

_HALF = 2**30
MAX_ENVS = 2**16  # consecutive seeds that a vector environment may use from its base seed
MAX_SEEDS = 10_000  # of one command: a range is text, and what it stands for is made in memory
MAX_EPISODES = 1_000_000  # of one evaluation


def seed_sequence(seed: int, name: str) -> np.random.SeedSequence:
    """The seed sequence of stream `name` of run `seed`."""
    return np.random.SeedSequence([seed, zlib.crc32(name.encode())])


def generator(seed: int, name: str) -> np.random.Generator:
    """A NumPy generator for stream `name` of run `seed`."""
    return np.random.default_rng(seed_sequence(seed, name))


def key_data(seed: int, name: str) -> int:
    """A 32-bit integer for stream `name`, to build a `jax.random.key` from (this module is free of JAX)."""
    return int(seed_sequence(seed, name).generate_state(1)[0])


def training_env_seed(seed: int) -> int:
    """Base seed of the training envs: in [0, 2**30 - 2**16); env i adds i."""
    return key_data(seed, "training episodes") % (_HALF - MAX_ENVS)


def evaluation_env_seeds(seed: int, episodes: int, purpose: Literal["monitoring", "held-out", "reality"]) -> list[int]:
    """One seed per evaluation episode: from [2**30, 3 * 2**29) for monitoring, above that for held-out ones.

    Those of a reality come from above, too, by a stream of their own.

    Raises UserError unless there are 1 to MAX_EPISODES.
    """
    require(1 <= episodes <= MAX_EPISODES, "episodes", f"must be 1 to {MAX_EPISODES:,}", f"{episodes:,}")
    start = _HALF if purpose == "monitoring" else _HALF + _HALF // 2
    draws = generator(seed, f"{purpose} episodes").choice(_HALF // 2, size=episodes, replace=False)
    return [start + int(d) for d in draws]


def parse_seeds(text: str) -> list[int]:
    """A list of seeds from `0-4`, `0,2,5` or a mix.

    Raises UserError if it is neither, a seed comes twice, or there are more than MAX_SEEDS.
    """
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            begin, end = int(first), int(last or first) + 1
            if end - begin + len(seeds) > MAX_SEEDS:  # asked before they are made
                raise UserError(f"--seeds takes at most {MAX_SEEDS:,} seeds, got {text[:60]!r}.")
            seeds += range(begin, end)
    except ValueError:
        seeds = []
    if not seeds or len(set(seeds)) != len(seeds):
        raise UserError(f"--seeds takes distinct seeds as 0-4 or 0,2,5, got {text!r}.")
    return seeds


def pack_generator(rng: np.random.Generator) -> np.ndarray:
    """A PCG64 generator's state as uint64 [6]: state and increment (128 bits each), and its spare half-word."""
    state = rng.bit_generator.state
    low = 2**64 - 1
    words = [w for n in (state["state"]["state"], state["state"]["inc"]) for w in (n >> 64, n & low)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def unpack_generator(rng: np.random.Generator, packed: np.ndarray) -> None:
    """Put a PCG64 generator into a packed state. Raises UserError if it is not what `pack_generator` makes."""
    words = [int(word) for word in packed.reshape(-1)]
    if packed.shape != (6,) or packed.dtype != np.uint64 or words[4] > 1 or words[5] >= 2**32:
        raise UserError("A saved random stream is invalid; it was edited by hand or is damaged.")
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": words[0] << 64 | words[1], "inc": words[2] << 64 | words[3]},
        "has_uint32": words[4],
        "uinteger": words[5],
    }
