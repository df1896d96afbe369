"""Wrong solutions as people write them, and the property that each of them lacks first."""

# ruff: noqa: ARG001, ARG005  (not to use an argument is often the mistake)

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.stats import binom, norm

Z = 1.959964


class Wrong(NamedTuple):
    """A wrong solution, and the beginning of the name of the first property that it does not have."""

    exercise: str
    function: Callable[..., Any]
    lacks: str


def wald(successes, trials):
    p = successes / trials
    half = Z * math.sqrt(p * (1 - p) / trials)
    return p - half, p + half


def wald_cut_off(successes, trials):
    low, high = wald(successes, trials)
    return max(0.0, low), min(1.0, high)


def rule_of_three_at_zero(successes, trials):
    if successes == 0:
        return 0.0, min(1.0, 3 / trials)
    return score(successes, trials, Z)


def score(successes, trials, z):
    p = successes / trials
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return centre - half, centre + half


def agresti_coull(successes, trials):
    n, k = trials + Z**2, successes + Z**2 / 2
    half = Z * math.sqrt(k / n * (1 - k / n) / n)
    return max(0.0, k / n - half), min(1.0, k / n + half)


def shifted_up(successes, trials):
    low, high = score(successes, trials, Z)
    if 0 < successes < trials:
        low, high = low + 0.5 * (successes / trials - low) * 0.1, high + 0.5 * (1 - high) * 0.1
    return low, high


def arrays_equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def close(one, other):
    return one.keys() == other.keys() and all(
        one[k].shape == other[k].shape and np.allclose(one[k], other[k], equal_nan=True) for k in one
    )


def one_sided_names(one, other):
    return all(k in other and one[k].tobytes() == other[k].tobytes() for k in one)


def in_order(one, other):
    return len(one) == len(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(one.values(), other.values(), strict=True)
    )


def bytes_alone(one, other):
    return one.keys() == other.keys() and all(one[k].tobytes() == other[k].tobytes() for k in one)


def type_and_bytes(one, other):
    return bytes_alone(one, other) and all(one[k].dtype == other[k].dtype for k in one)


def values_and_types(one, other):
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and np.array_equal(one[k], other[k], equal_nan=True) for k in one
    )


def distance(achieved, desired):
    return np.linalg.norm(achieved - desired, axis=-1)


def slope(d, a):
    return (d * a).sum(axis=0) / np.maximum((a * a).sum(axis=0), 1e-9)


def gain_over_all_components(hand, action, next_hand):
    return ((next_hand - hand) * action[:, :3]).sum(axis=0) / (action**2).sum(axis=1).sum() * 3


def mean_of_ratios(hand, action, next_hand):
    a, d = action[:, :3], next_hand - hand
    return np.array([np.mean(d[a[:, j] != 0, j] / a[a[:, j] != 0, j]) for j in range(3)])


def with_intercept(hand, action, next_hand):
    d = next_hand - hand
    return np.array([np.polyfit(action[:, j], d[:, j], 1)[0] for j in range(3)])


def advantages(r, v, after, keep_value, keep_sum, gamma, decay):
    """GAE out of which the wrong ones are made."""
    delta, result = r + gamma * keep_value * after - v, np.zeros(r.shape)
    ahead = np.zeros(r.shape[1:])
    for t in reversed(range(len(r))):
        ahead = delta[t] + decay * keep_sum[t] * ahead
        result[t] = ahead
    return result


def gae_forwards(r, v, after, terminated, ended, gamma, lam):
    delta, result = r + gamma * (1 - terminated) * after - v, np.zeros(r.shape)
    behind = np.zeros(r.shape[1:])
    for t in range(len(r)):
        behind = delta[t] + gamma * lam * (1 - ended[t]) * behind
        result[t] = behind
    return result


def gae_mixing_envs(r, v, after, terminated, ended, gamma, lam):
    delta, result = r + gamma * (1 - terminated) * after - v, np.zeros(r.shape)
    ahead = np.zeros(r.shape[1:])
    for t in reversed(range(len(r))):
        ahead = delta[t] + gamma * lam * (1 - ended[t].max()) * ahead
        result[t] = ahead
    return result


def below(v):
    return np.vstack([v[1:], np.zeros((1, v.shape[1])) + 0.5])


def clip(ratio, epsilon):
    return jnp.clip(ratio, 1 - epsilon, 1 + epsilon)


def batch_of(b, goal, reward, terminated):
    shown = {"obs": b.obs | {"desired_goal": goal}, "next_obs": b.next_obs | {"desired_goal": goal}}
    return b._replace(**shown, reward=reward, terminated=terminated)


def before(b):
    return b.obs["achieved_goal"]


def after(b):
    return b.next_obs["achieved_goal"]


def random_between(t, low, high, rng):
    return np.array([rng.integers(a, b) for a, b in zip(low, high, strict=True)])


def share(progress, begin, finish):
    """The share of the way, without anything divided by nothing."""
    return float(progress >= finish) if finish == begin else min(max((progress - begin) / (finish - begin), 0), 1)


def own(scene, rng, air, size=0.15, highest=0.45):
    """The task's own goal."""
    goal = scene.initial_grip + rng.uniform(-size, size, 3)
    goal[2] = scene.object_height + (rng.uniform(0, highest) if rng.random() < air else 0)
    return goal


