"""Records that somebody altered, and files that are not what their names say: refused, and nothing is changed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fuzz_changes import sealed
from tests.runs.test_store import CONFIG, EPISODE, EVALUATION, PROVENANCE, write_run
from wellposed import training, verdict
from wellposed.analysis.search import Claim, Trial
from wellposed.arrays import parse_tensors
from wellposed.config import stored_config
from wellposed.errors import UserError
from wellposed.runs import checkpoint, files, lock
from wellposed.runs.record import Failure, MetricsRow, Solved, encode
from wellposed.runs.store import RunReader
from wellposed.runs.writer import ReplayRows, RunWriter, Snapshot

OLD_RUN = Path(__file__).parents[1] / "old_records" / "FetchReach-v4_sac_3782acf1ecbe_s0"


def interrupted(folder: Path, saves: int = 2) -> Path:
    """A run that saved some checkpoints, each with a part of the replay, and was interrupted."""
    with RunWriter(folder, CONFIG, PROVENANCE) as run:
        for i in range(1, saves + 1):
            run.log_metrics(MetricsRow(100 * i, 50 * i, 1.5 * i, {"train/critic_loss": 0.5}))
            run.log_evaluation(replace(EVALUATION, step=100 * i), [EPISODE])
            rows = ReplayRows(10 * i - 10, 10 * i, 0, {"rows": np.full((10, 1), i, np.float32)})
            state = {"w": np.full(3, float(i))}
            run.save(Snapshot(100 * i, 50 * i, 1.5 * i, 0.5, state, {"x": np.array(i)}, rows))
    return run.path


def content(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def newest(path: Path) -> Path:
    return checkpoint.manifests(path)[0]


def reads(path: Path) -> bool:
    """Whether the newest checkpoint is accepted."""
    try:
        RunReader(path).load_state(newest(path))
    except UserError:
        return False
    return True


@pytest.mark.slow
def test_no_flipped_bit_of_a_manifest_is_accepted(tmp_path):
    path = interrupted(tmp_path)
    file = newest(path)
    whole = file.read_bytes()
    accepted = []
    for at in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        file.write_bytes(flipped)
        if reads(path):
            accepted.append((at, bytes(flipped[at // 8 - 10 : at // 8 + 10])))
    assert accepted == []
    file.write_bytes(whole)
    assert reads(path)


def _set(*place: Any, to: Any) -> Any:
    """An edit that sets a value at a place of a manifest."""

    def edit(data: Any) -> None:
        for key in place[:-1]:
            data = data[key]
        data[place[-1]] = to(data[place[-1]]) if callable(to) else to

    return edit


EDITS = {
    "step": _set("step", to=lambda n: n + 1),
    "number": _set("number", to=lambda n: n + 1),
    "updates": _set("updates", to=lambda n: n - 1),
    "seconds": _set("seconds", to=lambda n: n / 2),
    "environment": _set("env", to="FetchPush-v4"),
    "algorithm": _set("algo", to="td3"),
    "rows in mid-line": _set("lines", "metrics", to=lambda n: n - 7),
    "a row fewer": _set("lines", "metrics", to=lambda n: n // 2),
    "no rows": _set("lines", "evaluations", to=0),
    "rows that are not there": _set("lines", "episodes", to=lambda n: n + 100),
    "a part less": lambda data: data["replay"].pop(0),
    "the last part less": lambda data: data["replay"].pop(),
    "a part twice": lambda data: data["replay"].append(data["replay"][-1]),
    "parts that overlap": _set("replay", 1, "first", to=9),
    "parts with a gap": _set("replay", 0, "end", to=9),
    "another part's place": _set("replay", 0, "stored", "file", to="replay/000002.safetensors"),
}


@pytest.mark.parametrize("moved", [False, True], ids=["here", "under the name that fits"])
@pytest.mark.parametrize("name", EDITS)
def test_an_edited_manifest_is_refused_though_every_digest_is_right(tmp_path, name, moved):
    path = interrupted(tmp_path)
    file = newest(path)
    data = json.loads(file.read_text())
    EDITS[name](data)
    if moved:  # as somebody would who knows how files are named
        stem = f"checkpoints/{data['number']:06d}_step_{data['step']:010d}"
        os.replace(path / data["state"]["file"], path / f"{stem}.safetensors")
        file.unlink()
        file, data["state"]["file"] = path / f"{stem}.json", f"{stem}.safetensors"
    try:
        decoded = files.parse_json(json.dumps(data).encode(), "")
        manifest = checkpoint.decode(checkpoint.Manifest, decoded, "")
        data["digest"] = manifest.expected_digest()
    except UserError:
        pass  # it is refused already
    file.write_text(json.dumps(data))
    before = content(path)
    with RunWriter.reopen(path, PROVENANCE) as run:
        assert run.restored
        assert run.restored.manifest.number == 1, "the edited checkpoint was taken"
    assert content(path) == before


@pytest.mark.parametrize("edit", [_set("replay", 1, "end", to=2**63), _set("replay", 1, "end", to=19)])
@pytest.mark.parametrize("salvaged", [False, True])
def test_rows_that_are_not_in_the_parts_are_refused_though_all_digests_are_right(tmp_path, edit, salvaged):
    """Also where the part is damaged, and the state says how many rows there were."""
    path = interrupted(tmp_path)
    data = json.loads(newest(path).read_text())
    edit(data)
    if salvaged:
        (path / data["replay"][1]["stored"]["file"]).write_bytes(b"")
    state = parse_tensors(newest(path).with_suffix(".safetensors").read_bytes())
    state.pop(checkpoint.COPY)
    sealed(path, newest(path), data, state | {"loop/replay/held": np.array([0, 20])})
    assert reads(path)
    with RunWriter.reopen(path, PROVENANCE, salvage=salvaged) as run:
        assert run.restored
        assert run.restored.manifest.number == 1


def test_a_manifest_without_its_digest_is_refused(tmp_path):
    path = interrupted(tmp_path)
    data = json.loads(newest(path).read_text())
    del data["digest"]
    newest(path).write_text(json.dumps(data))
    assert not reads(path)


def test_a_key_that_comes_twice_is_refused_everywhere(tmp_path):
    path = interrupted(tmp_path)
    for file in (path / "config.json", path / "provenance.json", newest(path), path / "metrics.jsonl"):
        text = file.read_text()
        for twice in ('{"schema": 4, ', '{"schema" : 4, ', b'{"schema"\\n:4, '.decode("unicode_escape")):
            raw = text.replace("{", twice, 1)
            if file.suffix == ".jsonl":
                raw = raw.replace("\n:", ":")
            file.write_text(raw)
            with pytest.raises(UserError, match="comes twice"):
                files.read_json(file) if file.suffix == ".json" else files.read_lines(file)
        file.write_text(text)


@pytest.mark.parametrize("value", ['"a\\": 1"', '"{\\"b\\": 2}"', "[]", "{}", '{"a": {"a": [{"a": 1}, {"a": 2}]}}'])
def test_keys_in_strings_and_at_other_depths_do_not_count(value):
    text = f'{{"x": {value}, "y": 1}}'
    assert files.parse_json(text.encode(), "here") == json.loads(text)


def test_text_is_utf_8_with_or_without_a_mark():
    text = '{"x": "ü"}'
    assert files.parse_json(text.encode("utf-8-sig"), "here") == {"x": "ü"}
    for coding in ("utf-16", "utf-32-le", "latin-1"):
        with pytest.raises(UserError, match="not valid JSON"):
            files.parse_json(text.encode(coding), "here")


def test_no_number_is_too_large_to_compute_with(tmp_path):
    (tmp_path / "x.toml").write_text(f"x = 1{'0' * 400}")
    for read in (
        lambda: files.parse_json(b'{"x": -1' + b"0" * 400 + b"}", "here"),
        lambda: files.read_toml(tmp_path / "x.toml"),
    ):
        with pytest.raises(UserError, match="no number has so many"):
            read()
    text = json.dumps({"x": "1" * 400, "y": 10**290})  # digits in a string are no number
    assert files.parse_json(text.encode(), "here") == json.loads(text)


def test_lengths_of_rows_that_fit_only_the_older_checkpoint_lead_to_it(tmp_path):
    """The newest checkpoint counts rows that are not there: part of the choice, not an error after it."""
    path = interrupted(tmp_path)
    rows = (path / "metrics.jsonl").read_bytes()
    os.truncate(path / "metrics.jsonl", len(rows) // 2)
    with RunWriter.reopen(path, PROVENANCE) as run:
        assert run.restored
        assert run.restored.manifest.step == 100
        assert "are not there as whole rows" in run.go_on()


def test_nothing_is_changed_before_the_checkpoint_was_taken_over(tmp_path):
    path = interrupted(tmp_path)
    with open(path / "metrics.jsonl", "a") as rows:
        rows.write(json.dumps(encode(MetricsRow(300, 150, 4.5, {}))) + "\n")
    before = content(path)
    with RunWriter.reopen(path, PROVENANCE):
        pass  # whoever takes it over finds that it does not fit
    assert content(path) == before | {"lock": content(path)["lock"]}


@pytest.mark.parametrize("kind", ["replay", "agent/w", "loop/env/physics", "loop/rollout/reward"])
def test_a_number_that_is_not_finite_is_damage_not_divergence(tmp_path, kind):
    path = interrupted(tmp_path)
    manifest = checkpoint.read_manifest(newest(path))
    if kind == "replay":
        stored = checkpoint.store(path, manifest.replay[-1].stored.file, {"rows": np.full((10, 1), np.nan)})
        manifest = replace(manifest, replay=[*manifest.replay[:-1], replace(manifest.replay[-1], stored=stored)])
    checkpoint.commit(
        path, manifest, {"agent/w": np.full(3, 2.0)} | ({} if kind == "replay" else {kind: np.full(3, np.nan)})
    )
    with RunWriter.reopen(path, PROVENANCE) as run:
        assert run.restored
        assert run.restored.manifest.number == 1
    assert RunReader(path).status == "interrupted"


@pytest.mark.parametrize(("damaged", "kept"), [([0], [20]), ([1], []), ([0, 1], []), ([], [10, 20])])
def test_a_damaged_replay_costs_no_weights_if_that_is_asked_for(tmp_path, damaged, kept):
    path = interrupted(tmp_path)
    (path / "checkpoints/000001_step_0000000100.json").unlink()  # it would do, where only the second part is damaged
    for i in damaged:
        file = path / checkpoint.read_manifest(newest(path)).replay[i].stored.file
        file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    before = content(path)
    if damaged:
        with pytest.raises(UserError, match="Its weights are intact: with --salvage"):
            RunWriter.reopen(path, PROVENANCE)
        assert content(path) == before | {"lock": content(path)["lock"]}
    with RunWriter.reopen(path, PROVENANCE, salvage=True) as run:
        assert run.restored
        assert np.array_equal(run.restored.agent["w"], np.full(3, 2.0))
        assert [first + 10 for first, _ in run.restored.replay] == kept
        assert run.restored.lost == 20 - 10 * len(kept)
        note = run.go_on()
        run.save(
            Snapshot(300, 150, 4.5, 0.5, {"w": np.zeros(3)}, {}, ReplayRows(20, 30, 0, {"rows": np.zeros((10, 1))}))
        )
    [resumption] = RunReader(path).provenance.resumed
    assert resumption.salvaged == bool(damaged)
    assert ("are left out" in note) == bool(damaged)
    with RunWriter.reopen(path, PROVENANCE) as run:
        assert run.restored
        assert run.restored.manifest.replay[-1].end == 30


def link_away(path: Path, outside: Path, how: str) -> None:
    """Make a file of a run a link to one outside."""
    outside.write_bytes(b"precious\n")
    path.unlink(missing_ok=True)
    os.link(outside, path) if how == "hard" else os.symlink(outside, path)


@pytest.mark.parametrize("how", ["hard", "symbolic"])
@pytest.mark.parametrize(
    "name",
    ["lock", "metrics.jsonl", "warnings.jsonl", "tensorboard/events.out.tfevents.1", "replay/000001.safetensors"],
)
def test_no_link_leads_out_of_a_run(tmp_path, name, how):
    path = interrupted(tmp_path / "runs")
    outside = tmp_path / "bashrc"
    link_away(path / name, outside, how)
    with pytest.raises(UserError, match="link"):
        RunWriter.reopen(path, PROVENANCE)
    assert outside.read_bytes() == b"precious\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("probe/episode_length", 0.0),
        ("probe/replay_transitions", -1.0),
        ("probe/critic_step", -0.5),
        ("sight/miss", -1.0),
    ],
)
def test_a_size_that_no_run_can_have_is_refused(name, value):
    assert MetricsRow(100, 50, 1.0, {name: value + 2}).metrics
    with pytest.raises(ValueError, match=f"{name} is {value:g}, and it is at least"):
        MetricsRow(100, 50, 1.0, {name: value})


@pytest.mark.parametrize("linked", [("results",), ("results", "study")], ids="/".join)
def test_no_link_to_a_folder_leads_away_from_what_is_written(tmp_path, linked):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (tmp_path / "disk").symlink_to(root)  # where everything goes may be a link: its owner made it
    folder = files.folder_in(tmp_path / "disk", "results", "study")
    assert (root / "results" / "study").is_dir()
    assert folder == tmp_path / "disk" / "results" / "study"
    shutil.rmtree(root / "results")
    place = root.joinpath(*linked)
    place.parent.mkdir(exist_ok=True)
    for target in (outside, tmp_path / "nowhere"):
        place.symlink_to(target)
        with pytest.raises(UserError, match=f"{linked[-1]} is a link"):
            files.folder_in(root, "results", "study")
        place.unlink()
    assert [*outside.iterdir()] == []


def test_a_backup_of_hard_links_is_not_written_into(tmp_path):
    path = interrupted(tmp_path / "runs")
    backup = tmp_path / "backup" / path.name
    shutil.copytree(path, backup, copy_function=os.link)
    before = content(backup)
    for one in (path, backup):
        with pytest.raises(UserError, match="hard link"):
            RunWriter.reopen(one, PROVENANCE)
    assert content(backup) == before


HANG = """
import sys
from pathlib import Path
from wellposed.errors import UserError
from wellposed.runs import lock
from wellposed.runs.store import RunReader, list_runs
path = Path(sys.argv[1])
for ask in (lambda: RunReader(path).status, lambda: lock.acquire(path / "lock"), lambda: lock.owner(path / "lock"),
            lambda: [run.config for run in list_runs(path.parent)], lambda: RunReader(path).evaluations):
    try:
        ask()
    except UserError as error:
        print(error)
