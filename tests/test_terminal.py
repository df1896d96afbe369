"""Foreign text cannot steer a terminal, and work does not depend on anybody watching it."""

import json
import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Template

from tests.runs.test_store import write_run
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.progress import TrainingProgress
from wellposed.terminal import HIDDEN, Lasting, Plain, escaped

HOSTILE = "x\r\x1b[2Kfinished 100 %\x9b31m\u202etxt\u2066\u200b\ufeff\U000e0001\x07\x08"


@given(st.text())
def test_what_is_escaped_is_seen_and_what_is_seen_stays(text):
    shown = escaped(text)
    assert not [c for c in shown if c not in "\n\t" and unicodedata.category(c) in HIDDEN]
    if not [c for c in text if unicodedata.category(c) in HIDDEN]:
        assert shown == text


@given(st.text())
def test_escaped_json_is_the_same_json(text):
    data = json.dumps([text], ensure_ascii=False)
    assert json.loads(escaped(data)) == [text]


def test_a_name_made_to_look_like_a_result_is_printed_as_what_it_is(tmp_path, capsys):
    folder = tmp_path / HOSTILE
    assert main(["report", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert "\\u001b[2Kfinished 100 %\\u009b31m\\u202e" in err
    assert not set(out + err) & set("\r\x1b\x9b\u202e\u2066\x07\x08")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"failure": HOSTILE}))
    main(["runs", "--runs-dir", str(tmp_path)])
    out, err = capsys.readouterr()
    assert not set(out + err) & set("\r\x1b\x9b\u202e\u2066\x07\x08")


def test_progress_shows_markup_of_others_as_text(capsys):
    with TrainingProgress(quiet=False) as progress, progress.follow("[/x][red]" + HOSTILE, 10) as run:
        run.say("[/bold] of [nothing]")
    err = capsys.readouterr().err
    assert "[/x][red]x\\u000d\\u001b[2K" in err
    assert "[/bold] of [nothing]" in err


@pytest.mark.parametrize("kind", [Lasting, Plain])
def test_a_stream_that_nobody_reads_takes_everything(kind):
    read, write = os.pipe()
    stream = kind(os.fdopen(write, "w"))
    print("one", file=stream, flush=True)
    os.close(read)
    for _ in range(3):
        print("x" * 100_000, file=stream, flush=True)
    stream.close()


def test_a_full_disk_is_not_ignored():
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115
    with pytest.raises(UserError, match="could not be written: No space left"):
        print("x", file=Lasting(full), flush=True)
    full.close()  # what is left in its buffer goes nowhere


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_with_standard_streams_closed_no_file_gets_their_numbers(tmp_path, closed):
    probe = f"""
import os, sys
for number in {closed!r}:
    os.close(number)
from wellposed.terminal import open_standard_streams
open_standard_streams()
handle = os.open({str(tmp_path / "metrics.jsonl")!r}, os.O_CREAT | os.O_WRONLY)
print("to nobody"); print("to nobody", file=sys.stderr)
os.write(1, b""); os.write(2, b"to nobody")
sys.exit(handle <= 2)
"""
    assert subprocess.run([sys.executable, "-c", probe], check=False, capture_output=True).returncode == 0
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_output_that_is_cut_off_is_no_failure():
    command = f"{sys.executable} -m wellposed envs | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["--version", "--help", "envs"])
@pytest.mark.parametrize(
    ("to", "code", "told"),
    [(">/dev/full", 1, "wellposed: The output could not be written: No space left on device.\n"), (">&-", 0, "")],
)
def test_output_that_cannot_be_written_is_a_sentence_and_none_that_is_not_wanted(command, to, code, told):
    shell = f"{sys.executable} -m wellposed {command} {to}"
    done = subprocess.run(["bash", "-c", shell], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", told)


INTERRUPTED = """
import os, signal, sys
class Signal:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[0]:
            os.kill(os.getpid(), signal.SIGINT)
sys.argv = sys.argv[1:]
sys.meta_path.insert(0, Signal())
from wellposed.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["wellposed.cli", "numpy", "numpy._core._multiarray_umath", "tyro", "jax"])
def test_an_interrupt_while_modules_are_imported_ends_the_command_without_a_traceback(module):
    """At that import, whatever the module that it interrupts makes of it."""
    heard = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the tests' process may ignore it
    )
    command = [sys.executable, "-c", heard + INTERRUPTED, module, "train", "FetchReach-v4", "--total-steps", "0"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.startswith("wellposed: stopped.")
    assert "Traceback" not in done.stderr


def test_a_job_in_the_background_ignores_what_the_terminal_sends():
    code = INTERRUPTED.replace("import os", "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nimport os")
    command = [sys.executable, "-c", code, "tyro", "--version"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("words", [["runs", "--runs-dir"], ["report"], ["check"], ["exercise"], []])
def test_what_looks_like_markup_in_a_name_is_text(words, capsys):
    main([*words, "[/x][red]"])
    assert "[/x][red]" in "".join(capsys.readouterr())


@pytest.mark.parametrize("steps", [2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**40])
def test_more_steps_than_a_number_holds_are_refused(steps, capsys):
    assert main(["train", "FetchReach-v4", "--total-steps", str(steps)]) == 1
    assert "--total-steps must be at most" in capsys.readouterr().err


def test_training_goes_on_when_nobody_reads_its_progress(monkeypatch):
    read, write = os.pipe()
    with os.fdopen(write, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        progress = TrainingProgress(quiet=False)
        os.close(read)
        with progress, progress.follow("run", 10) as run:
            run.say("nobody reads this")
            run.advance(5, 2, 1.0)
            run.say("nor this")


def test_a_name_that_is_no_text_is_printed_and_is_json(tmp_path, capsys):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")
    os.makedirs(os.path.join(folder, "run"))
    with open(os.path.join(folder, "run", "config.json"), "w") as file:
        file.write("{}")
    assert main(["runs", "--runs-dir", folder, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)
    main(["runs", "--runs-dir", folder])
    main(["report", os.path.join(folder, "run")])
    capsys.readouterr()


def test_half_a_character_in_a_record_is_spelt_out_in_every_file(tmp_path, capsys, monkeypatch):
    path = write_run(tmp_path)
    row = json.loads((path / "episodes.jsonl").read_text()) | {"goal_kind": "\ud800"}
    (path / "episodes.jsonl").write_text(json.dumps(row) + "\n")
    csv, parquet, page = (tmp_path / name for name in ("rows.csv", "rows.parquet", "page.html"))
    for target in ([], ["--out", str(csv)]):
        assert main(["rows", str(path), "--kind", "episodes", *target]) == 0
    assert "\\ud800" in capsys.readouterr().out
    assert "\\ud800" in csv.read_text()
    assert main(["rows", str(path), "--kind", "episodes", "--out", str(parquet)]) in (0, 1)
    assert "half a character" in capsys.readouterr().err or parquet.exists()
    from wellposed.report import page as pages  # imports what draws, which the other tests here do without

    monkeypatch.setattr(pages, "template", lambda _: Template("{{ where }}"))
    pages.render("page.html.j2", page, where="runs/\udcff")
    assert page.read_text() == "runs/\\udcff"