def flat(reach):
    """Reach along the table alone; with none of it the goal is where the object is all the same."""
    return np.array([reach, reach, float(reach > 0)])


GLOBAL = np.random.default_rng(3)
CHAPTER_0 = [
    Wrong("0.1", wald, "the interval holds the observed rate"),
    Wrong("0.1", wald_cut_off, "0 of n, and n of n"),
    Wrong("0.1", rule_of_three_at_zero, "0 of n, and n of n"),
    Wrong("0.1", shifted_up, "failures and successes"),
    Wrong("0.1", lambda k, n: score(k, n, 1.644854), "0 of n, and n of n"),
    Wrong("0.1", agresti_coull, "0 of n, and n of n"),
    Wrong("0.1", lambda k, n: score(k, n, Z if k in (0, n) else 2.0), "both ends solve"),
    Wrong("0.1", lambda k, n: score(k, n, Z), "what is certain"),
    Wrong("0.1", lambda k, n: tuple(min(max(end, 0.0), 1.0) for end in score(k, n, Z)), "what is certain"),
    Wrong("0.2", in_order, "a state is the same as its copy"),
    Wrong("0.2", one_sided_names, "names that only one state has"),
    Wrong("0.2", close, "the last bit"),
    Wrong("0.2", arrays_equal, "the same NaN"),
    Wrong("0.2", bytes_alone, "the number type"),
    Wrong("0.2", type_and_bytes, "the shape"),
    Wrong("0.2", values_and_types, "minus zero"),
]
CHAPTER_1 = [
    Wrong("1.1", lambda a, d, h: (distance(a, d) <= h).astype(float), "0 where the goal is reached"),
    Wrong("1.1", lambda a, d, h: -distance(a, d), "0 where the goal is reached"),
    Wrong("1.1", lambda a, d, h: -(np.abs(a - d) > h).any(axis=-1).astype(float), "the distance is the length"),
    Wrong("1.1", lambda a, d, h: -(np.abs(a - d).sum(axis=-1) > h).astype(float), "the distance is the length"),
    Wrong("1.1", lambda a, d, h: -(distance(a, d) > 0.05).astype(float), "the threshold"),
    Wrong("1.1", lambda a, d, h: np.full(a.shape[:-1], -1.0 * (distance(a, d) > h).any()), "every pair of goals"),
    Wrong("1.1", lambda a, d, h: -(distance(a, d) >= h).astype(float), "at exactly the threshold"),
    Wrong("1.2", lambda h, a, n: slope(h - n, a[:, :3]), "a hand that follows exactly"),
    Wrong("1.2", lambda h, a, n: slope(n, a[:, :3]), "a hand that follows exactly"),
    Wrong("1.2", lambda h, a, n: slope(n - h, a[:, 1:]), "a hand that follows exactly"),
    Wrong("1.2", gain_over_all_components, "the fourth component"),
    Wrong("1.2", mean_of_ratios, "an action of zero"),
    Wrong("1.2", with_intercept, "the line goes through the origin"),
]
CHAPTER_2 = [
    Wrong("2.1", lambda r, v, n, d, e, g, lam: advantages(r, v, n, 1 - d, 1 - e, g, g), "with lam = 0"),
    Wrong("2.1", lambda r, v, n, d, e, g, lam: advantages(r, v, n, 1 - d, 1 - e, g, lam), "with lam = 1"),
    Wrong("2.1", gae_forwards, "with lam = 1"),
    Wrong("2.1", lambda r, v, n, d, e, g, lam: advantages(r, v, n, 1 - d, 1 - e, g, g * lam**2), "in between"),
    Wrong("2.1", lambda r, v, n, d, e, g, lam: advantages(r, v, n, 1 | d, 1 - e, g, g * lam), "a terminal state"),
    Wrong("2.1", lambda r, v, n, d, e, g, lam: advantages(r, v, n, 1 - d, 1 | e, g, g * lam), "nothing leaks"),
    Wrong("2.1", lambda r, v, n, d, e, g, lam: advantages(r, v, n, 1 - d, 1 - d, g, g * lam), "nothing leaks"),
    Wrong("2.1", lambda r, v, n, d, e, g, lam: advantages(r, v, n, 1 - e, 1 - e, g, g * lam), "at a time limit"),
    Wrong("2.1", lambda r, v, n, d, e, g, lam: advantages(r, v, below(v), 1 - d, 1 - e, g, g * lam), "at a time limit"),
    Wrong("2.1", gae_mixing_envs, "the envs do not mix"),
    Wrong("2.2", lambda r, a, e: -jnp.mean(jnp.minimum(r * a, clip(r, e) * a)), "at a ratio of 1"),
    Wrong("2.2", lambda r, a, e: jnp.sum(jnp.minimum(r * a, clip(r, e) * a)), "at a ratio of 1"),
    Wrong("2.2", lambda r, a, e: jnp.mean(jnp.minimum(r * a, jnp.clip(r, 1 - e, 1) * a)), "between 1 - eps"),
    Wrong("2.2", lambda r, a, e: jnp.mean(r * a), "beyond the interval"),
    Wrong("2.2", lambda r, a, e: jnp.mean(jnp.maximum(r * a, clip(r, e) * a)), "beyond the interval"),
    Wrong("2.2", lambda r, a, e: jnp.mean(jnp.minimum(r * a, clip(r, 0.2) * a)), "beyond the interval"),
    Wrong("2.2", lambda r, a, e: jnp.mean(clip(r, e) * a), "a loss is never clipped away"),
    Wrong("2.2", lambda r, a, e: jnp.minimum(jnp.mean(r * a), jnp.mean(clip(r, e) * a)), "the minimum is taken"),
]
CHAPTER_3 = [
    Wrong("3.1", lambda r, d, q, p, g, t: r + g * (q.min(axis=0) - t * p), "where the next state has no future"),
    Wrong(
        "3.1", lambda r, d, q, p, g, t: r + g * (1 - d) * q.min(axis=0) - t * p, "where the next state has no future"
    ),
    Wrong("3.1", lambda r, d, q, p, g, t: r + g * (1 - d) * (q.mean(axis=0) - t * p), "of the two critics"),
    Wrong("3.1", lambda r, d, q, p, g, t: r + g * (1 - d) * (q.max(axis=0) - t * p), "of the two critics"),
    Wrong("3.1", lambda r, d, q, p, g, t: r + g * (1 - d) * (q[q.sum(axis=1).argmin()] - t * p), "of the two critics"),
    Wrong("3.1", lambda r, d, q, p, g, t: r + g * (1 - d) * (q.min(axis=0) + t * p), "an improbable action"),
    Wrong("3.1", lambda r, d, q, p, g, t: r + (1 - d) * (g * q.min(axis=0) - t * p), "an improbable action"),
    Wrong(
        "3.1",
        lambda r, d, q, p, g, t: jnp.clip(r + g * (1 - d) * (q.min(axis=0) - t * p), -10, 10),
        "everything together",
    ),
    Wrong("3.2", lambda s, p, h: -jnp.mean(s * (p - h)), "at the target entropy"),
    Wrong("3.2", lambda s, p, h: -jnp.mean(s * p), "at the target entropy"),
    Wrong("3.2", lambda s, p, h: jnp.mean(s * (p + h)), "too little entropy"),
    Wrong("3.2", lambda s, p, h: -jnp.mean(jnp.exp(s) * (p + h)), "the slope is the mean shortfall"),
    Wrong("3.2", lambda s, p, h: -jnp.sum(s * (p + h)), "the slope is the mean shortfall"),
    Wrong("3.2", lambda s, p, h: -jnp.mean(s * (p + h)) + jnp.mean(p), "its value"),
]
CHAPTER_4 = [
    Wrong("4.1", lambda t, n, rng: random_between(t, 0 * n + 1, n + 1, rng), "a goal comes strictly later"),
    Wrong("4.1", lambda t, n, rng: random_between(t, t, n + 1, rng), "a goal comes strictly later"),
    Wrong("4.1", lambda t, n, rng: random_between(t, t + 1, t * 0 + n.max() + 1, rng), "a goal is of the same episode"),
    Wrong("4.1", lambda t, n, rng: random_between(t, t + 1, n + 2, rng), "a goal is of the same episode"),
    Wrong("4.1", lambda t, n, rng: t + 1 + (rng.random() * (n - t)).astype(int), "each transition draws for itself"),
    Wrong("4.1", lambda t, n, rng: random_between(t, t + 1, np.maximum(n, t + 2), rng), "the last state"),
    Wrong("4.1", lambda t, n, rng: n, "the state that the transition led to"),
    Wrong(
        "4.1", lambda t, n, rng: random_between(t, np.minimum(t + 2, n), n + 1, rng), "the state that the transition"
    ),
    Wrong("4.1", lambda t, n, rng: t + 1 + np.rint(rng.random(t.shape) * (n - t - 1)).astype(int), "all later moments"),
    Wrong("4.1", lambda t, n, rng: np.where(t == n - 1, t, random_between(t, t + 1, n + 1, rng)), "before the end"),
    Wrong("4.1", lambda t, n, rng: random_between(t, t + 1, n + 1, np.random.default_rng(0)), "all randomness"),
    Wrong("4.1", lambda t, n, rng: random_between(t, t + 1, n + 1, np.random.default_rng()), "all randomness"),
    Wrong("4.2", lambda b, g, r, d: b._replace(reward=r(after(b), g)), "the goal is the new one"),
    Wrong(
        "4.2",
        lambda b, g, r, d: b._replace(
            obs=b.obs | {"desired_goal": g}, reward=r(after(b), g), terminated=d(after(b), g)
        ),
        "the goal is the new one",
    ),
    Wrong("4.2", lambda b, g, r, d: batch_of(b, g, b.reward, b.terminated), "the reward is that of the new goal"),
    Wrong("4.2", lambda b, g, r, d: batch_of(b, g, 0 * b.reward, b.terminated), "the reward is that of the new goal"),
    Wrong(
        "4.2",
        lambda b, g, r, d: batch_of(b, g, -(distance(after(b), g) > 0.1).astype(float), b.terminated),
        "the reward is that of the new goal",
    ),
    Wrong(
        "4.2",
        lambda b, g, r, d: batch_of(b, g, r(before(b), g), d(after(b), g)),
        "it is judged by the state that the transition led to",
    ),
    Wrong(
        "4.2",
        lambda b, g, r, d: batch_of(b, g, r(g, after(b)), d(after(b), g)),
        "achieved comes first",
    ),
    Wrong("4.2", lambda b, g, r, d: batch_of(b, g, r(after(b), g), b.terminated), "termination is asked anew"),
    Wrong(
        "4.2",
        lambda b, g, r, d: batch_of(b, g, r(after(b), g), r(after(b), g) == 0),
        "termination is asked anew",
    ),
    Wrong(
        "4.2",
        lambda b, g, r, d: batch_of(b._replace(obs=b.obs | {"achieved_goal": g}), g, r(after(b), g), d(after(b), g)),
        "all else stays",
    ),
]
CHAPTER_5 = [
    Wrong("5.1", lambda x, s, e, b, f: s + (e - s) * (x - b) / (f - b), "until `begin`"),
    Wrong("5.1", lambda x, s, e, b, f: s + (e - s) * min(max(x / f, 0), 1), "until `begin`"),
    Wrong("5.1", lambda x, s, e, b, f: s + (e - s) * min(max((x - b) / (f - b), 0), 1) ** 2, "in between"),
    Wrong("5.1", lambda x, s, e, b, f: s + (e - s) * max((x - b) / (f - b), 0), "from `finish` on"),
    Wrong("5.1", lambda x, s, e, b, f: min(max(s + (e - s) * (x - b) / (f - b), s), e), "it goes downwards"),
    Wrong(
        "5.1", lambda x, s, e, b, f: s if x <= b else e if x >= f else s + (e - s) * (x - b) / (f - b), "where begin"
    ),
    Wrong("5.1", lambda x, s, e, b, f: s + (e - s) * min(max((x - b) / (f - b), 0), 1), "where begin"),
    Wrong("5.1", lambda x, s, e, b, f: s + (e - s) * share(x, b, f), "in the end it is exactly"),
    Wrong(
        "5.2", lambda c, rng, s, d: c.initial_grip + d.reach * (own(c, rng, d.air) - c.initial_grip), "with no reach"
    ),
    Wrong("5.2", lambda c, rng, s, d: s + d.reach * (own(c, rng, d.air) - c.initial_grip), "with full reach"),
    Wrong("5.2", lambda c, rng, s, d: s + d.reach * (own(c, rng, d.air, size=0.1) - s), "with full reach"),
    Wrong("5.2", lambda c, rng, s, d: s + d.reach * (own(c, rng, 1.0, highest=0.45 * d.air) - s), "so many goals"),
    Wrong("5.2", lambda c, rng, s, d: s + d.reach * (own(c, rng, float(d.air >= 0.5)) - s), "so many goals"),
    Wrong("5.2", lambda c, rng, s, d: (1 - d.reach) * s + d.reach * own(c, rng, d.air), "a goal on the table"),
    Wrong(
        "5.2", lambda c, rng, s, d: s + d.reach * (own(c, rng, d.air, highest=0.2) - s), "goals in the air are lifted"
    ),
    Wrong("5.2", lambda c, rng, s, d: s + d.reach**2 * (own(c, rng, d.air) - s), "reach draws goals towards"),
    Wrong("5.2", lambda c, rng, s, d: s + (own(c, rng, d.air) - s) * flat(d.reach), "reach draws goals down"),
    Wrong("5.2", lambda c, rng, s, d: s + d.reach * (own(c, GLOBAL, d.air) - s), "all randomness"),
]


