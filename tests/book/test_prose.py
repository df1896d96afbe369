"""The syntax of the prose: what is a formula, a directive or a link, what is not, and on which line it stands."""

import pytest

from course.book.pages import parse_directive
from course.book.prose import parts
from wellposed.errors import UserError

TEXT = """Let $x_1$ and $x_2$; it costs \\$5, or `$y$`.

    an indented block says $z$

- an item

    goes on with $q$

        and has a block $r$

Then {{ runs.future.success }} <!-- {{ not.this }} -->
$$
a = b
$$
in [a link](other.md#there "title"), ![a picture](p(1).png), <https://example.org/a>.

~~~ python
{{ nor: this }} $nor$ [this](one.md)
~~~

[one]: two.md
"""


def kinds(text: str) -> list[tuple[str, str, int]]:
    return [(part.kind, part.text.strip(), part.line) for part in parts(text) if part.kind != "text"]


def test_what_there_is_and_on_which_line():
    assert kinds(TEXT) == [
        ("formula", "x_1", 1),
        ("formula", "x_2", 1),
        ("formula", "q", 7),
        ("directive", "runs.future.success", 11),
        ("display", "a = b", 12),
        ("link", "other.md#there", 15),
        ("link", "p(1).png", 15),
        ("link", "https://example.org/a", 15),
        ("link", "two.md", 21),
    ]


def test_nothing_of_the_text_is_lost():
    marks = {"formula": "${}$", "display": "$${}$$", "directive": "{{{{{}}}}}"}
    again = "".join(marks.get(part.kind, "{}").format(part.text) for part in parts(TEXT))
    assert again == TEXT.replace("\\$", "$")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one\n$x and\n\nthe next paragraph$", 2),
        ("$$\nx = 1\n\n$$", 1),
        ("a {{ b.c }\n\n}}", 1),
        ("$a$ and then $b", 1),
        ("a `span with $ in it` is none, but\nthis $ is", 2),
    ],
)
def test_what_is_not_closed_in_its_paragraph_is_found(text, line):
    assert ("unclosed", line) in [(part.kind, part.line) for part in parts(text)]


def test_a_caption_may_hold_what_would_end_a_directive():
    text = 'figure: learning push x=steps caption="as $e^{x_{t}}$ and {{ a.b.c }} say"'
    assert kinds("{{" + text + "}}") == [("directive", text, 1)]
    found = parse_directive(text)
    assert (found.name, found.words) == ("figure", ["learning", "push"])
    assert found.options == {"x": "steps", "caption": "as $e^{x_{t}}$ and {{ a.b.c }} say"}


def test_what_is_no_directive_by_name_is_a_fact():
    assert parse_directive(" ch03:dense.sac.steps.median ").words == ["ch03:dense.sac.steps.median"]
    assert parse_directive("ch03:dense.sac.steps.median").name == "fact"


@pytest.mark.parametrize("text", ['figure: a caption="open', "table: a x=1 x=2"])
def test_a_directive_that_cannot_be_read_is_refused(text):
    with pytest.raises(UserError):
        parse_directive(text)
