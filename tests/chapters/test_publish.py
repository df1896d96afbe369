"""A published chapter says the same as the runs it was made of, and knows what the code did that made them."""

import json
import re
from dataclasses import replace

import pytest

from course.chapters import facts, publish, records, traces
from course.chapters.gather import Runs, gather
from course.chapters.results import Results, VariantResult, format_rows
from tests.chapters.tiny import TOML, load, made_up, store_traces, write_chapter
from wellposed.cli import main
from wellposed.config import override
from wellposed.errors import UserError
from wellposed.launch import manifest
from wellposed.runs.record import Resumption


@pytest.fixture
def clean(monkeypatch):
    """As if the run had been made at a commit at which all code was what it is."""
    monkeypatch.setattr(publish, "_unsound", lambda *_: iter(()))


@pytest.mark.slow
@pytest.mark.usefixtures("clean")
def test_records_hold_what_was_gathered_and_give_the_same_facts(chapter, runs):
    store_traces(chapter)
    found, path = publish.publish(chapter, Runs(runs), anyway=False)
    again = records.load_records(chapter.folder)
    gathered = gather(chapter, Runs(runs)).results
    assert again == found
    assert again.results == gathered
    assert path.stat().st_size < 10_000
    for text in ("width.narrow 0.5.success", 'width."narrow 0.5".end_steps.max', "width.narrow 0.5.seconds"):
        assert facts.fact(chapter, again.results, text) == facts.fact(chapter, gathered, text)
    assert records.stale(chapter, again) == []


@pytest.mark.usefixtures("clean")
def test_the_first_run_of_a_video_is_filmed(tmp_path, runs, run, monkeypatch):
    filmed = []
    monkeypatch.setattr(publish, "film", lambda *which: filmed.append(which))
    chapter = load(tmp_path, TOML + "\n[videos]\nreached = 'width.\"narrow 0.5\"'\n")
    store_traces(chapter)
    publish.publish(chapter, Runs(runs), anyway=False)
    assert filmed == [(run, chapter.folder / "reached.mp4")]


@pytest.mark.usefixtures("clean")
def test_videos_are_made_again_of_runs_that_did_what_was_published(tmp_path, runs, run, monkeypatch, capsys):
    filmed = []
    monkeypatch.setattr(publish, "film", lambda *which: filmed.append(which))
    monkeypatch.setattr(publish, "film_chance", lambda *which: filmed.append(which))
    videos = "\n[videos]\nreached = 'width.\"narrow 0.5\"'\nchance = 'FetchReach-v4'\n"
    chapter = load(tmp_path, TOML + videos)
    store_traces(chapter)
    publish.publish(chapter, Runs(runs), anyway=False)
    again = ["chapter", "films", "4", "--chapters", str(chapter.folder.parent), "--runs-dir", str(runs)]
    assert main(again) == 0
    assert filmed == 2 * [(run, chapter.video("reached")), ("FetchReach-v4", chapter.video("chance"))]
    assert capsys.readouterr().out == f"{chapter.video('reached')}\n{chapter.video('chance')}\n"
    text = (chapter.folder / "records.json").read_text()
    (chapter.folder / "records.json").write_text(re.sub(r'"success": \[(\d)', r'"success": [1\1', text))
    assert main(again) == 1
    assert "did something else than the run of the records" in capsys.readouterr().err


@pytest.mark.usefixtures("clean")
def test_a_video_that_cannot_be_made_is_said_and_published_only_anyway(tmp_path, runs):
    chapter = load(
        tmp_path, TOML.replace('seeds = "0"', 'seeds = "3"') + "\n[videos]\nreached = 'width.\"narrow 0.5\"'\n"
    )
    store_traces(chapter)
    found, _ = publish.publish(chapter, Runs(runs), anyway=True)
    assert any(one.startswith("The video reached of width") for one in found.failing)
    assert not chapter.video("reached").exists()


@pytest.mark.usefixtures("clean")
def test_every_command_is_published_as_a_reader_would_type_it(chapter, runs, monkeypatch):
    ran = ["cli.py", "chapter", "run", "4", "--runs-dir", "/tmp/mine"]
    resumed = Resumption(1, "", ran, None, None, {}, "", "")
    origin = replace(publish.here(threads=1), command=ran, resumed=[resumed])
    found = gather(chapter, Runs(runs))
    for variants in found.results.experiments.values():
        for name, variant in variants.items():
            variants[name] = replace(variant, runs=[replace(run, command=" ".join(ran)) for run in variant.runs])
    monkeypatch.setattr(publish, "gather", lambda *_: found)
    monkeypatch.setattr(publish, "here", lambda **_: origin)
    published, path = publish.publish(chapter, Runs(runs), anyway=True)
    assert published.published.command == published.published.resumed[0].command == ["wellposed", "chapter", "run", "4"]
    commands = re.findall('"command": (.*)', path.read_text())
    line = '"wellposed chapter run 4",'
    assert commands.count(line) == sum(len(v.runs) for e in found.results.experiments.values() for v in e.values()) > 0
    assert "/tmp/mine" not in path.read_text()


