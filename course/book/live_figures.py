"""The live figures: what the numbers of their inputs determine. `theme/js/live.js` holds the same functions."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from course.book.drawings.curves import clip_of
from course.book.live import Axis, Choice, Curve, Live, Panel, Picture, Points, Slider, html
from course.book.pages import Directive, Page, captioned
from wellposed import stats
from wellposed.data.hindsight import relabelled_share
from wellposed.data.rollout import gae

STEPS = 50  # of an episode in `advantages`


def live(page: Page, directive: Directive) -> str:
    """The answer to the directive.

    Raises:
        UserError: if there is no such figure, or no caption.
    """
    figure = directive.picked(LIVE, "live figure")
    return captioned(page, directive, html(" ".join(directive.words), figure))


def wilson(episodes: int, successes: int) -> Picture:
    """The test of every probability, and the interval of those that it does not reject; the textbook's beside it."""
    rate, z = successes / episodes, NormalDist().inv_cdf(0.975)
    _, low, high = stats.wilson(successes, episodes)
    wide = z * float(np.sqrt(rate * (1 - rate) / episodes))
    p = np.linspace(0.005, 0.995, 199)
    curves = {
        "test": _points(p, np.abs(rate - p) / np.sqrt(p * (1 - p) / episodes)),
        "ends": [(low, z), (low, -0.6), None, (high, z), (high, -0.6)],
        "wilson": [(low, -0.6), (high, -0.6)],
        "textbook": [(rate - wide, -1.2), (rate + wide, -1.2)],
    }
    said = (
        f"{successes:g} of {episodes:g}: Wilson's interval is {_percent(low)} to {_percent(high)}, the textbook's "
        f"{_percent(rate - wide)} to {_percent(rate + wide)}."
    )
    return Picture(curves, said)


def clip(advantage: str, epsilon: float, ratio: float) -> Picture:
    """PPO's objective of one sample against its ratio."""
    a, at = 1 if advantage == "better" else -1, np.linspace(0, 2.5, 251)
    *objective, here = clip_of(np.append(at, ratio), a, epsilon).tolist()
    flat = ratio * a > min(max(ratio, 1 - epsilon), 1 + epsilon) * a
    moves = f"the action is made {'more' if a > 0 else 'less'} likely."
    curves = {
        "free": _points(at, at * a),
        "objective": _points(at, np.array(objective)),
        "here": [(ratio, here), (ratio, here)],
    }
    said = (
        f"At a ratio of {ratio:.2f} the objective is {here:.2f} and its slope {0 if flat else a}: "
        f"{'this sample no longer moves the policy.' if flat else moves}"
    )
    return Picture(curves, said)


def advantages(trace: float, gamma: float, step: int) -> Picture:
    """The weight of each step's error in one advantage; `trace` is lambda."""
    none, no = np.zeros((STEPS, STEPS)), np.zeros((STEPS, STEPS), bool)
    weights, discount = (gae(np.eye(STEPS), none, none, no, no, gamma, one)[step] for one in (trace, 1.0))
    shrink = gamma * trace
    curves = {
        "weights": _bars(np.arange(STEPS), weights),
        "discount": _points(np.arange(step, STEPS), discount[step:]),
    }
    said = (
        f"Step {step} adds up {STEPS - step} errors, as much as {weights.sum():.1f} of full weight. By Theorem 2.2 the "
        f"bias is at most {gamma * (1 - trace) / (1 - shrink):.2f} times the critic's error, the variance at most "
        f"{1 / (1 - shrink**2):.1f} times that of one step."
    )
    return Picture(curves, said)


def relabelling(strategy: str, k: int, length: int) -> Picture:
    """How far from its own step the goal of a relabelled transition was achieved, as shares of a minibatch."""
    length, relabelled = int(length), relabelled_share(k)
    offsets, ahead = np.arange(1 - length, length + 1), np.arange(1, length + 1)
    behind = np.zeros(length)
    by_strategy = {
        "future": [*behind, *np.cumsum((1 / ahead)[::-1])[::-1] / length],
        "final": [*behind, *np.full(length, 1 / length)],
        "episode": np.where(offsets < 1, length - 1 + offsets, length - offsets + 1) / length**2,
    }
    shares = relabelled * np.array(by_strategy[strategy])
    later = shares[length:]
    said = (
        f"{_percent(relabelled)} of a minibatch are relabelled: {_percent(later[0])} with the goal that their own step "
        f"achieved, {_percent(shares[:length].sum())} with one from before it. Those ahead lie "
        f"{later @ ahead / later.sum():.2f} steps ahead on average."
    )
    return Picture({"shares": _bars(offsets, shares)}, said)


