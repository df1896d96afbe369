"""What an action does, measured: displacement of the hand per unit of action, and the width of the gripper.

All copies of one vector environment are brought into states of their own, and every experiment begins from these.
"""

from typing import Literal

import numpy as np

from wellposed import envs, seeding
from wellposed.envs.quantities import AXES, Quantities
from wellposed.measure.anatomy import Gripper, GripWidth, Motion, Response

STATES = 16
LIFT = 4  # steps upwards: the hand comes clear of table and object
WANDER = 4  # steps sidewards, in each copy others
REST = 10  # steps without action, until the hand is at rest
HELD = 3  # steps of an action that is held
NO_LIMIT = 10**6  # steps: no experiment is cut
GRIP_ACTIONS = (-1.0, -0.1, -0.02, -0.01, 0.0, 0.005, 0.01, 0.05, 0.2, 1.0)
GRIP_STEPS = 20
TELLING = 1e-4  # metres of width: less is no answer


def displacement_per_action(hand: np.ndarray, action: np.ndarray, next_hand: np.ndarray) -> np.ndarray:
    """Metres per unit of action along each axis [3]: least squares through the origin, each axis on its own.

    Args:
        hand: positions [n, 3] before a step, in metres.
        action: what was done [n, 4], in [-1, 1]; the first three components are those of the axes.
        next_hand: positions [n, 3] after the step.
    """
    asked = action[:, :3]
    return (asked * (next_hand - hand)).sum(axis=0) / (asked**2).sum(axis=0)


class Bench:
    """Copies of an environment that can be put back into the states where they were left."""

    def __init__(self, env_id: str, copies: int, threads: int, seed: int):
        self.env = envs.make_vec(env_id, copies, threads=threads, max_episode_steps=NO_LIMIT)
        self.size = self.env.single_action_space.shape[0]
        self.obs, _ = self.env.reset(seed=seeding.training_env_seed(seed))
        self.state = self.env.get_state()

    def follow(self, actions: np.ndarray, steps: int) -> np.ndarray:
        """Observations [steps, copies, size] under actions [copies, action_dim] that are held."""
        seen = []
        for _ in range(steps):
            self.obs, *_ = self.env.step(actions)
            seen.append(self.obs["observation"])
        return np.array(seen)

    def keep(self) -> None:
        """Take the present states for those that experiments begin from."""
        self.state = self.env.get_state()

    def back(self) -> None:
        """Return to them."""
        self.obs = self.env.set_state(self.state)

    def still(self) -> np.ndarray:
        """No action, for all copies."""
        return np.zeros((self.env.num_envs, self.size), np.float32)

    def pulse(self, component: int, value: float) -> np.ndarray:
        """One component of the action, for all copies."""
        actions = self.still()
        actions[:, component] = value
        return actions


def measure_motion(env_id: str, quantities: Quantities, threads: int, seed: int) -> Motion:
    """Pulses along every component of the action, from states in free air, less what no action does there."""
    bench = Bench(env_id, STATES, threads, seed)
    places = [quantities.find("action", f"hand target {axis}") for axis in AXES]
    rng = seeding.generator(seed, "states of motion")
    bench.follow(bench.pulse(places[2], 1.0), LIFT)
    wander = bench.still()
    wander[:, places[:2]] = rng.uniform(-1, 1, (STATES, 2))
    bench.follow(wander, WANDER)
    begin = bench.follow(bench.still(), REST)[-1]
    bench.keep()
    hand = list(bench.env.geometry.effector)
    still = _answer(bench, bench.still(), hand)
    pulses = {(i, a): _answer(bench, bench.pulse(i, a), hand) - still for i in range(bench.size) for a in (1, -1, 0.5)}
    motion = Motion(
        states=STATES,
        responses=[_response(quantities.action[i].name, pulses[i, 1], pulses[i, -1], pulses[i, 0.5]) for i in places],
        others=float(max(np.abs(p).max() for (i, _), p in pulses.items() if i not in places)),
        drift=[float(way) for way in (still[0] - begin[:, hand]).mean(axis=0)],
        random_play=_random_play(bench, hand, rng),
    )
    bench.env.close()
    return motion


def _answer(bench: Bench, actions: np.ndarray, hand: list[int]) -> np.ndarray:
    """Where the hand gets to [3, copies, 3]: in one step of the actions, after a rest, and where they are held."""
    bench.back()
    first = bench.follow(actions, 1)[0][:, hand]
    settled = bench.follow(bench.still(), REST)[-1][:, hand]
    bench.back()
    return np.array([first, settled, bench.follow(actions, HELD)[-1][:, hand]])


def _response(component: str, up: np.ndarray, down: np.ndarray, half: np.ndarray) -> Response:
    """The answer to a component from the displacements [3, states, 3] by +1, by -1 and by 1/2 of it."""
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
    """Displacement per unit of action along each axis [3], fitted to steps of random actions in free air."""
    bench.back()
    places, actions = [bench.obs["observation"][:, hand]], []
    for _ in range(HELD * REST):
        actions.append(rng.uniform(-1, 1, (bench.env.num_envs, bench.size)).astype(np.float32))
        places.append(bench.follow(actions[-1], 1)[0][:, hand])
    before, after = np.concatenate(places[:-1]), np.concatenate(places[1:])
    return [float(d) for d in displacement_per_action(before, np.concatenate(actions), after)]


def measure_gripper(env_id: str, quantities: Quantities, threads: int, seed: int) -> Gripper:
    """The width between the fingers, from closed and from open, under values of their action."""
    fingers = [quantities.find("observation", f"{side} finger opening") for side in ("right", "left")]
    component = quantities.find("action", "finger targets")
    bench = Bench(env_id, len(GRIP_ACTIONS), threads, seed)
    values = bench.still()
    values[:, component] = GRIP_ACTIONS

    def widths(begin: float) -> np.ndarray:
        """Widths [GRIP_STEPS, values], beginning where an action has led to."""
        bench.back()
        bench.follow(bench.pulse(component, begin), GRIP_STEPS)
        return bench.follow(values, GRIP_STEPS)[:, :, fingers].sum(axis=2)

    ends = widths(0.0)[-1]
    change = float(ends[-1] - ends[0])
    opens: Literal["positive", "negative", "neither"] = "neither"
    if abs(change) > TELLING:
        opens = "positive" if change > 0 else "negative"
    to_close = 0.0 if opens == "neither" else -1.0 if opens == "positive" else 1.0
    closed, opened = widths(to_close), widths(-to_close)
    bench.env.close()
    rows = zip(GRIP_ACTIONS, closed[0], closed[-1], opened[0], opened[-1], strict=True)
    return Gripper(opens, _metres(ends.max()), _metres(ends.min()), [GripWidth(*map(_metres, row)) for row in rows])


def _metres(width: float) -> float:
    """A width to a hundredth of a millimetre, below which contact trembles."""
    return round(float(width), 5) + 0.0
