"""The world of the fuzz (fuzz.py): one of each thing of ours that a stranger may hand us, made once.

Runs of SAC and PPO, finished, interrupted and diverged; a chapter with its results and records; an experiment; a launch
of it, and a search; policies.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from course.chapters import traces
from course.chapters.load import load_chapter
from course.chapters.spec import Chapter
from course.chapters.trace import cases
from tests import fuzz_robots
from tests.chapters.tiny import HEAD, JUDGED, as_seed
from wellposed import cli, serialise
from wellposed.runs.record import Failure, WarningRow, encode

OLDER = "FetchReach-v4_sac_3782acf1ecbe_s0"  # a record of a version whose interrupted runs cannot be resumed
SETTINGS = """
num_envs = 4
eval_episodes = 4
agent.hidden = [8]
agent.batch_size = 16
"""
QUESTION = f"""
title = "?"
env = "FetchPickAndPlace-v4"
seeds = "0"
until_success = 0.9
[base]
{SETTINGS}
[variants.sac]
env.sensors.noise = 0.01
agent.critic_sees = "truth"
total_steps = 400
random_steps = 160
eval_every = 200
updates_per_call = 4
[variants.ppo]
algo = "ppo"
env.curriculum.kind = "linear"
total_steps = 200
rollout_steps = 10
eval_every = 100
agent.epochs = 1
"""
CHAPTER = f"""{HEAD}env = "FetchPickAndPlace-v4"
seeds = "0"
until_success = 0.0
[experiments.width.base]
total_steps = 400
random_steps = 160
eval_every = 200
updates_per_call = 4
{SETTINGS}
[experiments.width.variants."narrow 0.5"]
[studies.learnt]
env = "FetchPickAndPlace-v4"
bar = 0.9
seeds = "0"
parts = ["learnability"]
[studies.learnt.settings]
total_steps = 400
random_steps = 160
eval_every = 200
updates_per_call = 4
{SETTINGS}
[measurements.parts]
kind = "split"
of = "width.narrow 0.5"
steps = [
    0, 200, 400,
]
{JUDGED}
[[deliverables]]
file = "parts.json"
schema = "split"
says = "how goals of each kind are learnt"

[[deliverables]]
file = "study_learnt/study.json"
schema = "study"
says = "what is learnt"

[[criteria]]
says = "One run is measured."
of = "parts"
metric = "runs"
equals = 1

[[criteria]]
says = "Something is learnt, or nothing."
of = "learnt"
metric = "learnability.reached"
at_least = 0.0

[[criteria]]
says = "They succeed as often as before."
of = "width.narrow 0.5"
metric = "success"
statistic = "mean"
inside = "width.narrow 0.5.success"
"""
SEARCH = f"""
title = "Which?"
env = "FetchPickAndPlace-v4"
seeds = "0"
until_success = 0.9
[base]
total_steps = 200
random_steps = 160
eval_every = 100
updates_per_call = 4
{SETTINGS}
[search]
method = "random"
trials = 2
pruning = "halving"
fresh_seeds = "10"
[search.space]
"agent.gamma" = {{ low = 0.9, high = 0.98 }}
"agent.batch_size" = {{ choice = [8, 16] }}
"""


def make_world(folder: Path) -> None:
    """Train, judge and publish what the inputs begin from."""
    (folder / "question.toml").write_text(QUESTION)
    place = folder / "chapters" / "ch04_hindsight"
    place.mkdir(parents=True)
    (place / "chapter.toml").write_text(CHAPTER)
    _store_traces(load_chapter(place))
    runs, chapters = ("--runs-dir", f"{folder}/runs"), ("--chapters", f"{folder}/chapters")
    _must(["experiment", f"{folder}/question.toml", *runs, "--quiet"])
    (folder / "search.toml").write_text(SEARCH)
    for asked in ("question", "search"):
        _must(["launch", f"{folder}/{asked}.toml", "--out", f"{folder}/launched/{asked}", "--quiet"])
    _must(["chapter", "run", "4", "--studies", "--quiet", *runs, *chapters])
    _must(["chapter", "publish", "4", "--anyway", *runs, *chapters])
    for run in sorted((folder / "runs").glob("Fetch*")):
        for form in ("npz", "safetensors"):
            _must(["export", str(run), "--format", form, "--out", f"{folder}/policy.{form}"])
        rows = "".join(json.dumps(encode(WarningRow(i, "mjWARN_INERTIA", 2))) + "\n" for i in (1, 1, 2))
        (run / "warnings.jsonl").write_text(rows)
        shutil.rmtree(run / "tensorboard")
        for state in ("cut", "diverged"):
            shutil.copytree(run, folder / state / run.name)
            (folder / state / run.name / "summary.json").unlink()
        (folder / "diverged" / run.name / "failure.json").write_text(json.dumps(encode(Failure(1, 1, "loss", "why"))))
    _turn(folder / "policy.npz")
    launched = folder / "launched" / "question"
    (launched / "errors").mkdir()
    (launched / "errors" / next((launched / "runs").iterdir()).name).write_text("It could not be done.")
    fuzz_robots.make(folder)
    shutil.copytree(Path(__file__).parent / "old_records", folder / "old")
    shutil.copytree(folder / "old" / OLDER, folder / "older" / OLDER)
    (folder / "older" / OLDER / "summary.json").unlink()
    (folder / "other").mkdir()
    shutil.move(as_seed(run, 7), folder / "other")
    for name in ("chapters", "runs"):
        shutil.copytree(folder / name, folder / "course" / name)
    shutil.copyfile(folder / "question.toml", folder / "course" / "question.toml")
    study = folder / "course" / "runs" / "ch04_hindsight" / "study_learnt" / "study.json"
    study.write_text(json.dumps(_with_stability(json.loads(study.read_text())), indent=2))


def _turn(policy: Path) -> None:
    """Let a policy see its first two numbers turned, in an environment of other bounds than most."""
    with np.load(policy) as file:
        arrays = dict(file)
    header = json.loads(str(arrays["wellposed"]))
    header["fields"][0] |= {"pairs": [[0, 1]], "angle": 0.5}
    header["action_low"][0] = -2.0
    np.savez(policy, **arrays | {"wellposed": np.array(json.dumps(header))})  # type: ignore[arg-type]


def _store_traces(chapter: Chapter) -> None:
    """Made-up traces of all that the chapter names, with every kind of part."""
    parts = (
        "reset/x",
        "steps/x",
        "batch 0/x",
        "batch 1/x",
        "first losses/train/kl",
        "later losses/x",
        "weight norms/x",
    )
    stored, samples = {}, {}
    for name, case in cases(chapter).items():
        of = case if isinstance(case, str) else serialise.to_dict(case)
        samples[name] = {part: np.arange(4, dtype=np.float32) for part in parts}
        stored[name] = traces.StoredTrace(of, traces.digest(samples[name]), None, "a processor")
    traces.store_traces(chapter.folder, stored, samples)


def _with_stability(study: dict[str, Any]) -> dict[str, Any]:
    """The study as if the recipe had been moved, each time with the runs of the recipe itself."""
    trials = study["learnability"]["trials"]
    move = {"setting": "agent.gamma", "factor": 2.0, "changes": {}, "trials": trials}
    edge = {"setting": "agent.gamma", "up": True, "held": 1.0, "breaks": None}
    stability = {"base": trials, "moves": [move], "edges": [edge], "left_out": ["x"], "doublings": 3, "resampled": move}
    return study | {"stability": stability}


def _must(words: list[str]) -> None:
    if cli.main(words):
        raise RuntimeError(f"the world could not be made: {words}")
