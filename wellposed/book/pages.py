"""One page of prose as Markdown that MkDocs understands: everything that the prose only names is put in its place."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from wellposed.book import formulas, prose, regions
from wellposed.book.links import Links
from wellposed.book.problems import Problems
from wellposed.book.slots import Slots
from wellposed.errors import UserError

_NAMED = re.compile(r"(\w+)\s*:(?:\s+|$)(.*)", re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}[ \t]+)(.*?)[ \t]*$", re.MULTILINE)
_BLOCKS = ("code", "table", "figure", "chapters")


@dataclass(frozen=True)
class Directive:
    """What stands between double braces: its name, its words, and its options."""

    name: str  # "fact" where there is none
    words: list[str]
    options: dict[str, str]
    line: int = 0

    def refuse_options_but(self, *known: str) -> None:
        """Raises UserError if there is an option that means nothing here."""
        if unknown := self.options.keys() - set(known):
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UserError(f"{self.name} has no option {', '.join(sorted(unknown))}; {takes}.")


Answer = Callable[["Page", Directive], str]


@dataclass
class Page:
    """What is being made of one source file."""

    root: Path  # the repository
    source: Path
    target: str  # its address in the site, as `ch04_hindsight.md`
    slots: Slots
    problems: Problems
    links: Links
    answers: dict[str, Answer]  # by the directive's name
    used: list[str] = field(default_factory=list)  # what facts, tables and figures were made from

    @property
    def name(self) -> str:
        """The source as a person calls it: relative to the repository where it lies in it."""
        path = self.source.resolve()
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def markdown(self, text: str, first: int = 1) -> str:
        """A text that begins on line `first` with everything in its place; what is wrong is noted."""
        written = "".join(self._part(part, first - 1, text) for part in prose.parts(text))
        return _HEADING.sub(self._identified, written)

    def _part(self, part: prose.Part, shift: int, text: str) -> str:
        line = part.line + shift
        if part.kind == "text":
            return part.text
        with self.problems.noted(self.name, line) as boxes:
            if part.kind == "link":
                return self.links.follow(part.text, self.source, self.target, self.name, line)
            if part.kind == "directive":
                return self._directive(part.text, line, text.splitlines()[part.line - 1])
            if part.kind == "unclosed":
                what = "A formula" if "$" in part.text else "A directive"
                hint = " A dollar sign that is none is written \\$." if "$" in part.text else ""
                raise UserError(f"{what} begins here with {part.text} and is not closed in its paragraph.{hint}")
            display = part.kind == "display"
            html = formulas.mathml(part.text, display)
            html = f'<span class="wp-formula" tabindex="0">{html}</span>' if display else html
            return self.slots.put(html, formula=not display, plain=part.text)
        return self.slots.put(boxes[0])

    def _directive(self, text: str, line: int, whole_line: str) -> str:
        directive = parsed(text, line)
        if directive.name in _BLOCKS and not (whole_line.lstrip().startswith("{{") or line == 0):
            raise UserError(f"{directive.name} has to stand on a line of its own.")
        answer = self.answers.get(directive.name)
        if answer is None:
            known = ", ".join(name for name in self.answers if name != "fact")
            raise UserError(f"There is no directive {directive.name!r}; there are {known}.")
        return answer(self, directive)

    def _identified(self, match: re.Match[str]) -> str:
        """A heading that holds a slot gets its identifier from what the slot stands for."""
        title = match[2]
        plain = self.slots.as_plain(title)
        if plain == title or "{#" in title:
            return match[0]
        identifier = re.sub(r"[^\w]+", "-", plain.lower()).strip("-_")
        return f"{match[1]}{title} {{#{identifier}}}"


def parsed(text: str, line: int = 0) -> Directive:
    """A directive's text taken apart: `figure: learning push x=steps caption="..."`.

    Raises:
        UserError: if a quotation mark is not closed, or an option is given twice.
    """
    named = _NAMED.fullmatch(text.strip())
    if named is None:
        return Directive("fact", [text.strip()], {}, line)
    try:
        words = shlex.split(named[2])
    except ValueError as error:
        raise UserError(f"{{{{{text}}}}} cannot be read: {str(error).lower()}.") from error
    options: dict[str, str] = {}
    plain = []
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key.isidentifier():
            plain.append(word)
        elif key in options:
            raise UserError(f"{key} is given twice.")
        else:
            options[key] = value
    return Directive(named[1], plain, options, line)


def code(page: Page, directive: Directive) -> str:
    """`{{ code: FILE#NAME }}`: the region as a block with file name and line numbers."""
    directive.refuse_options_but()
    found = regions.region(page.root, " ".join(directive.words))
    fence = "~" * max([3, *(len(run) + 1 for run in re.findall(r"~{3,}", found.code))])
    place = f"{found.file}, lines {found.first} to {found.last}"
    return f'{fence} {{.python title="{place}" linenums="{found.first}"}}\n{found.code}{fence}\n'


def caption_of(directive: Directive) -> str:
    """The caption of a figure or a table; raises UserError if there is none."""
    caption = directive.options.get("caption", "").strip()
    if not caption:
        raise UserError(f'The {directive.name} {" ".join(directive.words)} has no caption="...".')
    return caption


def captioned(page: Page, directive: Directive, html: str) -> str:
    """An element with its caption, as a figure; a table that was given none stands for itself."""
    if directive.name == "table" and "caption" not in directive.options:
        return page.slots.put(html, block=True)
    words = page.markdown(caption_of(directive), directive.line)
    inside = page.slots.put(html)
    return (
        f'<figure markdown="1" class="wp-{directive.name}-figure">\n{inside}\n'
        f'<figcaption markdown="span">{words}</figcaption>\n</figure>'
    )
