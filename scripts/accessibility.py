"""Lighthouse's score of accessibility for every page of the book, in light and dark; exit code 1 if one is below 95.

    make book && python scripts/accessibility.py site

Needs Node.js with npx, which fetches Lighthouse, and Chromium.
"""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from course.book.printed import require_browser

LIGHTHOUSE = "lighthouse@12.8.2"
LEAST = 95
SCHEMES = {"light": 1, "dark": 0}  # Chromium's numbers


class Silent(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def audit(address: str, scheme: int) -> tuple[int, list[str]]:
    """The score of a page, of 100, and what fails."""
    flags = f"--headless --no-sandbox --blink-settings=preferredColorScheme={scheme}"
    words = ["npx", "--yes", LIGHTHOUSE, address, "--only-categories=accessibility", "--output=json", "--quiet"]
    environ = os.environ | {"CHROME_PATH": require_browser()}
    told = subprocess.run([*words, f"--chrome-flags={flags}"], capture_output=True, text=True, check=True, env=environ)
    found = json.loads(told.stdout)
    failing = [one["title"] for one in found["audits"].values() if one["score"] == 0]
    return round(100 * found["categories"]["accessibility"]["score"]), failing


def main(site: Path) -> int:
    """Print a line for each page."""
    server = ThreadingHTTPServer(("localhost", 0), partial(Silent, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pages = sorted(path.relative_to(site) for path in site.rglob("*.html"))
    asked = [(page, name) for page in pages for name in SCHEMES]
    lowest = 100
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        address = f"http://localhost:{server.server_port}"
        found = threads.map(lambda one: audit(f"{address}/{one[0]}", SCHEMES[one[1]]), asked)
        for (page, name), (score, failing) in zip(asked, found, strict=True):
            print(f"{score:>3}  {page} ({name}){': ' if failing else ''}{'; '.join(failing)}", flush=True)
            lowest = min(lowest, score)
    print(f"lowest: {lowest}, asked: at least {LEAST}")
    return 0 if lowest >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "site")))
