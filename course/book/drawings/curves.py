"""Drawings of curves, each computed by the formula of its chapter or by the laboratory's code."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from scipy.special import ndtr

from course.book.drawings.primitives import GREEN, MUTED, PURPLE, SMALL, arrow, charts, label
from course.measure.perturbation import PURSUED, hand_on_a_line
from wellposed.agents.ppo import clipped_objective
from wellposed.analysis.closed_loop import Loop, dragged
from wellposed.envs.suites.fetch.model import DISTANCE_THRESHOLD, POSITION_SCALE, SUBSTEPS
from wellposed.report.figures import ACCENT, FAINT, INK, WARN
from wellposed.robustness import cross_entropy
from wellposed.stats import wilson

MILLIMETRES = 1000 * POSITION_SCALE  # for which an action of 1 asks
Z = 1.959964
WORST_STEPS = 10  # of an episode in the set of worlds


def wilson_test() -> Axes:
    """The plane of the probability p and the observed share. An ellipse holds the pairs that the test accepts; the line
    at 18 successes of 20 meets it at the ends of Wilson's interval. The interval with the estimate in its variance ends
    beyond 1."""
    n, k = 20, 18
    (ax,) = charts(3.4)
    p = np.linspace(0, 1, 401)
    half = Z * np.sqrt(p * (1 - p) / n)
    ax.fill_between(p, p - half, p + half, color=ACCENT, alpha=0.15, linewidth=0)
    for sign in (-1, 1):
        ax.plot(p, p + sign * half, color=ACCENT, linewidth=1.3)
    share, found = k / n, wilson(k, n)
    ax.axhline(share, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    for end in (found.low, found.high):
        ax.plot([end, end], [-0.15, share], color=ACCENT, linewidth=0.8)
        ax.plot(end, share, "o", color=ACCENT, markersize=5)
    ax.plot([found.low, found.high], [-0.15, -0.15], color=ACCENT, linewidth=5, solid_capstyle="butt", clip_on=False)
    naive = Z * np.sqrt(share * (1 - share) / n)
    ax.plot([share - naive, share + naive], [1.13, 1.13], color=WARN, linewidth=5, solid_capstyle="butt")
    label(ax, 0.3, 0.34, "accepted", ACCENT)
    label(ax, 0.02, share + 0.05, "observed: 18 of 20", align="left")
    label(ax, (found.low + found.high) / 2, -0.07, "Wilson", ACCENT)
    label(ax, share - naive - 0.02, 1.13, "the estimate in the variance", WARN, "right")
    ax.set(xlim=(0, 1.08), ylim=(-0.15, 1.18), xlabel="probability *p*", ylabel="observed share")
    return ax


def spring() -> Axes:
    """The hand's way in millimetres over 200 milliseconds. Held, an action puts the target 50 mm ahead of the hand at
    each step of 40 ms, and the hand follows by 31 mm and then 33 mm a step. After one step it coasts to 33."""
    (ax,) = charts(3.3)
    steps = 5
    time = np.arange(steps * SUBSTEPS + 1) * 2.0
    held, targets = hand_way([1.0] * steps)
    once, _ = hand_way([1.0] + [0.0] * (steps - 1))
    edges = 40.0 * np.arange(steps + 1)
    ax.stairs(targets, edges, color=WARN, linewidth=1.2, baseline=None)
    ax.plot(time, held, color=ACCENT, linewidth=2)
    ax.plot(time, once, color=GREEN, linewidth=2)
    ax.plot([40], [held[SUBSTEPS]], "o", color=ACCENT, markersize=5)
    ax.vlines(edges[1:-1], 0, 200, color=FAINT, linewidth=0.6, alpha=0.6)
    label(ax, 46, held[SUBSTEPS] - 8, f"{held[SUBSTEPS]:.1f}", ACCENT, "left")
    label(ax, 78, 94, "target", WARN, "right")
    label(ax, 198, 112, "the hand,\naction held", ACCENT, "right")
    label(ax, 198, once[-1] + 11, f"one step of action: {once[-1]:.1f}", GREEN, "right")
    ax.set(xlim=(0, 200), ylim=(0, 200), xlabel="time, ms (a step lasts 40)", ylabel="way, mm")
    ax.set(xticks=edges, yticks=[0, 50, 100, 150, 200])
    return ax


def hand_way(actions: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Places of the hand in mm after each physics step, from 0, and where each action puts its target."""
    within = [dragged(MILLIMETRES, substeps=n) for n in range(1, SUBSTEPS + 1)]
    places, targets, speed = [0.0], [], 0.0
    for action in actions:
        place, whole = places[-1], within[-1]
        targets.append(place + MILLIMETRES * action)
        places += [place + hand.first * action + hand.coast * speed for hand in within]
        speed = whole.kick * action + whole.kept * speed
    return np.array(places), np.array(targets)


