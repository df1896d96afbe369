r"""Numbered equations: `\label{NAME}` in a displayed formula, `{{ equation: NAME }}` where the text refers to it.

A label that nothing refers to gets no number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path

from course.book.pages import Directive, Page
from course.book.problems import Problems
from course.book.prose import parts
from course.chapters.load import FOLDER
from wellposed.errors import UserError, instead

LABEL = re.compile(r"\\label\{(\w+)\}\s*")
_REFERENCE = re.compile(r"\bequation:\s+(?:ch(\d\d):)?(\w+)")


@dataclass
class Equations:
    """The numbers of the equations that the text refers to, such as 1.2, by chapter and label."""

    pages: dict[int, str] = field(default_factory=dict)  # chapter -> address of its page in the site
    numbers: dict[tuple[int, str], str] = field(default_factory=dict)

    @classmethod
    def find(cls, chapters: Mapping[Path, str], problems: Problems) -> "Equations":
        """Number the equations of the chapters; a label that is given twice is noted."""
        found, labels, wanted = cls(), [], set[tuple[int, str]]()
        for source, target in chapters.items():
            if (chapter := number_of(source)) is None:
                continue
            found.pages[chapter] = target
            for part in parts(source.read_text()):
                if part.kind == "directive":  # in its caption, too
                    wanted |= {(int(of or chapter), label) for of, label in _REFERENCE.findall(part.text)}
                if part.kind == "display" and (named := LABEL.search(part.text)):
                    if (chapter, named[1]) in labels:
                        problems.note(str(source), part.line, f"The label {named[1]} is given twice in this chapter.")
                    labels.append((chapter, named[1]))
        counts = dict.fromkeys(found.pages, 0)
        for chapter, label in dict.fromkeys(labels):
            if (chapter, label) in wanted:
                counts[chapter] += 1
                found.numbers[chapter, label] = f"{chapter}.{counts[chapter]}"
        return found

    def displayed(self, page: Page, tex: str) -> tuple[str, str]:
        """A displayed formula without its label, and its number as a link to itself; empty if it has none."""
        named, chapter = LABEL.search(tex), number_of(page.source)
        number = self.numbers.get((chapter, named[1])) if named and chapter is not None else None
        if number is None or named is None:
            return LABEL.sub("", tex), ""
        anchor = f"equation-{named[1]}"
        return LABEL.sub("", tex), f'<a class="wp-number" id="{anchor}" href="#{anchor}">({number})</a>'

    def refer(self, page: Page, directive: Directive) -> str:
        """`{{ equation: NAME }}` or `{{ equation: ch01:NAME }}`: a link whose text is the equation's number.

        Raises:
            UserError: if there is no such equation.
        """
        directive.refuse_options_but()
        words = " ".join(directive.words)
        named, own = _REFERENCE.fullmatch(f"equation: {words}"), number_of(page.source)
        key = (int(named[1] or (-1 if own is None else own)), named[2]) if named else (-1, words)
        if key not in self.numbers:
            known = [label for chapter, label in self.numbers if chapter == key[0]]
            raise UserError(f"There is no equation {words!r}{instead(key[1], known)}")
        near = Path(page.target).parent
        address = "" if key[0] == own else relpath(Path(self.pages[key[0]]).with_suffix(".html"), near)
        return page.slots.put(f'<a href="{address}#equation-{key[1]}">equation&nbsp;({self.numbers[key]})</a>')


def number_of(source: Path) -> int | None:
    """The number of a chapter by its folder; None for other pages."""
    named = FOLDER.fullmatch(source.parent.name)
    return int(named[1]) if named else None
