"""Live figures: the script computes what the laboratory computes, in Node and a browser; without it is a picture."""

import json
import re
import shutil
import subprocess
from html import unescape

import numpy as np
import pytest

from course.book.live import html
from course.book.live_figures import LIVE, entropy, relabelling
from course.book.site import THEME
from tests.test_browser import BROWSER, opened
from wellposed.data.hindsight import STRATEGIES

SCRIPT = THEME / "js" / "live.js"
NODE = shutil.which("node")
CASES = [
    ("wilson", {"episodes": 20, "successes": 18}),
    ("wilson", {"episodes": 5, "successes": 5}),
    ("wilson", {"episodes": 145, "successes": 0}),
    ("clip", {"advantage": "better", "epsilon": 0.2, "ratio": 1.4}),
    ("clip", {"advantage": "better", "epsilon": 0.35, "ratio": 0.1}),
    ("clip", {"advantage": "worse", "epsilon": 0.2, "ratio": 0.75}),
    ("clip", {"advantage": "worse", "epsilon": 0.1, "ratio": 2.05}),
    ("gae", {"trace": 0.95, "gamma": 0.95, "step": 0}),
    ("gae", {"trace": 0, "gamma": 0.8, "step": 30}),
    ("gae", {"trace": 1, "gamma": 0.99, "step": 49}),
    *(("relabelling", {"strategy": one, "k": k, "length": 60 - 5 * k}) for one in STRATEGIES for k in (1, 4)),
    ("entropy", {"temperature": 0.1, "gap": 0.04}),
    ("entropy", {"temperature": 0.01, "gap": -0.2}),
    ("entropy", {"temperature": 10, "gap": 0.2}),
]


def in_node(script: str) -> list[dict]:
    """What the functions of a script make of the cases."""
    ask = f"{script}\nconsole.log(JSON.stringify({json.dumps(CASES)}.map(([name, of]) => wellposedFigures[name](of))))"
    return json.loads(subprocess.run([str(NODE), "-"], input=ask, capture_output=True, text=True, check=True).stdout)


def flat(curves: dict) -> dict[str, np.ndarray]:
    """Each curve as an array [n, 2], NaN where a stroke ends."""
    return {name: np.array([one or (np.nan, np.nan) for one in points], float) for name, points in curves.items()}


def differing(found: list[dict]) -> list[str]:
    """The figures that differ from those of the laboratory in a curve or in their sentence."""
    differ = []
    for (name, numbers), one in zip(CASES, found, strict=True):
        curves, said = LIVE[name].picture(**numbers)
        within = 1e-6 if name == "clip" else 1e-9  # JAX computes in single precision
        ours, theirs = flat(curves), flat(one["curves"])
        same = ours.keys() == theirs.keys() and all(
            ours[key].shape == theirs[key].shape and np.allclose(ours[key], theirs[key], 0, within, equal_nan=True)
            for key in ours
        )
        differ += [] if same and said == one["said"] else [name]
    return differ


@pytest.mark.skipif(NODE is None, reason="no Node is installed here")
def test_the_script_computes_what_the_laboratory_computes():
    assert differing(in_node(SCRIPT.read_text())) == []