def clip() -> Axes:
    """The clipped objective of one sample against the ratio of probabilities. Of a good action it rises up to
    1 plus epsilon and is flat beyond; of a bad one it is flat below 1 minus epsilon and falls beyond."""
    epsilon = 0.2
    ratio = np.linspace(0, 2, 401)
    axes = charts(2.6, 2, sharex=True)
    for ax, advantage, name, colour in zip(axes, (1.0, -1.0), ("good", "bad"), (ACCENT, WARN), strict=True):
        ax.plot(ratio, ratio * advantage, color=FAINT, linewidth=1.2, linestyle=(0, (4, 3)))
        ax.plot(ratio, clip_of(ratio, advantage, epsilon), color=colour, linewidth=2.4)
        kink = 1 + np.sign(advantage) * epsilon
        ax.plot([kink], [kink * advantage], "o", color=colour, markersize=5)
        ax.plot([1], [advantage], "o", markeredgecolor=INK, fillstyle="none", markersize=6)
        ax.set_xticks([0, 1 - epsilon, 1 + epsilon, 2], ["0", "1−*ε*", "1+*ε*", "2"])
        ax.set(xlim=(0, 2), ylim=(min(0, 2 * advantage), max(0, 2 * advantage)), xlabel="ratio *ρ*", yticks=[])
        ax.grid(axis="x", color=FAINT, alpha=0.3)
        ax.set_title(f"{name} action, *A* {'>' if advantage > 0 else '<'} 0", fontsize=12)
    axes[0].set_ylabel("its term of the objective")
    label(axes[0], 1.6, 0.86, "nothing\nmore gained", ACCENT, size=SMALL)
    label(axes[1], 0.05, -1.12, "nothing\nmore gained", WARN, "left", size=SMALL)
    label(axes[0], 0.1, 1.0, "brought\nback", INK, "left", size=SMALL)
    label(axes[1], 1.98, -0.72, "brought\nback", INK, "right", size=SMALL)
    arrow(axes[0], (0.42, 0.85), (0.55, 0.62))
    arrow(axes[1], (1.72, -0.92), (1.58, -1.48))
    return axes[0]


def clip_of(ratio: np.ndarray, advantage: float, epsilon: float) -> np.ndarray:
    """The clipped objective of one sample, for each ratio [n]."""
    one = jax.vmap(lambda rho: clipped_objective(rho[None], jnp.array([advantage]), epsilon))
    return np.asarray(one(ratio))


