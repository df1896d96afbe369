"""A comparison of two groups of runs in plain sentences."""

from math import isinf

from wellposed.analysis.comparison import Comparison, Differing, RateDifference, TimeRatio
from wellposed.analysis.differences import Ratio
from wellposed.runs.record import Estimate

NOUNS = {"step": "environment steps", "updates": "gradient updates", "seconds": "seconds of training"}


def lines(found: Comparison) -> list[str]:
    """Everything that `wellposed compare` says, a line each; the first is the answer."""
    said = [
        answer(found),
        "",
        f"A: {_group(found.a, found.seeds[0])}",
        f"B: {_group(found.b, found.seeds[1])}",
        *_settings(found),
        *_few(found),
        "",
        *_rate(found.success),
        f"  A run of A succeeds more often than one of B with probability {_share(found.better)}.",
    ]
    if found.needed is not None:
        said.append(
            "  If the difference is as large as it looks, it takes about "
            f"{found.needed.seeds} seeds each, and {found.needed.episodes} episodes, to tell it from 0."
        )
    for one in found.by_kind:
        said += _rate(one)
    if found.bar is None:
        return [*said, "", "No run stops at a success rate, so there is no bar to get to; name one with --bar."]
    said += ["", f"To the bar, {found.bar:.0%} of the monitoring episodes twice in a row:"]
    return said + [line for one in found.times for line in _time(one, found.same_machine)]


def answer(found: Comparison) -> str:
    """Which is better, in a sentence that claims no more than the intervals."""
    ahead = _sign(found.success.difference.value) if found.success.shown else 0
    step = next((one.ratio for one in found.times if one.quantity == "step"), None)
    sooner = 0 if step is None or not step.decided else _sign(1 - step.low)
    if ahead and sooner == -ahead:
        return (
            f"{_name(ahead)} succeeds more often and {_name(sooner)} gets to the bar in fewer steps: which is better "
            "depends on what is wanted."
        )
    if ahead:
        too = " and gets to the bar in fewer steps" if sooner else ""
        return f"{_name(ahead)} is better: it succeeds more often{too}."
    if sooner:
        return (
            f"{_name(sooner)} is better in what it takes: it gets to the bar in fewer steps. In how often they succeed "
            "no difference is shown."
        )
    return "Neither is shown to be better. That is not to say that they are alike."


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _name(sign: int) -> str:
    return "A" if sign > 0 else "B"


def _group(label: str, seeds: list[int]) -> str:
    return f"{label}, {'seed' if len(seeds) == 1 else f'{len(seeds)} seeds:'} {', '.join(map(str, seeds))}"


def _settings(found: Comparison) -> list[str]:
    """What differs between the groups beside their runs."""
    if not found.settings:
        said = ["They are of the same configuration: what differs is their seeds, and what stands below."]
    elif found.changes == 1:
        one = len(found.settings) == 1
        said = [f"They differ in {'one setting' if one else 'one thing, which has several settings'}:"]
    else:
        said = [
            f"WARNING: they differ in {found.changes} settings, so that no difference can be put down to one of them. "
            "Change one thing at a time."
        ]
    said += _table(found.settings)
    if any(setting.name == "env" for setting in found.settings):
        said.append("WARNING: they are of different environments, where success may be differently hard.")
    if found.circumstances:
        said += ["WARNING: not only settings differ:", *_table(found.circumstances)]
    return said


def _table(differing: list[Differing]) -> list[str]:
    return [f"  {one.name}: {one.a} in A, {one.b} in B" for one in differing]


def _few(found: Comparison) -> list[str]:
    if min(len(seeds) for seeds in found.seeds) > 1:
        return []
    return [
        "WARNING: of one seed it is not known how much seeds differ. The interval of its rate is of that run, not of "
        "its configuration, and nothing is claimed."
    ]


def _rate(one: RateDifference) -> list[str]:
    """Both rates, and their difference."""
    low, high = (100 * end for end in one.difference.ci95)
    text = f"{100 * one.difference.value:+.1f} percentage points (95 % CI {low:+.1f} to {high:+.1f})"
    verdict = "." if one.shown else ": no difference is shown."
    head = f"Success on held-out episodes{f', {one.of}' if one.of else ''}"
    return [f"{head}: A {one.a.text}, B {one.b.text}.", f"  A minus B: {text}{verdict}"]


def _time(one: TimeRatio, same_machine: bool) -> list[str]:
    """What both need of a quantity, and their ratio."""
    noun = NOUNS[one.quantity]
    said = [f"{noun[0].upper()}{noun[1:]}: A {one.a.text}, B {one.b.text}."]
    if one.quantity == "seconds" and not same_machine:
        return [*said, "  They were not measured on the same machine and threads, so they are not compared."]
    ratio = one.ratio
    if ratio.low == 0 and isinf(ratio.high):
        return [*said, "  Too few of the runs got there to compare them."]
    sure = f"({100 * ratio.confidence:.0f} % CI {_ends(ratio)})"
    if ratio.decided:
        verdict = "."
    elif ratio.confidence < 0.95:
        verdict = ": so few seeds cannot be surer than that, and no difference is claimed."
    else:
        verdict = ": no difference is shown."
    return [*said, f"  A needs {_times(ratio)} times as many as B {sure}{verdict}"] + (
        [f"  A run of A gets there before one of B with probability {_share(one.sooner)}."]
        if one.quantity == "step"
        else []
    )


def _times(ratio: Ratio) -> str:
    """The estimate, as far as censored runs let it be known."""
    if ratio.at_least == ratio.at_most:
        return f"{ratio.at_least:.2f}"
    if isinf(ratio.at_most):
        return f"more than {ratio.at_least:.2f}"
    return f"less than {ratio.at_most:.2f}" if ratio.at_least == 0 else f"{ratio.at_least:.2f} to {ratio.at_most:.2f}"


def _ends(ratio: Ratio) -> str:
    if isinf(ratio.high):
        return f"{ratio.low:.2f} or more"
    if ratio.low == 0:
        return f"up to {ratio.high:.2f}"
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def _share(found: Estimate) -> str:
    return f"{found.value:.2f} (95 % CI {found.ci95[0]:.2f} to {found.ci95[1]:.2f})"