@pytest.mark.skipif(NODE is None, reason="no Node is installed here")
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("wilson", "4 * n * n", "2 * n * n"),
        ("clip", "Math.min(free(r), bound(r))", "bound(r)"),
        ("gae", "gamma * trace", "trace"),
        ("relabelling", "n < j", "n <= j"),
        ("entropy", "Math.exp((q - top) / t)", "Math.exp((q - top) * t)"),
    ],
)
def test_a_script_that_computes_something_else_is_seen(name, right, wrong):
    script = SCRIPT.read_text()
    assert script.count(right) == 1
    assert set(differing(in_node(script.replace(right, wrong)))) == {name}


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")
def test_in_a_browser_the_inputs_move_the_curves_and_the_sentence(tmp_path):
    figures = "".join(html(name, figure) for name, figure in LIVE.items())
    move = """<p id="seen"></p><script>seen.textContent = "BEGIN" + JSON.stringify(CASES.map(([name, numbers]) => {
        const figure = document.querySelector(`[data-live=${name}]`);
        for (const input of figure.querySelectorAll("input, select")) {
            input.value = input.dataset.power ? Math.log10(numbers[input.name]) : numbers[input.name];
            input.dispatchEvent(new Event("input", {bubbles: true}));
        }
        const paths = [...figure.querySelectorAll("g[id] > path")].map(
            path => [path.parentNode.id, path.getAttribute("d")]);
        return [figure.querySelector("[aria-live]").textContent, Object.fromEntries(paths)];
    })) + "END"</script>"""
    page = tmp_path / "page.html"
    script = f"<script src='{SCRIPT.as_uri()}'></script>"
    page.write_text(f"<meta charset=utf-8>{figures}{script}{move.replace('CASES', json.dumps(CASES))}")
    seen, asked = opened(page, tmp_path)
    assert [one for one in asked if not one.startswith("file:")] == []
    found = json.loads(seen.text.partition("BEGIN")[2].partition("END")[0])
    assert [said for said, _ in found] == [LIVE[name].picture(**numbers).said for name, numbers in CASES]
    for (name, numbers), (_, paths) in zip(CASES, found, strict=True):
        if numbers == LIVE[name].numbers:
            first = places(html(name, LIVE[name]))
            moved = {key: coordinates(paths[f"live-{name}-{key}"]) for key in first}
            whole = [key for key in first if len(first[key]) == len(moved[key])]  # Matplotlib leaves out what is hidden
            assert whole
            for key in whole:
                np.testing.assert_allclose(moved[key], first[key], atol=0.02)
    assert len({json.dumps(paths) for _, paths in found}) == len(CASES)
    assert not any("NaN" in path for _, paths in found for path in paths.values())


def coordinates(path: str) -> np.ndarray:
    """The numbers of a path."""
    return np.array(re.findall(r"-?[\d.]+", path), float)


def places(element: str) -> dict[str, np.ndarray]:
    """The coordinates of each curve in the picture of a figure."""
    curves = json.loads(unescape(re.findall(r'data-scales="(.*?)"', element)[0]))
    drawn = {key: re.findall(rf'<g id="live-\w+-{key}">\s*<path d="(.*?)"', element, re.DOTALL) for key in curves}
    return {key: coordinates(path) for key, (path,) in drawn.items()}


@pytest.mark.parametrize("name", LIVE)
def test_without_scripts_there_is_the_first_picture_with_its_sentence(name):
    element, figure = html(name, LIVE[name]), LIVE[name]
    picture = figure.picture(**figure.numbers)
    assert picture.said in unescape(element)
    assert '<div class="wp-inputs" hidden>' in element
    assert not re.findall(r"(?:fill|stroke): ?#(?!000000|ffffff)[0-9a-f]{6}", element)
    for label, control in re.findall(r"<label>(.*?) <(\w+)", element):
        assert label
        assert control in ("input", "select")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_offsets_are_those_that_the_replay_draws(strategy):
    rng, length, n = np.random.default_rng(0), 20, 200_000
    t = rng.integers(length, size=n)
    drawn = STRATEGIES.find(strategy)(t, np.full(n, length), rng) - t
    share = np.bincount(drawn + length - 1, minlength=2 * length) / n
    heights = np.array(relabelling(strategy, 1, length).curves["shares"], float)[1::4, 1]
    assert np.abs(share - 2 * heights).max() < 0.004


def test_the_policy_solves_the_problem_of_lemma_3_1():
    """Its value plus temperature times entropy is the soft maximum, and no other temperature's policy has more."""
    curves = flat(entropy(0.2, 0.1).curves)
    a, q = curves["values"].T
    width = a[1] - a[0]

    def objective(p: np.ndarray) -> float:
        p = p / (width * p.sum())
        return float(width * np.sum(p * q - 0.2 * p * np.log(p)))

    best = objective(curves["policy"][1:-1, 1])
    assert best == pytest.approx(0.2 * np.log(width * np.exp(q / 0.2).sum()), abs=1e-9)
    assert all(objective(flat(entropy(t, 0.1).curves)["policy"][1:-1, 1]) < best for t in (0.1, 0.15, 0.3))