def lag(s, w):
    return math.atan2(s * math.sin(w), 1 - s * math.cos(w))


def led(targets, length, gain, s, delay, hand, *, scale=1.0, weight=None, late=0, own=None, after=False, limit=1e9):
    """The errors of a loop, with one thing in it otherwise than it should be."""
    first, coast, kick, kept = own or hand
    place = speed = asked = 0.0
    queue, found = [0.0] * max(0, delay + late), []
    for target in targets:
        error = float(target) - place
        asked = (1 - s if weight is None else weight) * gain * error / (length * scale) + s * asked
        queue.append(asked)
        a = min(max(queue.pop(0), -limit), limit)
        place, speed = place + first * a + coast * speed, kick * a + kept * speed
        found.append(float(target) - place if after else error)
    return np.array(found)


def coasts_too_soon(targets, length, gain, s, delay, hand):
    """The velocity after the step moves the hand within it."""
    first, coast, kick, kept = hand
    return led(targets, length, gain, s, delay, None, own=(first + coast * kick, coast * kept, kick, kept))


CHAPTER_6 = [
    Wrong("6.1", lambda w, s, d: math.pi - lag(s, w) - d * w, "an interface that is not there"),
    Wrong("6.1", lambda w, s, d: -lag(s, w) - d * w, "a delay costs"),
    Wrong("6.1", lambda w, s, d: math.degrees(lag(s, w) + d * w), "a delay costs"),
    Wrong("6.1", lambda w, s, d: lag(s, w) + 0.04 * d * w, "a delay costs"),
    Wrong("6.1", lambda w, s, d: d * w, "a slow motion"),
    Wrong("6.1", lambda w, s, d: s * w + d * w, "a slow motion"),
    Wrong("6.1", lambda w, s, d: (s / (1 - s) + d) * w, "a fast motion"),
    Wrong("6.1", lambda w, s, d: max(lag(s, w), d * w), "filter and delay"),
    Wrong("6.2", lambda *given: led(*given, after=True), "an error is what"),
    Wrong("6.2", lambda *given: led(*given, scale=1 / given[1]), "an ideal hand"),
    Wrong("6.2", lambda t, length, g, s, d, hand: led(t, length, g, s, 0, hand), "with a delay"),
    Wrong("6.2", lambda *given: led(*given, late=1) if given[4] else led(*given), "with a delay"),
    Wrong("6.2", lambda *given: led(*given, weight=1.0), "the filter lets"),
    Wrong("6.2", lambda t, length, g, s, d, hand: led(t, length, g, 0.0, d, hand), "the filter lets"),
    Wrong("6.2", lambda *given: led(*given, own=(given[5][0], 0.0, 0.0, 0.0)), "a hand that was moved"),
    Wrong("6.2", coasts_too_soon, "a hand that was moved"),
    Wrong("6.2", lambda *given: led(*given, limit=1.0), "twice the target"),
]


