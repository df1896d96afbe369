"""Numbered equations: what the text refers to has a number and a place, what it does not has neither."""

from pathlib import Path

import pytest

from course.book.equations import Equations
from course.book.pages import Links, Page
from course.book.problems import Problems
from course.book.slots import Slots

FIRST = r"""$$\label{unused}x=0$$

By {{ equation: second }} and {{ equation: first }}:

$$\label{first}x=1,$$

$$\label{second}
\begin{aligned}x&=2\end{aligned}$$

`{{ equation: unused }}` is no reference, and neither is $x$.
"""
OTHER = r"""{{ drawing: clip caption="As {{ equation: ch01:first }} says." }}"""


def written(folder: Path, **texts: str) -> tuple[dict[str, str], list[str]]:
    """Chapters as HTML by the names of their folders, and what is wrong with them."""
    problems, slots, sources = Problems(), Slots(), {}
    for name, text in texts.items():
        (folder / name).mkdir()
        (folder / name / "chapter.md").write_text(text)
        sources[folder / name / "chapter.md"] = f"{name}.md"
    found = Equations.find(sources, problems)
    known = {"equation": found.refer, "drawing": lambda page, of: page.markdown(of.options["caption"], of.line)}
    pages = {
        target.removesuffix(".md"): Page(source, target, slots, problems, Links({}), known, found.displayed)
        for source, target in sources.items()
    }
    html = {name: slots.fill(page.markdown(texts[name])) for name, page in pages.items()}
    return html, [f"{problem.line}: {problem.text}" for problem in problems.found]


def test_numbers_follow_the_order_of_the_equations_and_references_lead_to_them(tmp_path):
    html, problems = written(tmp_path, ch01_a=FIRST, ch02_b=OTHER)
    assert problems == []
    assert 'By <a href="#equation-second">equation&nbsp;(1.2)</a> and <a href="#equation-first">' in html["ch01_a"]
    assert '<a class="wp-number" id="equation-first" href="#equation-first">(1.1)</a>' in html["ch01_a"]
    assert html["ch01_a"].count("wp-number") == 2 * 2, "each in its row"
    assert '<a href="ch01_a.html#equation-first">equation&nbsp;(1.1)</a>' in html["ch02_b"]
    assert "label" not in html["ch01_a"]
    assert "unused" not in html["ch01_a"].replace("`{{ equation: unused }}`", "")


@pytest.mark.parametrize("wrong", ["{{ equation: frist }}", "{{ equation: ch07:first }}", "{{ equation: a b }}"])
def test_a_reference_to_no_equation_is_named_with_its_line(tmp_path, wrong):
    html, (problem,) = written(tmp_path, ch01_a=FIRST + wrong)
    assert problem.startswith(f"{FIRST.count(chr(10)) + 1}: There is no equation '{wrong[13:-3]}'")
    assert "wp-problem" in html["ch01_a"]


def test_a_label_that_is_given_twice_is_named(tmp_path):
    _, (problem,) = written(tmp_path, ch01_a=FIRST + "\n$$\\label{first}x=3$$\n")
    assert problem == "12: The label first is given twice in this chapter."
