"""The book as one document: every name is once there, and every link leads to one of them or to another machine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from course.book import printed
from course.book.site import THEME
from wellposed.errors import UserError

CONTENTS = [{"Start": "index.md"}, {"The course": [{"0. A & B": "ch00.md"}, {"Words": "sub/words.md"}]}]
LINKS = (
    '<a class="headerlink" href="#top">#</a><a href="sub/words.html#w">w</a><a href="#top">t</a>'
    '<a href="ch00.html">0</a><a href="runs/a.json">a</a><a href="https://example.org/#x">e</a>'
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    def page(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(
            f'<link rel="stylesheet" href="a.css"><body><a href="#menu">menu</a>'
            f'<article class="md-content__inner md-typeset">{text}</article></body>'
        )

    page("index.html", f'<h1 id="top">wellposed</h1>{LINKS}')
    page("ch00.html", '<h1 id="top" title="a > b">A</h1><p id=w>id="x"</p><details class="c">solved</details>')
    drawn = '<svg><clipPath id="p"/><g clip-path="url(#p)"/><use xlink:href="#p"/></svg><script>let x = 1</script>'
    page("sub/words.html", f'<h1 id="w">W</h1><img src="../i.png">{drawn}<a href="../ch00.html#top">0</a>')
    return tmp_path


def test_names_are_unique_and_every_link_leads_to_one(site):
    page = printed.one_page(site, CONTENTS)
    names = re.findall(r' id="([^"]+)"', page)
    assert len(names) == len({*names})
    to = re.findall(r'href="([^"]+)"', page)
    assert {target[1:] for target in to if target.startswith("#")} <= {*names}
    assert [target for target in to if not target.startswith("#")] == ["a.css", "https://example.org/#x"]
    assert "url(#sub/words.html--p)" in page


def test_what_a_reader_of_paper_cannot_use_is_gone_and_what_is_folded_is_open(site):
    page = printed.one_page(site, CONTENTS)
    assert "<details open" in page
    assert 'src="i.png"' in page
    assert 'id="x"</p>' in page  # text is no attribute
    assert 'title="a > b"' in page
    for gone in ("<script", "headerlink", "menu", "runs/a.json"):
        assert gone not in page


def test_the_contents_name_every_page(site):
    page = printed.one_page(site, CONTENTS)
    assert '<a href="#ch00.html">0. A &amp; B</a>' in page
    assert page.index("0. A &amp; B") < page.index("Words") < page.index("<h1")


def test_without_a_browser_or_with_one_that_fails_a_sentence_says_so(site, monkeypatch):
    monkeypatch.setattr(printed.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="needs Chromium"):
        printed.print_book(site, CONTENTS)
    monkeypatch.setattr(printed.shutil, "which", lambda _: "/bin/false")
    with pytest.raises(UserError, match="/bin/false did not print the book"):
        printed.print_book(site, CONTENTS)
    monkeypatch.setattr(printed.subprocess, "run", _late)
    with pytest.raises(UserError, match="it took longer than"):
        printed.print_book(site, CONTENTS)
    assert not (site / ".printed.html").exists()


def _late(words: list[str], **_: object) -> None:
    raise subprocess.TimeoutExpired(words, 1)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, printed.BROWSERS)), reason="there is no Chromium here")
def test_chromium_prints_it(site):
    shutil.copy(THEME / "book.css", site / "a.css")
    content = printed.print_book(site, CONTENTS).read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", content)) == 4  # the contents, and three pages
