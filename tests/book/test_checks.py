"""What the book refuses in prose: each check passes the right text and names the wrong variant of it."""

import pytest

from course.book.checks import citations, only_prose, paragraph, uncarried, unnamed
from course.book.pages import text_of
from wellposed import stats

PAGE = """# Title

As shown [1], and by others [2, 3]; the interval $[4]$, the index `a[5]`, the link [6](https://example.org).

## References

1. One.
2. Two.
3. Three.

## Where

A later [9] is none of its own.
"""


def found(page: str) -> list[tuple[int, str]]:
    return sorted(citations(page, only_prose(page)))


def test_every_reference_is_cited_and_every_citation_listed():
    assert found(PAGE) == []
    assert found(PAGE.replace("[2, 3]", "[2]")) == [(9, "Nothing in the text cites reference 3.")]
    assert found(PAGE.replace("[1]", "[8]")) == [
        (3, "There is no reference 8."),
        (7, "Nothing in the text cites reference 1."),
    ]
    assert found("# A page\n\nwithout references [1].\n") == []


@pytest.mark.parametrize(
    ("fact", "words", "right"),
    [
        ("a.b.steps.median", "the median seed took", True),
        ("a.b.steps.median", "it took, in the mean,", False),
        ("a.b.success.mean", "Mean success:", True),
        ("a.b.success.mean", "averaged over seeds", False),
        ("a.b.success.mean", "a meaningful success", False),
        ("a.b.success.max", "at most", True),
        ("a.b.success", "the text of the fact says it", True),
    ],
)
def test_a_statistic_has_its_name_beside_it(fact, words, right):
    assert (unnamed(fact, words) == "") == right


def test_the_paragraph_of_a_line_ends_at_blank_lines():
    text = "one\n\n| mean |\n|---|\n| x |\n\nthree\n"
    assert paragraph(text, 5) == paragraph(text, 3) == "| mean |\n|---|\n| x |"
    assert (paragraph(text, 1), paragraph(text, 7)) == ("one", "three")
    assert paragraph("\n", 2) == "", "a page that ends with a directive"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("98.6 % (mean, 95 % CI 93.9-100.0, 5 seeds)", True),
        ("98.64 % (mean, 95 % CI 93.90-100.00, 5 seeds)", False),
        ("62 % (95 % CI 44-79)", True),
        ("62.3 % (95 % CI 44-79)", False),
        ("62 % (95 % CI 43.8-78.9)", False),
        ("0.080 % (95 % CI 0.031-0.205)", True),
        ("54,100 (mean, 95 % CI 47,300-64,500)", True),
        ("54,144 (mean, 95 % CI 47,350-64,547)", False),
        ("-49.27 (95 % CI -49.41 to -49.11)", True),
        ("-49.273 (95 % CI -49.41 to -49.11)", False),
        ("1,600 (each of 5 seeds)", True),
        ("41,000 (median, 94 % CI 30,000 or more)", True),
    ],
)
def test_digits_beyond_the_second_of_the_half_width_are_refused(text, right):
    found = list(uncarried(f"First\nit is {text}."))
    assert found == [] if right else [line for line, _ in found] == [1]


def test_a_number_is_printed_to_the_place_that_its_interval_carries():
    ends = ((44, 79), (93.9, 100.0), (0.03, 0.2), (47_350, 64_547))
    assert [stats.carried_places(*one) for one in ends] == [0, 1, 3, -2]
    assert stats.carried_places(5, 5) is None
    assert [stats.to_places(*one) for one in ((54_144, -2), (0.3, 2), (-0.001, 2), (98.64, 1))] == [
        "54,100", "0.30", "0.00", "98.6"
    ]  # fmt: skip


def test_the_label_of_a_row_is_not_read_into_the_number_beside_it():
    cells = "<tr><td>noise 0.005</td><td>77&nbsp;%<small>95&nbsp;% CI 56-98</small></td></tr>"
    assert " ".join(text_of(cells).split()) == "noise 0.005 77 % (95 % CI 56-98)"
    assert list(uncarried(text_of(cells))) == []
    assert list(uncarried(text_of(cells.replace("77", "77.3")))) != []
