"""The folder of a launch, the states of its rows, and what is said of them; nothing is trained here."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.test_resume import TINY
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.launch import local, overview
from wellposed.launch.overview import Seen
from wellposed.launch.rows import Folder, Row, is_copy, keep_copy, make_folder, row_of
from wellposed.launch.states import state_of, states
from wellposed.memory import Free, Room
from wellposed.runs import lock
from wellposed.runs.checkpoint import LINES
from wellposed.runs.record import SCHEMA, Failure, encode
from wellposed.runs.store import run_name
from wellposed.serialise import content_hash

ROWS = [row_of(label, replace(TINY, seed=seed)) for label in ("a",) for seed in range(3)]


def test_a_row_is_named_as_its_run_directory():
    assert [row.name for row in ROWS] == [run_name(row.config) for row in ROWS]
    assert len({row.name for row in ROWS}) == 3


def test_a_folder_keeps_its_rows_and_takes_more_of_them(tmp_path):
    folder = make_folder(tmp_path / "new" / "one", ROWS[:2], ["wellposed", "launch"])
    assert (folder.rows, folder.command, folder.runs) == (ROWS[:2], ["wellposed", "launch"], folder.path / "runs")
    assert make_folder(folder.path, ROWS, ["another"]).rows == ROWS  # an index stays what it was
    with pytest.raises(UserError, match=r"holds 1 rows that are not asked for any more.*_s0\. Name another --out"):
        make_folder(folder.path, ROWS[1:], [])
    with pytest.raises(UserError, match="asked for twice"):
        make_folder(tmp_path / "two", [ROWS[0], ROWS[0]], [])
    assert folder.row(2) == ROWS[2]
    with pytest.raises(UserError, match="has 3 rows, and none of index 3"):
        folder.row(3)
    with pytest.raises(UserError, match="not the folder of a launch"):
        _ = Folder(tmp_path).rows


def test_a_row_that_was_written_in_part_is_written_again(tmp_path):
    folder = make_folder(tmp_path, ROWS, [])
    path = tmp_path / "rows.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    assert folder.rows == ROWS[:2]
    assert make_folder(tmp_path, ROWS, []).rows == ROWS


def _with_row(**changed: object) -> str:
    row = {"name": ROWS[0].name, "label": "a", "config": ROWS[0].config}
    return json.dumps(row | changed) + "\n"


DAMAGED_FOLDERS = [
    ("rows.jsonl", _with_row(name="../../elsewhere"), "'../../elsewhere' is not the name of its configuration"),
    ("rows.jsonl", _with_row(name=ROWS[1].name), "is not the name of its configuration"),
    ("rows.jsonl", _with_row(config=ROWS[0].config | {"total_steps": "many"}), "Expected `int`, got `str`"),
    ("rows.jsonl", _with_row(config={"total_steps": 1}), "is not the name of its configuration"),
    ("rows.jsonl", "[" * 10**5 + "\n", "is damaged"),
    ("launch.json", "[]", "edited by hand or is damaged"),
    ("launch.json", '{"command": []}', "edited by hand or is damaged"),
    ("launch.json", '{"command": [], "runs": ["a"]}', "edited by hand or is damaged"),
    ("launch.json", '{"command": [1], "runs": "runs"}', "edited by hand or is damaged"),
]
ONLY_IN_STATUS = [  # which has readers of its own for these, because it must be quick
    ("errors/x", "pipe", "it is not a regular file"),
    (f"runs/{ROWS[0].name}/evaluations.jsonl", '{"step": 1}\n', "evaluations.jsonl is damaged"),
    (f"runs/{ROWS[0].name}/provenance.json", '{"threads": "all"}', "provenance.json is damaged"),
    (f"runs/{ROWS[0].name}/provenance.json", '{"\\ud800": 1}', "provenance.json is damaged: it holds half a character"),
]


@pytest.mark.parametrize(
    ("command", "file", "content", "message"),
    [(command, *case) for command in ("status", "collect") for case in DAMAGED_FOLDERS]
    + [("status", *case) for case in ONLY_IN_STATUS],
)
def test_a_folder_that_a_stranger_hands_on_is_refused_where_it_is_no_launch(
    tmp_path, capsys, command, file, content, message
):
    folder = make_folder(tmp_path / "launch", ROWS, [])
    run = folder.runs / ROWS[0].name
    run.mkdir(parents=True)
    for name, data in (("config.json", {"schema": 5, "config": ROWS[0].config}), ("provenance.json", {"threads": 1})):
        (run / name).write_text(json.dumps(data))
    (path := folder.path / file).parent.mkdir(exist_ok=True)
    os.mkfifo(path) if content == "pipe" else path.write_text(content)
    assert main([command, str(folder.path)]) == 1
    assert message in capsys.readouterr().err


def test_a_launch_does_not_train_where_a_strangers_folder_says(tmp_path):
    folder = make_folder(tmp_path / "launch", ROWS, [], tmp_path / "elsewhere")
    assert make_folder(folder.path, ROWS, [], tmp_path / "elsewhere").runs == tmp_path / "elsewhere"
    with pytest.raises(UserError, match=r"has its runs in .*elsewhere, not in .*runs\. Name another --out"):
        make_folder(folder.path, ROWS, [])


def test_a_copy_of_the_manifest_says_that_its_rows_are_there(tmp_path):
    manifest = tmp_path / "manifest"
    manifest.write_text("one")
    folder = make_folder(tmp_path / "folder", ROWS, [])
    assert not is_copy(folder, manifest)
    keep_copy(folder, manifest)
    assert is_copy(folder, manifest)
    manifest.write_text("two")
    assert not is_copy(folder, manifest)


def test_why_a_row_could_not_be_done_is_kept_until_it_is_taken_up_again(tmp_path):
    folder = make_folder(tmp_path, ROWS, [])
    folder.note_error(ROWS[0], "no such file")
    assert folder.errors == {ROWS[0].name: "no such file"}
    folder.note_error(ROWS[0], "")
    folder.note_error(ROWS[1], "")
    assert folder.errors == {}


@pytest.mark.parametrize("sentence", ["no such file", ""])
def test_no_error_is_kept_or_removed_behind_a_link(tmp_path, sentence):
    folder, outside = make_folder(tmp_path / "folder", ROWS, []), tmp_path / "outside"
    outside.mkdir()
    (outside / ROWS[0].name).write_text("precious")
    (folder.path / "errors").symlink_to(outside)
    with pytest.raises(UserError, match="errors is a link"):
        folder.note_error(ROWS[0], sentence)
    assert (outside / ROWS[0].name).read_text() == "precious"


def begun(runs: Path, row: Row, threads: int = 2) -> Path:
    path = runs / row.name
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "provenance.json").write_text(json.dumps({"threads": threads}))
    (path / "evaluations.jsonl").write_text('{"step": 300, "seconds": 7.0, "success_rate": 0.25}\n')
    (path / "lock").touch()
    return path


def end(path: Path, seconds: float) -> None:
    (path / "summary.json").write_text(json.dumps({"seconds": seconds, "evaluation_seconds": 1.0}))


def test_states_are_read_from_the_run_directories(tmp_path):
    rows = [row_of("", replace(TINY, seed=seed)) for seed in range(5)]
    paths = [begun(tmp_path, row) for row in rows[:4]]
    end(paths[0], 2.0)
    (paths[1] / "failure.json").write_text("{}")
    held = lock.acquire(paths[2] / "lock")
    assert states(tmp_path, rows) == ["finished", "failed", "running", "interrupted", "waiting"]
    held.release()
    assert state_of(tmp_path, rows[2]) == "interrupted"


def test_the_overview_counts_time_left_and_core_hours(tmp_path):
    rows = [row_of("", replace(TINY, seed=seed)) for seed in range(4)]
    paths = [begun(tmp_path, row) for row in rows[:3]]
    end(paths[0], 19.0)
    held = lock.acquire(paths[1] / "lock")
    found = overview.overview(tmp_path, rows, {"x": "why"})
    held.release()
    assert found.counts == {"finished": 1, "running": 1, "interrupted": 1, "failed": 0, "pruned": 0, "waiting": 1}
    # 20 s each: 13 s of the one that runs, 13 of the interrupted one, 20 of the waiting one, by one process.
    assert found.seconds_left == 13 + 13 + 20
    assert found.core_hours == pytest.approx(2 * (20 + 7 + 7) / 3600)
    assert [(one.state, one.step, one.success) for one in found.under_way] == [
        ("running", 300, 0.25), ("interrupted", 300, 0.25),
    ]  # fmt: skip
    told = "\n".join(overview.lines(found))
    assert "1 finished, 1 running, 1 interrupted, 0 failed, 0 pruned, 1 waiting of 4 runs" in told
    assert "running, 300 of 840 steps, success 25%" in told
    assert "x: why" in told


def test_time_left_is_of_the_label_where_one_of_it_has_finished():
    def seen(label: str, seed: int, state: str, seconds: float) -> tuple[Row, Seen]:
        row = row_of(label, replace(TINY, seed=seed))
        return row, Seen(row.name, label, seed, state, 0, 1, None, seconds, 1)  # type: ignore[arg-type]

    pairs = [seen("fast", 0, "finished", 10.0), seen("slow", 1, "finished", 50.0), seen("fast", 2, "running", 4.0)]
    waiting = [row_of("slow", replace(TINY, seed=3)), row_of("new", replace(TINY, seed=4))]
    rows = [row for row, _ in pairs] + waiting
    assert overview._seconds_left(rows, {row.name: one for row, one in pairs}) == (10 - 4) + 50 + 30
    assert overview._seconds_left(rows, {row.name: one for row, one in pairs[:2]}) is None  # nothing is running


@pytest.mark.parametrize(
    ("count", "threads", "shares"),
    [
        (1, 4, [(4, 5, 6, 7)]),
        (2, 4, [(4, 5), (6, 7)]),
        (3, 4, [(4,), (5,), (6,)]),
        (4, 4, [(4,), (5,), (6,), (7,)]),
        (2, 2, [(4,), (5,)]),
        (6, 8, [(4,), (5,), (6,), (7,), (4,), (5,)]),
    ],
)
def test_cores_are_shared_out_without_one_being_used_twice_unless_there_are_too_few(count, threads, shares):
    assert local.shares_of([4, 5, 6, 7], count, threads) == shares


def test_as_many_runs_at_a_time_as_memory_holds_each_in_a_process_of_its_own(monkeypatch, tmp_path):
    peak = local.Demand((TINY,), 1).peak

    def fits(processes: float) -> int:
        room = Room(Free(int(processes * peak), "test"), [], own=0)
        monkeypatch.setattr(local, "find_room", lambda _: room)
        return local.at_once(ROWS, 8, tmp_path)

    assert (fits(9.5), fits(2.5), fits(1.0)) == (3, 2, 1)
    with pytest.raises(UserError, match="does not fit into memory"):
        fits(0.9)


def test_what_diverged_never_reaches_the_bar_which_is_null_in_json(tmp_path, capsys):
    folder = make_folder(tmp_path, ROWS[:1], [])
    (tmp_path / "manifest.toml").write_text(
        'title = "?"\nenv = "FetchReach-v4"\nseeds = "0"\nuntil_success = 1.0\n[base]\n[variants.a]\n'
    )
    run = folder.runs / ROWS[0].name
    run.mkdir(parents=True)
    about = {"schema": SCHEMA, "hash": content_hash(ROWS[0].config), "config": ROWS[0].config}
    (run / "config.json").write_text(json.dumps(about))
    (run / "failure.json").write_text(json.dumps(encode(Failure(1, 1, "loss", "why"))))
    for name in LINES:
        (run / f"{name}.jsonl").write_text("")
    assert main(["collect", str(tmp_path), "--json", "-"]) == 0
    [group] = json.loads(capsys.readouterr().out)
    assert (group["diverged"], group["steps"]["each"], group["steps"]["value"]) == (1, [None], None)
