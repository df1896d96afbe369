"""A made-up chapter that uses every form of the syntax, and the records it was published with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path

import numpy as np

from course.chapters.load import load_chapter
from course.chapters.records import Records, write_records
from course.chapters.results import Curve, HeldOut, Measured, Results, RunResult, VariantResult
from course.chapters.spec import Chapter
from course.measure import MEASUREMENTS
from course.measure.kinds import Kind
from tests.chapters.tiny import store_traces
from tests.runs.test_store import PROVENANCE
from tests.study.made_up import trial
from wellposed import serialise
from wellposed.analysis.study import Edge, Move, Stability, Study
from wellposed.config import AnyRunConfig
from wellposed.repository import ROOT
from wellposed.runs.record import MEANS, Estimate, Solved
from wellposed.runs.store import run_name
from wellposed.study.run import Question, learnability

KIND = "made_up"

TOML = f"""
number = 4
title = "Hindsight"
summary = "What is learnt from a goal that was missed."
minutes = 25
study_minutes = 60

[experiments.relabelling]
title = "Does it matter?"
env = "FetchPush-v4"
seeds = "0-4"
until_success = 0.95
[experiments.relabelling.base]
total_steps = 20_000
[experiments.relabelling.variants.future]
[experiments.relabelling.variants."no hindsight"]
"replay.k" = 0

[experiments.warmth]
title = "Do the discount and the temperature interact?"
env = "FetchPush-v4"
seeds = "0-2"
until_success = 0.95
[experiments.warmth.base]
total_steps = 20_000
[experiments.warmth.variants]
a = {{ "agent.gamma" = 0.95, "agent.temperature" = 0.1 }}
b = {{ "agent.gamma" = 0.95, "agent.temperature" = 0.2 }}
c = {{ "agent.gamma" = 0.98, "agent.temperature" = 0.1 }}
d = {{ "agent.gamma" = 0.98, "agent.temperature" = 0.2 }}

[measurements.floor]
kind = "{KIND}"
env = "FetchPush-v4"

[studies.push]
env = "FetchPush-v4"
bar = 0.95
seeds = "0-4"
parts = ["learnability", "stability"]

[videos]
pushed = "relabelling.future"

[[criteria]]
says = "Hindsight solves it."
of = "relabelling.future"
metric = "success"
statistic = "mean"
at_least = 0.9
"""

TEXT = r"""# Hindsight

> **Abstract.** What is learnt from a goal that was missed, with $k$ goals for each.

## The case $\gamma < 1$

Let $Q_\theta(s,a,g)$ be the value (with $\gamma$), fitted to

