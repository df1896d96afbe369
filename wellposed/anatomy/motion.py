"""The effect of actions: displacement of the hand per unit of action, and width of the gripper.

Each env of one vector environment is moved into its own state, and every experiment starts from these states.
"""

from typing import Literal

import numpy as np

from wellposed import envs, seeding
from wellposed.anatomy import Gripper, GripWidth, Motion, Response
from wellposed.envs.quantities import AXES, Quantities

STATES = 16
LIFT = 4  # steps upwards, so that the hand is clear of table and object
WANDER = 4  # steps sidewards, different in each env
REST = 10  # steps without action, until the hand is at rest
HELD = 3  # steps for which an action is held
NO_LIMIT = 10**6  # steps of an episode, so that no experiment is truncated
GRIP_ACTIONS = (-1.0, -0.1, -0.02, -0.01, 0.0, 0.005, 0.01, 0.05, 0.2, 1.0)
GRIP_STEPS = 20
MIN_CHANGE = 1e-4  # metres of width below which the gripper counts as blocked


def displacement_per_action(hand: np.ndarray, action: np.ndarray, next_hand: np.ndarray) -> np.ndarray:
    """Metres per unit of action along each axis [3]: least squares through the origin, per axis.

    Args:
        hand: positions [n, 3] before a step, in metres.
        action: actions [n, 4], in [-1, 1]; the first three components move along the axes.
        next_hand: positions [n, 3] after the step.
    """
    asked = action[:, :3]
    return (asked * (next_hand - hand)).sum(axis=0) / (asked**2).sum(axis=0)


class Bench:
    """A vector environment that can be reset to saved states."""

    def __init__(self, env_id: str, num_envs: int, threads: int, seed: int):
        self.env = envs.make_vec(env_id, num_envs, threads=threads, max_episode_steps=NO_LIMIT)
        self.action_size = self.env.inner.spec.action_dim
        self.obs, _ = self.env.reset(seed=seeding.training_env_seed(seed))
        self.state = self.env.get_state()

    def hold(self, actions: np.ndarray, steps: int) -> np.ndarray:
        """Hold actions [envs, action_dim] for some steps; returns the observations [steps, envs, size]."""
        seen = []
        for _ in range(steps):
            self.obs, *_ = self.env.step(actions)
            seen.append(self.obs["observation"])
        return np.array(seen)

    def save(self) -> None:
        """Save the current states as the start of experiments."""
        self.state = self.env.get_state()

    def restore(self) -> None:
        """Return to the saved states."""
        self.obs = self.env.set_state(self.state)

    def zero_action(self) -> np.ndarray:
        """Zero actions [envs, action_dim]."""
        return np.zeros((self.env.num_envs, self.action_size), np.float32)

    def pulse(self, component: int, value: float) -> np.ndarray:
        """Actions [envs, action_dim] with one component set."""
        actions = self.zero_action()
        actions[:, component] = value
        return actions


def measure_motion(env_id: str, quantities: Quantities, threads: int, seed: int) -> Motion:
    """The displacement by a pulse of each action component, in free air, minus the drift without action."""
    bench = Bench(env_id, STATES, threads, seed)
    places = [quantities.find("action", f"hand target {axis}") for axis in AXES]
    rng = seeding.generator(seed, "states of motion")
    bench.hold(bench.pulse(places[2], 1.0), LIFT)
    wander = bench.zero_action()
    wander[:, places[:2]] = rng.uniform(-1, 1, (STATES, 2))
    bench.hold(wander, WANDER)
    begin = bench.hold(bench.zero_action(), REST)[-1]
    bench.save()
    hand = list(bench.env.geometry.effector)
    still = _displace(bench, bench.zero_action(), hand)
    pulses = {
        (i, a): _displace(bench, bench.pulse(i, a), hand) - still
        for i in range(bench.action_size)
        for a in (1, -1, 0.5)
    }
    motion = Motion(
        states=STATES,
        responses=[_response(quantities.action[i].name, pulses[i, 1], pulses[i, -1], pulses[i, 0.5]) for i in places],
        others=float(max(np.abs(p).max() for (i, _), p in pulses.items() if i not in places)),
        drift=[float(way) for way in (still[0] - begin[:, hand]).mean(axis=0)],
        random_play=_random_play(bench, hand, rng),
    )
    bench.env.close()
    return motion


