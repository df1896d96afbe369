"""Builds the site from Markdown with MkDocs and the theme Material, with local fonts and scripts."""

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from course.book.slots import Slots
from wellposed.errors import UserError
from wellposed.repository import PACKAGE

_NAMELESS = '<div class="md-search" data-md-component="search" role="dialog"'  # the theme gives it no name
THEME = Path(__file__).parent / "theme"
NEEDED = ("mkdocs", "material", "math_core", "mkdocstrings")
DOCSTRINGS = {  # how the reference shows them
    "docstring_section_style": "list",
    "docstring_style": "google",
    "filters": ["!^_"],
    "heading_level": 3,
    "members_order": "source",
    "merge_init_into_class": True,
    "separate_signature": True,
    "show_attribute_values": False,
    "show_bases": False,
    "show_labels": False,
    "show_root_heading": True,
    "show_root_full_path": False,
    "show_signature_annotations": True,
    "show_source": False,
}


def require_extra() -> None:
    """Raises UserError if the packages of the extra `book` are not installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UserError(
            f"The book needs {', '.join(missing)}, which is not installed here. In the repository run `make book`; "
            "elsewhere run: pip install 'wellposed[book]'"
        )


def build_site(docs: Path, site: Path, nav: list[Any], slots: Slots) -> list[str]:
    """Build the site.

    Args:
        docs: folder of Markdown pages, and of files that are copied.
        site: folder to create; it must not exist.
        nav: as in mkdocs.yml.
        slots: the HTML that replaces the marks in the pages.

    Returns:
        The warnings of MkDocs, dead links among them.
    """
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "true")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException

    shutil.copytree(THEME, docs / "assets" / "book", ignore=shutil.ignore_patterns("*.md"))
    file = docs.parent / "mkdocs.yml"
    file.write_text(json.dumps(_settings(docs, site, nav)))  # YAML contains JSON
    with _warnings() as warnings:
        try:
            config = load_config(str(file))
            config.plugins["wellposed"] = _filler(slots)
            build(config)
        except MkDocsException as error:  # Abort, one of them, is a SystemExit too and would end us without a word
            raise UserError("\n".join([f"MkDocs could not build the site: {error}", *warnings])) from error
    for name in ("404.html", "sitemap.xml", "sitemap.xml.gz"):  # only useful if the address of the site is known
        (site / name).unlink(missing_ok=True)
    return warnings


def _settings(docs: Path, site: Path, nav: list[Any]) -> dict[str, Any]:
    """The content of mkdocs.yml."""
    palette = [
        {
            "media": f"(prefers-color-scheme: {name})",
            "scheme": scheme,
            "primary": "custom",
            "accent": "custom",
            "toggle": {"icon": f"material/weather-{icon}", "name": f"Switch to {other}"},
        }
        for name, scheme, icon, other in (("light", "default", "night", "dark"), ("dark", "slate", "sunny", "light"))
    ]
    features = ["content.code.copy", "content.tooltips", "toc.follow"]
    features += [f"navigation.{name}" for name in ("footer", "sections", "top")]
    return {
        "site_name": "wellposed",
        "docs_dir": str(docs.absolute()),  # MkDocs looks for a relative one beside its own settings
        "site_dir": str(site.absolute()),
        "nav": nav,
        "use_directory_urls": False,
        "validation": dict.fromkeys(("absolute_links", "unrecognized_links", "anchors"), "warn"),
        "theme": {
            "name": "material",
            "font": False,
            "palette": palette,
            "features": features,
        },
        "extra_css": ["assets/book/book.css"],
        "extra_javascript": ["assets/book/js/live.js", "assets/book/js/arm.js"],
        "extra": {"polyfills": ["assets/book/js/iframe-worker.js"], "generator": False},
        "plugins": {
            "material/search": {},
            "material/offline": {},
            "autorefs": {},
            "mkdocstrings": {"handlers": {"python": {"paths": [str(PACKAGE.parent)], "options": DOCSTRINGS}}},
        },
        "markdown_extensions": {
            "abbr": {}, "attr_list": {}, "footnotes": {}, "md_in_html": {}, "sane_lists": {}, "tables": {},
            "smarty": {"smart_dashes": False, "smart_ellipses": False},
            "toc": {"permalink": "#", "permalink_title": "Link to this section", "toc_depth": 3},
            "pymdownx.highlight": {"anchor_linenums": False, "linenums_style": "pymdownx-inline"},
            "pymdownx.superfences": {},
        },
    }  # fmt: skip


def _filler(slots: Slots) -> Any:
    """A plugin of MkDocs that replaces marks by their HTML."""
    from mkdocs.plugins import BasePlugin

    class Filler(BasePlugin):
        def on_page_content(self, html: str, *, page: Any, config: Any, files: Any) -> str:
            for item in page.toc:
                _fill_titles(item, slots)
            return slots.fill(explained_once(html))

        def on_post_page(self, output: str, *, page: Any, config: Any) -> str:
            return output.replace(_NAMELESS, f'{_NAMELESS} aria-label="Search"')

    return Filler()


def explained_once(html: str) -> str:
    """A page in which a word is explained where it stands first; underlined everywhere it would be hard to read."""
    seen = set[str]()

    def kept(found: re.Match) -> str:
        again = found[2] in seen
        seen.add(found[2])
        return found[2] if again else found[0]

    return re.sub(r'<abbr title="([^"]*)">([^<]*)</abbr>', kept, html)


def _fill_titles(item: Any, slots: Slots) -> None:
    """Replace the marks in an entry of the table of contents and in its children."""
    item.title = slots.fill(item.title)
    for child in item.children:
        _fill_titles(child, slots)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects the warnings of MkDocs instead of printing them to standard error."""
    found: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())
    logger = logging.getLogger("mkdocs")
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
