"""One page of prose as Markdown for MkDocs: formulas become MathML, directives and links are resolved."""

import ast
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from os.path import dirname, join, normpath, relpath
from pathlib import Path
from textwrap import dedent
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from course.book import checks, prose
from course.book.problems import Problems
from course.book.slots import Slots
from wellposed.errors import UserError, instead
from wellposed.repository import name_of, root_of

_NAMED = re.compile(r"(\w+)\s*:(?:\s+|$)(.*)", re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}[ \t]+)(.*?)[ \t]*$", re.MULTILINE)
_PERCENT = re.compile(r"(?<=\d) %")  # a line does not end before the sign
_PRIMES = "′″‴⁗"
MACROS = {"argmax": r"\operatorname*{arg\,max}", "argmin": r"\operatorname*{arg\,min}"}
T = TypeVar("T")
_Scope = ast.Module | ast.ClassDef
_Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FILES = "files"  # folder of the site for linked files of the repository
BLOCKS = ("code", "drawing", "table", "figure", "live", "arm", "video", "chapters")


@dataclass(frozen=True)
class Directive:
    """The text between double braces: name, words and options."""

    name: str  # "fact" if the text has no name
    words: list[str]
    options: dict[str, str]
    line: int = 0

    def refuse_options_but(self, *known: str) -> None:
        """Raises UserError if there is an option other than the known ones."""
        if unknown := self.options.keys() - set(known):
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UserError(f"{self.name} has no option {', '.join(sorted(unknown))}; {takes}.")

    def picked(self, found: Mapping[str, T], kind: str) -> T:
        """What its words name among the things of a `kind`, which take a caption alone.

        Raises:
            UserError: if there is nothing of that name, or another option.
        """
        self.refuse_options_but("caption")
        if (name := " ".join(self.words)) not in found:
            raise UserError(f"There is no {kind} {name!r}{instead(name, found)}")
        return found[name]


Answer = Callable[["Page", Directive], str]
Numbered = Callable[["Page", str], tuple[str, str]]  # a displayed formula -> without its label, its number as HTML


@dataclass
class Links:
    """Where the pages of the book, and the files that they link to, are in the site."""

    pages: dict[Path, str]  # source, resolved -> address in the site
    files: dict[Path, str] = field(default_factory=dict)  # files to copy -> address in the site
    places: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)  # page, link -> file and line of it

    def follow(self, target: str, page: "Page", line: int) -> str:
        """The target in the site of a link of a page; MkDocs checks that its anchor exists.

        Raises:
            UserError: if there is no such file.
        """
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            return target
        name = normpath(join(dirname(page.name), unquote(parts.path))) if parts.path else page.name
        path = (root_of(name) / name).resolve()
        if path in self.pages:
            found = self.pages[path]
        elif path.is_file() and not name_of(path).is_absolute():
            found = self.files.setdefault(path, f"{FILES}/{name_of(path)}")
        else:
            raise UserError(f"The link to {target} is dead: there is no such file.")
        address = relpath(found, Path(page.target).parent) if parts.path else ""
        written = address + (f"#{parts.fragment}" if parts.fragment else "")
        self.places.setdefault((page.target, written), (page.name, line))
        return written


@dataclass
class Page:
    """The page that is made from one source file."""

    source: Path
    target: str  # its address in the site, such as `ch04_hindsight.md`
    slots: Slots
    problems: Problems
    links: Links
    answers: dict[str, Answer]  # by the directive's name
    numbered: Numbered = lambda _page, tex: (tex, "")
    used: list[str] = field(default_factory=list)  # subjects of facts, tables and figures

    @property
    def name(self) -> str:
        """The source by its name in the repository; its path if it is outside."""
        return str(name_of(self.source.resolve()))

    def markdown(self, text: str, first: int = 1) -> str:
        """A text that begins on line `first` as Markdown for MkDocs; problems are noted."""
        bare = checks.only_prose(text)
        for line, problem in checks.citations(text, bare):
            self.problems.note(self.name, line + first - 1, problem)
        written = "".join(self._part(part, first - 1, text, bare) for part in prose.parts(text))
        return _HEADING.sub(self._identified, written)

    def _part(self, part: prose.Part, shift: int, text: str, bare: str) -> str:
        line = part.line + shift
        if part.kind == "text":
            for below, problem in checks.uncarried(part.text):
                self.problems.note(self.name, line + below, problem)
            return part.text if part.text.startswith("`") else _PERCENT.sub("&nbsp;%", part.text)
        with self.problems.noted(self.name, line) as boxes:
            if part.kind == "link":
                return self.links.follow(part.text, self, line)
            if part.kind == "directive":
                around = checks.paragraph(bare, part.line)
                return self._directive(part.text, line, text.splitlines()[part.line - 1], around)
            if part.kind == "unclosed":
                kind = "A formula" if "$" in part.text else "A directive"
                hint = " Write a literal dollar sign as \\$." if "$" in part.text else ""
                raise UserError(f"{kind} begins here with {part.text} and is not closed in its paragraph.{hint}")
            if part.kind == "formula":
                return self.slots.put(mathml(part.text, False), formula=True, plain=part.text)
            tex, number = self.numbered(self, part.text)
            html = f'<span class="wp-formula" tabindex="0">{mathml(tex, True)}</span>'
            return self.slots.put(f'<span class="wp-numbered">{html}{number}</span>' if number else html, plain=tex)
        return "" if part.kind == "link" else self.slots.put(boxes[0])

    def _directive(self, text: str, line: int, whole_line: str, around: str) -> str:
        directive = parse_directive(text, line)
        if directive.name in BLOCKS and not (whole_line.lstrip().startswith("{{") or line == 0):
            raise UserError(f"{directive.name} must be on a line of its own.")
        answer = self.answers.get(directive.name)
        if answer is None:
            known = ", ".join(name for name in self.answers if name != "fact")
            raise UserError(f"There is no directive {directive.name!r}; there are {known}.")
        if directive.name == "fact" and (problem := checks.unnamed(directive.words[0], around)):
            raise UserError(problem)
        found = answer(self, directive)
        for _, problem in checks.uncarried(text_of(self.slots.fill(found))):
            self.problems.note(self.name, line, problem)
        return found

    def _identified(self, match: re.Match[str]) -> str:
        """A heading with a slot gets its identifier from the plain text of the slot."""
        title = match[2]
        plain = self.slots.as_plain(title)
        if plain == title or "{#" in title:
            return match[0]
        identifier = re.sub(r"[^\w]+", "-", plain.lower()).strip("-_")
        return f"{match[1]}{title} {{#{identifier}}}"


