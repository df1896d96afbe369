"""The course on a phone: nothing sticks out of a page; what is too wide scrolls by itself."""

from pathlib import Path

import pytest

from course.book.build import build_book
from course.chapters.load import find_chapters
from tests.test_browser import BROWSER, misplaced

WIDTH = 390  # CSS pixels
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """The course that is in the repository."""
    site = tmp_path_factory.mktemp("book") / "site"
    build_book(site, find_chapters(), draft=True)
    return site


def test_no_page_of_the_course_is_wider_than_a_phone(course, tmp_path):
    found = {page.stem: misplaced(page, tmp_path, WIDTH, "article")["wide"] for page in sorted(course.rglob("*.html"))}
    assert len(found) >= 20
    assert {name: said for name, said in found.items() if said} == {}


def test_what_sticks_out_is_seen(course, tmp_path):
    page = course / "wide.html"
    page.write_text(
        (course / "index.html").read_text().replace("</article>", "<p style='width: 500px'>wide</p></article>")
    )
    assert misplaced(page, tmp_path, WIDTH, "article")["wide"] == ["wide"]
