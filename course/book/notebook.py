"""A chapter as a notebook: text, listings, tables and figures as cells that run, exercises as cells to fill in.

    wellposed chapter notebook 3

A cell that takes minutes has the tag `skip-execution`, which nbconvert respects: a person runs it by hand.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Literal

from course.book import answers
from course.book.build import find_sources
from course.book.equations import Equations
from course.book.pages import BLOCKS, MACROS, Links, Page, parse_directive, region, text_of
from course.book.problems import Problem, Problems
from course.book.site import THEME, require_extra
from course.book.slots import Slots
from course.chapters.load import chapter_of, find_chapters
from wellposed.errors import UserError
from wellposed.repository import root_of

QUICK = ("exercise check", "chapter list", "plan")  # commands that answer in seconds
_BLOCK = re.compile(rf"\{{\{{\s*({'|'.join(BLOCKS)}):")
_MARK = re.compile(r"wpslot(\d+)x")
_INSIDE = re.compile(r"\[([^\]]*)\]\((?!https?:)[^)\s]*\)")  # a link within the book
_CELL = re.compile(r"wpcell(\d+)x")  # stands for a cell of code
_CUT = re.compile(r"^(wpcell\d+x)$|^(?=#{1,3} )", re.MULTILINE)  # where a cell ends
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_START = re.compile(r"wellposed exercise start (\S+)")


@dataclass(frozen=True)
class Shown:
    """HTML that a notebook shows."""

    html: str

    def _repr_html_(self) -> str:
        return f'<div class="wp-shown"><div class="md-typeset" style="max-width: 46rem">{self.html}</div></div>'


class Chapter:
    """A chapter of the course in a notebook.

    Args:
        number: of the chapter.
        chapters: folder of the chapters; None: `chapters` here, or that of wellposed.

    Raises:
        UserError: if there is no such chapter, or the extra `book` is not installed.
    """

    def __init__(self, number: int, chapters: Path | None = None) -> None:
        require_extra()
        folder = find_chapters(chapters)
        self.chapter, self.problems, self.slots = chapter_of(folder, number), Problems(), Slots()
        sources = find_sources(folder)
        text = self.chapter.folder / "chapter.md"
        if text not in sources.chapters:
            raise UserError(f"Chapter {number} is not published yet, so there is no notebook of it.")
        course = answers.Course.load(sources.chapters, self.problems)
        equations = Equations.find(sources.chapters, self.problems)
        known = course.answers() | {"equation": equations.refer}
        self.links, target = Links(sources.pages), sources.chapters[text]
        self.page = Page(text, target, self.slots, self.problems, self.links, known, equations.displayed)

    def _repr_html_(self) -> str:
        return f"{_style()}<p>Chapter {self.chapter.number}: {escape(self.chapter.title)}</p>"

    def show(self, directive: str) -> Shown:
        """What stands in the book for `{{ directive }}`, as `figure: learning dense x=steps caption="..."`.

        Raises:
            UserError: if there is no such thing in the records.
        """
        import markdown  # of the extra `book`

        before = len(self._own_problems())
        asked = parse_directive(directive)
        if asked.name == "code":
            return Shown(_listing(" ".join(asked.words)))
        written = self.page.markdown(f"{{{{ {directive} }}}}\n")
        if found := self._own_problems()[before:]:
            raise UserError("\n".join(one.text for one in found))
        html = self.slots.fill(markdown.markdown(written, extensions=["md_in_html"]))
        return Shown(re.sub(r'(?<=<video src=")[^"]+', lambda file: self._embedded(file[0]), html))

    def _own_problems(self) -> list[Problem]:
        """The problems of this chapter: another one, which it may refer to, may be stale."""
        return [one for one in self.problems.found if Path(one.file).parent.name == self.chapter.folder.name]

    def _embedded(self, address: str) -> str:
        """A video's content as its address."""
        path = next(path for path, target in self.links.files.items() if address.endswith(target))
        return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """The cells of the notebook.

        Raises:
            UserError: with all problems of the chapter, for example if it is not published.
        """
        number = self.chapter.number
        made = [_cell("markdown", _HOW.format(n=number)), _cell("code", _SETUP.format(n=number))]
        prose, runs = without_cells(self.page.source.read_text())
        for text in filter(None, _CUT.split(self._plain(self.page.markdown(prose)))):
            if mark := _CELL.fullmatch(text):
                part = runs[int(mark[1])].strip()
                shown = part.startswith("{{")
                made += [_cell("code", f"chapter.show({part[2:-2].strip()!r})")] if shown else commands(part)
            elif text.strip():
                made.append(_cell("markdown", text.strip()))
        if found := self._own_problems():
            raise UserError("\n".join([f"Chapter {number} cannot be made a notebook:", *map(str, found)]))
        return made

    def _plain(self, text: str) -> str:
        """Markdown whose formulas are TeX, and whose facts are text."""

        def inside(mark: re.Match) -> str:
            number = int(mark[1])
            html, tex = self.slots.html[number], self.slots.plain[number]
            if "<math" not in html:
                return text_of(self.slots.fill(html))
            for name, meaning in MACROS.items():
                tex = re.sub(rf"\\{name}\b", lambda _, meaning=meaning: meaning, tex)
            numbered = text_of(html.partition("</math>")[2]).strip("() ")
            if number in self.slots.formulas:
                return f"${tex}$"
            tag = rf" \tag{{{numbered}}}" if numbered else ""
            return f"$${tex.strip()}{tag}$$"

        text = re.sub(r"^(#+ .*?) \{#[^}]*\}$", r"\1", text, flags=re.MULTILINE)
        return _INSIDE.sub(r"\1", _MARK.sub(inside, text)).strip()