def text_of(html: str) -> str:
    """The text of an element, cells of a table apart, with what it sets below a number on its line."""
    apart = re.sub(r"<small>(.*?)</small>", r" (\1)", html).replace("</t", " </t")
    return unescape(re.sub(r"<[^>]*>", "", apart)).replace("\xa0", " ")


def parse_directive(text: str, line: int = 0) -> Directive:
    """Parse a directive, such as `figure: learning push x=steps caption="..."`.

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


def code(_page: Page, directive: Directive) -> str:
    """`{{ code: FILE#NAME }}`: the region as a code block with file name and line numbers."""
    directive.refuse_options_but()
    reference = " ".join(directive.words)
    found = region(root_of(reference), reference)
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
    """An element with its caption as a figure; a table without a caption stays a table."""
    if directive.name == "table" and "caption" not in directive.options:
        return page.slots.put(html, block=True)
    words = page.markdown(caption_of(directive), directive.line)
    inside = page.slots.put(html)
    return (
        f'<figure markdown="1" class="wp-{directive.name}-figure">\n{inside}\n'
        f'<figcaption markdown="span">{words}</figcaption>\n</figure>'
    )


def mathml(tex: str, display: bool) -> str:
    """A formula as a MathML element.

    Args:
        tex: LaTeX without its dollar signs.
        display: as a block, with limits above and below sums.

    Raises:
        UserError: if a command or an environment is unknown, or something is not closed.
    """
    from math_core import LatexError  # only installed with the extra `book`

    if not tex.strip():
        raise UserError("A formula is empty.")
    if not display and tex != tex.strip():
        raise UserError(
            f"The formula ${_short(tex)}$ begins or ends with a space: remove the space, or add the missing dollar "
            "sign near it."
        )
    try:
        text = _converter().convert_with_local_state(tex.strip(), displaystyle=display)
    except LatexError as error:
        raise UserError(f"The formula {_short(tex)!r} cannot be set: {_reason(error)}.") from error
    for prime in _PRIMES:  # the style sheet lowers them, because both the font and the browser raise them
        text = text.replace(f"<mo>{prime}</mo>", f'<mo class="wp-prime">{prime}</mo>')
    return text


@cache
def _converter():
    from math_core import LatexToMathML

    return LatexToMathML(fancy_error=False, macros=MACROS)


def _reason(error: Exception) -> str:
    """The converter's message without its position, which counts bytes."""
    _, _, reason = str(error).partition(": ")
    return (reason or str(error)).strip().rstrip(".")


def _short(tex: str) -> str:
    text = " ".join(tex.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True)
class Region:
    """A region of a source file, without common indentation."""

    file: str
    first: int  # its first line in the file, from 1
    last: int
    code: str


def region(root: Path, reference: str) -> Region:
    """The region that `wellposed/agents/sac.py#critic_loss` names.

    The name after # is a function, a class, a module constant or Class.method; without # the region is the whole file.
    Decorators belong to a region, and so do comments directly above a constant.

    Raises:
        UserError: if there is no such file below `root`, it is not Python, or it has no such name.
    """
    file, _, name = reference.strip().partition("#")
    path = root / file
    if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
        raise UserError(f"There is no source file {file}.")
    source = path.read_text()
    lines = source.splitlines()
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UserError(f"{file} is not Python: {error.msg} on line {error.lineno}.") from error
    first, last = _span(tree, name, file, lines) if name else (1, len(lines))
    return Region(file, first, last, dedent("\n".join(lines[first - 1 : last])) + "\n")


def _span(tree: ast.Module, name: str, file: str, lines: list[str]) -> tuple[int, int]:
    """First and last line of the definition of a qualified name."""
    scope: ast.AST = tree
    for part in name.split("."):
        found = _members(scope) if isinstance(scope, _Scope) else {}
        if part not in found:
            known = ", ".join(found) or "nothing"
            raise UserError(f"There is no {name} in {file}; instead of {part!r} there is: {known}.")
        scope = found[part]
    if isinstance(scope, _Named):
        return min(node.lineno for node in [scope, *scope.decorator_list]), scope.end_lineno or scope.lineno
    assert isinstance(scope, ast.Assign | ast.AnnAssign)
    first = scope.lineno
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first, scope.end_lineno or scope.lineno


def _members(scope: _Scope) -> dict[str, ast.AST]:
    """The definitions directly inside a module or a class, by name, in order."""
    found: dict[str, ast.AST] = {}
    for node in scope.body:
        if isinstance(node, _Named):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return found
