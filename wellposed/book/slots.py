"""Slots: finished HTML that is kept out of Markdown's way. A mark stands for it in the text until the page is rendered."""

import re
from dataclasses import dataclass, field

_MARK = re.compile(r"wpslot(\d+)x")
_ALONE = re.compile(r"<p>\s*(wpslot(\d+)x)\s*</p>")


@dataclass
class Slots:
    """The HTML of every slot, and of those that headings hold a plain text for identifiers."""

    html: list[str] = field(default_factory=list)
    blocks: set[int] = field(default_factory=set)
    plain: dict[int, str] = field(default_factory=dict)

    def put(self, html: str, *, block: bool = False, plain: str = "") -> str:
        """Keep HTML and return its mark, which Markdown leaves as it is.

        Args:
            html: an element.
            block: it must not stand within a paragraph.
            plain: what it is called in an identifier.
        """
        number = len(self.html)
        self.html.append(html)
        self.plain[number] = plain
        if block:
            self.blocks.add(number)
        return f"wpslot{number}x"

    def fill(self, html: str) -> str:
        """Put everything in its place; blocks lose the paragraph that Markdown made around them."""
        html = _ALONE.sub(lambda match: match[1] if int(match[2]) in self.blocks else match[0], html)
        while _MARK.search(html):  # a caption has slots of its own
            html = _MARK.sub(lambda match: self.html[int(match[1])], html)
        return html

    def as_plain(self, text: str) -> str:
        """A text with words in place of marks."""
        return _MARK.sub(lambda match: self.plain[int(match[1])], text)