def off(k, rho, y, w, p, *, mean=None, weight=None):
    """The bias of hindsight, with one thing in it otherwise than it should be."""
    y_mean, w_mean = (p @ y if mean is None else mean), (p @ w if weight is None else weight)
    return float(k * (p @ ((y - y_mean) * (w - w_mean))) / (rho + k * (p @ w)))


def spread(k, rho, y, w, _p):
    """All outcomes count alike."""
    return float(k * np.mean((y - y.mean()) * (w - w.mean())) / (rho + k * w.mean()))


def lowest_so_far(rates):
    return np.minimum.accumulate(rates)


def neighbours(rates, weighted=True, rounds=1):
    """Blocks that rise are pooled from left to right, so often, without looking back in between."""
    blocks = [(float(rate), 1) for rate in rates]
    for _ in range(rounds):
        found = []
        for mean, size in blocks:
            if found and found[-1][0] < mean:
                before, length = found.pop()
                share = length / (length + size) if weighted else 0.5
                mean, size = share * before + (1 - share) * mean, length + size
            found.append((mean, size))
        blocks = found
    return np.concatenate([np.full(size, mean) for mean, size in blocks])


def flat_from_there(rates):
    """From where it rises first to the end it is flat."""
    rises = np.flatnonzero(np.diff(rates) > 0)
    found = np.array(rates, float)
    if rises.size:
        at = int(rises[0])
        while at and found[at - 1] < found[at:].mean():
            at -= 1
        found[at:] = found[at:].mean()
    return found


