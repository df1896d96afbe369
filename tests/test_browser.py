"""The report in a real browser: what a record says is shown as text, legibly; nothing runs, nothing is fetched."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course.book.printed import BROWSERS
from tests.runs.test_store import EPISODE, EVALUATION, PROVENANCE, SUMMARY, moment
from tests.study.test_study import made_up_study
from wellposed import serialise
from wellposed.recipes import default_config
from wellposed.report import page
from wellposed.report.study import write_page
from wellposed.runs.files import write_json
from wellposed.runs.record import EvaluationRow, Provenance, Verdict, encode
from wellposed.runs.store import RunReader
from wellposed.runs.writer import RunWriter

BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")

RUN = "top.document.documentElement.dataset.ran=1"
ELSEWHERE = "http://wellposed.invalid/"
PAYLOADS = [
    f"<script>{RUN}</script>",
    f'"><img src={ELSEWHERE}double onerror="{RUN}">',
    f'\'><svg onload="{RUN}">',
    f'</style><link rel=stylesheet href="{ELSEWHERE}style"><script>{RUN}</script>',
    f'</title><iframe src="javascript:{RUN}"></iframe>',
    f"--><body onload={RUN}>",
    f"javascript:{RUN}",
    "{{7*7}}{% raw %}&lt;b&gt;",
]

FRAME = """<iframe id="page" src="{src}" style="width: {width}px; height: 900px; border: 0"></iframe>
<p id="said"></p><script>
const rows = text => new Set([...text.getClientRects()].map(line => Math.round(line.top))).size;
function torn(cell) {{  // whether a word in it stands on two lines
  const walker = cell.ownerDocument.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  const range = cell.ownerDocument.createRange();
  for (let node; node = walker.nextNode(); )
    for (const word of node.data.matchAll(/[^\\s-]+/g)) {{
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (rows(range) > 1) return true;
    }}
  return false;
}}
page.onload = () => setTimeout(() => {{
  const found = page.contentDocument;
  const out = [...found.querySelectorAll("{within} *")].filter(one => {{
    if (one.getBoundingClientRect().right <= {width}) return false;
    for (let above = one; !above.matches("{within}"); above = above.parentElement)
      if (getComputedStyle(above).overflowX == "auto") return false;
    return true;
  }});
  const names = [...found.querySelectorAll("{within} tr > :first-child")].filter(torn);
  const texts = all => all.map(one => one.textContent.slice(0, 80));
  said.textContent = JSON.stringify({{wide: texts(out), torn: texts(names)}});
}}, 500);
</script>"""


class Seen(HTMLParser):
    """What the browser made of a page: elements, attributes, text."""

    def __init__(self, dom: str):
        super().__init__()
        self.elements, self.attributes, self.text = set[str](), set[str](), ""
        self.feed(dom)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def run_that_says(texts: list[str], folder: Path) -> Path:
    """A record that is sound in form and holds the texts wherever one can stand."""
    all_ = " ".join(texts)
    config = {"env": {"id": all_}, "algo": all_, "seed": 0, "replay": {"k": 4, all_: all_}, f"x{all_}": all_}
    provenance = replace(
        PROVENANCE, command=texts, commit=all_, dirty=True, packages={text: text for text in texts}, python=all_,
        platform=all_, cpu=all_, devices=texts, autoreset_mode=all_, started=all_,
    )  # fmt: skip
    row = replace(EVALUATION, success_by_kind={all_: EVALUATION.any_success})
    return recorded(folder, config, provenance, row)


def recorded(folder: Path, config: dict[str, Any], provenance: Provenance, row: EvaluationRow = EVALUATION) -> Path:
    """A finished run with a verdict."""
    with RunWriter(folder, config, provenance) as run:
        run.log_evaluation(row, [EPISODE])
        run.save(moment({"w": np.zeros(1)}, 100, 50))
        run.finish(replace(SUMMARY, final_evaluation=row))
    judged = RunReader(run.path).load_checkpoint()[0].state.sha256
    episode = replace(EPISODE, goal_kind=next(iter(row.success_by_kind), ""))
    write_json(run.path / "verdict.json", encode(Verdict(config["env"]["id"], 0, judged, row, row, [episode])))
    return run.path


def opened(file: Path, folder: Path, query: str = "") -> tuple[Seen, list[str]]:
    """What Chromium makes of a page, scripts allowed, and the addresses that the page asked for."""
    log = folder / "log.json"
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves this machine, but what would have is logged
        f"--log-net-log={log}", "--virtual-time-budget=3000", "--dump-dom", file.as_uri() + query,
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    asked = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    # What the browser asks for on its own account has no origin.
    return Seen(dom), [p["url"] for p in asked if p.get("initiator", "not an origin") != "not an origin"]


def misplaced(page: Path, folder: Path, width: int, within: str) -> dict[str, list[str]]:
    """What sticks out of a page of so many CSS pixels, and the first cells of rows with a word on two lines."""
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(src=page.as_uri(), width=width, within=within))
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files", "--window-size=1600,1000",
        "--virtual-time-budget=5000", "--dump-dom", frame.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    (found,) = re.findall(r'<p id="said">(.*?)</p>', dom)
    return json.loads(unescape(found))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """The page of a made-up study."""
    file = tmp_path_factory.mktemp("study") / "study.html"
    write_page(made_up_study(), file)
    return file


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The report of a run with the settings of a real one, and a long word and a long line among its values."""
    folder = tmp_path_factory.mktemp("report")
    config = serialise.to_dict(default_config("FetchPush-v4")) | {"curriculum": {"of": {"goals": ["wide"] * 40}}}
    origin = replace(PROVENANCE, commit="0123456789" * 4, command=["wellposed", "train", "FetchPush-v4", *["--a"] * 40])
    return page.write_report([recorded(folder, config, origin)], folder / "report.html", video=False)


