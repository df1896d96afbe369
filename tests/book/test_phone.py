"""The course on a phone: nothing sticks out of a page; what is too wide scrolls by itself."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.test_browser import BROWSER
from wellposed.book.build import build_book
from wellposed.chapters.load import find_chapters

WIDTH = 390  # CSS pixels
FRAME = """<iframe id="page" src="{src}" style="width: {width}px; height: 900px; border: 0"></iframe>
<p id="said"></p><script>
page.onload = () => setTimeout(() => {{
  const found = page.contentDocument;
  const out = [...found.querySelectorAll("article *")].filter(one => {{
    if (one.getBoundingClientRect().right <= {width}) return false;
    for (let above = one; !above.matches("article"); above = above.parentElement)
      if (getComputedStyle(above).overflowX == "auto") return false;
    return true;
  }});
  said.textContent = `wide: ${{out.length}}: ${{out.slice(0, 3).map(one => one.textContent.slice(0, 80)).join(" | ")}}`;
}}, 500);
</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """The course that is in the repository."""
    site = tmp_path_factory.mktemp("book") / "site"
    build_book(site, find_chapters(), draft=True)
    return site


def too_wide(page: Path, folder: Path) -> str:
    """What sticks out of a page, and how much of it."""
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(src=page.as_uri(), width=WIDTH))
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files", "--window-size=1000,1000",
        "--virtual-time-budget=5000", "--dump-dom", frame.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    (found,) = re.findall(r"wide: (\d+: [^<]*)</p>", dom)
    return found


def test_no_page_of_the_course_is_wider_than_a_phone(course, tmp_path):
    found = {page.stem: too_wide(page, tmp_path) for page in sorted(course.glob("*.html"))}
    assert len(found) >= 7
    assert {name: said for name, said in found.items() if said != "0: "} == {}


def test_what_sticks_out_is_seen(course, tmp_path):
    page = course / "wide.html"
    page.write_text(
        (course / "index.html").read_text().replace("</article>", "<p style='width: 500px'>wide</p></article>")
    )
    said = too_wide(page, tmp_path)
    assert said.startswith("1: wide")
