"""Drawings of what is connected with what: boxes and arrows."""

from matplotlib.axes import Axes
from matplotlib.patches import Circle

from course.book.drawings.primitives import GREEN, MUTED, SMALL, arrow, box, canvas, label
from wellposed.report.figures import ACCENT, FAINT, INK, WARN


def kernel() -> Axes:
    """A state and an action pass through one kernel to the next state. From what it achieved three arrows lead to
    three goals, each with a reward of its own: the transition is evidence about all of them."""
    ax = canvas(42)
    before = box(ax, 9, 21, "*s*, *a*", 16)
    law = box(ax, 34, 21, "*P*(· | *s*, *a*)", 22, colour=ACCENT)
    after = box(ax, 60, 21, "*φ*(*s*′)", 14)
    arrow(ax, before.right, law.left)
    arrow(ax, law.right, after.left)
    label(ax, 34, 31, "one kernel", ACCENT)
    for i, (y, reward) in enumerate(((36, "−1"), (21, "0"), (6, "−1"))):
        colour = GREEN if reward == "0" else WARN
        goal = box(ax, 86.5, y, f"*R*(*φ*(*s*′), *g*_{i + 1}) = {reward}", 26, colour=colour)
        arrow(ax, after.right, goal.left, colour=colour)
    return ax


def sac() -> Axes:
    """Two steps of SAC. The critics' step: from s and a the critics give Q; from the next state the actor and the
    target critics give the soft target y, which passes no gradient. The loss changes the critics only; the targets
    follow them slowly. The actor's step: the gradient of its loss passes through the critics and the action, and
    changes the actor only."""
    ax = canvas(87)
    critics = box(ax, 48, 79, "critics *Q*_1, *Q*_2", 26, 12, ACCENT)
    actor = box(ax, 19, 50, "actor *π*_{*θ*}", 18, 12, MUTED)
    targets = box(ax, 48, 50, "targets *Q̄*_1, *Q̄*_2", 26, 12, MUTED)
    loss = box(ax, 86, 64.5, "critic loss\n(*Q* − *y*)^2", 26, 13, ACCENT)
    arrow(ax, (9, 79), critics.left)
    arrow(ax, critics.right, (loss.x, 79), loss.top)
    arrow(ax, (5, 50), actor.left)
    arrow(ax, actor.right, targets.left)
    arrow(ax, targets.right, (loss.x, 50), loss.bottom)
    ax.plot([76, 78], [47.5, 52.5], color=WARN, linewidth=2)
    arrow(ax, loss.left, (54, loss.y), (54, 73), colour=ACCENT, dashed=True)
    arrow(ax, (40, 73), (40, 56), colour=MUTED)
    acting = box(ax, 19, 14, "actor *π*_{*θ*}", 18, 12, GREEN)
    judging = box(ax, 48, 14, "critics *Q*_1, *Q*_2", 26, 12, MUTED)
    better = box(ax, 86, 14, "actor loss\n*α* log *π* − *Q*", 26, 13, GREEN)
    for one, other in ((acting, judging), (judging, better)):
        arrow(ax, (one.right[0], 16), (other.left[0], 16))
        arrow(ax, (other.left[0], 11), (one.right[0], 11), colour=GREEN, dashed=True)
    arrow(ax, (5, 14), acting.left)
    for x, y, text in (
        (5, 79, "*s*, *a*"), (3, 50, "*s*′"), (31.5, 53.5, "*a*′"), (82, 53.5, "*y*"),
        (3, 14, "*s*"), (31.5, 19.5, "*a*"),
    ):  # fmt: skip
        label(ax, x, y, text)
    label(ax, 64, 61.5, "gradient", ACCENT, size=SMALL)
    label(ax, 38.5, 64.5, "slowly, *τ*", MUTED, "right", size=SMALL)
    label(ax, 77, 44.5, "no gradient", WARN, size=SMALL)
    label(ax, 67, 7.5, "gradient", GREEN, size=SMALL)
    ax.plot([0, 100], [32, 32], color=FAINT, linewidth=0.8)
    return ax


def loop() -> Axes:
    """The loop around the hand: the target r less the place x is the error e. Gain, filter and delay make of it the
    action that arrives; the hand makes of that a place, which is fed back."""
    ax, y = canvas(36), 24
    ax.add_patch(Circle((14, y), 2.5, fill=False, edgecolor=INK, linewidth=1.3))
    gain = box(ax, 29, y, "*g* / *D*", 12, 12, WARN)
    low_pass = box(ax, 48, y, "(1 − *s*) *z*\n*z* − *s*", 16, 12, ACCENT)
    ax.plot([42, 54], [y + 0.2] * 2, color=INK, linewidth=0.8)
    late = box(ax, 67, y, "*z*^{−*d*}", 12, 12, GREEN)
    hand = box(ax, 84, y, "*G*(*z*)", 12, 12)
    for one, name in ((gain, "gain"), (low_pass, "filter"), (late, "delay"), (hand, "hand")):
        label(ax, one.x, y - 9, name, size=SMALL)
    arrow(ax, (4, y), (11.5, y))
    arrow(ax, (16.5, y), gain.left)
    for one, other in ((gain, low_pass), (low_pass, late), (late, hand)):
        arrow(ax, one.right, other.left)
    arrow(ax, hand.right, (100, y))
    arrow(ax, (95, y), (95, 6), (14, 6), (14, y - 2.5))
    for x, up, text in ((2, 0, "*r*"), (9.5, 3, "+"), (16.5, -5, "−"), (19.5, 3, "*e*"), (97.5, 3, "*x*")):
        label(ax, x, y + up, text)
    return ax


