"""Problems in the sources of the book, each a sentence with file and line, collected and reported together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape

from wellposed.errors import UserError


@dataclass(frozen=True, order=True)
class Problem:
    """One problem in one place."""

    file: str
    line: int  # from 1; 0 for the whole file
    text: str

    def __str__(self) -> str:
        """`chapters/ch04_hindsight/chapter.md:12: There is no ...`."""
        if not self.line:
            return self.text if self.text.startswith(self.file) else f"{self.file}: {self.text}"
        return f"{self.file}:{self.line}: {self.text}"


@dataclass
class Problems:
    """The problems found so far."""

    found: list[Problem] = field(default_factory=list)

    def note(self, file: str, line: int, text: str) -> str:
        """Keep a problem; returns the HTML box that replaces the missing part in a draft."""
        self.found.append(Problem(file, line, text))
        return f'<span class="wp-problem">{escape(text)}</span>'

    @contextmanager
    def noted(self, file: str, line: int) -> Iterator[list[str]]:
        """Turn a `UserError` inside into a problem; the yielded list then holds its HTML box."""
        boxes: list[str] = []
        try:
            yield boxes
        except UserError as error:
            boxes.append(self.note(file, line, str(error)))

    def lines(self) -> list[str]:
        """All problems in the order of files and lines, without duplicates."""
        return [str(problem) for problem in sorted(set(self.found))]
