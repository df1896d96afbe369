"""The book as a whole: what is sound becomes a site that asks for nothing; what is not is named, all of it, and built not."""

import re
from html import unescape

import pytest

from tests.book.made_up import TEXT, registered, write_chapter
from wellposed.book.build import MARK, build_book
from wellposed.book.links import Seen, dead_links
from wellposed.errors import UserError


@pytest.fixture(scope="module")
def monkeypatch():
    with pytest.MonkeyPatch.context() as patch:
        registered(patch)
        yield patch


@pytest.fixture(scope="module")
def book(tmp_path_factory, monkeypatch):
    """A site that was built once, and whose folder held an older one before."""
    folder = tmp_path_factory.mktemp("book")
    write_chapter(folder / "chapters")
    (folder / "site").mkdir()
    (folder / "site" / MARK).touch()
    (folder / "site" / "old.html").touch()
    assert build_book(folder / "site", folder / "chapters") == []
    return folder / "site"


@pytest.fixture(scope="module")
def page(book):
    return (book / "ch04_hindsight.html").read_text()


def test_the_older_book_is_gone_and_nothing_lies_beside_the_new_one(book):
    assert not (book / "old.html").exists()
    assert sorted(path.name for path in book.parent.iterdir()) == ["chapters", "site"]


def test_it_asks_nothing_of_other_machines_and_links_to_nothing_that_is_not_there(book):
    assert dead_links(book) == []
    for style in book.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//", style.read_text())


@pytest.mark.parametrize(
    "bad",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link href="//example.org/a.css">',
        '<img src="missing.png">',
        '<p style="background: url(https://example.org/a.png)">',
        '<a href="#nowhere">',
        '<a href="other.html">',
    ],
)
def test_one_that_does_is_found(tmp_path, bad):
    (tmp_path / "page.html").write_text('<a id="here" href="#here"><a href="https://example.org">' + bad)
    assert len(dead_links(tmp_path)) == 1


def test_nothing_of_the_syntax_is_left(page):
    assert "wpslot" not in page
    assert re.findall(r"\{\{|\$\$", page) == []
    assert page.count("<math") >= 8
    assert "$not a formula$" in page
    assert "$HOME is no formula here" in page
    assert "costs $5" in page


def test_facts_are_those_of_the_records_with_their_origin(page):
    facts = [(unescape(origin), text) for origin, text in re.findall(r'<span class="wp-fact" title="(.*?)">(.*?)</span>', page)]
    texts = [text for _, text in facts]
    assert texts[:2] == ["25 min", "1 h"]
    assert re.fullmatch(r"98\.0 % \(95 % CI .*\)", texts[2])
    assert {"0 of 5", "98.0 %"} <= set(texts)
    assert facts[2][0].startswith("relabelling.future: wellposed chapter run 4; commit 0123456; seeds 0-4, ")
    assert any(origin.startswith("push: wellposed chapter run 4 --studies") for origin, _ in facts)


def test_the_page_ends_with_where_its_numbers_come_from(page):
    last = page[page.index('id="where-the-numbers-come-from"') :]
    for name in ("relabelling.future", "relabelling.no hindsight", "warmth.a", "warmth.d", "floor", "push"):
        assert f"<td>{name}</td>" in last, name
    assert "<code>wellposed chapter run 4 --studies</code>" in last
    assert "2 cores" in last


def test_a_region_stands_there_with_its_file_and_its_lines(page):
    assert "wellposed/replay/hindsight.py, lines 1 to " in page
    assert 'data-linenos=" 1 "' in page


def test_figures_have_a_caption_a_text_and_no_colour_of_their_own(page):
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    drawn = [figure for figure in figures if "<svg" in figure]
    assert len(drawn) == 4
    for figure in drawn:
        assert "<figcaption>" in figure
        assert 'role="img" aria-label="' in figure
        assert not re.findall(r"(?:fill|stroke): ?#(?!000000|ffffff)[0-9a-f]{6}", figure)
    assert re.search(r"<figcaption>.*98\.0 %.*<math", drawn[0])


def test_a_heading_with_a_formula_can_be_linked_to_and_is_listed(page):
    assert '<h2 id="the-case-gamma-1">' in page
    assert re.search(r'<a href="#the-case-gamma-1".*?<math', page, re.DOTALL)


def test_search_and_both_colour_schemes_are_there(book, page):
    assert "hindsight" in (book / "search" / "search_index.js").read_text()
    assert (book / "assets" / "book" / "js" / "iframe-worker.js").exists()
    assert 'data-md-color-scheme="default"' in page
    assert 'data-md-color-scheme="slate"' in page
    assert {"__search", "__drawer"} <= Seen(page).identifiers


WRONG = {
    "{{ code: wellposed/agents/sac.py#nothing }}": "There is no nothing in wellposed/agents/sac.py",
    "{{ code: wellposed/nothing.py }}": "There is no source file wellposed/nothing.py",
    "{{ relabelling.past.success }}": "has no variant 'past",
    "{{ relabelling.future.sucess }}": "no metric 'sucess'",
    "{{ nobody.knows }}": "has no 'nobody'",
    "{{ setting: relabelling.future agent.gama }}": "leads nowhere",
    "{{ ch07:dense.sac.steps }}": "There is no chapter 7",
    "{{ figure: pie relabelling caption=\"A pie.\" }}": "There is no figure 'pie'",
    "{{ figure: learning nothing caption=\"None.\" }}": "There is no experiment 'nothing'",
    "{{ figure: learning relabelling }}": "has no caption",
    "{{ figure: learning relabelling x=years caption=\"Long.\" }}": "not 'years'",
    "{{ figure: losses relabelling.future seed=7 caption=\"Seven.\" }}": "has no seed 7",
    "{{ figure: learning relabelling colour=red caption=\"Red.\" }}": "no option colour",
    "{{ table: nothing }}": "has no 'nothing'",
    "{{ chart: relabelling }}": "no directive 'chart'",
    "a {{ table: relabelling }}": "on a line of its own",
    "a formula $x_1 that is not closed": "is not closed in its paragraph",
    "a formula $\\foo{x}$": 'Unknown command "\\foo"',
    "[dead](nothing.md)": "The link to nothing.md leads nowhere",
    "[dead](#nowhere)": "The link to #nowhere leads nowhere in its page",
    "[dead](../../docs/check.md#nowhere)": "The link to #nowhere leads nowhere in its page",
}  # fmt: skip


def test_every_mistake_is_named_with_its_line_and_the_old_site_stays(tmp_path, monkeypatch):
    text = TEXT + "\n" + "\n\n".join(WRONG) + "\n"
    folder = write_chapter(tmp_path / "chapters", text)
    site = tmp_path / "site"
    site.mkdir()
    (site / MARK).touch()
    (site / "index.html").write_text("the old one")
    with pytest.raises(UserError) as caught:
        build_book(site, tmp_path / "chapters")
    head, *told = str(caught.value).splitlines()
    assert head == f"The book was not built. {len(told)} problems:"
    lines = text.splitlines()
    assert len(told) == len(WRONG), told
    for wrong, says in WRONG.items():
        place = f"{folder / 'chapter.md'}:{lines.index(wrong) + 1}: "
        assert any(one.startswith(place) and says in one for one in told), (wrong, told)
    assert (site / "index.html").read_text() == "the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chapters", "site"]