CHAPTER_7 = [
    Wrong("7.1", lambda k, r, y, w, p: off(k, r, y, w, p) + p @ y, "without relabelled goals"),
    Wrong("7.1", lambda k, r, y, w, p: off(1.0, r, y, w, p), "without relabelled goals"),
    Wrong("7.1", lambda k, r, y, w, p: off(k, r, y, w, p, weight=0.0, mean=0.0), "an action with one outcome"),
    Wrong("7.1", lambda k, r, y, w, p: off(k, r, y, w, p, weight=1.0, mean=0.0), "an action with one outcome"),
    Wrong("7.1", lambda k, r, y, w, p: off(k, r, y, w, p, weight=0.0, mean=y.mean()), "a goal that tells nothing"),
    Wrong("7.1", spread, "the gamble"),
    Wrong("7.1", lambda k, r, y, w, p: off(k / (k + 1), r, y, w, p), "the gamble"),
    Wrong("7.1", lambda k, r, y, w, p: off(k, 1.0, y, w, p), "goals that are pursued"),
    Wrong("7.1", lambda k, r, y, w, p: abs(off(k, r, y, w, p)), "what succeeds and is replayed less"),
    Wrong("7.2", lambda rates: rates[::-1].astype(float), "a curve that falls"),
    Wrong("7.2", lambda rates: np.full(len(rates), rates.mean()), "a curve that falls"),
    Wrong("7.2", lowest_so_far, "two levels"),
    Wrong("7.2", lambda rates: np.sort(rates)[::-1].copy(), "two levels"),
    Wrong("7.2", neighbours, "a mean that is higher"),
    Wrong("7.2", lambda rates: neighbours(rates, weighted=False, rounds=9), "a mean that is higher"),
    Wrong("7.2", flat_from_there, "what lies behind"),
]


def signs(kinds, axis, vector=None, turning=None, number=(1,)):
    """Signs in a mirror, with one thing in it otherwise than it should be."""
    plain = np.where(np.arange(3) == axis, -1, 1)
    parts = {"vector": plain if vector is None else vector(plain), "number": np.array(number)}
    parts["turning"] = -plain if turning is None else turning(plain)
    return np.concatenate([parts[kind] for kind in kinds])


def sorted_signs(kinds, axis):
    return signs(sorted(kinds, reverse=True), axis)


def away(achieved, desired, parts):
    """The distance of each part [..., parts]."""
    return np.stack([np.linalg.norm((achieved - desired)[..., list(part)], axis=-1) for part in parts], axis=-1)


