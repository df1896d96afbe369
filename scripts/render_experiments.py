"""Put the answers of experiments/*.json into docs/fast.md: a table between its markers, a figure beside it.

python scripts/render_experiments.py
"""

import re
from pathlib import Path

import numpy as np

from wellposed.analysis.tables import Need, table
from wellposed.experiments import Answers, load_answers
from wellposed.report.figures import needs_figure

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "fast.md"


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
