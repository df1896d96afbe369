"""The colours of the book can be read: text against paper by WCAG 2.2, 1.4.3, in light and dark."""

import re

import pytest

from course.book.site import THEME

CSS = (THEME / "book.css").read_text()
TEXT = ("wp-ink", "wp-muted", "md-typeset-a-color")
BLOCKS = re.findall(r"\{([^}]*--wp-ink[^}]*)\}", CSS)
SCHEMES = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in BLOCKS]


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES[:2], ids=["light", "dark"])
@pytest.mark.parametrize("paper", ["wp-paper", "md-code-bg-color"])
def test_text_can_be_read(scheme, paper):
    assert {name: contrast(scheme[name], scheme[paper]) >= 4.5 for name in TEXT} == dict.fromkeys(TEXT, True)


def test_what_is_faint_is_never_text():
    assert len(SCHEMES) >= 2
    assert contrast(SCHEMES[0]["wp-faint"], SCHEMES[0]["wp-paper"]) < 4.5
    assert re.findall(r"(?<!-)color: var\(--wp-faint\)", CSS) == []