def side_by_side(achieved, desired, parts, tolerances):
    """The numbers of the parts are taken to stand one after another."""
    ends = np.cumsum([0, *map(len, parts)])
    return (away(achieved, desired, [range(i, j) for i, j in pairwise(ends)]) <= tolerances).all(-1)


def together(achieved, desired, parts, tolerances):
    """One distance over all numbers, as panda-gym's Stack has it."""
    return np.linalg.norm(achieved - desired, axis=-1) <= max(tolerances)


def best(rates, episodes, together=np.prod, first=1, through=None):
    """The mean of the highest of binomial shares, with one thing in it otherwise than it should be."""
    rates = through(rates) if through else rates
    k = np.arange(first, episodes + 1)[:, None]
    return float((1 - together(binom.cdf(k - 1, episodes, rates), axis=1)).sum() / episodes)


def bell_curve(rates, episodes):
    """The highest of as many normal numbers, computed on a grid, cut off at one; exact for single tosses."""
    if len(rates) == 1 or episodes == 1:
        return best(rates, episodes)
    x = np.linspace(-1, 2, 60_001)
    spread = np.sqrt(rates * (1 - rates) / episodes) + 1e-9
    return float(-1 + (1 - np.prod([norm.cdf(x, p, s) for p, s in zip(rates, spread, strict=True)], axis=0)).mean() * 3)


def small_numbers(rates, episodes):
    """Powers of a thousandth of a probability vanish, and with them what was to be summed."""
    return best(rates, min(episodes, 500))


def widths(slopes, z, limit, small: float | None = 1e-12, hidden: float | None = np.inf, all_of_it=False):
    """Half-widths from the eigenvectors, with one thing in it otherwise than it should be."""
    w, v = np.linalg.eigh(slopes.T @ slopes)
    told = w > ((z / limit) ** 2 if small is None else small * max(w.max(), 1e-300))
    found = z * np.sqrt((v[:, told] ** 2 / w[told]).sum(axis=1))
    gone = (v[:, ~told] ** 2).sum(axis=1) > 0.01
    return np.where(np.any(gone) if all_of_it else gone, hidden, found) if hidden is not None else found


def diagonal(slopes, z, limit):
    return z / np.sqrt((slopes**2).sum(axis=0))


CHAPTER_10 = [
    Wrong("10.1", lambda rates, m: float(best(rates, m, first=0)), "one policy alone"),
    Wrong("10.1", lambda rates, m: float(rates.max() * m), "one policy alone"),
    Wrong("10.1", lambda rates, m: float(rates.max()), "the better of two"),
    Wrong("10.1", bell_curve, "with two tosses"),
    Wrong("10.1", lambda rates, m: best(rates, m, through=lambda r: np.full(len(r), r.mean())), "policies may be"),
    Wrong("10.1", small_numbers, "a number of a thousand"),
    Wrong("10.2", lambda s, z, limit: 1 / np.sqrt((s**2).sum(axis=0)), "one parameter"),
    Wrong("10.2", lambda s, z, limit: z / np.abs(s).sum(axis=0), "one parameter"),
    Wrong("10.2", diagonal, "a second parameter"),
    Wrong("10.2", lambda s, z, limit: widths(s, z, limit, hidden=None), "two parameters"),
    Wrong("10.2", lambda s, z, limit: widths(s, z, limit, all_of_it=True) + np.zeros(s.shape[1]), "a third"),
    Wrong("10.2", lambda s, z, limit: widths(s, z, limit, small=1e-18), "what is hardly"),
    Wrong("10.2", widths, "what is hardly"),
]


CHAPTER_8 = [
    Wrong("8.1", lambda kinds, axis: signs(kinds, axis, vector=abs), "a vector along"),
    Wrong("8.1", lambda kinds, axis: signs(kinds, axis, vector=lambda v: -v), "a vector along"),
    Wrong("8.1", lambda kinds, axis: signs(kinds, axis, turning=lambda v: v), "a mirrored body"),
    Wrong("8.1", lambda kinds, axis: signs(kinds, axis, turning=lambda v: -abs(v)), "a mirrored body"),
    Wrong("8.1", lambda kinds, axis: signs(kinds, axis, number=(-1,)), "a number without"),
    Wrong("8.1", lambda kinds, axis: signs(kinds, axis, number=(1, 1, 1)), "a number without"),
    Wrong("8.1", sorted_signs, "signs stand in the order"),
    Wrong("8.2", lambda a, d, parts, t: (away(a, d, parts) > t).all(-1), "what is exactly"),
    Wrong("8.2", lambda a, d, parts, t: (np.abs(a - d) <= max(t)).all(-1), "the distance of a part"),
    Wrong("8.2", lambda a, d, parts, t: (away(a, d, parts) <= t).any(-1), "each part is judged"),
    Wrong("8.2", together, "each part is judged"),
    Wrong("8.2", lambda a, d, parts, t: (away(a, d, parts) <= min(t)).all(-1), "each part has its own"),
    Wrong("8.2", lambda a, d, parts, t: (away(a, d, parts) < t).all(-1), "at the tolerance"),
    Wrong("8.2", side_by_side, "the numbers of a part"),
    Wrong("8.2", lambda a, d, parts, t: (away(a, d, parts) <= t).all(1), "it takes one pair"),
]


