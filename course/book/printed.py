"""The book as one document: the pages of the site one after the other, printed to a PDF by Chromium."""

import html
import os
import posixpath
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from wellposed.errors import UserError
from wellposed.runs.files import explained

NAME = "wellposed.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 600  # that printing may take
_ARTICLE = re.compile(r'<article class="md-content__inner md-typeset">(.*)</article>', re.DOTALL)
_STYLES = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
_TAG = re.compile(r"""<[a-zA-Z](?:"[^"]*"|'[^']*'|[^'">])*>""")
_ATTRIBUTE = re.compile(r"""(?<=[\s])(id|href|xlink:href|src|poster|for|aria-labelledby|aria-describedby)="([^"]*)\"""")
_DRAWN = re.compile(r"url\(#([^)]+)\)")  # a clip path or a pattern of an SVG
_UNPRINTED = re.compile(r'<script\b.*?</script>|<a class="headerlink".*?</a>', re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # the scheme of an address


def require_browser() -> str:
    """The browser that prints. Raises UserError if there is none."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise UserError(
        "Printing the book needs Chromium or Google Chrome, and neither is installed here. On Debian and Ubuntu: "
        "sudo apt-get install -y chromium. `wellposed book` without --pdf builds the site."
    )


def print_book(site: Path, contents: list[Any]) -> Path:
    """Print a site that was built into `site / NAME`; returns that path.

    Args:
        site: the folder of the site.
        contents: its table of contents, as in mkdocs.yml.

    Raises:
        UserError: if there is no browser, or it does not print.
    """
    browser, page, target = require_browser(), site / ".printed.html", site / NAME
    with explained(page, "write"):
        page.write_text(one_page(site, contents))
    words = [browser, "--headless", "--disable-gpu", "--no-pdf-header-footer", "--generate-pdf-document-outline"]
    words += ["--no-sandbox"] if os.geteuid() == 0 else []  # which Chromium refuses to set up for root
    words += [f"--print-to-pdf={target.resolve()}", page.resolve().as_uri()]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False).stderr
    except subprocess.TimeoutExpired:
        told = f"it took longer than {SECONDS} s"
    finally:
        page.unlink()
    if not target.is_file():
        raise UserError(f"{browser} did not print the book: {(told.strip().splitlines() or ['no reason given'])[-1]}")
    return target


def one_page(site: Path, contents: list[Any]) -> str:
    """All pages of a site as one HTML page, which lies in the folder of the site."""
    parts = [(title, _pages(entry)) for entry_of in contents for title, entry in entry_of.items()]
    addresses = {page for _, pages in parts for _, page in pages}
    first = (site / parts[0][1][0][1]).read_text()
    styles = "".join(f'<link rel="stylesheet" href="{href}">' for href in _STYLES.findall(first))
    body = "".join(_printed(site, page, addresses) for _, pages in parts for _, page in pages)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>wellposed</title>'
        f'{styles}</head><body data-md-color-scheme="default" data-md-color-primary="custom">'
        f'<div class="md-content">{_title_page(parts)}{body}</div></body></html>'
    )


def _pages(entry: Any) -> list[tuple[str, str]]:
    """Titles and addresses of the pages below an entry of the table of contents."""
    if isinstance(entry, str):
        return [("", re.sub(r"\.md$", ".html", entry))]
    return [(title, page) for one in entry for title, below in one.items() for _, page in _pages(below)]


def _title_page(parts: list[tuple[str, list[tuple[str, str]]]]) -> str:
    """The name of the book and its contents."""
    listed = "".join(
        f"<h2>{html.escape(part)}</h2><ul>"
        + "".join(f'<li><a href="#{page}">{html.escape(title)}</a></li>' for title, page in pages)
        + "</ul>"
        for part, pages in parts
        if pages[0][0]
    )
    return f'<nav class="md-typeset wp-printed"><p class="wp-book">wellposed</p>{listed}</nav>'


def _printed(site: Path, page: str, addresses: set[str]) -> str:
    """A page, whose names and links are unique among all pages."""
    found = _ARTICLE.search((site / page).read_text())
    text = _UNPRINTED.sub("", found[1] if found else "")

    def attribute(one: re.Match) -> str:
        name, value = one[1], html.unescape(one[2])
        if name in ("id", "for", "aria-labelledby", "aria-describedby"):
            return f'{name}="{html.escape(" ".join(f"{page}--{word}" for word in value.split()))}"'
        target = _target(page, value, addresses, link=name == "href")
        return "" if target is None else f'{name}="{html.escape(target)}"'

    def tag(one: re.Match) -> str:
        opened = re.sub(r"^<details(?! open)", "<details open", one[0])
        return _DRAWN.sub(lambda drawn: f"url(#{page}--{drawn[1]})", _ATTRIBUTE.sub(attribute, opened))

    return f'<article class="md-content__inner md-typeset wp-printed" id="{page}">{_TAG.sub(tag, text)}</article>'


def _target(page: str, value: str, addresses: set[str], link: bool) -> str | None:
    """Where a link of a page leads in the one page; None if to a file beside it, which a PDF does not bring along."""
    if _ELSEWHERE.match(value):
        return value
    path, _, fragment = value.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    if path in addresses:
        return f"#{path}--{fragment}" if fragment else f"#{path}"
    return None if link else path