def senses() -> Axes:
    """What is true and what is shown. Bias, drift and noise are added to what is measured; it is rounded, and may
    arrive late, stay stuck or be lost. The policy sees that and nothing else. Reward and success read the true state;
    the critic is shown either."""
    ax, y = canvas(66), 44
    world = box(ax, 10, y, "world\n*s*", 16, 13)
    ax.add_patch(Circle((29, y), 2.5, fill=False, edgecolor=WARN, linewidth=1.3))
    rounded = box(ax, 44, y, "rounded", 16, 13, WARN)
    travels = box(ax, 67, y, "late, stuck,\nlost", 18, 13, WARN)
    policy = box(ax, 91, y, "policy\n*π*(*a* | *o*)", 17, 13, GREEN)
    label(ax, 29, y, "+", WARN)
    label(ax, 29, 62, "bias, drift, noise", WARN)
    arrow(ax, (29, 59), (29, y + 2.5), colour=WARN)
    arrow(ax, world.right, (26.5, y))
    arrow(ax, (31.5, y), rounded.left)
    arrow(ax, rounded.right, travels.left)
    arrow(ax, travels.right, policy.left)
    label(ax, 79, y + 3.2, "*o*")
    arrow(ax, policy.bottom, (policy.x, 28), (12, 28), (12, y - 6.5))
    label(ax, 50, 31, "*a*")
    judged = box(ax, 34, 7, "reward, success", 32, 11, ACCENT)
    box(ax, 79, 7, "critic", 18, 11, ACCENT)
    arrow(ax, (6, y - 6.5), (6, 7), judged.left, colour=ACCENT)
    arrow(ax, (6, 19), (73, 19), (73, 12.5), colour=ACCENT, dashed=True)
    arrow(ax, (79.3, y), (79.3, 12.5), colour=WARN, dashed=True)
    label(ax, 76, 16, "or", size=SMALL)
    label(ax, 10, 15.5, "true", ACCENT, "left", size=SMALL)
    label(ax, 81, 22, "shown", WARN, "left", size=SMALL)
    return ax


def same_problem() -> Axes:
    """Two problems that are one in other coordinates. Above, a state passes to the next one by P, below its image by
    P prime. The features of a state and of its image are equal, so one network sees both alike and answers both."""
    ax = canvas(54)
    for y, law, images, name, colour in (
        (46, "*P*(· | *s*, *a*)", ("*s*", "*s*′"), "*M*", ACCENT),
        (8, "*P*′(· | *ϕ*(*s*), *α*(*a*))", ("*ϕ*(*s*)", "*ϕ*(*s*′)"), "*M*′", GREEN),
    ):
        one, other = (box(ax, x, y, text, 18, 11, colour) for x, text in zip((20, 84), images, strict=True))
        arrow(ax, one.right, other.left)
        label(ax, 52, y + (4 if y > 27 else -4), law)
        label(ax, 4, y, name, colour)
    box(ax, 52, 27, "network", 22, 11)
    for x in (20, 84):
        arrow(ax, (x, 40.5), (x, 13.5), colour=MUTED)
        label(ax, x + (-3 if x < 50 else 3), 27, "*ϕ*", MUTED)
    for y, text, side in ((46, "*f*", 1), (8, "*f*′", -1)):
        arrow(ax, (27, y - side * 5.5), (41, 27 + side * 2.5))
        label(ax, 37.5, 27 + side * 9.5, text)
    return ax


def ports() -> Axes:
    """What a port keeps and what it names anew. The learner, relabelling and the check are the same for all suites.
    They meet a suite at three arrays and the reward of any pair of goals. Symmetries and constants are declared by each
    task. Engine and robot are the suite's own."""
    ax = canvas(66)
    for x, text in ((18, "learner"), (50, "relabelling"), (82, "check")):
        box(ax, x, 60, text, 28, 11, ACCENT)
        arrow(ax, (x, 49.5), (x, 54.5))
    ax.plot([0, 100], [43, 43], color=INK, linewidth=1.3)
    label(ax, 50, 46.5, "observation, achieved and desired goal;  *R*(*x*, *g*) of any pair", size=SMALL)
    suites = ("Fetch\nMuJoCo", "panda-gym\nBullet", "mazes, hand\nMuJoCo", "OGBench\nMuJoCo")
    for x, suite in zip((12, 37.3, 62.7, 88), suites, strict=True):
        declared = box(ax, x, 30, "symmetries\nconstants", 22, 13, GREEN)
        own = box(ax, x, 8, suite, 22, 13, MUTED)
        arrow(ax, own.top, declared.bottom)
        arrow(ax, declared.top, (x, 43))
    return ax
