"""Links of the prose: they lead to the same page or file from wherever they stand."""

import pytest

from course.book.pages import Links, Page
from course.book.problems import Problems
from course.book.slots import Slots
from wellposed import repository
from wellposed.errors import UserError


def test_links_lead_to_the_same_page_from_wherever_they_stand(tmp_path, monkeypatch):
    root = tmp_path.resolve()
    monkeypatch.setattr(repository, "ROOT", root)
    for name in ("chapters/ch01_a/chapter.md", "docs/b.md", "data.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    sources = {root / "chapters/ch01_a/chapter.md": "ch01_a.md", root / "docs/b.md": "reference/b.md"}
    links = Links(sources)
    chapter, page = (Page(source, at, Slots(), Problems(), links, {}) for source, at in sources.items())
    assert links.follow("../../docs/b.md#x", chapter, 1) == "reference/b.md#x"
    assert links.follow("../chapters/ch01_a/chapter.md", page, 1) == "../ch01_a.md"
    assert links.follow("../data.json", page, 1) == "../files/data.json"
    assert links.follow("#here", page, 7) == "#here"
    assert links.follow("https://example.org/a#b", page, 8) == "https://example.org/a#b"
    assert links.places["reference/b.md", "#here"] == ("docs/b.md", 7)
    assert links.files == {root / "data.json": "files/data.json"}
    with pytest.raises(UserError, match=r"The link to nothing\.md is dead"):
        links.follow("nothing.md", page, 1)
