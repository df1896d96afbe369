"""Put the answers of experiments/*.json into docs/fast.md: a table between its markers, a figure beside it.

python scripts/render_experiments.py
"""

import re
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from wellposed import stats
from wellposed.launch.answers import Answers, load_answers
from wellposed.report.figures import ACCENT, FAINT, INK, STYLE, WARN, as_svg

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "fast.md"


@dataclass(frozen=True)
class Need:
    """What the runs of one variant needed until they were solved; infinity for each that was not, within its budget."""

    variant: str
    steps: np.ndarray  # [seeds]
    seconds: np.ndarray  # [seeds]

    @property
    def solved(self) -> int:
        """How many runs were solved."""
        return int(np.isfinite(self.steps).sum())


def mean_with_interval(values: np.ndarray, digits: int) -> str:
    """`31,000 (28,000 to 34,000)`: mean and 95 % t interval over seeds; `-` if a seed was not solved.

    With equal values or a single seed there is no interval: `31,000`. Intervals are cut off at 0.
    """
    if not np.isfinite(values).all():
        return "-"
    mean, low, high = stats.over_seeds(values)
    shown = [f"{round(v, digits):,.0f}" for v in (mean, max(low, 0.0), high) if np.isfinite(v)]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if np.isfinite(low) else shown[0]


def table(needs: list[Need]) -> str:
    """A Markdown table, one line for each variant in the order given."""
    means = "steps to it, mean (95 % CI, t over seeds) | seconds, mean (95 % CI)"
    lines = [f"| variant | solved | {means} | seconds of each seed |", "|---|---|---|---|---|"]
    for need in needs:
        each = ", ".join(f"{s:.0f}" if np.isfinite(s) else "not" for s in need.seconds)
        lines.append(
            f"| {need.variant} | {need.solved} of {len(need.steps)} | {mean_with_interval(need.steps, -2)} | "
            f"{mean_with_interval(need.seconds, 0)} | {each} |"
        )
    return "\n".join(lines) + "\n"


def needs_figure(needs: list[Need], bar: str) -> str:
    """Environment steps and seconds that each variant needed to reach the bar: a dot per seed, a tick at the median.

    A run that did not reach it within its budget is an open triangle at the right edge.
    """
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(1, 2, figsize=(8.6, 0.36 * len(needs) + 1.1), sharey=True)
        for ax, quantity in zip(axes, ("steps", "seconds"), strict=True):
            finite = np.concatenate([getattr(need, quantity)[np.isfinite(getattr(need, quantity))] for need in needs])
            edge = 1.15 * float(finite.max()) if finite.size else 1.0
            for y, need in enumerate(needs):
                values = getattr(need, quantity)
                reached = values[np.isfinite(values)]
                colour = ACCENT if y == 0 else INK
                ax.plot(reached, np.full(len(reached), y), "o", color=colour, markersize=5, alpha=0.75)
                missed = len(values) - len(reached)
                ax.plot(
                    np.full(missed, edge), y + 0.12 * np.arange(missed), ">", color=WARN, markersize=6, fillstyle="none"
                )
                if len(reached) > len(values) / 2:
                    ax.plot(np.median(values), y, "|", color=colour, markersize=15, markeredgewidth=2)
            ax.set_xlim(0, 1.06 * edge)
            ax.grid(axis="both", color=FAINT, alpha=0.25, linewidth=0.7)
            ax.xaxis.set_major_locator(MaxNLocator(4))  # more labels of five digits would overlap
            ax.xaxis.set_major_formatter("{x:,.0f}")
            ax.set_xlabel(f"{'environment steps' if quantity == 'steps' else 'seconds of training'} to {bar}")
        axes[0].set_yticks(range(len(needs)), [need.variant for need in needs])
        axes[0].invert_yaxis()
        fig.tight_layout()
        return as_svg(fig)


def needs(found: Answers) -> list[Need]:
    """What each variant needed, in the order of the question."""
    rows = []
    for name in found.experiment.variants:
        solved = [answer.solved for answer in found.answers if answer.variant == name]
        steps, seconds = (
            np.array([np.inf if s is None else getattr(s, quantity) for s in solved])
            for quantity in ("step", "seconds")
        )
        rows.append(Need(name, steps, seconds))
    return rows


def block(name: str, found: Answers) -> str:
    """The generated part of the page for one experiment."""
    question, each = found.experiment, found.answers
    commits = sorted({f"{(a.commit or 'unknown')[:7]}{' with changes' if a.dirty else ''}" for a in each})
    return (
        f"\n{table(needs(found))}\n"
        f"`{found.command}`, commit {', '.join(commits)}, seeds {question.seeds}, "
        f"{', '.join(sorted({a.cpu for a in each}))}; solved: {question.until_success:.0%} twice in a row. "
        f"Data: [experiments/{name}.json](../experiments/{name}.json).\n\n"
        f"![{question.title}](images/{name}.svg)\n\n"
        "A dot is a seed, a bar the median, an open triangle a seed that did not get there within the budget.\n"
    )


def render(page: str) -> tuple[str, dict[str, str]]:
    """The page with every `<!-- answers: NAME -->` block made anew, and the figures by name."""
    figures: dict[str, str] = {}

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        found = load_answers(ROOT / "experiments" / f"{name}.json")
        figures[name] = needs_figure(needs(found), f"{found.experiment.until_success:.0%}")
        return f"<!-- answers: {name} -->\n{block(name, found)}\n<!-- end -->"

    return re.sub(r"<!-- answers: (\w+) -->.*?<!-- end -->", fill, page, flags=re.DOTALL), figures


def main() -> None:
    """Rewrite the page and its figures."""
    text, figures = render(PAGE.read_text())
    PAGE.write_text(text)
    for name, svg in figures.items():
        (ROOT / "docs" / "images" / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    main()
