"""Slots: finished HTML that is kept out of Markdown's way; a mark stands for it until the page is rendered."""

import re
from dataclasses import dataclass, field

_MARK = re.compile(r"wpslot(\d+)x")
_GLUED = re.compile(r"((?:[(\[]|&l[sd]quo;)*)(wpslot(\d+)x)((?:[,.;:!?)\]]|&r[sd]quo;)+|-\w+)?")
_ALONE = re.compile(r"<p>\s*(wpslot(\d+)x)\s*</p>")


@dataclass
class Slots:
    """The HTML of every slot, and of those that headings hold a plain text for identifiers."""

    html: list[str] = field(default_factory=list)
    blocks: set[int] = field(default_factory=set)
    formulas: set[int] = field(default_factory=set)
    plain: dict[int, str] = field(default_factory=dict)

    def put(self, html: str, *, block: bool = False, formula: bool = False, plain: str = "") -> str:
        """Keep HTML and return its mark, which Markdown leaves as it is.

        Args:
            html: an element.
            block: it must not stand within a paragraph.
            formula: it stands within a line, which must not be broken between it and a comma or a bracket.
            plain: what it is called in an identifier.
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
        """Put everything in its place; blocks lose the paragraph that Markdown made around them."""
        html = _ALONE.sub(lambda match: match[1] if int(match[2]) in self.blocks else match[0], html)
        html = _GLUED.sub(self._glued, html)
        while _MARK.search(html):  # a caption has slots of its own
            html = _MARK.sub(lambda match: self.html[int(match[1])], html)
        return html

    def _glued(self, match: re.Match[str]) -> str:
        """A formula's mark held together with the brackets and punctuation around it: browsers break lines there."""
        before, _, number, after = match.groups()
        if int(number) not in self.formulas or not (before or after):
            return match[0]
        return f'<span class="wp-glued">{match[0]}</span>'

    def as_plain(self, text: str) -> str:
        """A text with words in place of marks."""
        return _MARK.sub(lambda match: self.plain[int(match[1])], text)
