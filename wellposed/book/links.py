"""Links of the book: their addresses in the site, and checks for dead ones."""

import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from os.path import relpath
from pathlib import Path
from urllib.parse import unquote, urlsplit

from wellposed.book.problems import Problems
from wellposed.errors import UserError

FILES = "files"  # folder of the site for linked files of the repository
TIMEOUT = 20  # seconds for an answer of another site


@dataclass(frozen=True)
class Anchor:
    """A link to a place within a page of the site."""

    page: str
    anchor: str
    file: str
    line: int


@dataclass
class Links:
    """All links of the book."""

    root: Path  # of the repository
    pages: dict[Path, str]  # source, resolved -> address in the site
    anchors: list[Anchor] = field(default_factory=list)
    external: list[tuple[str, str, int]] = field(default_factory=list)  # address, file, line
    files: dict[Path, str] = field(default_factory=dict)  # files to copy -> address in the site

    def follow(self, target: str, source: Path, address: str, file: str, line: int) -> str:
        """The target in the site of a link in `source`, the page at `address`.

        Raises:
            UserError: if there is no such file.
        """
        parts = urlsplit(target)
        if parts.scheme in ("http", "https"):
            self.external.append((target, file, line))
        if parts.scheme or parts.netloc:
            return target
        path = (source.parent / unquote(parts.path)).resolve() if parts.path else source.resolve()
        if path in self.pages:
            page = self.pages[path]
            if parts.fragment:
                self.anchors.append(Anchor(page, unquote(parts.fragment), file, line))
        elif path.is_file() and path.is_relative_to(self.root):
            page = self.files.setdefault(path, f"{FILES}/{path.relative_to(self.root)}")
        else:
            raise UserError(f"The link to {target} is dead: there is no such file.")
        if not parts.path:
            return target
        return relpath(page, Path(address).parent) + (f"#{parts.fragment}" if parts.fragment else "")

    def check_anchors(self, identifiers: dict[str, set[str]], problems: Problems) -> None:
        """Note every link to an anchor that its page does not have; `identifiers`: address of a page -> its anchors."""
        for link in self.anchors:
            if link.anchor not in identifiers[link.page]:
                near = sorted(one for one in identifiers[link.page] if one[:4] == link.anchor[:4])
                hint = f" There is {', '.join(near)}." if near else ""
                problems.note(
                    link.file, link.line, f"The link to #{link.anchor} is dead: its page has no such anchor.{hint}"
                )

    def check_external(self, problems: Problems) -> None:
        """Note every dead link to another site; each address is requested once."""
        answers: dict[str, str] = {}
        for address, file, line in self.external:
            if address not in answers:
                answers[address] = _failure(address)
            if answers[address]:
                problems.note(file, line, f"The link to {address} is dead: {answers[address]}.")


def _failure(address: str) -> str:
    """Why an address is dead; empty if it answers, even if it refuses bots (401, 403, 405, 429)."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (wellposed book)"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code in (401, 403, 405, 429) else f"status {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


class PageParser(HTMLParser):
    """The identifiers, links and resources of an HTML page."""

    def __init__(self, html: str):
        super().__init__()
        self.identifiers: set[str] = set()
        self.links: list[str] = []  # of <a> elements
        self.resources: list[str] = []  # that a browser loads
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep identifiers and addresses."""
        found = {name: value for name, value in attrs if value}
        self.identifiers |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        else:
            self.resources += [found[name] for name in ("href", "src", "xlink:href", "poster") if name in found]
        self.resources += re.findall(r"url\(['\"]?([^)'\"]+)", found["style"]) if "style" in found else []


def dead_links(site: Path) -> list[tuple[str, str]]:
    """Every page of a built site with a dead link or resource, or a resource from another site."""
    seen = {path.resolve(): PageParser(path.read_text()) for path in sorted(site.rglob("*.html"))}
    found = []
    for page, one in seen.items():
        for target in [*one.links, *one.resources]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if target in one.resources and parts.scheme != "data":
                    found.append((page.name, target))
                continue
            path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            path = path / "index.html" if path.is_dir() else path
            lost = path in seen and parts.fragment and unquote(parts.fragment) not in seen[path].identifiers
            if lost or not path.is_file():
                found.append((page.name, target))
    return found
