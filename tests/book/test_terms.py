"""The index: each word with the section where it stands first, and its other names."""

from course.book.build import WORDS
from course.book.terms import index_page, rows

PAGE = """## Words

| word | meaning |
|---|---|
| HER | hindsight experience replay |
| *floor* | success without learning |

## Also called

| other name | here |
|---|---|
| hindsight replay | HER |
"""
TEXT = """# Title

Without cheriness and `HER` in code.

## What it is: HER

### The floors

A floor.
"""


def test_a_word_leads_to_its_section_and_a_synonym_to_the_word(tmp_path):
    source = tmp_path / "ch04_hindsight" / "chapter.md"
    source.parent.mkdir()
    source.write_text(TEXT)
    place = "[chapter 4, What it is: HER](ch04_hindsight.md#what-it-is-her)"
    listed = [line for line in index_page(PAGE, {source: "ch04_hindsight.md"}).splitlines() if line.startswith("- ")]
    assert listed == [
        "- **floor**: [chapter 4, The floors](ch04_hindsight.md#the-floors)",
        f"- **HER**: {place}",
        f"- **hindsight replay**: see *HER*: {place}",
    ]


def test_every_other_name_is_of_a_word_of_the_course():
    page = WORDS.read_text()
    words, others = dict(rows(page, "Words")), dict(rows(page, "Also called"))
    assert set(others.values()) <= words.keys()
    assert not others.keys() & words.keys()
    assert len(others) > 5