@pytest.mark.usefixtures("clean")
def test_what_fails_is_not_published_unless_it_is_said(tmp_path, runs, capsys):
    where = ["--chapters", str(write_chapter(tmp_path, TOML.replace("at_least = 0.0", "at_least = 1.0")).parent)]
    where += ["--runs-dir", str(runs)]
    assert main(["chapter", "publish", "4", *where]) == 1
    assert "Chapter 4 is not published." in capsys.readouterr().err
    assert not (tmp_path / "chapters" / "ch04_hindsight" / "records.json").exists()
    assert main(["chapter", "publish", "4", *where, "--anyway"]) == 0
    (failing,) = records.load_records(tmp_path / "chapters" / "ch04_hindsight").failing
    assert failing.startswith("Something is known. ")
    assert failing.endswith("not at least 100.0 %.")


def test_results_of_unknown_code_are_not_published(chapter, monkeypatch):
    run = made_up(0)
    variants = {"narrow 0.5": VariantResult({}, [replace(run, dirty=True), replace(run, commit=None), run])}
    results = Results({"width": variants}, {}, {})

    def unsound() -> list[str]:
        return list(publish._unsound(chapter, results, traces.current_traces(chapter)))

    assert unsound()[0] == "There is no trace of width.narrow 0.5; `wellposed chapter traces 4 --write` records it."
    [digest] = store_traces(chapter).values()
    monkeypatch.setattr(publish, "traces_at", lambda *_: {"another"})
    assert unsound() == [
        "1 results were made outside a git checkout, so that nobody knows by what code.",
        "1 results were made with uncommitted changes, so that nobody knows by what code.",
        "The trace of width.narrow 0.5 is not one that was stored at abc, with which results were made.",
    ]
    monkeypatch.setattr(publish, "traces_at", lambda *_: {"another", digest})
    variants["narrow 0.5"].runs[:2] = []
    assert unsound() == []


@pytest.mark.usefixtures("clean")
def test_facts_older_than_behaviour_or_question_are_noticed(chapter, runs, tmp_path):
    store_traces(chapter)
    found, _ = publish.publish(chapter, Runs(runs), anyway=False)
    assert records.stale(chapter, found) == []
    store_traces(chapter, content=1.0)
    (sentence,) = records.stale(chapter, found)
    assert sentence.startswith("What width.narrow 0.5 does has changed since chapter 4 was published")
    (chapter.folder / traces.FILE).unlink()
    (sentence,) = records.stale(chapter, found)
    assert "There is no trace of width.narrow 0.5" in sentence
    store_traces(chapter)
    for old, new in (('seeds = "0"', 'seeds = "0-1"'), ("total_steps = 160", "total_steps = 320")):
        (sentence,) = records.stale(load(tmp_path, TOML.replace(old, new)), found)
        assert "width.narrow 0.5 was published with other settings or seeds" in sentence


@pytest.mark.usefixtures("clean")
def test_a_changed_default_makes_facts_stale(chapter, runs, tmp_path, monkeypatch):
    store_traces(chapter)
    found, _ = publish.publish(chapter, Runs(runs), anyway=False)
    recipe = manifest.default_config
    monkeypatch.setattr(manifest, "default_config", lambda *a, **b: override(recipe(*a, **b), {"agent.gamma": 0.9}))
    told = records.stale(load(tmp_path), found)
    assert any("width.narrow 0.5 was published with other settings" in sentence for sentence in told)


@pytest.mark.usefixtures("clean")
def test_the_list_says_what_is_published(tmp_path, runs, capsys):
    where = ["chapter", "list", "--chapters", str(write_chapter(tmp_path).parent)]
    assert records.edition(load(tmp_path)) == "not published"
    store_traces(load(tmp_path))
    publish.publish(load(tmp_path, TOML.replace("at_least = 0.0", "at_least = 1.0")), Runs(runs), anyway=True)
    write_chapter(tmp_path)
    assert main(where) == 0
    assert re.search(r"; published at \w{7} although 1 thing did not hold\)\n", capsys.readouterr().out)
    write_chapter(tmp_path, TOML.replace('seeds = "0"', 'seeds = "0-1"'))
    assert main(where) == 0
    assert ", older than its questions or than what the code does)\n" in capsys.readouterr().out
    (tmp_path / "chapters" / "ch04_hindsight" / "records.json").write_text("{}")
    assert main(where) == 1
    assert " 4  broken: " in capsys.readouterr().out


@pytest.mark.usefixtures("clean")
def test_records_edited_by_hand_are_refused(chapter, runs):
    with pytest.raises(UserError, match="was not published"):
        records.load_records(chapter.folder)
    _, path = publish.publish(chapter, Runs(runs), anyway=False)
    text = path.read_text()
    head, found, tail = text.partition('"seed": 0')
    path.write_text(f'{head}"seed": "no"{tail}')
    line = head.count("\n") + 1
    with pytest.raises(UserError, match=f"records.json, line {line}: Expected `int`, got `str`"):
        records.load_records(chapter.folder)
    path.write_text(text.replace('"failing"', '"failling"', 1))
    with pytest.raises(UserError, match=r"records.json, line \d+: .*failing"):
        records.load_records(chapter.folder)


def test_rows_are_json_with_a_line_for_each_part():
    data = {"a": [1, 2.5, None], "b": {"c": "ü", "d": {}}, "e": [[1], [2]], "f": [{"g": 1}]}
    text = format_rows(data)
    assert json.loads(text) == data
    assert '"a": [1, 2.5, null]' in text
    assert len(text.splitlines()) == 16
    with pytest.raises(ValueError):
        format_rows({"a": float("nan")})
