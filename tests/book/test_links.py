"""Links to other machines: one that is dead is named, one that refuses machines is not."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from wellposed.book.links import Links
from wellposed.book.problems import Problems

STATUS = {"/there": 200, "/refuses": 403, "/moved": 404}


class Answers(BaseHTTPRequestHandler):
    """Answers with the status that a path asks for."""

    def do_GET(self):
        self.send_response(STATUS[self.path])
        self.end_headers()

    def log_message(self, format, *args):
        """Nothing is printed."""


@pytest.fixture
def server():
    found = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()


def test_dead_links_to_other_machines_are_named_with_their_line(server):
    links, problems = Links(Path("/"), {}), Problems()
    for line, path in enumerate([*STATUS, "/there"], 1):
        target = links.follow(server + path, Path("/a.md"), "a.md", "a.md", line)
        assert target == server + path
    links.follow("http://127.0.0.1:1/nobody", Path("/a.md"), "a.md", "a.md", 9)
    links.check_external(problems)
    assert [(problem.line, problem.text.split(": ")[-1]) for problem in sorted(problems.found)] == [
        (3, "status 404."),
        (9, "[Errno 111] Connection refused."),
    ]


def test_links_lead_to_the_same_page_from_wherever_they_stand(tmp_path):
    for name in ("chapters/ch01_a/chapter.md", "docs/b.md", "data.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    chapter, page = (tmp_path / "chapters/ch01_a/chapter.md").resolve(), (tmp_path / "docs/b.md").resolve()
    links = Links(tmp_path.resolve(), {chapter: "ch01_a.md", page: "reference/b.md"})
    assert links.follow("../../docs/b.md#x", chapter, "ch01_a.md", "c", 1) == "reference/b.md#x"
    assert links.follow("../chapters/ch01_a/chapter.md", page, "reference/b.md", "b", 1) == "../ch01_a.md"
    assert links.follow("../data.json", page, "reference/b.md", "b", 1) == "../files/data.json"
    assert links.follow("#here", page, "reference/b.md", "b", 7) == "#here"
    problems = Problems()
    links.check_anchors({"ch01_a.md": set(), "reference/b.md": {"x", "hereabouts"}}, problems)
    assert problems.lines() == ["b:7: The link to #here is dead: its page has no such anchor. There is hereabouts."]
