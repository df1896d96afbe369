"""The syntax of the prose: splits a Markdown text into code, formulas, directives and links, with line numbers.

$...$  $$...$$                formulas; a literal dollar sign is written \\$
{{ ... }}                     directives; not in code
](target)  [name]: target     links, of which only the target is parsed
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "formula", "display", "directive", "link", "unclosed"]

_ENCLOSED: tuple[Kind, ...] = ("display", "formula", "directive")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_ITEM = re.compile(r" {0,3}([-*+]|\d+[.)])\s")
_SAME_PARAGRAPH = r"(?:(?!\n[ \t]*\n).)"  # any character within a paragraph
_TARGET = r"(?:[^()\s]|\([^()\s]*\))+"
_PARTS = re.compile(
    rf"""
      (?P<text><!--.*?-->
        |(?<![`\\])(?P<ticks>`+)(?!`){_SAME_PARAGRAPH}+?(?<!`)(?P=ticks)(?!`)
        |\\[\\`*_{{}}\[\]()#+.!|-])
    | (?P<dollar>\\\$)
    | \$\$(?P<display>{_SAME_PARAGRAPH}+?)\$\$
    | (?P<open>\$\$)
    | \$(?P<formula>(?:\\.|(?!\n[ \t]*\n)[^$\\])+?)\$
    | \{{\{{(?P<directive>(?:"[^"]*"|(?!\}}\}}|"|\n[ \t]*\n).)*)\}}\}}
    | (?P<unclosed>\$|\{{\{{)
    | (?P<before>\]\(|^\[[^\]\n]+\]:[ ]*|(?:href|src)="|<(?=https?://))(?P<link>{_TARGET}?)(?=[\s)">]|$)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Part:
    """A part of a text. All parts joined give the text without the delimiters of formulas and directives."""

    kind: Kind
    text: str
    line: int  # of its first character, from 1


def parts(text: str) -> Iterator[Part]:
    """Split a text into parts. Code and comments are `text`, so that nothing in them is parsed."""
    for is_code, line, stretch in _stretches(text):
        if is_code:
            yield Part("text", stretch, line)
        else:
            yield from _inline(stretch, line)


def _inline(text: str, first: int) -> Iterator[Part]:
    """The parts of a text without code blocks that begins on line `first`."""
    done = 0
    for match in _PARTS.finditer(text):
        line = first + text.count("\n", 0, match.start())
        if match.start() > done:
            yield Part("text", text[done : match.start()], first + text.count("\n", 0, done))
        done = match.end()
        if match["dollar"]:
            yield Part("text", "$", line)
        elif match["text"]:
            yield Part("text", match[0], line)
        elif match["open"] or match["unclosed"]:
            yield Part("unclosed", match[0], line)
        elif match["before"]:
            yield Part("text", match["before"], line)
            yield Part("link", match["link"], line)
        else:
            yield from (Part(kind, match[kind], line) for kind in _ENCLOSED if match[kind] is not None)
    if done < len(text):
        yield Part("text", text[done:], first + text.count("\n", 0, done))


def _stretches(text: str) -> Iterator[tuple[bool, int, str]]:
    """Splits a text into code blocks (fenced or indented by four) and the text between them, each with its line."""
    lines = text.splitlines(keepends=True)
    flags = list(_are_code(lines))
    begin = 0
    for i in range(1, len(lines) + 1):
        if i == len(lines) or flags[i] != flags[begin]:
            yield flags[begin], begin + 1, "".join(lines[begin:i])
            begin = i


def _are_code(lines: list[str]) -> Iterator[bool]:
    """For each line whether it belongs to a code block."""
    fence, in_list, after_blank, indented = "", False, True, False
    for line in lines:
        opening = _FENCE.match(line)
        if fence:
            closing = opening is not None and opening[1].startswith(fence) and not line.strip().strip(fence[0])
            fence = "" if closing else fence
            yield True
            continue
        blank = not line.strip()
        width = len(line) - len(line.lstrip(" "))
        indented = indented if blank else (after_blank or indented) and width >= (8 if in_list else 4)
        if opening and not indented:
            fence, after_blank = opening[1], True
            yield True
            continue
        if _ITEM.match(line):
            in_list = True
        elif not blank and not width and after_blank:
            in_list = False
        after_blank = blank
        yield indented and not blank
