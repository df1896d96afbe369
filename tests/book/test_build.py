"""The book as a whole: what is sound becomes a site that asks for nothing; what is not is named and not built."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from course.book import build, site
from course.book.answers import Course, origins_section
from course.book.build import MARK, build_book
from course.book.pages import Links, Page
from course.book.problems import Problems
from course.book.site import explained_once
from course.book.slots import Slots
from course.chapters.load import is_in_work, load_chapter
from course.chapters.records import write_records
from tests.book.made_up import TEXT, records, registered, write_chapter
from tests.test_browser import BROWSER, opened
from wellposed.cli import main
from wellposed.errors import UserError


@pytest.fixture(scope="module", autouse=True)
def _kind_of_measurement():
    with pytest.MonkeyPatch.context() as patch:
        registered(patch)
        yield


@pytest.fixture(scope="module")
def book(tmp_path_factory):
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


@pytest.mark.slow
def test_the_older_book_is_gone_and_nothing_lies_beside_the_new_one(book):
    assert not (book / "old.html").exists()
    assert sorted(path.name for path in book.parent.iterdir()) == ["chapters", "site"]


def missing(page: Path) -> list[str]:
    """The addresses in a page of the site that lead to no file, and what a browser would load from another machine."""
    tags = re.findall(r"<(\w+)\b([^>]*)>", page.read_text())
    named = [(tag, unescape(found)) for tag, rest in tags for found in re.findall(r'\b(?:href|src)="([^"]*)"', rest)]
    far = [found for tag, found in named if tag != "a" and re.match(r"(https?:)?//", found)]
    near = [found for _, found in named if not re.match(r"\w+:|//", found)]
    return far + [found for found in near if not (page.parent / found.partition("#")[0]).exists()]


@pytest.mark.slow
def test_it_asks_nothing_of_other_machines_and_links_to_nothing_that_is_not_there(book):
    assert {page.name: found for page in book.rglob("*.html") if (found := missing(page))} == {}
    for style in book.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//", style.read_text())


@pytest.mark.parametrize(
    "bad",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link href="//example.org/a.css">',
        '<img src="missing.png">',
        '<a href="other.html">',
    ],
)
def test_one_that_does_is_found(tmp_path, bad):
    (tmp_path / "page.html").write_text('<a id="here" href="#here"><a href="https://example.org">' + bad)
    assert len(missing(tmp_path / "page.html")) == 1


def test_nothing_of_the_syntax_is_left(page):
    assert "wpslot" not in page
    assert re.findall(r"\{\{|\$\$", page) == []
    assert page.count("<math") >= 8
    assert "$not a formula$" in page
    assert "$HOME is no formula here" in page
    assert "costs $5" in page


def test_a_line_does_not_end_before_a_per_cent_sign(page):
    assert re.search(r"in 12(&nbsp;|\xa0)% of <code>12 % 5</code> cases", page)


def test_facts_are_those_of_the_records_with_their_origin(page):
    facts = [
        (unescape(origin), text)
        for origin, text in re.findall(r'<span class="wp-fact" title="(.*?)">(.*?)</span>', page)
    ]
    texts = [unescape(text).replace("\xa0", " ") for _, text in facts]
    assert texts[:2] == ["25 min", "1 h"]
    assert re.fullmatch(r"98\.0 % \(mean, 95 % CI .*\)", texts[2])
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
    assert "wellposed/data/hindsight.py, lines 1 to " in page
    assert 'data-linenos=" 1 "' in page


def test_figures_have_a_caption_a_text_and_no_colour_of_their_own(page):
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    drawn = [figure for figure in figures if "<svg" in figure]
    assert len(drawn) == 6
    for figure in drawn:
        assert "<figcaption>" in figure
        assert 'role="img" aria-label="' in figure
        assert not re.findall(r"(?:fill|stroke): ?#(?!000000|ffffff)[0-9a-f]{6}", figure)
    assert re.search(r"<figcaption>.*98\.0&nbsp;%.*<math", drawn[0])


def test_a_video_lies_in_the_site_and_its_run_among_the_origins(book, page):
    (address,) = re.findall(r'<video src="([^"]+)"', page)
    assert (book / address).read_bytes() == b"a film"
    assert "Twelve arms, with" in page


def test_a_heading_with_a_formula_can_be_linked_to_and_is_listed(page):
    assert '<h2 id="the-case-gamma-1">' in page
    assert re.search(r'<a href="#the-case-gamma-1".*?<math', page, re.DOTALL)


def test_the_menu_shows_words_and_no_marks_of_code(page):
    menu = re.search(r'<nav class="md-nav md-nav--primary".*?</nav>\s*</div>', page, re.DOTALL)
    assert menu is not None
    assert "Pixels: --env.pixels" in menu[0]
    assert "`" not in menu[0]


def test_a_word_is_explained_where_it_stands_first(book, page):
    assert page.count('<abbr title="hindsight experience replay') == 1
    assert page.count("HER") > 1
    assert "<abbr" not in (book / "reference" / "statistics.html").read_text(), "only chapters explain"
    assert "<abbr" not in (book / "words.html").read_text()
    one, other = '<abbr title="a">x</abbr>', '<abbr title="b">y</abbr>'
    assert explained_once(f"{one} {other} {one}") == f"{one} {other} x"


def test_search_and_both_colour_schemes_are_there(book, page):
    assert "hindsight" in (book / "search" / "search_index.js").read_text()
    assert (book / "assets" / "book" / "js" / "iframe-worker.js").exists()
    assert 'data-md-color-scheme="default"' in page
    assert 'data-md-color-scheme="slate"' in page
    assert all(f'id="{name}"' in page for name in ("__search", "__drawer"))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")
def test_a_browser_finds_words_in_it_and_asks_no_other_machine(book, tmp_path):
    """Opened as a file, with the network cut off: the search runs in a frame that the page makes by itself."""
    found, asked = opened(book / "ch04_hindsight.html", tmp_path, "?q=certificate")
    assert "documents" in found.text
    assert "The certificate: can hindsight learn this environment?" in found.text[found.text.index("documents") :]
    assert [address for address in asked if not address.startswith("file:")] == []


WRONG = {
    "{{ code: wellposed/agents/sac.py#nothing }}": "There is no nothing in wellposed/agents/sac.py",
    "{{ code: wellposed/nothing.py }}": "There is no source file wellposed/nothing.py",
    "{{ relabelling.past.success }}": "has no variant 'past",
    "{{ relabelling.future.sucess }}": "no metric 'sucess'",
    "{{ relabelling.future.success.mean }}": "is a mean, and the paragraph does not say so",
    "In the mean, {{ relabelling.future.steps.median }} steps.": "is a median, and the paragraph does not say so",
    "It reaches 5.25 % (95 % CI 3.1-7.9).": "5.25 % (95 % CI 3.1-7.9) has more digits than its interval carries",
    "{{ nobody.knows }}": "has no 'nobody'",
    "{{ setting: relabelling.future agent.gama }}": "leads nowhere",
    "{{ ch07:dense.sac.steps }}": "There is no chapter 7",
    "{{ figure: pie relabelling caption=\"A pie.\" }}": "There is no figure 'pie'",
    "{{ drawing: cliff caption=\"A cliff.\" }}": "There is no drawing 'cliff'",
    "A word and {{ drawing: clip caption=\"A kink.\" }}": "must be on a line of its own",
    "{{ figure: learning nothing caption=\"None.\" }}": "There is no experiment 'nothing'",
    "{{ figure: learning relabelling }}": "has no caption",
    "{{ figure: learning relabelling x=years caption=\"Long.\" }}": "not 'years'",
    "{{ figure: losses relabelling.future seed=7 caption=\"Seven.\" }}": "has no seed 7",
    "{{ figure: learning relabelling colour=red caption=\"Red.\" }}": "no option colour",
    "{{ table: nothing }}": "has no 'nothing'",
    "{{ table: criteria columns=updates }}": "The table of the criteria has fixed columns",
    "{{ table: floor.fields columns=size }}": "The records of floor.fields have no 'size'",
    "{{ figure: grid warmth agent.gamma agent.temperature need=updates caption=\"Two.\" }}": "need counts steps",
    "{{ table: relabelling columns=update }}": "no metric 'update'",
    "{{ minutes: 7 }}": "There is no chapter 7",
    "{{ minutes: four }}": "not 'four'",
    "{{ chart: relabelling }}": "no directive 'chart'",
    "a {{ table: relabelling }}": "on a line of its own",
    "a formula $x_1 that is not closed": "is not closed in its paragraph",
    "a formula $\\foo{x}$": 'Unknown command "\\foo"',
    '{{ video: fallen caption="None." }}': "There is no video 'fallen' in this chapter",
    "{{ video: pushed }}": 'The video pushed has no caption="..."',
    "[dead](nothing.md)": "The link to nothing.md is dead",
    "[dead](#nowhere)": "a link '#nowhere', but there is no such anchor",
    "[dead](../../docs/check.md#nowhere)": "but the doc 'reference/check.md' does not contain an anchor '#nowhere'",
}  # fmt: skip


@pytest.mark.slow
def test_every_mistake_is_named_with_its_line_and_the_old_site_stays(tmp_path, capsys):
    sound = "\n".join(line for line in TEXT.splitlines() if "{{ figure" not in line)
    text = sound + "\n\n" + "\n\n".join(WRONG) + "\n"
    folder = write_chapter(tmp_path / "chapters", text)
    old = tmp_path / "site"
    old.mkdir()
    (old / MARK).touch()
    (old / "index.html").write_text("the old one")
    assert main(["book", "--out", str(old), "--chapters", str(tmp_path / "chapters")]) == 1
    head, *told = capsys.readouterr().err.splitlines()
    assert head == f"wellposed: The book was not built. {len(told)} problems:"
    lines = text.splitlines()
    assert len(told) == len(WRONG), "\n".join(told)
    for wrong, says in WRONG.items():
        place = f"{folder / 'chapter.md'}:{lines.index(wrong) + 1}: "
        assert any(one.startswith(place) and says in one for one in told), (wrong, told)
    assert (old / "index.html").read_text() == "the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chapters", "site"]


def test_a_draft_is_built_all_the_same_and_shows_in_red_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)  # without the pages about the laboratory
    monkeypatch.setattr(build, "REFERENCE", tmp_path / "none")
    write_chapter(
        tmp_path / "chapters", "# Draft\n\nIt is {{ relabelling.future.sucess }}, with $\\foo$ and {{ floor.share }}.\n"
    )
    out = tmp_path / "site"
    assert main(["book", "--out", str(out), "--chapters", str(tmp_path / "chapters"), "--draft"]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(out / "index.html")
    assert len(told.err.splitlines()) == 3
    page = (out / "ch04_hindsight.html").read_text()
    boxes = re.findall(r'<span class="wp-problem">(.*?)</span>', page)
    assert len(boxes) == 2
    assert "no metric" in boxes[0]
    assert 'class="wp-fact"' in page


def noted(chapters) -> list[str]:
    """What is wrong with the records of all chapters."""
    problems = Problems()
    Course.load(chapters.glob("ch*/chapter.md"), problems)
    return problems.lines()


def test_stale_facts_are_refused(tmp_path):
    folder = write_chapter(tmp_path)
    assert noted(tmp_path) == []
    found = records(load_chapter(folder))
    write_records(folder, replace(found, traces=dict(list(found.traces.items())[1:])))
    (told,) = noted(tmp_path)
    assert told.startswith(f"{folder / 'records.json'}: What relabelling.future does has changed since chapter 4 was")
    (folder / "records.json").unlink()
    (told,) = noted(tmp_path)
    assert "records.json does not exist: the chapter was not published" in told


def answered(folder, lines: list[str]) -> tuple[str, Problems]:
    """Lines of directives as HTML, and what is wrong with them."""
    problems = Problems()
    course, slots, source = Course.load([folder / "chapter.md"], problems), Slots(), folder / "chapter.md"
    page = Page(source, "ch04_hindsight.md", slots, problems, Links({}), course.answers())
    return slots.fill(page.markdown("\n".join(f"{{{{ {one} }}}}" for one in lines))), problems


def test_a_part_of_an_experiment_is_not_shown_as_the_whole(tmp_path):
    folder = write_chapter(tmp_path)
    found = records(load_chapter(folder))
    asked = ["table: relabelling", 'figure: learning relabelling caption="All."', "relabelling.future.success"]
    assert answered(folder, asked)[1].found == []
    del found.results.experiments["relabelling"]["no hindsight"]
    write_records(folder, found)
    problems = answered(folder, asked)[1].found
    assert [problem.line for problem in problems] == [1, 2], "a fact of what is there still stands"
    assert all("Nothing was published of relabelling: no hindsight." in problem.text for problem in problems)


def test_what_no_record_could_answer_is_named_before_there_are_any(tmp_path):
    folder = write_chapter(tmp_path)
    (folder / "records.json").unlink()
    asked = ["relabelling.future.success", "relabelling.past.success", "relabelling.future.sucess"]
    asked += ["figure: learning relabelling", "table: relabelling", "setting: relabelling.future agent.gamma"]
    html, problems = answered(folder, asked)
    assert html.count("wp-problem") == len(asked)
    assert [problem.line for problem in problems.found] == [0, 2, 3, 4]


def test_what_did_not_hold_when_a_chapter_was_published_stands_above_its_origins():
    assert "not all of it held" not in origins_section([])
    assert "- It was too slow." in origins_section(["It was too slow."])


def test_without_the_extra_it_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "NEEDED", ("math_core", "a_package_that_is_not_there"))
    with pytest.raises(UserError, match=r"needs a_package_that_is_not_there, .* run `make book`"):
        build_book(tmp_path / "site", tmp_path)


def test_a_folder_that_is_no_book_is_not_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(UserError, match="is not a book of wellposed"):
            build_book(out, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_without_a_chapter_there_is_no_book(tmp_path):
    with pytest.raises(UserError, match="There is no chapter in"):
        build_book(tmp_path / "site", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_abort_of_mkdocs_is_a_sentence(tmp_path, monkeypatch, capsys):
    write_chapter(tmp_path / "chapters")
    settings = site._settings
    monkeypatch.setattr(site, "_settings", lambda *of: settings(*of) | {"docs_dir": "nowhere"})
    assert main(["book", "--chapters", str(tmp_path / "chapters"), "--out", str(tmp_path / "site")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("wellposed: MkDocs could not build the site: Aborted with ")
    assert "'docs_dir'" in said
    assert [path.name for path in tmp_path.iterdir()] == ["chapters"]


@pytest.mark.slow
def test_a_fresh_checkout_becomes_a_book_by_the_command_alone(tmp_path):
    """As its reader has it: the last commit, the folder of the site not named."""
    subprocess.run(["git", "clone", "--quiet", str(build.ROOT), "wellposed"], cwd=tmp_path, check=True)
    checkout = tmp_path / "wellposed"
    command = [sys.executable, "-m", "wellposed", "book"]
    done = subprocess.run(
        command, cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "site/index.html\n", "")
    finished = [text for text in build.ROOT.glob("chapters/ch*/chapter.md") if not is_in_work(text.parent)]
    assert len(list((checkout / "site").glob("ch*.html"))) == len(finished) > 5
    status = ["git", "status", "--porcelain", "--ignored"]
    left = subprocess.run(status, cwd=checkout, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line in left if "__pycache__" not in line] == ["!! site/"]


def test_a_chapter_in_work_is_in_drafts_only(tmp_path):
    folder = write_chapter(tmp_path)
    finished = [folder / "chapter.md"]
    later = tmp_path / "ch05_later"
    later.mkdir()
    (later / "chapter.md").write_text("# Later\n")
    for line, pages in (("in_work = true\n", finished), ("", [*finished, later / "chapter.md"])):
        (later / "chapter.toml").write_text(f'number = 5\ntitle = "Later"\nsummary = "s"\nminutes = 1\n{line}')
        assert list(build.find_sources(tmp_path).chapters) == pages
        assert list(build.find_sources(tmp_path, draft=True).chapters) == [*finished, later / "chapter.md"]