def notebook(number: int, chapters: Path | None = None) -> dict[str, Any]:
    """A chapter as the data of a notebook (nbformat 4.5).

    Raises:
        UserError: if there is no such chapter, it is not published, or the extra `book` is not installed.
    """
    cells = [cell | {"id": f"cell-{i}"} for i, cell in enumerate(Chapter(number, chapters).cells)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def without_cells(source: str) -> tuple[str, list[str]]:
    """A chapter's text, in which a mark replaces each part that becomes code cells, and these parts.

    They are directives on lines of their own, and commands. The text keeps its number of lines.
    """
    lines, parts, fence = list[str](), list[list[str]](), ""
    kind: Literal["prose", "directive", "commands"] = "prose"
    for line in source.splitlines():
        if kind == "directive" and not parts[-1][-1].rstrip().endswith("}}"):
            parts[-1].append(line)
            lines.append("")
            continue
        if mark := _FENCE.match(line):
            fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
        before = kind
        if not fence and _BLOCK.match(line):
            kind = "directive"
        elif not fence and line.startswith("    wellposed " if before != "commands" else "    "):
            kind = "commands"
        else:
            kind = "prose"
        if kind == "prose":
            lines.append(line)
        elif kind == before == "commands":
            parts[-1].append(line)
            lines.append("")
        else:
            lines.append(f"wpcell{len(parts)}x")
            parts.append([line])
    return "\n".join(lines), ["\n".join(part) for part in parts]


def commands(text: str) -> Iterator[dict[str, Any]]:
    """A cell for each command; the start of an exercise becomes a cell with its stub."""
    from course.exercises import EXERCISES, file_of

    for line in map(str.strip, text.splitlines()):
        if begun := _START.match(line):
            yield _cell("code", f"%%writefile {file_of(begun[1])}\n{EXERCISES[begun[1]].stub}".rstrip())
        elif line.startswith("wellposed "):
            quick = any(line.startswith(f"wellposed {one}") for one in QUICK)
            yield _cell("code", f"!{line}", *([] if quick else ["skip-execution"]))


def _cell(kind: str, source: str, *tags: str) -> dict[str, Any]:
    of_code = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {"tags": [*tags]} if tags else {}, **of_code, "source": source}


def _listing(reference: str) -> str:
    """A region of the source, highlighted, below its place."""
    from pygments import highlight  # comes with rich
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    found = region(root_of(reference), reference)
    code = highlight(found.code, PythonLexer(), HtmlFormatter(noclasses=True, nobackground=True))
    return f"<p><code>{escape(found.file)}</code>, lines {found.first} to {found.last}</p>{code}"


def _style() -> str:
    """The book's style sheet for what `show` returns, and for nothing else in the notebook."""
    css = (THEME / "book.css").read_text()
    css = re.sub(r"@font-face \{[^}]*\}\n?", "", css)
    return f"<style>.wp-shown {{ {css.replace(':root', '&')} }}</style>"


_HOW = (
    "This notebook is made from chapter {n} by `wellposed chapter notebook {n}`. Tables and figures are drawn from "
    "the published records; change a line and run it again to see another. Cells with the tag `skip-execution` take "
    "minutes. The cells of the exercises write the file that the next cell checks."
)
_SETUP = "from course.book.notebook import Chapter\n\nchapter = Chapter({n})\nchapter"
