"""Faults as people make them, injected into the laboratory from outside; and sound recipes that are none.

Each patch does what a real bug of that kind would do. Nothing in the package knows of it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import jax
import numpy as np

from wellposed.agents import sac
from wellposed.data import ReplayBuffer
from wellposed.envs import goals, vector
from wellposed.envs.suites.fetch.task import FetchTask
from wellposed.nn.inputs import StateEncoder
from wellposed.nn.networks import MLP
from wellposed.nn.normaliser import InputScaler

Patch = Callable[[], AbstractContextManager[Any]]
TASKS = ("FetchReach-v4", "FetchPush-v4")


@dataclass(frozen=True)
class Case:
    """What is done to a run, and which finding names it; None where nothing is wrong."""

    name: str
    finding: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    patch: Patch = nullcontext
    algo: str = "sac"


def goals_keep_their_key() -> AbstractContextManager[Any]:
    """Relabelling reads `desired_goal` where `achieved_goal` is meant, so each goal is replaced by itself."""
    original = ReplayBuffer._relabel

    def relabel(self: Any, batch: Any, goals: np.ndarray, failed: np.ndarray) -> None:
        original(self, batch, batch.obs["desired_goal"][:, : goals.shape[1]].copy(), failed)

    return patch.object(ReplayBuffer, "_relabel", relabel)


def goal_not_shown() -> AbstractContextManager[Any]:
    """The networks are handed `achieved_goal` as the desired one."""
    original = StateEncoder.__call__

    def call(self: Any, obs: Any, stats: Any) -> Any:
        return original(self, obs | {"desired_goal": obs["achieved_goal"]}, stats)

    return patch.object(StateEncoder, "__call__", call)


def reward_not_recomputed() -> AbstractContextManager[Any]:
    """A relabelled transition keeps the reward it got for its old goal."""
    original = ReplayBuffer._relabel

    def relabel(self: Any, batch: Any, goals: np.ndarray, failed: np.ndarray) -> None:
        kept = batch.reward.copy()
        original(self, batch, goals, failed)
        batch.reward[...] = kept

    return patch.object(ReplayBuffer, "_relabel", relabel)


def goals_of_other_episodes() -> AbstractContextManager[Any]:
    """Hindsight goals are read at rows that are one place off in the minibatch."""
    original = ReplayBuffer.draw

    def draw(self: Any, n: int, rng: np.random.Generator) -> Any:
        rows, after, hindsight = original(self, n, rng)
        return rows, after, np.roll(hindsight, 1)

    return patch.object(ReplayBuffer, "draw", draw)


def samples_of_the_beginning() -> AbstractContextManager[Any]:
    """The sampler never hears that the replay has grown: it draws from the first 800 rows."""

    def any_rows(self: Any, n: int, rng: np.random.Generator) -> np.ndarray:
        held = min(self.end - self.oldest, 816)
        return self._wrap(self._tail + (rng.random(n) * held).astype(np.int64))

    return patch.object(ReplayBuffer, "_any_rows", any_rows)


def time_limit_ends() -> AbstractContextManager[Any]:
    """`done = terminated or truncated` enters the replay."""
    original = ReplayBuffer.add

    def add(self: Any, step: Any) -> None:
        original(self, step._replace(terminated=step.ended))

    return patch.object(ReplayBuffer, "add", add)


def entropy_target_too_low() -> AbstractContextManager[Any]:
    """The target entropy is ten times too low, so that even a policy without any noise counts as too random."""
    original = sac.temperature_loss
    return patch.object(sac, "temperature_loss", lambda log_t, log_prob, target: original(log_t, log_prob, 10 * target))


def reward_scaled() -> AbstractContextManager[Any]:
    """Rewards of -100 and 0."""
    original = goals.sparse_reward
    return patch.object(goals, "sparse_reward", lambda *pair: 100 * original(*pair))


def no_target_network() -> AbstractContextManager[Any]:
    """The targets are the critics themselves."""
    return patch.object(sac, "polyak", lambda _target, online, _tau: online)


def velocities_removed() -> AbstractContextManager[Any]:
    """Every velocity in the observation reads 0."""
    original = FetchTask.observe

    def observe(self: Any, *args: Any) -> Any:
        obs = original(self, *args)
        obs["observation"][:, 14 if self.variant.has_object else 5 :] = 0.0
        return obs

    return patch.object(FetchTask, "observe", observe)


def normaliser_frozen() -> AbstractContextManager[Any]:
    """Input statistics are taken from the very first step and never again."""
    original = InputScaler.observe

    def observe(self: Any, obs: Any) -> None:
        if not self.count:
            original(self, obs)

    return patch.object(InputScaler, "observe", observe)


def actions_clipped() -> AbstractContextManager[Any]:
    """A wrapper bounds actions to a tenth of their range."""
    original = vector.clipped_actions
    return patch.object(vector, "clipped_actions", lambda actions, shape: original(actions, shape).clip(-0.1, 0.1))


def actions_not_sent() -> AbstractContextManager[Any]:
    """What is stored is the policy's action; what is sent is that of the neighbouring env."""
    original = FetchTask.control

    def control(self: Any, readings: np.ndarray, action: np.ndarray) -> np.ndarray:
        return original(self, readings, np.roll(action, 1, axis=0))

    return patch.object(FetchTask, "control", control)