def entropy(temperature: float, gap: float) -> Picture:
    """The policy of Lemma 3.1 for one state with two hills of value, and its entropy at every temperature."""
    width, actions = 0.005, np.linspace(-0.9975, 0.9975, 400)
    values = np.exp(-(((actions + 0.5) / 0.25) ** 2)) + (1 + gap) * np.exp(-(((actions - 0.5) / 0.25) ** 2))

    def density(at: float) -> np.ndarray:
        free = np.exp((values - values.max()) / at)
        return free / (width * free.sum())

    def nats(p: np.ndarray) -> float:
        return -width * float(np.sum(p * np.log(p, where=p > 0, out=np.zeros_like(p))))

    policy, powers = density(temperature), np.linspace(-2, 1, 61)
    scaled = np.array([0, *policy / policy.max(), 0])
    here = (float(np.log10(temperature)), nats(policy))
    curves = {
        "values": _points(actions, values),
        "policy": _points(np.array([actions[0], *actions, actions[-1]]), scaled),
        "entropy": _points(powers, np.array([nats(density(10**power)) for power in powers])),
        "here": [here, here],
    }
    said = (
        f"At a temperature of {temperature:.2g} the policy has {here[1]:.2f} nats of at most 0.69 and goes to the "
        f"right with probability {_percent(width * policy[200:].sum())}."
    )
    return Picture(curves, said)


def _points(x: Sequence[float] | np.ndarray, y: np.ndarray) -> Points:
    return [*zip(np.asarray(x, float).tolist(), y.tolist(), strict=True)]


def _bars(at: np.ndarray, heights: np.ndarray) -> Points:
    """The outline of bars of width 0.8 on the x axis."""
    x = at[:, None] + np.array([-0.4, -0.4, 0.4, 0.4])
    return _points(x.ravel(), (heights[:, None] * np.array([0, 1, 1, 0])).ravel())


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


LIVE: dict[str, Live] = {
    "wilson": Live(
        "Test statistic against the probability of success, and below it the intervals of Wilson and of the textbook.",
        (Slider("episodes", "episodes", 5, 200, 5, 20), Slider("successes", "successes", 0, "episodes", 1, 18)),
        (
            Panel(
                Axis("probability of success $p$", -0.05, 1.15, (0, 0.25, 0.5, 0.75, 1), "{:.0%}".format),
                Axis("$|Z(p)|$", -1.8, 5, range(6)),
                (
                    Curve("test", "test of $p$", "line"),
                    Curve("ends", "", "dashes"),
                    Curve("wilson", "Wilson", "bar"),
                    Curve("textbook", "textbook", "bar", 1),
                ),
                levels=(NormalDist().inv_cdf(0.975),),
                walls=(0.0, 1.0),
            ),
        ),
        wilson,
    ),
    "clip": Live(
        "PPO's objective of one sample against the ratio of new to old probability, clipped and free.",
        (
            Choice("advantage", "the action was", ("better", "worse")),
            Slider("epsilon", "clipping ε", 0.05, 0.5, 0.05, 0.2),
            Slider("ratio", "ratio ρ", 0, 2.5, 0.05, 1.4),
        ),
        (
            Panel(
                Axis("ratio of new to old probability", 0, 2.5, (0, 0.5, 1, 1.5, 2, 2.5)),
                Axis("objective of the sample", -2.5, 2.5, range(-2, 3)),
                (Curve("free", "free", "dashes", 1), Curve("objective", "clipped", "line"), Curve("here", "", "dot")),
                walls=(1.0,),
            ),
        ),
        clip,
    ),
    "gae": Live(
        "Weight of the temporal-difference error of each step of an episode in one advantage.",
        (
            Slider("trace", "λ", 0, 1, 0.05, 0.95),
            Slider("gamma", "discount γ", 0.8, 0.99, 0.01, 0.95),
            Slider("step", "advantage of step", 0, STEPS - 1, 1, 0),
        ),
        (
            Panel(
                Axis("step of the episode", -1, STEPS, range(0, STEPS, 10)),
                Axis("weight of its error", 0, 1.05, (0, 0.25, 0.5, 0.75, 1)),
                (Curve("weights", "GAE", "area"), Curve("discount", "λ = 1", "dashes", 1)),
            ),
        ),
        advantages,
    ),
    "relabelling": Live(
        "Share of a minibatch against how many steps after its own step the goal of a transition was achieved.",
        (
            Choice("strategy", "strategy", ("future", "final", "episode")),
            Slider("k", "goals in hindsight k", 1, 8, 1, 4),
            Slider("length", "steps of an episode", 30, 60, 5, 50),
        ),
        (
            Panel(
                Axis("steps from the transition to its new goal", -60, 61, range(-60, 61, 20)),
                Axis("share of a minibatch", 0, 0.12, (0, 0.04, 0.08, 0.12), "{:.0%}".format),
                (Curve("shares", "relabelled transitions", "area"),),
                walls=(0.5,),
            ),
        ),
        relabelling,
    ),
    "entropy": Live(
        "Value and policy against the action in a state with two hills, and entropy against temperature.",
        (
            Slider("temperature", "temperature", -2, 1, 0.1, -1, power=True),
            Slider("gap", "right hill is higher by", -0.2, 0.2, 0.02, 0.04),
        ),
        (
            Panel(
                Axis("action", -1, 1, (-1, -0.5, 0, 0.5, 1)),
                Axis("value; density, scaled", 0, 1.25, (0, 0.5, 1)),
                (Curve("policy", "policy", "area"), Curve("values", "value", "line", 1)),
            ),
            Panel(
                Axis("temperature", -2, 1, range(-2, 2), lambda power: f"{10.0**power:g}"),
                Axis("entropy, nats", -3, 1, range(-3, 2)),
                (Curve("entropy", "entropy", "line"), Curve("here", "", "dot")),
                levels=(float(np.log(2)),),
            ),
        ),
        entropy,
    ),
}
