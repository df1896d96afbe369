"""The command that builds the book."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from wellposed.commands.chapters import Chapters


def book(
    out: Annotated[
        Path, tyro.conf.arg(metavar="DIR", help="folder of the site; an older book there is replaced")
    ] = Path("site"),
    chapters: Chapters = None,
    draft: Annotated[bool, tyro.conf.arg(help="build in spite of problems and mark missing parts in red")] = False,
) -> int:
    """Build the course as a static site that works offline; the last line printed is its first page.

    Exit code 1, with every problem, if something that the text refers to is missing or stale.
    """
    from wellposed.book.build import build_book
    from wellposed.chapters.load import find_chapters

    problems = build_book(out, chapters or find_chapters(), draft=draft)
    if problems:
        print(f"wellposed: this is a draft; {len(problems)} problems:", *problems, sep="\n", file=sys.stderr)
    print(out / "index.html")
    return 0