"""


@pytest.mark.parametrize("name", ["lock", "config.json", "evaluations.jsonl"])
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(tmp_path, name):
    path = interrupted(tmp_path)
    (path / name).unlink()
    os.mkfifo(path / name)
    done = subprocess.run([sys.executable, "-c", HANG, str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "regular file" in done.stdout or "not a run directory" in done.stdout


@pytest.mark.parametrize("replaced", [False, True])
def test_who_lost_the_lock_writes_no_more(tmp_path, replaced):
    with RunWriter(tmp_path, CONFIG, PROVENANCE) as run:
        (run.path / "lock").unlink()
        if replaced:
            lock.acquire(run.path / "lock").release()
        before = content(run.path / "checkpoints")
        with pytest.raises(UserError, match="was removed or replaced"):
            run.save(Snapshot(100, 50, 1.5, 0.5, {}, {}, ReplayRows(0, 0, 0, {})))
        assert content(run.path / "checkpoints") == before


def test_only_our_own_files_are_removed_and_that_one_stays_is_no_failure(tmp_path):
    path = interrupted(tmp_path)
    for name in ("checkpoints/notes.json", "checkpoints/best_step_7.json", "replay/mine.safetensors", "replay/notes"):
        (path / name).write_text("mine")
    for name in (
        "checkpoints/.ipynb_checkpoints",
        "replay/.ipynb_checkpoints",
        "checkpoints/000000_step_0000000000.json",
    ):
        (path / name).mkdir()  # the last one looks like ours, and cannot be unlinked
    with RunWriter.reopen(path, PROVENANCE) as run:
        assert run.restored
        run.go_on()
        run.save(Snapshot(300, 150, 4.5, 0.5, {}, {}, ReplayRows(20, 20, 0, {})))
        assert run.complaints
    assert all((path / name).exists() for name in ("checkpoints/notes.json", "replay/mine.safetensors", "replay/notes"))
    assert (path / "checkpoints/best_step_7.json").read_text() == "mine"


def test_a_checkpoint_that_cannot_be_read_is_not_thrown_away(tmp_path, monkeypatch):
    path = interrupted(tmp_path)
    before, load = content(path), files.disk.open_regular

    def refuse(file: Path, *flags: int) -> int:
        if file.name == "000002_step_0000000200.safetensors":
            raise PermissionError(13, "Permission denied")
        return load(file, *flags)

    monkeypatch.setattr(files.disk, "open_regular", refuse)
    with pytest.raises(UserError, match=r"Permission denied.*Nothing was changed"):
        RunWriter.reopen(path, PROVENANCE)
    assert content(path) == before | {"lock": content(path)["lock"]}


def test_what_cannot_help_is_not_advised(tmp_path):
    """Rows are missing, which --salvage does not bring back."""
    path = interrupted(tmp_path)
    (path / "metrics.jsonl").write_bytes(b"")
    with pytest.raises(UserError, match="no intact checkpoint") as told:
        RunWriter.reopen(path, PROVENANCE)
    assert "--salvage" not in str(told.value)


@pytest.mark.parametrize("salvage", [False, True])
def test_a_part_of_the_replay_that_cannot_be_read_now_is_not_given_up(tmp_path, monkeypatch, salvage):
    path = interrupted(tmp_path)
    before, load = content(path), files.disk.open_regular

    def refuse(file: Path, *flags: int) -> int:
        if file.name == "000001.safetensors":
            raise OSError(116, "Stale file handle")
        return load(file, *flags)

    monkeypatch.setattr(files.disk, "open_regular", refuse)
    with pytest.raises(UserError, match=r"Stale file handle.*Nothing was changed"):
        RunWriter.reopen(path, PROVENANCE, salvage=salvage)
    assert content(path) == before | {"lock": content(path)["lock"]}


@pytest.mark.parametrize("name", ["metrics", "evaluations", "episodes", "warnings"])
def test_no_row_is_cut_where_a_later_file_is_refused(tmp_path, monkeypatch, name):
    path = interrupted(tmp_path)
    for rows in path.glob("*.jsonl"):
        rows.write_bytes(rows.read_bytes() + b'{"step": 300}\n')
    (newest(path)).write_bytes(b"damaged")  # it would be removed
    before, load = content(path), files.disk.open_to_append

    def refuse(file: Path) -> int:
        if file.name == f"{name}.jsonl":
            raise PermissionError(13, "Permission denied")
        return load(file)

    with RunWriter.reopen(path, PROVENANCE) as run:
        monkeypatch.setattr(files.disk, "open_to_append", refuse)
        with pytest.raises(UserError, match="Permission denied"):
            run.go_on()
    assert content(path) == before | {"lock": content(path)["lock"]}


def test_a_record_that_cannot_be_written_to_is_judged_all_the_same(tmp_path, monkeypatch):
    """As on a read-only file system: reports and comparisons need the verdict, not that it is stored."""
    from wellposed import verdict  # imports JAX, which the other tests here do without

    path = write_run(tmp_path)
    found = object()

    def read_only(*_: Path) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.disk, "create", read_only)
    monkeypatch.setattr(verdict, "assess", lambda *_, **__: found)
    monkeypatch.setattr(verdict, "encode", lambda _: {})
    before = content(path)
    assert verdict.stored_verdict(path) is found
    assert content(path) == before


WRITER = """
import sys
from pathlib import Path
from wellposed.runs.files import write_json
for i in range(300):
    write_json(Path(sys.argv[1]), {"who": sys.argv[2], "filler": sys.argv[2] * 5000})