@pytest.mark.parametrize("width", [1440, 1200, 390])
@pytest.mark.parametrize("kind", ["report", "study"])
def test_a_page_fits_its_window_and_tears_no_name_apart(kind, width, tmp_path, request):
    page = request.getfixturevalue(kind)
    assert "<td>agent.inputs.clip</td><td>5.0</td>" in page.read_text()
    assert misplaced(page, tmp_path, width, "main") == {"wide": [], "torn": []}


@pytest.mark.slow
def test_a_name_that_is_torn_apart_and_a_value_that_does_not_wrap_are_seen(report, tmp_path):
    file, text = tmp_path / "wrong.html", report.read_text()
    file.write_text(text.replace("</style>", ".facts td { white-space: nowrap; overflow-wrap: normal; }</style>"))
    assert misplaced(file, tmp_path, 1200, "main")["wide"]
    file.write_text(text.replace("</style>", ".facts td:first-child { white-space: normal; max-width: 9px; }</style>"))
    assert misplaced(file, tmp_path, 1200, "main")["torn"]


@pytest.mark.slow
def test_a_wicked_record_is_shown_as_text_runs_nothing_and_asks_for_nothing(tmp_path):
    seen = {}
    for name, texts in {"wicked": PAYLOADS, "harmless": ["word"] * len(PAYLOADS)}.items():
        folder = tmp_path / name
        file = page.write_report([run_that_says(texts, folder / "runs")], folder / "report.html", video=False)
        seen[name], asked = opened(file, folder)
        assert asked == []
    wicked, harmless = seen.values()
    assert (wicked.elements, wicked.attributes) == (harmless.elements, harmless.attributes)
    assert "data-ran" not in wicked.attributes
    for text in PAYLOADS:
        assert wicked.text.count(text) > 10, text


def test_an_unescaped_report_would_be_seen_to_run_and_to_ask(tmp_path, monkeypatch):
    template = page.template("page.html.j2").environment.overlay(autoescape=False).get_template("page.html.j2")
    monkeypatch.setattr(page, "template", lambda _name: template)
    file = page.write_report([run_that_says(PAYLOADS, tmp_path / "runs")], tmp_path / "report.html", video=False)
    seen, asked = opened(file, tmp_path)
    assert "data-ran" in seen.attributes
    assert {"script", "img", "iframe"} <= seen.elements
    assert {ELSEWHERE + "double", ELSEWHERE + "style"} <= set(asked)


@pytest.mark.parametrize("payload", [text for text in PAYLOADS if "{{" not in text])
def test_each_payload_would_act_where_it_is_aimed_at(tmp_path, payload):
    """A payload that can do no harm anywhere would prove nothing by doing none."""
    aimed = {
        "javascript": f'<iframe src="{payload}"></iframe>',
        '"': f'<a title="{payload}',
        "'": f"<a title='{payload}",
    }
    aimed |= {"</style": f"<style>{payload}", "</title": f"<title>{payload}", "-->": f"<!--{payload}"}
    file = tmp_path / "page.html"
    file.write_text(next((text for start, text in aimed.items() if payload.startswith(start)), payload))
    seen, _ = opened(file, tmp_path)
    assert "data-ran" in seen.attributes
