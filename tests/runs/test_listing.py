"""Listing runs: what is skipped for speed changes nothing of what is said."""

import json
import math
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.listing import make_runs
from tests.mutations import mutate_bytes, mutate_json
from tests.runs.test_store import CONFIG, EPISODE, EVALUATION, PROVENANCE, SUMMARY, write_run
from wellposed import serialise
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.runs import files
from wellposed.runs.record import EvaluationRow, Failure
from wellposed.runs.store import RunReader, list_runs, short_name
from wellposed.runs.writer import RunWriter

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def listed(folder: Path, capsys) -> dict[str, dict[str, Any]]:
    """What `wellposed runs --json` says of each directory, by its name."""
    assert main(["runs", "--runs-dir", str(folder), "--json"]) == 0
    return {Path(row["run"]).name: row for row in json.loads(capsys.readouterr().out)}


def outcome(read) -> Any:
    """What a reader returns, or the kind of its error; NaN and -0.0 are told apart by their text."""
    try:
        return repr(read())
    except (UserError, ValueError) as error:
        return type(error)


def test_many_runs_are_listed_each_with_its_status_and_its_last_evaluation(tmp_path, capsys):
    record = write_run(tmp_path / "record")
    make_runs(record, tmp_path / "runs", 40)
    rows = listed(tmp_path / "runs", capsys)
    assert sorted(row["config_seed"] for row in rows.values()) == list(range(40))
    assert {row["status"] for row in rows.values()} == {"finished"}
    assert all(row["last"] == serialise.to_dict(EVALUATION) and row["problem"] is None for row in rows.values())
    assert main(["runs", "--runs-dir", str(tmp_path / "runs")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        short_name(reader.config) for reader in list_runs(tmp_path / "runs")
    ]
    assert all(line.endswith("100 % (20-100)") for line in lines[1:])


def test_each_kind_of_end_and_of_damage_is_named(tmp_path, capsys):
    paths = {seed: write_run(tmp_path, CONFIG | {"seed": seed}, finish=seed == 0) for seed in range(6)}
    (paths[1] / "failure.json").write_text("{}")
    (paths[2] / "config.json").write_text((paths[2] / "config.json").read_text().replace("0.95", "0.5"))
    whole = (paths[3] / "evaluations.jsonl").read_bytes()
    (paths[3] / "evaluations.jsonl").write_bytes(whole + b'{"schema": 3}\n')
    (paths[4] / "evaluations.jsonl").write_bytes(whole + whole[:20])
    with RunWriter(tmp_path, CONFIG | {"seed": 6}, PROVENANCE) as running:
        rows = listed(tmp_path, capsys)
    said = [rows[path.name] for path in (*paths.values(), running.path)]
    expected = ["finished", "diverged", "damaged", "interrupted", "interrupted", "interrupted", "running"]
    assert [row["status"] for row in said] == expected
    assert [row["last"] is None for row in said] == [False, False, True, True, False, False, True]
    assert "does not match its own hash" in said[2]["problem"]
    assert "evaluations.jsonl, the last line: Object missing required field" in said[3]["problem"]
    assert [row["problem"] for row in said if row not in said[2:4]] == [None] * 5


def test_below_a_run_nothing_is_looked_for(tmp_path, monkeypatch):
    path, seen, scandir = write_run(tmp_path / "a" / "b"), [], os.scandir
    (path / "checkpoints" / "config.json").write_text("{}")
    monkeypatch.setattr(os, "scandir", lambda folder: seen.append(str(folder)) or scandir(folder))
    assert list_runs(tmp_path) == [RunReader(path)]
    assert seen == [str(folder) for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")]
    assert list_runs(path) == [RunReader(path)]


def test_a_strangers_config_hides_no_run_below_it(tmp_path):
    path = write_run(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "z" / "config.json").mkdir(parents=True)
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert list_runs(tmp_path) == [RunReader(tmp_path), RunReader(path)]


def test_runs_are_sorted_as_paths_are(tmp_path):
    paths = [write_run(tmp_path / name, CONFIG | {"seed": s}) for s in (10, 9) for name in ("b", "a-b", "a", "a/b")]
    assert [reader.path for reader in list_runs(tmp_path)] == sorted(paths)


def test_a_link_to_a_run_goes_by_the_name_of_the_run(tmp_path, monkeypatch):
    path = write_run(tmp_path)
    (tmp_path / "link").symlink_to(path)
    assert RunReader(tmp_path / "link").config == CONFIG
    monkeypatch.chdir(path)
    assert RunReader(Path(".")).config == RunReader(Path("..") / path.name).config == CONFIG
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(UserError, match="edited by hand or moved"):
        _ = RunReader(path).config


@pytest.mark.slow
@given(rows=st.lists(st.text(max_size=40) | st.text("x", min_size=5000, max_size=40_000), max_size=4), torn=st.binary())
def test_the_last_line_is_the_last_that_all_lines_would_give(tmp_path_factory, rows, torn):
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows) + torn.replace(b"\n", b""))
    assert files.read_last_line(path) == (files.read_lines(path) or [None])[-1]


