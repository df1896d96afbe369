"""A small problem, and made-up experience in it, for tests of agents."""

from typing import Any

import jax
import numpy as np

from wellposed.agents import ALGORITHMS
from wellposed.types import Batch, Field, Moment, Rollout, Spec


def spec_of(observation: int, goal: int, action: int, **other: Any) -> Spec:
    """What there is to know of an environment of states with rewards -1 and 0."""
    fields = Field("observation", (observation,)), *(Field(f"{kind}_goal", (goal,), "goal") for kind in KINDS)
    return Spec(fields, action, **({"max_episode_steps": 5, "reward_range": (-1.0, 0.0)} | other))


KINDS = ("achieved", "desired")
SPEC = spec_of(3, 2, 2)
ONES = {"observation": np.ones((4, 3)), "achieved_goal": np.zeros((4, 2)), "desired_goal": np.ones((4, 2))}
MOMENT = Moment(ONES, ONES)
# The same problem behind a camera: what is shown of a state is one of its numbers, and a picture.
PICTURES = SPEC._replace(
    obs=(Field("camera", (8, 8, 3), "image", "uint8"), Field("own", (1,), shows=(0,)), SPEC.field("desired_goal")),
    truth=SPEC.obs,
)
ON_STATES = [algo for algo, entry in ALGORITHMS.items() if not entry.needs]  # algorithms that see states


def seen(
    rng: np.random.Generator, lead: tuple[int, ...], spec: Spec = SPEC, part: str = "obs"
) -> dict[str, np.ndarray]:
    """Random observations, or truth, with these leading axes, in the number types of replay."""
    found = {}
    for field in getattr(spec, part):
        if field.kind == "image":
            found[field.name] = rng.integers(256, size=(*lead, *field.shape)).astype(field.dtype)
        else:
            found[field.name] = rng.standard_normal((*lead, *field.shape)).astype(field.dtype)
    return found


def batches(u: int, b: int, seed: int = 0, spec: Spec = SPEC, window: int = 1, looks: int | None = None) -> Batch:
    """Random transitions [u, b], or windows of them; nothing terminates, each reward is -1."""
    rng, of_obs = np.random.default_rng(seed), b if looks is None else looks
    lead = (u, of_obs) if window == 1 else (u, of_obs, window)
    obs, after, ones = seen(rng, lead, spec), seen(rng, lead, spec), np.ones((u, b), np.float32)
    if window > 1:
        begun = np.arange(window) >= rng.integers(window, size=(u, of_obs, 1))
        obs, after = obs | {"valid": begun}, after | {"valid": begun}
    action = np.tanh(rng.standard_normal((u, b, spec.action_dim))).astype(np.float32)
    truth, next_truth = (seen(rng, (u, b), spec, "truth") for _ in range(2))
    return Batch(obs, action, -ones, after if looks is None else {}, 0 * ones, truth, next_truth)


def first(batches: Any) -> Any:
    """The first minibatch of several."""
    return jax.tree.map(lambda array: array[0], batches)


def rollout(b: int, seed: int = 0, spec: Spec = SPEC) -> Rollout:
    """Random steps [b] with random advantages."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    return Rollout(seen(rng, (b,), spec), {}, normal(b, spec.action_dim), normal(b), normal(b))


def experience(algo: str, u: int, b: int, seed: int = 0, window: int = 1) -> Batch | Rollout:
    """u b transitions or steps, as the algorithm's `update` takes them."""
    return rollout(u * b, seed) if ALGORITHMS[algo].on_policy else batches(u, b, seed, window=window)