def actor_detached() -> AbstractContextManager[Any]:
    """No gradient reaches the actor."""
    original = sac.actor_loss
    stop = jax.lax.stop_gradient
    return patch.object(sac, "actor_loss", lambda actor, *rest: original(jax.tree.map(stop, actor), *rest))


def units_dead() -> AbstractContextManager[Any]:
    """Biases begin far below what inputs can lift, so no ReLU ever opens."""
    original = MLP.__init__

    def init(self: Any, sizes: Any, key: Any) -> None:
        original(self, sizes, key)
        self.biases = [bias - 20 for bias in self.biases[:-1]] + self.biases[-1:]

    return patch.object(MLP, "__init__", init)


_SMALL_TEMPERATURE = {"agent.learn_temperature": True, "agent.temperature": 0.001}
FAULTS = (
    Case("hindsight off", "hindsight_off", {"replay.k": 0}),
    Case("wrong goal key", "relabelling_without_effect", patch=goals_keep_their_key),
    Case("goal not shown", "goal_blind", patch=goal_not_shown),
    Case("reward not recomputed", "wrong_rewards", patch=reward_not_recomputed),
    Case("goals from other episodes", "foreign_goals", patch=goals_of_other_episodes),
    Case("temperature collapse", "temperature_collapse", _SMALL_TEMPERATURE, entropy_target_too_low),
    Case("discount too high", "long_horizon", {"agent.gamma": 0.999}),
    Case("reward scale", "reward_scale", patch=reward_scaled),
    Case("no target network", "no_target_network", patch=no_target_network),
    Case("learning rate x30", "large_steps", {"agent.learning_rate": 0.03}),
    Case("replay of 5,000", "small_replay", {"replay.capacity": 5_000}),
    Case("velocities removed", "unobserved_motion", patch=velocities_removed),
    Case("normaliser frozen", "frozen_normaliser", patch=normaliser_frozen),
    Case("time limit stored as end", "wrong_terminations", patch=time_limit_ends),
    Case("action clipped away", "clipped_actions", patch=actions_clipped),
    Case("actions logged, not sent", "unanswered_actions", patch=actions_not_sent),
    Case("frozen actor", "frozen_actor", patch=actor_detached),
    Case("samples of the beginning", "stale_samples", patch=samples_of_the_beginning),
    Case("too few updates", "few_updates", {"updates_per_step": 0.01}),
    Case("dead units", "dead_units", patch=units_dead),
)

_RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "learnt temperature": {"agent.learn_temperature": True},
    "temperature 0.1": {"agent.temperature": 0.1},
    "temperature 0.02": {"agent.temperature": 0.02},
    "width 32": {"agent.hidden": [32, 32, 32]},
    "width 128, two layers": {"agent.hidden": [128, 128]},
    "batch 128": {"agent.batch_size": 128},
    "4 envs": {"num_envs": 4},
    "32 envs": {"num_envs": 32},
    "discount 0.9": {"agent.gamma": 0.9},
    "discount 0.98": {"agent.gamma": 0.98},
    "k = 8": {"replay.k": 8},
    "episode relabelling": {"replay.strategy": "episode"},
    "final relabelling": {"replay.strategy": "final"},
    "learning rate 3e-4": {"agent.learning_rate": 3e-4},
    "learning rate 2e-3": {"agent.learning_rate": 2e-3},
    "1 update a step": {"updates_per_step": 1.0},
    "no mirror, no bound": {"agent.mirror": False, "agent.bound_targets": False},
}
HEALTHY = (
    *(Case(name, None, settings) for name, settings in _RECIPES.items()),
    Case("TD3", None, algo="td3"),
    Case("TD3, width 128", None, {"agent.hidden": [128, 128]}, algo="td3"),
)
