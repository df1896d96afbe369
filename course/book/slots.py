"""Slots: HTML that Markdown must not touch; a mark replaces it until the page is rendered."""

import re
from dataclasses import dataclass, field

_MARK = re.compile(r"wpslot(\d+)x")
_GLUED = re.compile(r"((?:[(\[]|&l[sd]quo;)*)(wpslot(\d+)x)((?:[,.;:!?)\]]|&r[sd]quo;)+|-\w+)?")
_ALONE = re.compile(r"<p>\s*(wpslot(\d+)x)\s*</p>")


@dataclass
class Slots:
    """The HTML of every slot, and for slots in headings a plain text for their identifiers."""

    html: list[str] = field(default_factory=list)
    blocks: set[int] = field(default_factory=set)
    formulas: set[int] = field(default_factory=set)
    plain: dict[int, str] = field(default_factory=dict)

    def put(self, html: str, *, block: bool = False, formula: bool = False, plain: str = "") -> str:
        """Keep HTML and return its mark, which Markdown does not change.

        Args:
            html: an HTML element.
            block: it must not be inside a paragraph.
            formula: it is inline; no line break may separate it from a following comma or bracket.
            plain: its text in an identifier.
        """
        number = len(self.html)
        self.html.append(html)
        self.plain[number] = plain
        if block:
            self.blocks.add(number)
        if formula:
            self.formulas.add(number)
        return f"wpslot{number}x"

    def fill(self, html: str) -> str:
        """Replace all marks by their HTML; blocks lose the paragraph that Markdown put around them."""
        html = _ALONE.sub(lambda match: match[1] if int(match[2]) in self.blocks else match[0], html)
        html = _GLUED.sub(self._glued, html)
        while _MARK.search(html):  # captions contain slots
            html = _MARK.sub(lambda match: self.html[int(match[1])], html)
        return html

    def _glued(self, match: re.Match[str]) -> str:
        """A formula's mark with the brackets and punctuation around it in one element, to prevent line breaks."""
        before, _, number, after = match.groups()
        if int(number) not in self.formulas or not (before or after):
            return match[0]
        return f'<span class="wp-glued">{match[0]}</span>'

    def as_plain(self, text: str) -> str:
        """A text with marks replaced by their plain texts."""
        return _MARK.sub(lambda match: self.plain[int(match[1])], text)
