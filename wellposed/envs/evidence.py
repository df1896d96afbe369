"""What was seen of an environment, and what follows for its rules: success, endings, batches, reward range, scales.

The certificate judges an environment by it and training reads its rules off it, so that the two cannot differ.
"""

from collections.abc import Callable
from functools import cached_property
from time import thread_time
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed.envs import explore, rules
from wellposed.envs.explore import Moments, Transitions
from wellposed.envs.geometry import geometry_of
from wellposed.envs.rays import Rays, cast_rays
from wellposed.envs.rules import Endings, Measured, RuleName, Rules, Subject, Test
from wellposed.errors import UserError
from wellposed.types import Field
from wellposed.units import Units, goal_worth, observation_floors, origin, radius_like_fetch, signals

RESETS = 64
STEPS = 2_000  # of independent uniform actions; half as many of each other behaviour
EPISODES = (4, 40)  # at least and at most, of each behaviour
FIRST_SEED = 1_000  # of exploration; the seeds below are for pairs of instances that are compared
DISCOUNTED = 0.01  # of a reward: what is left of it, discounted, below which nobody learns from it
TOLD = "the distances at which info told of success"
AT_GOAL = 20, 50  # episodes, half of them with the goal put where they stand, and the steps of each


class Evidence:
    """An environment, what was seen of it and what follows: explored when first asked for, and only once."""

    def __init__(
        self, subject: Subject, seed: int = 0, gamma: float = 0.0, env: gym.Env | None = None, seconds: float = np.inf
    ):
        """`gamma`: the discount that training would use. `seconds`: what all exploration may take."""
        self.subject, self.seed, self.gamma, self._seconds = subject, seed, gamma, seconds
        self.env = subject.make() if env is None else env  # explored; the conditions' own experiments make their own
        self._opened = [self.env]
        self._spent, self._steps = 0.0, 0  # seconds of a processor, and environment steps

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

    # --- what is declared

    @property
    def limit(self) -> int | None:
        """Steps after which the environment says that it cuts an episode."""
        return rules.episode_limit(self.env)

    @property
    def spaces(self) -> dict[str, Any]:
        """The declared spaces of all that is observed, by key."""
        return dict(self.env.observation_space.items())  # type: ignore[attr-defined]

    @property
    def fields(self) -> tuple[Field, ...]:
        """What is observed, by kind."""
        return rules.fields_of(self.env)

    @property
    def actions(self) -> gym.spaces.Box:
        """The action space."""
        return self.env.action_space  # type: ignore[return-value]

    @property
    def goal_type(self) -> np.dtype:
        """The declared type of goals."""
        return self.spaces["desired_goal"].dtype

    # --- what was seen

    @cached_property
    def goal_seen(self) -> str:
        """Which desired goal the policy sees: "true", "none", or "another" than the reward is given for."""
        env: Any = self.fresh().unwrapped
        env.reset(seed=FIRST_SEED * (5 + 10 * self.seed))
        return env.goal_seen() if hasattr(env, "goal_seen") else "true"  # of Gymnasium's, the goals that are shown

    def random_actions(self, purpose: int, steps: int) -> np.ndarray:
        """Uniform actions [steps, action_dim]."""
        rng, space = self.generator(purpose), self.actions
        return rng.uniform(space.low, space.high, (steps, *space.shape)).astype(space.dtype)

    def _play(self, act: explore.Act, steps: int, part: int) -> Transitions:
        first = FIRST_SEED * (part + 1 + 10 * self.seed)
        episodes = int(np.clip(steps // min(self.limit or explore.CAP, explore.CAP), *EPISODES))
        began = thread_time()
        found = explore.play(self.env, act, range(first, first + episodes), seconds=self._seconds / 4)
        self._spent, self._steps = self._spent + thread_time() - began, self._steps + len(found)
        return found

    @cached_property
    def resets(self) -> Moments:
        """First observations of episodes."""
        first = FIRST_SEED * (5 + 10 * self.seed)
        return explore.reset_all(self.env, range(first, first + RESETS), seconds=self._seconds / 4)

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
            act = explore.following(self.subject.oracle())
        return self._play(act, STEPS // 2, 2)

    @cached_property
    def all(self) -> Transitions:
        """Everything explored."""
        return explore.join([self.random, self.held, self.directed])

    @cached_property
    def length(self) -> int | None:
        """Steps after which episodes are cut: the declared limit, else the one length of all that were."""
        cut = np.unique(self.all.lengths[self.all.truncated[self.all.ends]]) if self.limit is None else [self.limit]
        return int(cut[0]) if len(cut) == 1 else None

    @cached_property
    def steps_to_goal(self) -> float:
        """How many steps away the typical goal is at the pace that was seen; infinite where nothing moved."""
        pace = np.linalg.norm(self.all.after.achieved - self.all.before.achieved, axis=1)
        moving = pace[pace > 1e-3 * pace.max()]
        way = float(np.median(np.linalg.norm(self.resets.desired - self.resets.achieved, axis=1)))
        return way / float(np.quantile(moving, 0.95)) if len(moving) else float("inf")

    @cached_property
    def spread(self) -> np.ndarray:
        """How far goals lie apart on each axis [g], desired and achieved ones together; 0 where all are equal."""
        return np.concatenate([self.resets.desired, self.resets.achieved, self.random.after.achieved]).std(axis=0)

    # --- reward

    @cached_property
    def rules(self) -> Rules:
        """The rules for goals, of an instance that is reset once and never stepped."""
        env = self.fresh()
        env.reset(seed=0)
        return rules.rules_of(env, self.goal_type)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of goals [n, g] that the environment could be asked about: visited, far, near and equal ones."""
        rng, (visited, pursued) = self.generator(3), self.random.goals
        chosen = rng.integers(len(visited), size=150)
        achieved, other, desired = visited[chosen], visited[rng.permutation(chosen)], pursued[chosen]
        away = rng.choice([1e-3, 1e-2, 1e-1], (len(chosen), 1)) * self.spread * rng.normal(size=achieved.shape)
        near = np.clip(achieved + away, visited.min(axis=0), visited.max(axis=0))  # no rule has to know of others
        left = np.concatenate([achieved, achieved, near, desired])
        right = np.concatenate([desired, other, achieved, desired])
        return left.astype(self.goal_type), right.astype(self.goal_type)

    @cached_property
    def pair_rewards(self) -> np.ndarray:
        """The rewards [n] of `pairs`."""
        return rules.rewards(self.rules, *self.pairs)

    @cached_property
    def reward_range(self) -> tuple[float, float]:
        """The least and the greatest reward of a step: of what was seen, and of the goals farthest apart in it."""
        seen = np.concatenate([self.resets.achieved, self.random.after.achieved])
        ends = [np.concatenate([x[x.argmin(axis=0)], x[x.argmax(axis=0)]]) for x in (seen, self.resets.desired)]
        left, right = (x.reshape(-1, x.shape[-1]) for x in np.broadcast_arrays(ends[0][:, None], ends[1]))
        values = np.concatenate([self.pair_rewards, self.random.reward, rules.rewards(self.rules, left, right)])
        return float(values.min()) + 0.0, float(values.max()) + 0.0  # no minus zero

    @cached_property
    def sparse(self) -> bool:
        """Whether the reward takes two values."""
        return rules.is_sparse(np.concatenate([self.pair_rewards, self.random.reward]))

    def batch_fault(self, name: RuleName) -> str:
        """How a rule's answers to batches differ from those to their pairs; "" where they do not."""
        (left, right), alone, together = self.pairs, getattr(self.rules, name), self.rules.together[name]
        rest: Any = () if name == "success" else ({},)
        expected = np.array([alone(a, d, *rest) for a, d in zip(left, right, strict=True)], np.float64)
        return rules.batch_fault(lambda a, d: together(a, d, *rest), left, right, expected)

    # --- success and endings

    @cached_property
    def success_test(self) -> tuple[Test | None, str]:
        """The test whether a goal [g] is reached, and where it comes from; None where nothing says so of any pair.

        The environment's own test; else, of a sparse reward, whether a goal is rewarded like itself; else the distance
        up to which info told of success, where one distance parts what it called a success from what it did not.
        """
        reward = self.rules.reward
        if self.rules.success is not None:
            return self.rules.success, "its own success test"
        if reward is not None and self._answers(reward) and self.sparse:
            known = self.reward_range
            return lambda a, d: bool(rules.like_the_goal(reward(a, d, {}), reward(d, d, {}), known)), "its two rewards"
        if (told_radius := self.told_radius) is None:
            return None, ""
        return lambda a, d: bool(np.linalg.norm(a - d) <= told_radius), TOLD

    def _answers(self, reward: Callable[..., float]) -> bool:
        """Whether the reward can be asked at all; another condition tells why not."""
        try:
            reward(self.resets.achieved[0], self.resets.desired[0], {})
        except Exception:  # a stranger's code may raise anything
            return False
        return True

    @cached_property
    def told_radius(self) -> float | None:
        """The distance that parts what info called a success from what it did not; None where no distance does.

        Where exploration met no success, goals are put where episodes stand.
        """
        told, goals = self.all.told, self.all.goals
        if (told == 0).any() and not (told == 1).any():
            told, goals = self.at_goals.told, (self.at_goals.after.achieved, self.at_goals.after.desired)
        away = np.linalg.norm(np.subtract(*goals), axis=1)
        inside, outside = away[told == 1], away[told == 0]
        if not (inside.size and outside.size and inside.max() <= outside.min()):
            return None
        return float(inside.max() + outside.min()) / 2

    @property
    def success(self) -> Test | None:
        """The test whether a goal [g] is reached; None where nothing says so of any pair of goals."""
        return self.success_test[0]

    def reached(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Success [n] of pairs of goals [n, g]."""
        assert self.success is not None
        pairs = zip(achieved.astype(self.goal_type), desired.astype(self.goal_type), strict=True)
        return np.array([self.success(a, d) for a, d in pairs], bool)

    @cached_property
    def rays(self) -> Rays:
        """Where success ends along rays from achieved goals; it must be known of any pair."""
        assert self.success is not None
        return cast_rays(self.success, self.random.after.achieved, self.spread, self.goal_type, self.generator(30))

    @cached_property
    def at_goals(self) -> Transitions:
        """Short episodes of uniform actions, half of them with the goal put where they stand."""
        act = explore.uniform(self.actions, self.generator(4))
        return explore.play(self.fresh(), act, range(AT_GOAL[0]), steps=AT_GOAL[1], at_goal=True)

    @cached_property
    def endings(self) -> Endings:
        """Where episodes terminate, of an environment with or without compute_terminated.

        Where exploration neither reached a goal nor terminated, goals are put where episodes stand: panda-gym ends an
        episode at the step that reaches its goal and tells nobody.
        """
        if self.rules.terminated is not None:
            return "said"
        ended = self.all.terminated
        if self.success is None:
            return "elsewhere" if ended.any() else "never"
        reached = self.reached(*self.all.goals)
        if not (ended.any() or reached.any()):
            tried = self.at_goals.after
            ended, reached = self.at_goals.terminated, self.reached(tried.achieved, tried.desired)
        if not ended.any():
            return "never"
        return "at the goal" if np.array_equal(ended, reached) else "elsewhere"

    @cached_property
    def ends_at_goal(self) -> bool:
        """Whether an episode ends at its goal."""
        if (terminated := self.rules.terminated) is None:
            return self.endings == "at the goal"
        goal = self.resets.desired[0].astype(self.goal_type)
        return terminated(goal, goal, {})

    def worth(self, gamma: float) -> float | None:
        """`goal_worth` of what was seen; None where nobody says which goals are reached, or all are."""
        if self.success is None or (missed := ~self.reached(*self.pairs)).sum() == 0:
            return None
        at_goal = rules.rewards(self.rules, self.pairs[1], self.pairs[1]).min()
        return goal_worth(float(at_goal), float(self.pair_rewards[missed].max()), self.ends_at_goal, gamma)

    # --- what makes training impossible, for certificate and training in the same words; "" where nothing does

    @cached_property
    def info_fault(self) -> str | None:
        """How the reward depends on a step's info; None where chance hides it.

        Asked of 300 random transitions, without the info of the step, and with it twice.
        """
        chosen = np.unique(self.generator(20).integers(len(self.random), size=300))
        (achieved, desired), infos = (part[chosen] for part in self.random.goals), self.random.infos[chosen]
        try:
            bare = rules.rewards(self.rules, achieved, desired)
        except UserError as error:
            return str(error)
        except Exception as error:  # a stranger's code may raise anything
            return f"with an empty info compute_reward raised {type(error).__name__}: {error}"
        full, again = (rules.rewards(self.rules, achieved, desired, infos) for _ in range(2))
        if not rules.same(full, again).all():
            return None
        differ = int((~rules.same(bare, full)).sum())
        return f"info changed the reward of {differ} of {len(chosen)} transitions" if differ else ""

    @property
    def reward_fault(self) -> str:
        """Whether there is a reward for any goal."""
        return "" if self.rules.reward else "it has no method compute_reward(achieved_goal, desired_goal, info)"

    @property
    def limit_fault(self) -> str:
        """Whether episodes have a length."""
        missing = "it has no time limit, so an episode may never enter the replay: give --env.max-episode-steps N"
        return "" if self.length else missing

    @property
    def success_fault(self) -> str:
        """Whether success is known of any goal."""
        missing = "nothing says which goals are reached: no _is_success, no two rewards, no distance that info goes by"
        return "" if self.success else missing

    @property
    def endings_fault(self) -> str:
        """Whether it can be said of any goal if it ends an episode."""
        if self.endings != "elsewhere":
            return ""
        steps = f"{self.all.terminated.sum()} of {len(self.all):,} steps terminated"
        return (
            f"its episodes terminate elsewhere than at their goals, or not always there ({steps}), and no "
            "compute_terminated(achieved_goal, desired_goal, info) says so of another goal"
        )

    def fault(self) -> str:
        """The first of these; `wellposed check` asks far more."""
        if fault := rules.spaces_fault(self.env) or self.reward_fault:
            return fault
        if self.info_fault is None:
            return "compute_reward answers the same question differently"
        return self.info_fault or self.limit_fault or self.success_fault or self.endings_fault

    # --- what training needs

    @cached_property
    def units(self) -> Units:
        """The scales of an environment that has no `fault`."""
        seen = np.concatenate([self.resets.observation, self.random.after.observation])
        spread = seen.std(axis=0)
        radius = self.rays.radius or radius_like_fetch(self.spread)
        floors = observation_floors(radius, self.spread, spread)
        goals = np.concatenate([self.resets.desired, self.resets.achieved, self.random.after.achieved])
        origins = origin(goals, radius), origin(seen, signals(spread))
        return Units(self.reward_range, self.sparse, radius, tuple(map(float, self.spread)), floors, *origins)

    def measured(self) -> Measured:
        """All that `GoalRules` needs.

        Raises:
            UserError: if the environment has a `fault`, or declares a geometry that does not fit it.
        """
        name = self.subject.name
        try:
            fault = self.fault()
        except Exception as error:  # a stranger's code may raise anything
            fault = f"it raised {type(error).__name__}: {error}"
        if fault:
            more = f"`wellposed check {name}` examines all conditions."
            raise UserError(f"{name} is not a well-posed goal environment: {fault}. {more}")
        together: frozenset[RuleName] = frozenset(name for name in self.rules.together if not self.batch_fault(name))
        told_radius = self.told_radius if self.success_test[1] == TOLD else None
        assert self.length is not None
        seen = np.concatenate([self.resets.observation, self.random.after.observation])
        geometry = geometry_of(self.env, self.fields, seen)
        return Measured(
            self.units, self.length, self.endings, told_radius, together, geometry, self._spent / self._steps
        )
