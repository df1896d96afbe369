"""A search from its manifest to its page, on made-up trainings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.launch.test_search import write
from tests.test_browser import BROWSER, misplaced
from wellposed.analysis.curves import carried
from wellposed.analysis.search import Claim, Look, Trial
from wellposed.analysis.space import Range
from wellposed.commands import launch as commands
from wellposed.errors import UserError
from wellposed.launch.manifest import read_manifest
from wellposed.launch.rows import Folder
from wellposed.launch.search import Search
from wellposed.report.overview import together
from wellposed.report.search import Asked, write_page

MANIFEST = """
title = "Which learning rate?"
env = "FetchReach-v4"
seeds = "0"
[base]
total_steps = 8000
eval_every = 1000
[search]
method = "random"
trials = 3
fresh_seeds = "10-11"
[search.space]
"agent.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"""
SPACE = {
    "agent.learning_rate": Range(low=1e-4, high=1e-2, log=True),
    "agent.gamma": Range(choice=[0.9, 0.95, 0.98]),
    "replay.k": Range(low=1, high=8, integer=True),
}


def made_up(count: int = 24) -> list[Trial]:
    """Trials in which the learning rate decides, every fifth of them pruned."""
    search, rng, trials = Search("random", SPACE, count), np.random.default_rng(0), []
    for number in range(count):
        settings = search.settings(number)
        end = 0.9 - 0.3 * abs(np.log10(settings["agent.learning_rate"]) + 3)
        steps = range(0, 3000 if number % 5 == 4 else 9000, 1000)
        looks = [Look(step, end * step / 8000, end * step / 8000) for step in steps]
        each = [float(looks[-1].score + 0.01 * rng.standard_normal()) for _ in range(2)]
        trials.append(Trial(number, settings, [], "pruned" if number % 5 == 4 else "complete", looks, each))
    return trials


def page_of(folder: Path, trials: list[Trial], fresh: list[float] | None = None, **asked: Any) -> Path:
    about = {"title": "Which settings?", "env": "FetchPush-v4", "method": "tpe", "objective": "success"}
    about |= {"direction": "maximize", "space": SPACE, "grid": False} | asked
    best = max((trial for trial in trials if trial.outcome == "complete"), key=lambda one: one.score, default=None)
    claim = Claim(best, 20, "success", "maximize", fresh, 50) if best and fresh else None
    write_page(Asked(**about), trials, claim, folder / "page.html")  # type: ignore[arg-type]
    return folder / "page.html"


@pytest.mark.slow
def test_a_page_says_what_the_winner_is_worth_with_fresh_seeds_and_before_that_claims_nothing(tmp_path):
    open_, done = page_of(tmp_path, made_up()).read_text(), page_of(tmp_path, made_up(), [0.8, 0.82, 0.84]).read_text()
    assert "That is no result" in open_
    assert "Trained again" not in open_
    assert "Trained again with fresh seeds: 82.0 %" in done
    assert "flattered" in done
    assert "That is no result" not in done
    for heading in (
        "Scores",
        "What was tried",
        "Which settings matter",
        "How settings act together",
        "How groups learnt",
    ):
        assert f"<h2>{heading}" in done
    assert done.index(">learning_rate<") < done.index(">gamma<")  # the most important setting comes first
    assert "20 complete trials" in done


def test_a_page_of_few_trials_or_of_variants_shows_what_there_is(tmp_path):
    page = page_of(tmp_path, made_up(4)).read_text()
    assert "once 8 trials are complete" in page
    assert "How settings act together" not in page
    variants = [
        Trial(i, {"variant": name}, [], "complete", [Look(0, 0.0, 0.0), Look(1000, 0.5, 0.5)], [0.4, 0.6])
        for i, name in enumerate(("a", "b"))
    ]
    page = page_of(
        tmp_path, variants, space={"variant": Range(choice=["a", "b"])}, method="variants", grid=True
    ).read_text()
    assert "2 variants on FetchPush-v4" in page
    assert "That is no result" not in page
    assert "a (1)" in page
    assert "<h2>" not in page_of(tmp_path, []).read_text()


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_fits_its_window(tmp_path, width):
    page = page_of(tmp_path, made_up(), [0.8, 0.82, 0.84])
    assert misplaced(page, tmp_path, width, "main") == {"wide": [], "torn": []}


def test_a_curve_that_ended_is_carried_on_and_marked_from_there():
    found = carried([[(0, 0.0), (1000, 0.5)], [(0, 0.0), (1000, 0.1), (2000, 0.9)]])
    assert found.step.tolist() == [0, 1000, 2000]
    assert found.success == pytest.approx([0.0, 0.3, 0.7])
    assert found.whole == 1000
    marked, plain = (
        together(["both"], [band]).count("stroke-dasharray") for band in (found, found._replace(whole=2000))
    )
    assert marked > plain, "the part that is carried on is drawn in another way"


def test_a_manifest_is_launched_again_and_collected(tmp_path, monkeypatch, capsys):
    path, out, handed = tmp_path / "rate.toml", tmp_path / "out", []
    path.write_text(MANIFEST)

    def execute(on: str, folder: Path, rows: list[int], options: object) -> None:
        del on, options
        handed.extend(rows)
        for row in rows:
            write(Folder(folder), row)

    monkeypatch.setattr(commands, "execute", execute)
    assert commands.launch(path, out=out) == 0
    told = capsys.readouterr().out
    assert "Best of 3 trials" in told
    assert "Report the fresh seeds" in told
    assert handed == [0, 1, 2, 3, 4]
    assert commands.launch(path, out=out) == 0
    assert capsys.readouterr().out == told
    assert len(handed) == 5, "nothing is trained twice"
    assert commands.collect(out) == 0
    assert "Best of 3 trials" in capsys.readouterr().out
    assert "Which learning rate?" in (out / "collected.html").read_text()
    path.write_text(MANIFEST.replace("trials = 3", "trials = 4"))
    assert commands.launch(path, out=out) == 0
    assert handed[5] == 5, "a search may be made longer"
    path.write_text(MANIFEST.replace("1e-2", "2e-2"))
    with pytest.raises(UserError, match="another search"):
        commands.launch(path, out=out)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("trials = 3", "trial = 3", "trial"),
        ("low = 1e-4", "least = 1e-4", "agent.learning_rate"),
        ("low = 1e-4", "low = 1.0", "agent.learning_rate"),
        ('"random"', '"bayes"', "bayes"),
        ("total_steps = 8000", "seed = 3", "seed is set for the whole search"),
        ("total_steps", "total_step", "total_steps"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_naming_the_key(tmp_path, old, new, named):
    path = tmp_path / "wrong.toml"
    path.write_text(MANIFEST.replace(old, new))
    with pytest.raises(UserError, match=named):
        read_manifest(path)