def _displace(bench: Bench, actions: np.ndarray, hand: list[int]) -> np.ndarray:
    """Positions of the hand [3, envs, 3]: after one step, after a further rest, and after holding the actions."""
    bench.restore()
    first = bench.hold(actions, 1)[0][:, hand]
    settled = bench.hold(bench.zero_action(), REST)[-1][:, hand]
    bench.restore()
    return np.array([first, settled, bench.hold(actions, HELD)[-1][:, hand]])


def _response(component: str, up: np.ndarray, down: np.ndarray, half: np.ndarray) -> Response:
    """The response to a component, from the displacements [3, states, 3] by +1, -1 and 1/2 of it."""
    each = np.concatenate([up, -down], axis=1)  # both signs, per unit of action
    first, settled, held = each
    along = int(np.abs(first.mean(axis=0)).argmax())
    further = (held - first)[:, along] / (HELD - 1)
    across = np.delete(np.abs(first.mean(axis=0)), along)
    return Response(
        component=component,
        axis=AXES[along],
        first_step=float(first[:, along].mean()),
        first_step_spread=float(first[:, along].std(ddof=1)),
        settled=float(settled[:, along].mean()),
        settled_spread=float(settled[:, along].std(ddof=1)),
        held=float(further.mean()),
        held_spread=float(further.std(ddof=1)),
        half=float(half[0, :, along].mean() / 0.5 / up[0, :, along].mean()),
        cross_talk=float(across.max() / np.abs(first[:, along].mean())),
    )


def _random_play(bench: Bench, hand: list[int], rng: np.random.Generator) -> list[float]:
    """Displacement per unit of action along each axis [3], fitted to random actions in free air."""
    bench.restore()
    places, actions = [bench.obs["observation"][:, hand]], []
    for _ in range(HELD * REST):
        actions.append(rng.uniform(-1, 1, (bench.env.num_envs, bench.action_size)).astype(np.float32))
        places.append(bench.hold(actions[-1], 1)[0][:, hand])
    before, after = np.concatenate(places[:-1]), np.concatenate(places[1:])
    return [float(d) for d in displacement_per_action(before, np.concatenate(actions), after)]


def measure_gripper(env_id: str, quantities: Quantities, threads: int, seed: int) -> Gripper:
    """The width between the fingers for several values of their action, starting closed and starting open."""
    fingers = [quantities.find("observation", f"{side} finger opening") for side in ("right", "left")]
    component = quantities.find("action", "finger targets")
    bench = Bench(env_id, len(GRIP_ACTIONS), threads, seed)
    values = bench.zero_action()
    values[:, component] = GRIP_ACTIONS

    def widths(begin: float) -> np.ndarray:
        """Widths [GRIP_STEPS, values], starting from the width that the action `begin` leads to."""
        bench.restore()
        bench.hold(bench.pulse(component, begin), GRIP_STEPS)
        return bench.hold(values, GRIP_STEPS)[:, :, fingers].sum(axis=2)

    ends = widths(0.0)[-1]
    change = float(ends[-1] - ends[0])
    opens: Literal["positive", "negative", "neither"] = "neither"
    if abs(change) > MIN_CHANGE:
        opens = "positive" if change > 0 else "negative"
    to_close = 0.0 if opens == "neither" else -1.0 if opens == "positive" else 1.0
    closed, opened = widths(to_close), widths(-to_close)
    bench.env.close()
    rows = zip(GRIP_ACTIONS, closed[0], closed[-1], opened[0], opened[-1], strict=True)
    return Gripper(opens, _metres(ends.max()), _metres(ends.min()), [GripWidth(*map(_metres, row)) for row in rows])


def _metres(width: float) -> float:
    """A width rounded to a hundredth of a millimetre, below which contact noise dominates."""
    return round(float(width), 5) + 0.0