def pointed(maps, ends=(-1.0, 1.0), axes=(1, 2), exp=jnp.exp, largest=True, swapped=False):
    """Points of a softmax, with one thing in them otherwise than it should be."""
    x = exp(maps - maps.max(axis=(1, 2), keepdims=True) if largest else maps)
    share = x / x.sum(axis=axes, keepdims=True)
    down, across = (jnp.linspace(ends[0], ends[1], size) for size in maps.shape[1:3])
    point = (share * down[:, None, None]).sum(axis=(1, 2)), (share * across[:, None]).sum(axis=(1, 2))
    return jnp.stack(point[::-1] if swapped else point, axis=-1)


def brightest(maps):
    """The place of the largest number alone."""
    b, h, w, c = maps.shape
    at = maps.reshape(b, h * w, c).argmax(axis=1)
    return jnp.stack([2 * (at // w) / max(1, h - 1) - 1, 2 * (at % w) / max(1, w - 1) - 1], axis=-1)


def before_the_last(maps):
    """Places of cells that divide the image, as if the first began at -1 and the last ended at 1."""
    x = jnp.exp(maps - maps.max(axis=(1, 2), keepdims=True))
    share = x / x.sum(axis=(1, 2), keepdims=True)
    down, across = ((2 * jnp.arange(size) + 1) / size - 1 for size in maps.shape[1:3])
    return jnp.stack([(share * down[:, None, None]).sum((1, 2)), (share * across[:, None]).sum((1, 2))], axis=-1)


def moved(stacks, pixels, corners, mode="edge", flipped=False, back=False, apart=False):
    """Shifted stacks, with one thing in them otherwise than it should be."""
    sides = (pixels, pixels)
    padded = jnp.pad(stacks, ((0, 0), (0, 0), sides, sides, (0, 0)), mode=mode)
    if apart:  # the first corner for all
        corners = jnp.broadcast_to(corners[:1], corners.shape)
    corners = corners[:, ::-1] if flipped else 2 * pixels - corners if back else corners
    down, across = (corners[:, i, None] + jnp.arange(stacks.shape[2 + i]) for i in range(2))
    return jnp.stack([one[:, i][:, :, j] for one, i, j in zip(padded, down, across, strict=True)])


def each_image_its_own(stacks, pixels, corners):
    """The images of a stack take the corners one after another."""
    b, length = stacks.shape[:2]
    images = stacks.reshape(b * length, 1, *stacks.shape[2:])
    return moved(images, pixels, jnp.tile(corners, (length, 1))).reshape(stacks.shape)


def mixed(before, after, kept):
    return after | {name: before[name] for name in kept if name in before}


def differs(act, one, other, judge=np.any, tolerance=0.0):
    return judge(np.abs(act(one) - act(other)) > tolerance, axis=-1)


def by_mean(act, before, after, allowed):
    """The mean of the numbers of an action."""
    one, other = act(before), act(mixed(before, after, allowed))
    return one.mean(axis=-1) != other.mean(axis=-1)


CHAPTER_9 = [
    Wrong("9.1", lambda maps: jnp.array(np.asarray(pointed(maps))), "it can be compiled"),
    Wrong("9.1", lambda maps: pointed(maps, ends=(0.0, 1.0)), "a map that is the same"),
    Wrong("9.1", lambda maps: pointed(maps) * maps.shape[2], "a single bright pixel"),
    Wrong("9.1", before_the_last, "a single bright pixel"),
    Wrong("9.1", lambda maps: pointed(maps, swapped=True), "a single bright pixel"),
    Wrong("9.1", lambda maps: pointed(maps, axes=(1, 2, 3)), "each image and each channel"),
    Wrong("9.1", lambda maps: pointed(maps, axes=(0, 1, 2)), "each image and each channel"),
    Wrong("9.1", lambda maps: jnp.where(jnp.ptp(maps) > 0, brightest(maps), 0.0), "shares are those"),
    Wrong("9.1", lambda maps: pointed(maps, exp=jnp.exp2), "shares are those"),
    Wrong("9.1", lambda maps: pointed(maps, largest=False), "a number that is added"),
    Wrong(
        "9.2",
        lambda s, p, c: jnp.stack([x[:, int(i) - p :] for x, i in zip(s, c[:, 0], strict=True)]),
        "it can be compiled",
    ),
    Wrong("9.2", lambda s, p, c: moved(s, p, c - p), "in the middle"),
    Wrong("9.2", lambda s, p, c: moved(s, p, 0 * c), "in the middle"),
    Wrong("9.2", lambda s, p, c: moved(s, p, c, flipped=True), "a corner farther down"),
    Wrong("9.2", lambda s, p, c: moved(s, p, c, back=True), "a corner farther down"),
    Wrong("9.2", lambda s, p, c: moved(s, p, c, mode="constant"), "a corner farther down"),
    Wrong("9.2", lambda s, p, c: moved(s, p, c, mode="wrap"), "a corner farther down"),
    Wrong("9.2", lambda s, p, c: moved(s, p, jnp.maximum(c, p)), "what comes in"),
    Wrong("9.2", lambda s, p, c: moved(s, p, c, apart=True), "each stack"),
    Wrong("9.2", each_image_its_own, "each stack"),
    Wrong("9.3", lambda act, b, a, may: differs(act, b, a), "a policy that reads the picture"),
    Wrong("9.3", lambda act, b, a, may: differs(act, b, b | {n: a[n] for n in may}), "a policy that reads the picture"),
    Wrong("9.3", lambda act, b, a, may: differs(act, b, mixed(b, a, ["camera"])), "nor has one"),
    Wrong("9.3", lambda act, b, a, may: np.zeros(len(act(b)), bool), "one that reads where"),
    Wrong("9.3", lambda act, b, a, may: differs(act, b, mixed(b, a, may), tolerance=1e-6), "however little"),
    Wrong("9.3", by_mean, "one number"),
    Wrong("9.3", lambda act, b, a, may: differs(act, b, mixed(b, a, may), np.all), "one number"),
    Wrong("9.3", lambda act, b, a, may: np.full(len(act(b)), differs(act, b, mixed(b, a, may)).any()), "each env"),
    Wrong("9.3", lambda act, b, a, may: differs(act, b, b | {"block": a["block"]}), "whatever is not allowed"),
]


def missed(draws):
    return np.prod(1 - draws, axis=0)


def as_if_alike(draws):
    """A move that is not certain counts as one that draws all cells alike."""
    certain = draws.max(axis=1, keepdims=True) == 1
    return float(1 - missed(np.where(certain, draws, 1 / draws.shape[1])).mean())


def first_row_to_the_power(draws):
    certain = draws.max(axis=1).min() == 1
    return float(1 - (missed(draws) if certain else (1 - draws[0]) ** len(draws)).mean())


def archimedes(length, pitch, radius=None, turn=1.0, start=0.0):
    """Points of a spiral, with one thing in it otherwise than it should be."""
    r = np.sqrt(pitch * length / np.pi) if radius is None else radius(length, pitch)
    angle = turn * 2 * np.pi * r / pitch + start
    return r[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


CHAPTER_11 = [
    Wrong("11.1", lambda draws: float(1 - np.prod(1 - draws)), "one move"),
    Wrong("11.1", lambda draws: float(draws.max()), "one move"),
    Wrong("11.1", lambda draws: float(draws.sum() / draws.shape[1]), "one cell for ever"),
    Wrong("11.1", lambda draws: float(min(1, draws.sum() / draws.shape[1])), "one cell for ever"),
    Wrong("11.1", lambda draws: float(1 / draws.shape[1]), "another cell"),
    Wrong("11.1", lambda draws: float(draws.max(axis=0).mean()), "cells that are drawn alike"),
    Wrong("11.1", lambda draws: float(np.minimum(draws.sum(axis=0), 1).mean()), "cells that are drawn alike"),
    Wrong("11.1", as_if_alike, "an uneven draw"),
    Wrong("11.1", first_row_to_the_power, "each move may"),
    Wrong("11.2", lambda s, p: archimedes(s, p, lambda s, p: np.sqrt(p * s / np.pi) + p), "it begins"),
    Wrong("11.2", lambda s, p: archimedes(s, p, lambda s, p: s / (2 * np.pi)), "a length covers"),
    Wrong("11.2", lambda s, p: archimedes(s, p, lambda s, p: np.sqrt(2 * p * s / np.pi)), "a length covers"),
    Wrong("11.2", lambda s, p: archimedes(s, p, lambda s, _p: np.sqrt(6e-4 * s / np.pi)), "a length covers"),
    Wrong("11.2", lambda s, p: archimedes(s, p, turn=1 / (2 * np.pi)), "a turn later"),
    Wrong("11.2", lambda s, p: archimedes(s, p, turn=0.5), "a turn later"),
    Wrong("11.2", lambda s, p: archimedes(s, p, turn=-1.0), "it turns counterclockwise"),
    Wrong("11.2", lambda s, p: archimedes(s, p)[:, ::-1].copy(), "it turns counterclockwise"),
]  # fmt: skip
FORMLESS = [  # what comes back cannot be looked at, or nothing does: the exercise says so where it first happens
    Wrong("2.2", lambda r, a, e: np.mean(np.minimum(r * a, np.clip(r, 1 - e, 1 + e) * a)), "it can be compiled"),
    Wrong("3.1", lambda r, d, q, p, g, t: r if d.any() else r + g * (q.min(axis=0) - t * p), "it can be compiled"),
    Wrong("3.2", lambda s, p, h: -float(s) * jnp.mean(p + h), "it can be compiled"),
    Wrong(
        "4.2",
        lambda b, g, r, d: batch_of(b, g, r(after(b), g).reshape(-1), d(after(b), g)),
        "it takes any number of leading axes",
    ),
]
WRONG = [
    *FORMLESS,
    *CHAPTER_0,
    *CHAPTER_1,
    *CHAPTER_2,
    *CHAPTER_3,
    *CHAPTER_4,
    *CHAPTER_5,
    *CHAPTER_6,
    *CHAPTER_7,
    *CHAPTER_8,
    *CHAPTER_9,
    *CHAPTER_11,
    *CHAPTER_10,
]