$$\begin{aligned}
y &= r + \gamma \max_{a'} Q_{\bar\theta}(s', a', g) \\
  &\le 0
\end{aligned}$$

as in [the section on runs](#what-was-run), in [the certificate](../../docs/check.md#what-is-asked), in
[the data](../../experiments/push.json) and in the [paper](https://arxiv.org/abs/1707.01495).

{{ code: wellposed/data/hindsight.py }}

- One of a list, with $x$

    and what belongs to it: `$not a formula$` costs \$5.

## What was run

This is HER, and HER alone, in 12 % of `12 % 5` cases.

    wellposed chapter run 4    # $HOME is no formula here

It takes {{ minutes: 4 }}, and {{ study_minutes: 4 }} more. With hindsight {{ relabelling.future.success }}, after
a median of {{ relabelling.future.steps.median }} steps, with a discount of
{{ setting: relabelling.future agent.gamma }}; without,
{{ relabelling."no hindsight".solved }}. The floor is {{ floor.share }}; {{ ch04:push.learnability.reached }}.

{{ table: relabelling columns="solved success steps_to[90%] peak_success" }}

{{ table: floor.fields caption="Fields, and $n$ of each." }}

{{ table: criteria }}

{{ figure: learning relabelling x=steps caption="Mean success {{ relabelling.future.success.mean }} at $\gamma < 1$." }}

{{ figure: losses relabelling.future seed=0 caption="One run." }}

{{ figure: grid warmth agent.gamma agent.temperature need=steps_to[90%] caption="Two settings." }}

{{ figure: study push caption="The three questions." }}

{{ live: wilson caption="An interval, with $n$ episodes." }}

{{ drawing: kernel caption="One transition, $R(x,g)$." }}

{{ video: pushed caption="Twelve arms, with $k=4$." }}
"""


@dataclass(frozen=True)
class FloorSettings:
    """Settings of the made-up measurement."""

    env: str


@dataclass(frozen=True)
class Field:
    """A record of the made-up measurement."""

    name: str
    size_m: float


@dataclass(frozen=True)
class Floor:
    """Result of the made-up measurement."""

    share: Estimate
    fields: list[Field] = field(default_factory=list)


def write_chapter(chapters: Path, text: str = TEXT) -> Path:
    """Write the chapter and its records; returns its folder. `registered` has to be in force."""
    folder = chapters / "ch04_hindsight"
    folder.mkdir(parents=True)
    (folder / "chapter.md").write_text(text.replace("../..", relpath(ROOT, folder)))  # as if it lay in the repository
    (folder / "chapter.toml").write_text(TOML)
    (folder / "pushed.mp4").write_bytes(b"a film")
    write_records(folder, records(load_chapter(folder)))
    return folder


def registered(monkeypatch) -> None:
    """The kind of measurement that the chapter names."""
    monkeypatch.setitem(MEASUREMENTS, KIND, Kind(FloorSettings, Floor, lambda _settings, _context: None))


def records(chapter: Chapter) -> Records:
    """What was published of the chapter: learnt in every variant but the one without hindsight."""
    experiments = {
        name: {variant: _variant(runs, 6000 + 1500 * i) for i, (variant, runs) in enumerate(asked.runs.items())}
        for name, asked in chapter.experiments.items()
    }
    without = chapter.experiments["relabelling"].runs["no hindsight"]
    experiments["relabelling"]["no hindsight"] = _variant(without, None)
    floor = serialise.to_dict(Floor(Estimate(0.05, (0.03, 0.08)), [Field("x", 1.25), Field("y", 0.5)]))
    settings = serialise.to_dict(FloorSettings("FetchPush-v4"))
    measured = Measured(KIND, settings, {}, serialise.content_hash(floor), PROVENANCE, 1.0, floor)
    results = Results(experiments, {"floor": measured}, {"push": _study(chapter.studies["push"])})
    return Records(PROVENANCE, [], store_traces(chapter), results)


def _variant(configurations: Sequence[AnyRunConfig], middle: float | None) -> VariantResult:
    config = {name: value for name, value in serialise.to_dict(configurations[0]).items() if name != "seed"}
    return VariantResult(config, [_run(one, middle) for one in configurations])


def _run(config: AnyRunConfig, middle: float | None) -> RunResult:
    """A run whose success rises around the step `middle`; None: never. It stops at its second evaluation of 95 %."""
    rng = np.random.default_rng(config.seed)
    step = np.arange(0, config.total_steps + 1, 1000)
    rate = np.full(len(step), 0.04) if middle is None else 1 / (1 + np.exp(-(step - middle - 300 * config.seed) / 900))
    success = rng.binomial(50, np.clip(rate, 0.04, 1))
    high = success >= 48
    there = np.flatnonzero(high[1:] & high[:-1])
    end = int(there[0]) + 2 if len(there) else len(step)
    steps, updates = step[:end].tolist(), (step[:end] // 2).tolist()
    solved = Solved(0.95, steps[-1], updates[-1], steps[-1] / 1000) if len(there) else None
    held_out = HeldOut(
        seed=0,
        checkpoint="0" * 64,
        success="1" * (98 if solved else 5) + "0" * (2 if solved else 95),
        already_solved="0" * 95 + "1" * 5,
        kinds={},
        random_success=Estimate(0.05, (0.02, 0.11)),
        means=dict.fromkeys(MEANS, 1.0),
    )
    falling = np.exp(-np.arange(end) / 6)
    series: dict[str, list[float | None]] = {
        "train/critic_loss": [None, *falling[1:].tolist()],
        "probe/q_mean": (-10 + falling).tolist(),
        "probe/q_min": (-14 + falling).tolist(),
        "probe/q_max": (-7 + falling).tolist(),
        "train/temperature": [0.1] * end,
    }
    return RunResult(
        run=run_name(serialise.to_dict(config)), seed=config.seed, ended="solved" if solved else "budget",
        step=steps[-1], updates=updates[-1], seconds=steps[-1] / 1000, solved=solved, held_out=held_out,
        curve=Curve(50, steps, updates, [s / 1000 for s in steps], success[:end].tolist()), series=series,
        command="wellposed chapter run 4", commit="0123456789abcdef0123456789abcdef01234567", dirty=False,
        cpu="a processor", cores=2, started="2030-01-01T00:00:00+00:00",
    )  # fmt: skip


def _study(question: Question) -> Study:
    """A study whose seeds needed 300 to 700 of 1000 steps, and which breaks where the learning rate is doubled."""
    base = [trial(seed, 300 + 100 * seed) for seed in question.seeds]
    moves = [Move("learning rate", 0.5, {}, [trial(0, 900), trial(1, 800), trial(2, None, 0.6)])]
    moves.append(Move("learning rate", 2.0, {}, [trial(0, None, 0.3), trial(1, None, 0.2), trial(2, 400)]))
    stable = Stability(base[:3], moves, [Edge("learning rate", True, 1.0, 2.0)], [], 3)
    return Study(
        question.recipe.env.id, question.bar, question.record, 1.0, PROVENANCE, None, learnability(base), stable
    )