@pytest.mark.parametrize("size", [1, files.TAIL_BYTES - 1, files.TAIL_BYTES, files.TAIL_BYTES + 1])
def test_a_last_line_is_whole_wherever_the_block_that_is_read_begins(tmp_path, size):
    path = tmp_path / "rows.jsonl"
    last = json.dumps("x" * (size - 2)) if size > 1 else "7"
    path.write_text(f'"before"\n{last}\n')
    assert files.read_last_line(path) == json.loads(last)


def test_a_broken_last_line_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a":\n')
    with pytest.raises(UserError, match=r"rows\.jsonl, the last line is not valid JSON"):
        files.read_last_line(path)
    with pytest.raises(UserError, match="no such file"):
        files.read_last_line(tmp_path / "nowhere")


def refuse(text):
    raise ValueError(text)


def finite(text):
    return float(text) if math.isfinite(float(text)) else refuse(text)


@pytest.mark.parametrize("number", ["nan", "-nan", "inf", "1e400", "-1_0e999"])
def test_a_number_that_is_not_finite_is_neither_a_setting_nor_a_record(tmp_path, number):
    (tmp_path / "x.toml").write_text(f"[[criteria]]\nat_least = {number}\n")
    with pytest.raises(UserError, match=f"not valid TOML: {number} is no finite number"):
        files.read_toml(tmp_path / "x.toml")
    of_json = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-1_0e999": "-10e999"}.get(number) or number
    for text in (of_json, f'{{"a": 1, "b": [{of_json}]}}'):
        with pytest.raises(UserError, match=f"{of_json} is no finite number"):
            files.parse_json(text.encode(), "x")


@pytest.mark.slow
@given(JSON, st.booleans(), st.none() | st.integers())
def test_json_reads_as_the_standard_library_reads_it(data, ascii_only, seed):
    raw = json.dumps(data, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    if seed is not None:
        raw = mutate_bytes(raw, random.Random(seed))
    wanted = outcome(lambda: json.loads(raw, parse_constant=refuse, parse_float=finite))
    found = outcome(lambda: files.parse_json(raw, "x"))
    assert found == (UserError if isinstance(wanted, type) else wanted)


@given(JSON)
def test_json_is_written_as_the_standard_library_writes_it(data):
    wanted = outcome(lambda: json.dumps(data, indent=2, allow_nan=False))
    assert outcome(lambda: files.format_json(data)) == wanted


def test_a_plain_file_is_the_only_thing_that_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("pipe", tmp_path / "link")
    for name in ("pipe", ".", "link", "pipe/x", "nowhere", "\0", "\ud800"):
        with pytest.raises(UserError, match=r"there is no such file|it is not a regular file"):
            files.read_bytes(tmp_path / name, 100)


def test_the_short_way_of_the_strict_check_accepts_what_the_long_way_does(monkeypatch):
    row = serialise.to_dict(EVALUATION)
    rng = random.Random(0)
    odd = [mutate_json(row, rng) for _ in range(3000)]
    odd += [row | {"seconds": 1}, row | {"seconds": float("nan")}, row | {"seconds": float("-inf")}]
    odd += [row | {"success_by_kind": {"\ud800": row["any_success"]}}, row | {"success_by_kind": {"": {"value": 1.0}}}]
    read = lambda data: serialise.from_dict(EvaluationRow, data, "x")  # noqa: E731
    short = [outcome(lambda data=data: read(data)) for data in odd]
    monkeypatch.setattr(serialise, "_writes", lambda *_: False)
    assert short == [outcome(lambda data=data: read(data)) for data in odd]
    assert 50 < sum(found is not ValueError for found in short) < 2000
    assert [found is ValueError for found in short[-5:]] == [False, True, True, False, True]


def test_the_short_way_is_the_one_that_records_take(monkeypatch):
    monkeypatch.setattr(serialise, "_check_keys", lambda *_: pytest.fail("the long way"))
    for record in (EVALUATION, EPISODE, SUMMARY, Failure(1, 2, "loss", "é")):
        assert serialise.from_dict(type(record), serialise.to_dict(record), "x") == record


def test_the_short_way_is_closed_where_a_default_could_stand_in_for_a_missing_key():
    """Reading leaves such a field to the class, so that writing it again would not show it either."""

    @dataclass(frozen=True)
    class Inner:
        number: int = 3

    @dataclass(frozen=True)
    class Outer:
        inner: dict[str, list[Inner | None]]

    for data in ({"inner": {"a": [{}]}}, {"inner": {"a": [None, {"number": 3}], "b": [{}]}}):
        with pytest.raises(ValueError, match="missing key number"):
            serialise.from_dict(Outer, data, "x")
