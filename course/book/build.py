"""Builds the book: all pages are written and checked, then the site is replaced as a whole or left as it was."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.book import answers
from course.book.equations import Equations, number_of
from course.book.pages import Links, Page
from course.book.printed import print_book, require_browser
from course.book.problems import Problems
from course.book.site import build_site, require_extra
from course.book.slots import Slots
from course.book.terms import index_page, rows
from course.chapters.load import is_in_work
from wellposed.errors import UserError
from wellposed.repository import ROOT
from wellposed.runs.files import explained

START, WORDS, REFERENCE = (Path(__file__).parent / name for name in ("start.md", "words.md", "reference.md"))
INDEX = "terms.md"  # made here; its address in the site
TITLES = {"README.md": "Overview"}  # in the table of contents, instead of the heading
_OF_A_LINK = re.compile(r"Doc file '(.+?)' contains a link '(.+?)'")  # warning of MkDocs
MARK = ".wellposed-book"  # a file that marks a folder as a book, which may be replaced


@dataclass(frozen=True)
class Sources:
    """The pages of the book: source -> address in the site, in the order of the contents."""

    chapters: dict[Path, str]
    reference: dict[Path, str]

    @property
    def pages(self) -> dict[Path, str]:
        """All pages, the start page first; sources are resolved."""
        found = {START: "index.md"} | self.chapters | {WORDS: "words.md"} | self.reference
        return {source.resolve(): target for source, target in found.items()}


def build_book(out: Path, chapters: Path, *, draft: bool = False, pdf: bool = False) -> list[str]:
    """Build the site into the folder `out`, replacing an older book there.

    Args:
        out: the folder of the site.
        chapters: the folder of the chapters.
        draft: build in spite of problems; a red box marks each missing part.
        pdf: print it as well, to `wellposed.pdf` in the site.

    Returns:
        The problems of a draft, one line each.

    Raises:
        UserError: with all problems, unless it is a draft; if there is no chapter, if `out` is not a book, or if the
            extra packages or, to print it, a browser are not installed. `out` is not changed then.
    """
    require_extra()
    if pdf:
        require_browser()
    _refuse_foreign(out)
    sources = find_sources(chapters, draft)
    with explained(out, "write"):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
            site = Path(folder) / "site"
            problems = _build(sources, Path(folder) / "docs", site)
            if problems and not draft:
                count = "One problem" if len(problems) == 1 else f"{len(problems)} problems"
                raise UserError(f"The book was not built. {count}:\n" + "\n".join(problems))
            if pdf:
                print_book(site, _contents(sources))
            _swap(site, out, Path(folder) / "before")
    return problems


def find_sources(chapters: Path, draft: bool = False) -> Sources:
    """The pages of the book; chapters in work are pages of a draft only.

    Raises:
        UserError: if there is no chapter.
    """
    texts = [path for path in sorted(chapters.glob("ch*/chapter.md")) if draft or not is_in_work(path.parent)]
    found = {path: f"{path.parent.name}.md" for path in texts}
    if not found:
        raise UserError(
            f"There is no chapter in {chapters}: a chapter is a folder like ch04_hindsight with a chapter.md."
        )
    reference = {ROOT / "README.md": "reference/readme.md", REFERENCE: "reference/python.md"}
    reference |= {path: f"reference/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))}
    reference |= {ROOT / "CONTRIBUTING.md": "reference/contributing.md"}
    return Sources(found, {path: target for path, target in reference.items() if path.is_file()})


def _build(sources: Sources, docs: Path, site: Path) -> list[str]:
    """Write every page, build the site and check it; returns the problems."""
    problems, slots = Problems(), Slots()
    links = Links(sources.pages)
    course = answers.Course.load(sources.chapters, problems)
    equations = Equations.find(sources.chapters, problems)
    known = course.answers() | {"equation": equations.refer}
    meanings, chapters = _meanings(WORDS.read_text()), {path.resolve() for path in sources.chapters}
    for source, target in sources.pages.items():
        page = Page(source, target, slots, problems, links, known, equations.displayed)
        text = _eyebrow(source) + page.markdown(source.read_text()) + course.origins(page)
        text += meanings if source in chapters else ""
        (docs / target).parent.mkdir(parents=True, exist_ok=True)
        (docs / target).write_text(text)
    (docs / INDEX).write_text(index_page(WORDS.read_text(), sources.chapters))
    for path, target in links.files.items():
        (docs / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, docs / target)
    for warning in build_site(docs, site, _contents(sources), slots):
        named = _OF_A_LINK.match(warning)
        file, line = links.places.get((named[1], named[2]), (named[1], 0)) if named else ("mkdocs", 0)
        problems.note(file, line, warning)
    (site / MARK).write_text("")
    return problems.lines()


def _contents(sources: Sources) -> list[Any]:
    """The table of contents, as in mkdocs.yml."""
    course = [{_title(path): target} for path, target in (sources.chapters | {WORDS: "words.md"}).items()]
    return [
        {"Start": "index.md"},
        {"The course": [*course, {"Index": INDEX}]},
        {
            "The laboratory": [
                {TITLES.get(path.name) or _title(path): target} for path, target in sources.reference.items()
            ]
        },
    ]


def _meanings(page: str) -> str:
    """The table of words as Markdown that explains each of them wherever it stands in a page."""
    kept = [(word, meaning) for word, meaning in rows(page, "Words") if f"*{word}*" not in page]
    return "\n\n" + "".join(f"*[{word}]: {meaning}\n" for word, meaning in kept)


def _title(source: Path) -> str:
    """The first heading of a page; that of a chapter begins with its number."""
    heading = re.search(r"^# +(.+)$", source.read_text(), re.MULTILINE)
    title = heading[1].strip().replace("`", "") if heading else source.stem  # the menu knows no code
    number = number_of(source)
    return title if number is None else f"{number}. {title}"


def _eyebrow(source: Path) -> str:
    """The line above a chapter's title."""
    number = number_of(source)
    return "" if number is None else f'<p class="wp-eyebrow">Chapter {number}</p>\n\n'


def _refuse_foreign(out: Path) -> None:
    """Raises UserError if `out` exists and is not a book, because it would be deleted."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARK).exists())):
        raise UserError(f"{out} exists already and is not a book of wellposed. Name another folder with --out.")


def _swap(new: Path, out: Path, before: Path) -> None:
    """Replace the older site, if there is one, by the new one."""
    if out.exists():
        out.rename(before)
    try:
        new.rename(out)
    except OSError:
        if before.exists():
            before.rename(out)
        raise
