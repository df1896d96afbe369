"""The code does what the published facts rest on; a change of behaviour is seen, and makes facts stale."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course.chapters import publish, records, trace, traces
from course.chapters.load import chapter_folders, load_chapter
from tests.chapters.tiny import load
from wellposed.agents import ppo, sac, td3
from wellposed.data import hindsight, rollout
from wellposed.errors import UserError
from wellposed.repository import ROOT
from wellposed.serialise import flatten

FOLDERS = chapter_folders(ROOT / "chapters")
PUBLISHED = [folder for folder in FOLDERS.values() if (folder / records.FILE).exists()]
CASES = [(folder, name) for folder in PUBLISHED for name in traces.load_traces(folder)[0].traces]
pytestmark = pytest.mark.usefixtures("optimised")
TRACE = {
    "steps/reward": np.linspace(-1, 0, 34),
    "batch 0/reward": np.zeros(800),
    "losses/train/critic_loss": np.linspace(1, 2, 100),
    "weights at 1600/learner.nets.actor.biases[0]": np.array([3.0, 4.0]),
}


@pytest.fixture(autouse=True)
def updates_are_let_go(request) -> Iterator[None]:
    """Each of many configurations compiles updates of its own."""
    yield
    if request.node.get_closest_marker("slow"):
        compile_anew()


def compile_anew() -> None:
    for algorithm in (ppo, sac, td3):
        algorithm.update.clear_cache()


def settings(of: dict[str, Any], usual: dict[str, Any]) -> set[tuple[str, Any]]:
    """The settings of a configuration: each word as it is, each number by whether it is the usual one."""
    words = (bool, str, type(None))
    return {(k, v if isinstance(v, words) else v == usual[k]) for k, v in flatten(of).items()}


def covering(of: list[dict[str, Any]]) -> set[int]:
    """A few configurations, by index, so that each setting that any has is in one of them."""
    values: dict[str, list[Any]] = {}
    for one in of:
        for name, value in flatten(one).items():
            values.setdefault(name, []).append(value)
    usual = {name: max(seen, key=seen.count) for name, seen in values.items()}
    sets = [settings(one, usual) for one in of]
    chosen, left = set(), set().union(*sets)
    while left:
        best = max(range(len(of)), key=lambda i: len(sets[i] & left))
        chosen.add(best)
        left -= sets[best]
    return chosen


def of_case(folder: Path, name: str) -> dict[str, Any] | str:
    """The configuration of a case, or its environment."""
    return traces.load_traces(folder)[0].traces[name].of


QUICK = [case for case in CASES if isinstance(of_case(*case), str)]  # an environment alone: a second of work
TRAINED = [case for case in CASES if case not in QUICK]
COVERING = covering([of for case in TRAINED if isinstance(of := of_case(*case), dict)])


def wrong(folder: Path, name: str) -> str | None:
    """How what is recorded now differs from the stored trace of a case."""
    known, samples = traces.load_traces(folder)
    return traces.difference(
        samples[name], traces.sample(trace.record(trace.cases(load_chapter(folder))[name])), known.tolerances
    )


@pytest.mark.parametrize(
    ("folder", "name"),
    [pytest.param(*case, id=f"{case[0].name[:4]}.{case[1]}") for case in QUICK]
    + [
        pytest.param(*TRAINED[i], id=f"{TRAINED[i][0].name[:4]}.{TRAINED[i][1]}", marks=pytest.mark.slow)
        for i in sorted(COVERING)
    ],
)
def test_the_code_does_what_published_facts_rest_on(folder, name):
    """Of configurations a third, in which every setting occurs; `wellposed chapter traces` holds all against theirs."""
    assert wrong(folder, name) is None


def test_a_few_configurations_hold_every_setting():
    plain, other = {"a": 1, "b": {"c": "x"}}, {"a": 2, "b": {"c": "x"}}
    assert covering([plain, plain, other, plain]) == {0, 2}
    assert covering([plain, {"a": 1, "b": {"c": "y"}}, {"a": 2, "b": {"c": "y"}}, plain]) == {0, 2}


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=lambda folder: folder.name)
def test_every_chapter_is_published_with_the_traces_that_are_stored(folder):
    chapter = load_chapter(folder)
    if chapter.in_work:
        assert not (folder / records.FILE).exists(), "it is published: take in_work out of its chapter.toml"
        return
    assert records.stale(chapter, records.load_records(folder)) == []
    assert traces.load_traces(folder)[0].traces.keys() == trace.cases(chapter).keys()


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=lambda folder: folder.name)
def test_the_stored_traces_of_a_chapter_are_small(folder):
    files = [folder / file for file in (traces.FILE, traces.SAMPLES)]
    assert sum(file.stat().st_size for file in files if file.exists()) < 6e5


@pytest.mark.slow
def test_another_strategy_of_hindsight_differs_from_the_stored_trace(monkeypatch):
    monkeypatch.setitem(hindsight.STRATEGIES._entries, "future", hindsight.STRATEGIES["episode"])
    assert "batch 0/desired_goal differs" in str(wrong(FOLDERS[4], "relabelling.future"))


@pytest.mark.slow
def test_another_discount_in_the_loss_differs_from_the_stored_trace(monkeypatch):
    bellman = sac.bellman
    monkeypatch.setattr(sac, "bellman", lambda r, end, value, _: bellman(r, end, value, 0.94))
    compile_anew()
    assert "first losses/train/" in str(wrong(FOLDERS[4], "relabelling.future"))
    compile_anew()


@pytest.mark.slow
def test_other_advantages_or_rewards_of_ppo_differ_from_the_stored_trace(monkeypatch):
    gae = rollout.gae
    monkeypatch.setattr(rollout, "gae", lambda *given: gae(*given[:-1], 0.94))  # type: ignore[call-arg]
    assert "steps/reward differs" in str(wrong(FOLDERS[2], "recipe.ppo"))
    monkeypatch.setattr(rollout, "gae", lambda reward, *given: gae(1.01 * reward, *given))
    assert "steps/reward differs" in str(wrong(FOLDERS[2], "recipe.ppo"))


@pytest.mark.slow
def test_another_clipping_of_ppo_differs_from_the_stored_trace(monkeypatch):
    """Seen in what the second rollout was given, although rounding has moved it by then."""
    clipped = ppo.clipped_objective
    monkeypatch.setattr(ppo, "clipped_objective", lambda ratio, advantage, _: clipped(ratio, advantage, 0.21))
    compile_anew()
    assert "steps/reward differs" in str(wrong(FOLDERS[2], "recipe.ppo"))
    compile_anew()


def test_a_trace_that_differs_makes_its_chapter_stale_when_it_is_stored(tmp_path, monkeypatch):
    chapter, today = load(tmp_path), dict(TRACE)
    monkeypatch.setattr(traces, "record", lambda _: today)
    assert list(traces.check(chapter)) == [("width.narrow 0.5", "There is no stored trace.")]
    assert traces.current_traces(chapter) == {"width.narrow 0.5": None}
    list(traces.check(chapter, write=True))
    first = traces.current_traces(chapter)["width.narrow 0.5"]
    assert first is not None

    today["steps/reward"] = TRACE["steps/reward"] * (1 + 1e-6)  # another machine
    assert list(traces.check(chapter, write=True)) == [("width.narrow 0.5", None)]
    assert traces.current_traces(chapter)["width.narrow 0.5"] == first, "what does not differ stays as it was recorded"

    today["steps/reward"] = TRACE["steps/reward"] * (1 + 1e-3)
    [(_, told)] = traces.check(chapter)
    assert told == "steps/reward differs by 0.0013 of its size, where 1e-05 is allowed."
    assert traces.current_traces(chapter)["width.narrow 0.5"] == first
    list(traces.check(chapter, write=True))
    then = replace(records.load_records(FOLDERS[0]), traces={"width.narrow 0.5": first.digest})
    assert any("What width.narrow 0.5 does has changed" in sentence for sentence in records.stale(chapter, then))


def test_each_part_of_a_trace_is_compared_with_its_own_tolerance():
    stored = traces.sample(TRACE)
    assert set(stored) == {
        "steps/reward", "batch 0/reward", "first losses/train/critic_loss", "later losses/train/critic_loss",
        "weight norms/weights at 1600",
    }  # fmt: skip
    assert stored["weight norms/weights at 1600"].item() == 5.0
    for name, array in stored.items():
        tolerance = traces.TOLERANCES[name.partition("/")[0].removesuffix(" 0")]
        for factor in (0.5, 2.0):
            other = stored | {name: array * (1 + factor * tolerance) if array.any() else array + factor * 1e-17}
            told = traces.difference(stored, other, traces.TOLERANCES)
            assert (told is None) == (factor < 1), name
    assert "is not there any more" in str(traces.difference(stored, {}, traces.TOLERANCES))
    nan = {name: array * np.nan for name, array in stored.items()}
    assert "differs by nan" in str(traces.difference(stored, nan, traces.TOLERANCES))


def test_two_traces_are_compared_bit_for_bit():
    one = {"steps/a": np.array([0.0, 1.0]), "losses/b": np.array([np.nan, 2.0])}
    assert trace.first_difference(one, {name: array.copy() for name, array in one.items()}) is None
    assert trace.first_difference(one, one | {"metrics/new": np.zeros(1)}) is None
    other = one | {"losses/b": np.array([np.nan, np.nextafter(2.0, 3.0)])}
    assert str(trace.first_difference(one, other)).startswith("losses/b differs, first in place 1 of 2: 2.0 and 2.0")
    assert trace.first_difference(one, {"steps/a": one["steps/a"]}) == "only one of them has losses/b"
    assert "float64[2] in one and float32[2]" in str(
        trace.first_difference(one, one | {"steps/a": np.array([0, 1], np.float32)})
    )
    assert "differs" in str(trace.first_difference(one, one | {"steps/a": np.array([-0.0, 1.0])}))


def test_traces_that_were_edited_by_hand_are_refused(tmp_path, monkeypatch):
    chapter = load(tmp_path)
    monkeypatch.setattr(traces, "record", lambda _: TRACE)
    list(traces.check(chapter, write=True))
    file = chapter.folder / traces.FILE
    text, digest = file.read_text(), traces.current_traces(chapter)["width.narrow 0.5"].digest  # type: ignore[union-attr]
    file.write_text(text.replace(digest, "0" * 16))
    with pytest.raises(UserError, match=r"the samples of width\.narrow 0\.5 are not those that were recorded"):
        traces.load_traces(chapter.folder)
    file.write_text(text.replace('"batch": ', '"bath": '))
    with pytest.raises(UserError, match="has no tolerance of 'batch'"):
        list(traces.check(chapter))


def test_tolerances_that_a_chapter_states_stay_when_its_traces_are_written_again(tmp_path, monkeypatch):
    chapter = load(tmp_path)
    monkeypatch.setattr(traces, "record", lambda _: TRACE)
    traces.store_traces(chapter.folder, {}, {}, own := traces.TOLERANCES | {"steps": 1e-3})
    list(traces.check(chapter, write=True))
    found = traces.load_traces(chapter.folder)[0]
    assert found.tolerances == own
    assert len(found.traces) == 1


def test_samples_that_are_not_packed_are_read_and_packed_when_written(tmp_path, monkeypatch):
    """As chapters stored them before."""
    chapter = load(tmp_path)
    monkeypatch.setattr(traces, "record", lambda _: TRACE)
    list(traces.check(chapter, write=True))
    stored, packed = traces.load_traces(chapter.folder), chapter.folder / traces.SAMPLES
    former = chapter.folder / traces.FORMER_SAMPLES
    former.write_bytes(traces.unpacked(packed.read_bytes()))
    packed.unlink()
    assert traces.load_traces(chapter.folder)[0] == stored[0]
    assert list(traces.check(chapter, write=True)) == [("width.narrow 0.5", None)]
    assert packed.exists()
    assert not former.exists()


def test_the_traces_of_an_earlier_commit(tmp_path, monkeypatch):
    def git(*args: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *args]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    chapter = load(tmp_path)
    monkeypatch.setattr(traces, "record", lambda _: TRACE)
    list(traces.check(chapter, write=True))
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD").strip()
    stored = traces.current_traces(chapter)["width.narrow 0.5"]
    (chapter.folder / traces.FILE).unlink()
    assert stored is not None
    assert publish.traces_at(chapter.folder, commit) == {stored.digest}
    assert publish.traces_at(chapter.folder, "0" * 40) == set()
    (chapter.folder / traces.FILE).write_text('{"traces": [1]}')
    git("commit", "-qam", "two")
    assert traces.traces_at(chapter.folder, git("rev-parse", "HEAD").strip()) == set()


@pytest.mark.parametrize("commit", ["--output=evil", "HEAD", "-", "", "0123456 --help", "abc\n"])
def test_what_is_no_commit_is_not_handed_to_git(tmp_path, monkeypatch, commit):
    """It comes from a stranger's record, and git has options that write files."""
    monkeypatch.setattr(subprocess, "run", lambda words, **_: pytest.fail(f"{words}"))
    assert traces.traces_at(tmp_path, commit) == set()