def squashed() -> Axes:
    """Left: densities of tanh u for normal u with three widths; the widest one has its mass at both ends. Right: the
    entropy of u grows with the width for ever; that of tanh u has a maximum, below that of the uniform density."""
    left, right = charts(2.8, 2)
    a = np.tanh(np.linspace(-4, 4, 2001))
    for sigma, colour, place in ((0.3, ACCENT, (0.3, 1.2)), (0.87, GREEN, (0.0, 0.62)), (2.5, WARN, (0.0, 0.27))):
        left.plot(a, squashed_density(a, sigma), color=colour, linewidth=1.8)
        label(left, *place, f"*σ* = {sigma:g}", colour, "left" if place[0] else "center", size=SMALL)
    left.set(
        xlim=(-1, 1),
        ylim=(0, 1.6),
        xlabel="action *a* = tanh *u*",
        ylabel="density",
        xticks=[-1, 0, 1],
        yticks=[0, 0.5, 1, 1.5],
    )
    widths = np.geomspace(0.1, 10, 61)
    right.plot(widths, np.log(widths * np.sqrt(2 * np.pi * np.e)), color=FAINT, linewidth=1.8)
    right.plot(widths, [squashed_entropy(sigma) for sigma in widths], color=ACCENT, linewidth=2.2)
    right.axhline(np.log(2), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    label(right, 10, 0.95, "log 2: uniform", size=SMALL, align="right")
    label(right, 1.7, 2.35, "of *u*", MUTED, "right")
    label(right, 4.2, -0.25, "of *a*", ACCENT, "left")
    right.set(xscale="log", ylim=(-2, 3), xlabel="*σ*", ylabel="entropy, nats")
    right.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    right.minorticks_off()
    return left


def squashed_density(a: np.ndarray, sigma: float) -> np.ndarray:
    """The density of a = tanh(u) at a [n], u normal with mean 0."""
    u = np.arctanh(a)
    return np.exp(-(u**2) / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma * (1 - a**2))


def squashed_entropy(sigma: float) -> float:
    """The entropy of that density in nats: that of u plus the mean of log(1 - tanh(u)^2)."""
    x = np.linspace(-8, 8, 4001)
    weights = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    u = sigma * x
    return float(np.log(sigma * np.sqrt(2 * np.pi * np.e)) + weights @ (2 * (np.log(2) - u - np.logaddexp(0, -2 * u))))


def landscape() -> Axes:
    """One step of an action that aims at a place and is off by 5 cm. Left: the expected sparse reward is -1 beyond some
    20 cm from the goal; the dense one falls in a straight line. Right: their slopes; the sparse one vanishes."""
    left, right = charts(2.8, 2)
    aim, noise = np.linspace(0, 0.4, 401), DISTANCE_THRESHOLD
    sparse, dense = expected_rewards(aim, noise)
    for ax, curves in ((left, (sparse, dense)), (right, [np.abs(np.gradient(y, aim)) for y in (sparse, dense)])):
        for y, colour in zip(curves, (WARN, ACCENT), strict=True):
            ax.plot(100 * aim, y, color=colour, linewidth=2)
        ax.set(xlim=(0, 40), xlabel="aim, cm from the goal")
    right.plot(100 * aim, np.sqrt(1 + sparse) / noise, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    left.set(ylim=(-1.05, 0), ylabel="expected reward")
    right.set(yscale="log", ylim=(1e-8, 100), ylabel="slope, per metre")
    right.set_yticks([1e-8, 1e-4, 1], ["10^{−8}", "10^{−4}", "1"])
    right.minorticks_off()
    label(left, 24, -0.9, "sparse", WARN)
    label(left, 27, -0.17, "dense", ACCENT)
    label(right, 22, 1e-6, "sparse", WARN, "right")
    label(right, 33, 6, "dense", ACCENT)
    label(right, 17, 40, "bound")
    return left


def expected_rewards(aim: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """The means of the sparse and the dense reward, for places on a line around each aim, off by `noise`; goal at 0."""
    reached = ndtr((DISTANCE_THRESHOLD - aim) / noise) - ndtr((-DISTANCE_THRESHOLD - aim) / noise)
    folded = noise * np.sqrt(2 / np.pi) * np.exp(-(aim**2) / (2 * noise**2)) + aim * (1 - 2 * ndtr(-aim / noise))
    return reached - 1, -folded


def step_error() -> Axes:
    """The error of three loops after the target has moved by one. With a gain of a half it dies down slowly, with one
    and a half fast, and with two and a half it swings. The areas are the sums of Theorem 6.1; the second is least."""
    axes = charts(2.3, 3, sharey=True)
    for ax, gain, colour in zip(axes, (0.5, 1.5, 2.5), (ACCENT, GREEN, WARN), strict=True):
        loop = Loop(dragged(POSITION_SCALE), POSITION_SCALE, gain)
        error = loop.errors(np.ones(12))
        ax.stairs(error, np.arange(13), color=colour, linewidth=1.8, baseline=None)
        ax.stairs(error, np.arange(13), color=colour, alpha=0.15, fill=True)
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set_title(f"*g* = {gain:g}", fontsize=12)
        ax.set(xlim=(0, 12), ylim=(-0.6, 1.05), xticks=[0, 4, 8, 12])
        label(ax, 11.6, 0.85, f"area {loop.error_bound(1.0):.1f}", colour, "right")
    axes[0].set_ylabel("error *η*")
    axes[1].set_xlabel("steps after the target moved")
    return axes[0]


def too_optimistic() -> Axes:
    """Chance of success against the goal's distance from where the action aims, with errors of 5 cm and four goals in
    hindsight: what is learnt stays near one where the true chance has long fallen."""
    (ax,) = charts(3.0)
    beside = np.linspace(0, 0.3, 301)
    true, learnt = under_noise(beside, 0.05, 4)
    ax.plot(100 * beside, 100 * learnt, color=WARN, linewidth=2.2)
    ax.plot(100 * beside, 100 * true, color=ACCENT, linewidth=2.2)
    ax.fill_between(100 * beside, 100 * true, 100 * learnt, color=WARN, alpha=0.12, linewidth=0)
    ax.axvline(5, color=FAINT, linewidth=1, linestyle=":")
    label(ax, 5.4, 6, "radius", MUTED, "left", size=SMALL)
    label(ax, 13.5, 85, "learnt with hindsight", WARN, "left")
    label(ax, 9.6, 27, "true", ACCENT, "left")
    ax.set(xlim=(0, 30), ylim=(0, 102), xlabel="goal, cm beside where the action aims", ylabel="success, %")
    return ax


def under_noise(beside: np.ndarray, noise: float, k: float) -> tuple[np.ndarray, np.ndarray]:
    """The true chance to reach goals so far beside the aim, in metres [n], and what is learnt of it with hindsight."""
    true = expected_rewards(beside, noise)[0] + 1
    rho, density = 1 / (2 * PURSUED), np.exp(-(beside**2) / (2 * noise**2)) / (np.sqrt(2 * np.pi) * noise)
    return true, (rho * true + k * density) / (rho + k * density)


def worst_world() -> Axes:
    """A set of worlds: the strength of a drive across, the chance to drop what is held upwards. Lines join worlds of
    equal success, which is high in most of the set. The rounds of a search gather in the corner of weak drives and
    frequent drops, where success is lowest."""
    (ax,) = charts(3.3)
    weak, strong, often = 0.45, 1.0, 4.0
    cube = np.linspace(0, 1, 41)
    drives, kept = weak + (strong - weak) * cube, (1 - often * cube / 100) ** WORST_STEPS
    reached = success_in(drives)
    ax.contour(drives, often * cube, 100 * kept[:, None] * reached, (50, 70, 90), colors=FAINT)
    for level in (0.7, 0.9):
        height = np.interp(-level, -kept * reached[-1], often * cube)
        label(ax, strong, height + 0.2, f"{100 * level:.0f} %", MUTED, "right", size=SMALL)
    label(ax, np.interp(0.5, kept[30] * reached, drives) + 0.01, often * cube[30], "50 %", MUTED, "left", size=SMALL)
    rounds: list[np.ndarray] = []

    def judge(points: np.ndarray) -> list[tuple[float, ...]]:
        rounds.append(points)
        held = (1 - often * points[:, 1] / 100) ** WORST_STEPS
        return [(float(score),) for score in held * success_in(weak + (strong - weak) * points[:, 0])]

    worst = cross_entropy(judge, 2, np.random.default_rng(0))
    for i, points in enumerate(rounds):
        look: Any = {"color": WARN, "alpha": 0.25 + 0.15 * i, "markersize": 4.5}
        ax.plot(weak + (strong - weak) * points[:, 0], often * points[:, 1], "o", clip_on=False, **look)
    x, y = weak + (strong - weak) * worst[0], often * worst[1]
    ax.plot([x], [y], "o", color=WARN, fillstyle="none", markersize=12, clip_on=False)
    ax.set(xlim=(weak, strong), xlabel="strength of the drive", ylabel="chance to drop, % a step")
    ax.set(ylim=(0, often), yticks=range(5))
    ((lowest,),) = judge(worst[None])
    ax.set_title(f"mean {100 * (kept[:, None] * reached).mean():.0f} %, worst found {100 * lowest:.0f} %", fontsize=12)
    ax.grid(visible=False)
    return ax


def success_in(drives: np.ndarray) -> np.ndarray:
    """The chance [n] of a hand to be at its goal after WORST_STEPS steps from the far end of a line, by its drive."""
    found = []
    for drive in drives:
        transition, there = hand_on_a_line(drive)
        found.append(np.linalg.matrix_power(transition, WORST_STEPS)[0] @ there)
    return np.array(found)


def far_enough() -> Axes:
    """What one step of progress is worth, against the steps that are left, for four discounts, on a logarithmic scale.
    With 0.95 it falls below one per cent before 102 steps, the way in the small maze of the ant."""
    (ax,) = charts(3.0)
    left = np.arange(0, 151)
    for gamma, colour, at in ((0.9, WARN, 30), (0.95, PURPLE, 66), (0.98, GREEN, 128), (0.99, ACCENT, 128)):
        ax.plot(left, gamma**left, color=colour, linewidth=2)
        label(ax, at + 3, gamma**at * 1.35, f"{gamma:g}", colour, "left")
    ax.axhline(0.01, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    label(ax, 148, 0.0135, "an error of one per cent", size=SMALL, align="right")
    ax.vlines([50, 102], 1e-3, 1.2, color=FAINT, linewidth=1, linestyle=":")
    ax.set_xticks([0, 50, 102, 150], ["0", "50: an episode\nof Fetch", "102: the\nant's maze", "150"])
    ax.set(yscale="log", xlim=(0, 150), ylim=(1e-3, 1.2), xlabel="steps to the goal, *n*", ylabel="worth of a step")
    ax.set_yticks([1e-3, 1e-2, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
    ax.minorticks_off()
    return ax
