"""What is known of an environment while it is examined: explored once, when first asked for, read by all conditions."""

from collections.abc import Callable
from functools import cached_property

import gymnasium as gym
import numpy as np

from wellposed.check import explore
from wellposed.check.explore import Resets, Transitions
from wellposed.check.rules import TOLERANCE, Rules, is_sparse, rewards, rules_of
from wellposed.check.subject import Subject, episode_limit

RESETS = 64
STEPS = 2_000  # of independent uniform actions; half as many of each other behaviour
EPISODES = (4, 40)  # at least and at most, of each behaviour
FIRST_SEED = 1_000  # of exploration; the seeds below are for pairs of instances that are compared


class Evidence:
    """An environment and what was seen of it so far."""

    def __init__(self, subject: Subject, seed: int, gamma: float, env: gym.Env | None = None):
        self.subject, self.seed, self.gamma = subject, seed, gamma
        self.env = subject.make() if env is None else env  # explored; the conditions' own experiments make their own
        self._opened = [self.env]

    def fresh(self) -> gym.Env:
        """A new instance."""
        env = self.subject.make()
        self._opened.append(env)
        return env

    def close(self) -> None:
        """Close all instances."""
        for env in self._opened:
            env.close()

    def generator(self, purpose: int) -> np.random.Generator:
        """A random stream of the examination."""
        return np.random.default_rng([self.seed, purpose])

    @property
    def limit(self) -> int | None:
        """Steps after which the environment says that it cuts an episode."""
        return episode_limit(self.env)

    @property
    def actions(self) -> gym.spaces.Box:
        """The action space."""
        return self.env.action_space  # type: ignore[return-value]

    @property
    def goal_size(self) -> int:
        """Numbers in a goal."""
        return self.env.observation_space["desired_goal"].shape[0]  # type: ignore[index]

    def random_actions(self, purpose: int, steps: int) -> np.ndarray:
        """Uniform actions [steps, action_dim]."""
        rng, space = self.generator(purpose), self.actions
        return rng.uniform(space.low, space.high, (steps, *space.shape)).astype(space.dtype)

    def _episodes(self, steps: int) -> int:
        length = min(self.limit or explore.CAP, explore.CAP)
        return int(np.clip(steps // length, *EPISODES))

    def _play(self, act: explore.Act, steps: int, part: int) -> Transitions:
        first = FIRST_SEED * (part + 1 + 10 * self.seed)
        return explore.play(self.env, act, range(first, first + self._episodes(steps)))

    @cached_property
    def resets(self) -> Resets:
        """First observations of episodes."""
        first = FIRST_SEED * (5 + 10 * self.seed)
        return explore.reset_all(self.env, range(first, first + RESETS))

    @cached_property
    def random(self) -> Transitions:
        """Episodes of independent uniform actions."""
        return self._play(explore.uniform(self.actions, self.generator(0)), STEPS, 0)

    @cached_property
    def held(self) -> Transitions:
        """Episodes of uniform actions that are held for some steps."""
        return self._play(explore.held(self.actions, self.generator(1)), STEPS // 2, 1)

    @cached_property
    def directed(self) -> Transitions:
        """Episodes that head for the goal."""
        act = explore.directed(self.actions, self.held, self.generator(2))
        if self.subject.oracle is not None:
            oracle = self.subject.oracle()
            act = lambda obs, _t: oracle.act({key: value[None] for key, value in obs.items()})[0][0]  # noqa: E731
        return self._play(act, STEPS // 2, 2)

    @cached_property
    def all(self) -> Transitions:
        """Everything explored."""
        return explore.join([self.random, self.held, self.directed])

    @cached_property
    def rules(self) -> Rules:
        """The rules for goals, of an instance that is reset once and never stepped."""
        env = self.fresh()
        env.reset(seed=0)
        return rules_of(env, self.goal_type)

    @property
    def goal_type(self) -> np.dtype:
        """The declared type of goals."""
        return self.env.observation_space["desired_goal"].dtype  # type: ignore[index, return-value]

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of goals [n, g] that the environment could be asked about: far ones, near ones, equal ones."""
        rng, seen = self.generator(3), self.all
        chosen = rng.integers(len(seen), size=150)
        achieved, other = seen.next_achieved[chosen], seen.next_achieved[rng.permutation(chosen)]
        desired = seen.desired[chosen]
        near = achieved + rng.choice([1e-3, 1e-2, 1e-1], (len(chosen), 1)) * self.spread * rng.normal(
            size=achieved.shape
        )
        left = np.concatenate([achieved, achieved, near, desired])
        right = np.concatenate([desired, other, achieved, desired])
        return left.astype(self.goal_type), right.astype(self.goal_type)

    @cached_property
    def pair_rewards(self) -> np.ndarray:
        """The rewards [n] of `pairs`."""
        return rewards(self.rules, *self.pairs)

    @property
    def sparse(self) -> bool:
        """Whether the reward takes two values."""
        return is_sparse(np.concatenate([self.pair_rewards, self.all.reward]))

    @cached_property
    def spread(self) -> np.ndarray:
        """How far goals lie apart on each axis [g], desired and achieved ones together; 0 where all are equal."""
        goals = np.concatenate([self.resets.desired, self.resets.achieved, self.all.next_achieved])
        return goals.std(axis=0)

    @cached_property
    def success_test(self) -> tuple[Callable[[np.ndarray, np.ndarray], bool] | None, str]:
        """The test whether a goal [g] is reached, and where it comes from; None where nothing says so of any pair."""
        rules, reward = self.rules, self.rules.reward
        if rules.success is not None:
            return rules.success, "its own success test"
        if reward is not None and self._answers(reward) and self.sparse:
            return lambda a, d: abs(reward(a, d, {}) - (best := reward(d, d, {}))) <= TOLERANCE * (1 + abs(best)), (
                "its two rewards"
            )
        away = np.linalg.norm(self.all.next_achieved - self.all.desired, axis=1)
        inside, outside = away[self.all.told == 1], away[self.all.told == 0]
        if not (inside.size and outside.size and inside.max() <= outside.min()):
            return None, ""
        radius = (inside.max() + outside.min()) / 2
        return lambda a, d: bool(np.linalg.norm(a - d) <= radius), "the distances at which info told of success"

    def _answers(self, reward: Callable[..., float]) -> bool:
        """Whether the reward can be asked at all; another condition tells why not."""
        try:
            reward(self.resets.achieved[0], self.resets.desired[0], {})
        except Exception:  # a stranger's code may raise anything
            return False
        return True

    @property
    def success(self) -> Callable[[np.ndarray, np.ndarray], bool] | None:
        """The test whether a goal [g] is reached; None where nothing says so of any pair of goals."""
        return self.success_test[0]

    def reached(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Success [n] of pairs of goals [n, g]."""
        assert self.success is not None
        return np.array([self.success(a, d) for a, d in zip(achieved, desired, strict=True)], bool)
