"""The table of runs fits 80 columns and says what differs; rows come as CSV and as Parquet."""

import csv
import io
import json
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.runs.test_store import CONFIG, EVALUATION, write_run
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.runs.listing import WIDTH, Order, chosen, listing, table
from wellposed.runs.store import RunReader, find_run, list_runs, short_name
from wellposed.runs.tables import as_csv, rows_of, write_table

LONG = CONFIG | {"env": "FetchPickAndPlaceDenseWithAnEvenLongerName-v4"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three runs of one environment that differ in gamma, and one of another."""
    for seed, gamma in ((0, 0.95), (1, 0.95), (0, 0.9)):
        write_run(tmp_path, CONFIG | {"seed": seed, "gamma": gamma})
    write_run(tmp_path, LONG)
    return tmp_path


def rows(folder: Path, *words: str, where: tuple[str, ...] = (), sort: Order = "path", reverse=False):
    return chosen(listing(list_runs(folder)), words, where, sort, reverse)


def test_runs_of_one_environment_tell_in_what_they_differ(folder):
    found = rows(folder)
    assert sorted(row.differs["gamma"] for row in found if row.differs) == [0.9, 0.95, 0.95]
    assert [row.env for row in found if row.differs == {}] == [LONG["env"]]
    assert all(row.last == EVALUATION and row.steps == EVALUATION.step for row in found)


def test_the_table_fits_and_holds_every_name(folder):
    lines = table(rows(folder))
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].split() == ["name", "began", "environment", "algo", "steps", "s", "success"]
    for reader in list_runs(folder):
        assert any(line.startswith(short_name(reader.config)) for line in lines)
    assert sum("100 % (20-100)" in line for line in lines) == 4
    assert "  gamma=0.9" in lines


def test_words_conditions_and_order_choose(folder):
    assert len(rows(folder, "reach")) == 3
    assert len(rows(folder, "reach", "FINISHED")) == 3
    assert [row.config_seed for row in rows(folder, where=("gamma=0.95",))] == [0, 1]
    assert rows(folder, sort="env")[0].env == LONG["env"]
    assert rows(folder, sort="env", reverse=True)[-1].env == LONG["env"]
    assert rows(folder, "nothing") == []
    with pytest.raises(UserError, match="did you mean 'gamma'"):
        rows(folder, where=("gama=0.95",))
    with pytest.raises(UserError, match="SETTING=VALUE"):
        rows(folder, where=("gamma",))


def test_a_damaged_run_is_listed_with_what_is_wrong(folder):
    path = list_runs(folder)[0].path
    (path / "config.json").write_text("{")
    (line,) = [line for line in table(rows(folder)) if str(path) in line]
    assert "is not valid JSON" in line


def test_a_short_name_finds_its_run_and_none_of_two(folder, tmp_path):
    for reader in list_runs(folder):
        name = short_name(reader.config)
        assert find_run(name, folder) == reader.path == find_run(reader.path.name, folder)
        assert find_run(str(reader.path), tmp_path / "elsewhere") == reader.path
    assert find_run("0000000_s0", folder) == Path("0000000_s0")
    write_run(folder / "again", LONG)
    with pytest.raises(UserError, match="names 2 runs"):
        find_run(short_name(LONG), folder)


@pytest.mark.parametrize("kind", ["metrics", "evaluations", "episodes", "warnings"])
def test_every_row_is_a_line_of_csv(run, kind):
    found = rows_of(RunReader(run), kind)
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert len(lines) == len((run / f"{kind}.jsonl").read_text().splitlines())
    for line, row in zip(lines, found, strict=True):
        assert {name: str(value) for name, value in row.items() if value is not None}.items() <= line.items()


def test_an_interval_is_two_columns(run):
    (row, *_) = rows_of(RunReader(run), "evaluations")
    evaluation = RunReader(run).evaluations[0]
    assert (row["success_ci95.low"], row["success_ci95.high"]) == evaluation.success_ci95
    assert row["means.episode_return.value"] == evaluation.means["episode_return"].value


def test_parquet_holds_the_same(run, tmp_path, capsys):
    assert main(["rows", str(run), "--kind", "evaluations", "--out", str(tmp_path / "rows.parquet")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "rows.parquet")
    names = {name for row in rows_of(RunReader(run), "evaluations") for name in row}
    expected = [{name: row.get(name) for name in names} for row in rows_of(RunReader(run), "evaluations")]
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist() == expected


def test_without_pyarrow_and_with_another_ending_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match="Parquet needs pyarrow"):
        write_table([], tmp_path / "rows.parquet")
    with pytest.raises(UserError, match=r"ends with \.csv or \.parquet"):
        write_table([], tmp_path / "rows.xls")


def test_the_command_prints_what_the_table_says(folder, capsys):
    assert main(["runs", "reach", "--where", "gamma=0.9", "--runs-dir", str(folder)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["runs", "--runs-dir", str(folder), "--sort", "success", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4
    assert main(["runs", "nothing", "--runs-dir", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("No runs of that kind below")
