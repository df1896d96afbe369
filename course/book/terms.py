"""The index: the words of the course and their synonyms, each with the sections where it stands first in a chapter."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from course.book.checks import only_prose
from course.book.equations import number_of

_HEADING = re.compile(r"^#{2,3} +(.+)$", re.MULTILINE)


def rows(page: str, section: str) -> list[tuple[str, str]]:
    """The two columns of the table in a section of the page of words, without its head."""
    _, _, rest = page.partition(f"## {section}\n")
    table = re.findall(r"^\| (.+?) \| (.+?) \|$", rest.partition("\n## ")[0], re.MULTILINE)
    return [(word.strip("*"), said) for word, said in table][1:]


def index_page(words: str, chapters: Mapping[Path, str]) -> str:
    """The index as Markdown.

    Args:
        words: the page of words, with the tables "Words" and "Also called".
        chapters: their texts -> their addresses in the site.
    """
    texts = {(number_of(source), target): only_prose(source.read_text()) for source, target in chapters.items()}
    entries = {word: ", ".join(_places(word, texts.items())) for word, _ in rows(words, "Words")}
    entries |= {other: f"see *{word}*: {entries[word]}" for other, word in rows(words, "Also called")}
    lines = [f"- **{word}**: {said or 'see [the words](words.md#words)'}" for word, said in _sorted(entries)]
    return "# Index\n\nThe sections where a word stands first in a chapter.\n\n" + "\n".join(lines) + "\n"


def _sorted(entries: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(entries.items(), key=lambda entry: entry[0].lower())


def _places(word: str, texts: Iterable[tuple[tuple[int | None, str], str]]) -> Iterator[str]:
    """Links to the sections in which a word stands first in each text."""
    from markdown.extensions.toc import slugify  # only installed with the extra `book`

    spaced = r"\s+".join(map(re.escape, word.split()))
    said = re.compile(rf"\b{spaced}s?\b", re.IGNORECASE)
    for (number, target), text in texts:
        text = text.partition("\n## References\n")[0]
        begin = _HEADING.search(text)  # the abstract uses words before they are explained
        if begin is None or (found := said.search(text, begin.start())) is None:
            continue
        *_, title = (head[1] for head in _HEADING.finditer(text) if head.start() <= found.start())
        yield f"[chapter {number}, {title}]({target}#{slugify(title, '-')})"
