"""Runs recorded at b16341c open, act, and are judged, diagnosed, reported and compared as on that day."""

import shutil
from pathlib import Path

import pytest

import wellposed as wp
from wellposed.cli import main

RECORDS = Path(__file__).parent / "old_records"
SAC, PPO, MAZE = (
    "FetchReach-v4_sac_3782acf1ecbe_s0", "FetchReachDense-v4_ppo_bb02b0b64124_s0",
    "PointMaze-UMaze-v3_sac_73946ef9f7ca_s0",
)  # fmt: skip
# Algorithm, updates, and at the end of four held-out episodes the distance to the goal, all as on that day.
EXPECTED = {
    SAC: ("sac", 400, [0.36886, 0.25885, 0.34408, 0.03434]),
    PPO: ("ppo", 240, [0.30687, 0.09765, 0.19675, 0.13660]),
    MAZE: ("sac", 600, [0.69205, 1.52500, 2.10643, 1.49487]),
}
each = pytest.mark.parametrize("name", EXPECTED)


@pytest.fixture
def record(tmp_path, name) -> Path:
    """A copy of the record, in which something may be written."""
    return Path(shutil.copytree(RECORDS / name, tmp_path / name))


@each
def test_it_opens(record, name):
    reader = wp.RunReader(record)
    assert reader.status == "finished"
    assert reader.summary is not None
    assert reader.provenance.commit == "b16341cfd7abbbe137d531b78d2019e65d07e5c6"
    assert reader.summary.updates == EXPECTED[name][1] == reader.metrics[-1].updates
    assert [row.step for row in reader.evaluations] == [0, reader.summary.step // 2, reader.summary.step]
    config, agent, manifest = wp.load_run(record)
    assert (config.algo, agent.updates, manifest.step) == (
        EXPECTED[name][0],
        reader.summary.updates,
        config.total_steps,
    )


@each
def test_it_acts_and_is_judged_as_on_that_day(record, name):
    verdict = wp.assess(record, episodes=4)
    assert [row.final_distance for row in verdict.per_episode] == pytest.approx(EXPECTED[name][2], rel=0.01)


@pytest.mark.usefixtures("few_held_out")
@pytest.mark.slow
@each
def test_it_is_diagnosed_and_reported(record, name, tmp_path, capsys):
    assert main(["diagnose", str(record)]) in (0, 1)
    assert "at step" in capsys.readouterr().out
    page = wp.write_report([record], tmp_path / "report.html", video=False).read_text()
    assert f"{wp.RunReader(record).config['total_steps']:,}" in page
    assert EXPECTED[name][0] in page
    assert "b16341c" in page


def test_one_that_was_interrupted_is_not_resumed_and_says_why(tmp_path):
    record = Path(shutil.copytree(RECORDS / SAC, tmp_path / SAC))
    (record / "summary.json").unlink()
    with pytest.raises(wp.UserError, match="in another form: it can be evaluated but not resumed"):
        list(wp.resume([record], quiet=True))


@pytest.mark.slow
def test_they_are_listed_and_compared(tmp_path, capsys):
    shutil.copytree(RECORDS, tmp_path / "runs")
    assert [reader.path.name for reader in wp.list_runs(tmp_path / "runs")] == sorted(EXPECTED)
    assert main(["runs", "--paths", "--runs-dir", str(tmp_path / "runs")]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in EXPECTED)
    assert "damaged" not in told
    for one, other in ((SAC, PPO), (SAC, MAZE)):
        folders = [str(tmp_path / "runs" / name) for name in (one, other)]
        assert main(["compare", *folders, "--episodes", "4"]) == 0
        assert "WARNING: their environments differ" in capsys.readouterr().out


def test_they_tell_nothing_of_the_machine_they_were_made_on():
    words = b"/tmp/", b"/home/", b"/root/", b"/work/"
    files = [file for file in RECORDS.rglob("*") if file.is_file()]
    assert len(files) >= 30
    assert not [file for file in files if any(word in file.read_bytes() for word in words)]