"""


@pytest.mark.slow
def test_two_writers_of_one_file_never_fail_nor_tear_it(tmp_path):
    file = tmp_path / "verdict.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), who]) for who in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if file.exists():
            data = files.read_json(file)
            assert data["filler"] == data["who"] * 5000
            seen.add(data["who"])
    assert [writer.returncode for writer in writers] == [0, 0]
    assert os.listdir(tmp_path) == ["verdict.json"]
    assert seen


def test_a_finished_run_is_still_read(tmp_path):
    assert RunReader(write_run(tmp_path)).load_checkpoint()[0].digest


def test_networks_that_no_checkpoint_of_the_run_can_hold_are_not_even_made(monkeypatch):
    config = stored_config(OLD_RUN)
    wide = replace(config, agent=replace(config.agent, hidden=(2048, 2048)))
    assert training.resumed_run(OLD_RUN).config == config
    monkeypatch.setattr(training, "stored_config", lambda _: wide)
    monkeypatch.setattr(verdict, "stored_config", lambda _: wide)
    for read in (training.resumed_run, verdict.load_run):
        with pytest.raises(UserError, match="smaller networks than its configuration asks for"):
            read(OLD_RUN)


MOMENTS: list[Callable[[Any], Any]] = [
    lambda at: Solved(0.5, **at),
    lambda at: Failure(at["step"], at["updates"], "a loss", "It is NaN."),
    lambda at: replace(RunReader(OLD_RUN).summary, **at),  # type: ignore[type-var]
]


@pytest.mark.parametrize("make", MOMENTS)
@pytest.mark.parametrize("wrong", [{"step": -1}, {"updates": -200}, {"updates": 2**63}])
def test_a_run_ends_at_no_impossible_moment(make, wrong):
    make({"step": 1, "updates": 0, "seconds": 0.0})
    with pytest.raises(ValueError, match="no run was ever there"):
        make({"step": 1, "updates": 0, "seconds": 0.0} | wrong)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"fresh": [0.5, 1.5]}, "a score of 1.5"),
        ({"fresh": [-0.1]}, "a score of -0.1"),
        ({"fresh": [float("inf")]}, "a score of inf"),
        ({"episodes": 0}, "at least one episode"),
        ({"winner": Trial(0, {}, [], "failed", [], [])}, "complete trial"),
        ({"winner": Trial(0, {}, ["R"], "complete", [], [2.0])}, "a score of 2"),
    ],
)
def test_a_searchs_claim_has_scores_that_its_objective_can_have(wrong, sentence):
    claim = Claim(Trial(0, {}, ["R"], "complete", [], [1.0]), 1, "success", "maximize", [0.5], 10)
    assert claim.lines
    with pytest.raises(ValueError, match=sentence):
        replace(claim, **wrong)
