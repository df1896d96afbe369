"""Checks of a page: references and citations match, statistics are named, no digit goes beyond its interval."""

import re
from collections.abc import Iterator

from course.book.prose import parts
from wellposed import stats

_LIST = re.compile(r"^## References\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^(\d+)\. ", re.MULTILINE)
_CITED = re.compile(r"(?<![\w\]])\[(\d+(?:, \d+)*)\](?!\()")
_CODE = re.compile(r"`[^`\n]*`")
_NAMES = {"mean": r"\b(?:means?|averages?)\b", "median": r"\bmedians?\b"}
_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_ESTIMATE = re.compile(rf"({_NUMBER})(?: [%a-z]+)? \((?:mean, |median, )?\d+ % CI ({_NUMBER})(?:-| to )({_NUMBER})")


def only_prose(text: str) -> str:
    """A page without formulas, directives and inline code, line for line."""
    kept = (
        p.text if p.kind not in ("formula", "display", "directive") else "\n" * p.text.count("\n") for p in parts(text)
    )
    return _CODE.sub("", "".join(kept))


def paragraph(prose: str, line: int) -> str:
    """The lines around a line, from 1, up to the blank ones: a paragraph or a table."""
    lines = prose.split("\n")  # `splitlines` leaves out an empty last one
    before = [i for i in range(line) if not lines[i].strip()]
    after = [i for i in range(line, len(lines)) if not lines[i].strip()]
    return "\n".join(lines[max(before, default=-1) + 1 : min(after, default=len(lines))])


def citations(text: str, prose: str) -> Iterator[tuple[int, str]]:
    """References that nothing cites, and citations of none, each with its line.

    Args:
        text: the whole page; without a section "References" there is nothing to check.
        prose: what `only_prose` makes of it.
    """
    section = _LIST.search(text)
    if section is None:
        return
    first = text.count("\n", 0, section.start(1)) + 1
    listed = {int(m[1]): first + section[1].count("\n", 0, m.start()) for m in _ENTRY.finditer(section[1])}
    lines = prose.splitlines()[: first - 2]
    cited = {int(n): i for i, line in enumerate(lines, 1) for m in _CITED.finditer(line) for n in m[1].split(", ")}
    for number in listed.keys() - cited.keys():
        yield listed[number], f"Nothing in the text cites reference {number}."
    for number in cited.keys() - listed.keys():
        yield cited[number], f"There is no reference {number}."


def unnamed(fact: str, paragraph: str) -> str:
    """Why a fact does not say which statistic it is; empty if it does.

    Args:
        fact: the path of a fact, as in `sparse.recipe.success.median`.
        paragraph: the paragraph or table around it, without directives.
    """
    statistic = fact.rpartition(".")[2]
    if statistic not in _NAMES or re.search(_NAMES[statistic], paragraph, re.IGNORECASE):
        return ""
    return f"{fact} is a {statistic}, and the paragraph does not say so."


def uncarried(text: str) -> Iterator[tuple[int, str]]:
    """The estimates in a text that have more digits than their intervals carry: line, from 0, and a sentence."""
    for found in _ESTIMATE.finditer(text):
        value, low, high = (float(number.replace(",", "")) for number in found.groups())
        places = stats.carried_places(0.99 * low, 0.99 * high)  # the ends were rounded already
        if places is None:
            continue
        finer = any(len(number.partition(".")[2]) > max(places, 0) for number in found.groups())
        if finer or (places < 0 and value % 10**-places):
            yield text.count("\n", 0, found.start()), f"{found[0]}) has more digits than its interval carries."
