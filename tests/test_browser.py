"""The report in a real browser: what a record says is shown as text; nothing runs, nothing is fetched."""

import json
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import numpy as np
import pytest

from tests.runs.test_store import EPISODE, EVALUATION, PROVENANCE, SUMMARY, moment
from wellposed.report import page
from wellposed.runs.files import write_json
from wellposed.runs.record import Verdict, encode
from wellposed.runs.store import RunReader
from wellposed.runs.writer import RunWriter

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
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
    config = {"env": all_, "algo": all_, "seed": 0, "replay": {"k": 4, all_: all_}, f"x{all_}": all_}
    provenance = replace(
        PROVENANCE, command=texts, commit=all_, dirty=True, packages={text: text for text in texts}, python=all_,
        platform=all_, cpu=all_, devices=texts, autoreset_mode=all_, started=all_,
    )  # fmt: skip
    row = replace(EVALUATION, success_by_kind={all_: EVALUATION.any_success})
    with RunWriter(folder, config, provenance) as run:
        run.log_evaluation(row, [EPISODE])
        run.save(moment({"w": np.zeros(1)}, 100, 50))
        run.finish(replace(SUMMARY, final_evaluation=row))
    judged = RunReader(run.path).load_checkpoint()[0].state.sha256
    write_json(run.path / "verdict.json", encode(Verdict(all_, 0, judged, row, row, [EPISODE])))
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
    loader = jinja2.PackageLoader("wellposed", "report")
    template = jinja2.Environment(loader=loader).get_template("page.html.j2")
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
