"""Conditions on the observation: that it is of use to a network, and that the present says what comes next."""

import numpy as np

from wellposed.check.episodes import repeatable_steps
from wellposed.check.findings import Outcome, answer, condition, unseen
from wellposed.check.interface import finite_numbers
from wellposed.envs.evidence import Evidence
from wellposed.envs.explore import Transitions
from wellposed.units import signals

LARGE = 1_000.0  # beyond which networks without normalisation are lost
RESOLUTION = 1e-5  # spread over size below which float32 no longer resolves what changes
HELPED = (0.9, 0.5)  # share of what the present leaves open that the past explains: of one number, of a third of them
LEFT_OPEN = 0.1  # share of a change's variance that the present leaves open
RIDGE = 1e-3


@condition(
    "A policy that sees nothing acts blindly.",
    "Hand out the present state, not that of the reset.",
    needs=(finite_numbers,),
)
def observation_alive(ev: Evidence) -> Outcome:
    """The observation changes."""
    values = np.concatenate([ev.all.before.observation, ev.resets.observation])
    constant = np.flatnonzero(np.ptp(values, axis=0) == 0)
    changing, images = values.shape[1] - len(constant), (ev.all.before.images != ev.all.after.images).any(axis=0)
    if not values.shape[1] and not len(images):
        return answer("nothing is observed but goals")
    told = f"{changing} of {values.shape[1]} numbers of the observation change over {len(values):,} observations"
    told += f", and {images.sum()} of {len(images)} images" if len(images) else ""
    told += f"; numbers {constant.tolist()} never change" if 0 < len(constant) < values.shape[1] else ""
    return answer(told, fails=not changing and not images.any(), constant=constant.tolist())


@condition(
    "Replay and networks hold float32; what changes in the seventh digit is lost there.",
    "Give positions relative to something near, times in seconds, and no counters.",
    needs=(finite_numbers,),
)
def observation_scaled(ev: Evidence) -> Outcome:
    """Numbers are of a size and a resolution that float32 networks can use."""
    values = np.concatenate([ev.all.before.observation, ev.resets.observation])
    size, spread = np.abs(values).max(axis=0), values.std(axis=0)
    large = np.flatnonzero(size > LARGE).tolist()
    counts = (spread > 0) & (spread >= signals(spread))  # others are as good as constant
    coarse = np.flatnonzero(counts & (spread < RESOLUTION * size)).tolist()
    told = f"the largest number of the observation is {size.max(initial=0):.4g}"
    told += f"; numbers {large} exceed {LARGE:,.0f}" if large else ""
    told += f"; numbers {coarse} change by less than {RESOLUTION:g} of their size" if coarse else ""
    return answer(told, warns=large or coarse, large=large, coarse=coarse)


@condition(
    "A policy that sees positions without velocities cannot tell coming from going.",
    "Add velocities to the observation, or stack frames.",
    needs=(observation_alive, observation_scaled, repeatable_steps),
    name="Markov",
)
def markov(ev: Evidence) -> Outcome:
    """The present says as much of the next observation as present and past together."""
    if ev.all.after.images.shape[1] or not ev.all.after.observation.shape[1]:
        return unseen("what images and goals tell of those that follow is not examined")
    result = history_helps(ev.random)
    if result is None:
        return unseen("too few steps for the size of the observation")
    opened, helped = result
    # A linear fit of what is not linear in the present finds some help in the past of a few numbers, in sound ones too.
    much, some = ((opened > LEFT_OPEN) & (helped > bar) for bar in HELPED)
    hidden = np.flatnonzero(some if some.mean() > 1 / 3 else much)
    if not len(hidden):
        return answer("the step before adds little to what the present says of the next observation", hidden=[])
    worst = hidden[np.argmax(helped[hidden])]
    told = f"the step before says more than the present of numbers {hidden.tolist()} of the observation: of what the "
    told += f"present leaves open of number {worst}'s changes, the past explains {helped[worst]:.0%}"
    return answer(told, warns=True, hidden=hidden.tolist())


def history_helps(seen: Transitions) -> tuple[np.ndarray, np.ndarray] | None:
    """By linear prediction of each change, on episodes that the fit did not see.

    Returns:
        What share of its variance the present leaves open [obs_dim], and what share of that the step before explains;
        None if there are too few transitions for so many numbers.
    """
    now = np.flatnonzero(seen.time > 0)
    state = np.hstack([seen.before.numbers, seen.action])
    present = state[now]
    past = present - state[now - 1]  # as differences: beside the present, the values themselves say little more
    if len(now) < 6 * (present.shape[1] + past.shape[1]):
        return None
    change = seen.after.observation[now] - seen.before.observation[now]
    change = np.clip(change, *np.quantile(change, [0.01, 0.99], axis=0))  # a few impacts would be all of the variance
    train = seen.episode[now] % 2 == 0
    total = change[~train].var(axis=0)
    live = total > 1e-16 * seen.after.observation.var(axis=0).max(initial=0)
    without = _left_open(present, change, train)
    with_past = _left_open(np.hstack([present, past]), change, train)
    opened = np.where(live, without / np.where(live, total, 1), 0)
    helped = np.where(live & (without > 0), 1 - with_past / np.where(without > 0, without, 1), 0)
    return opened, helped


def _left_open(inputs: np.ndarray, target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Mean squared error [k] on held-out rows of a ridge regression of target [n, k] on inputs [n, m]."""
    mean, spread = inputs[train].mean(axis=0), inputs[train].std(axis=0)
    x = np.column_stack([(inputs - mean) / np.where(spread > 0, spread, 1), np.ones(len(inputs))])
    gram = x[train].T @ x[train] + RIDGE * train.sum() * np.eye(x.shape[1])
    fit = np.linalg.solve(gram, x[train].T @ target[train])
    return ((x[~train] @ fit - target[~train]) ** 2).mean(axis=0)
