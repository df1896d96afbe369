"""What a stranger hands us is data: whatever file is mutated, a command that reads it gives a sentence or its result.

    python -m tests.fuzz --seed 0 --inputs 100000 &
    python -m tests.fuzz --seed 0 --inputs 100000 --first 100000

The suite runs a few hundred of these (test_fuzz.py). An input is a copy of a run, a chapter or another file of ours
with some of its bytes or some of its meaning changed; most have digests, and there they are made right again. The
command runs in this process. Watched meanwhile: exceptions, what is executed, imported or written where (by Python's
audit events), peak memory, time, control characters in the output, and which lines of the readers were reached.
"""

import argparse
import contextlib
import importlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import resident
from wellposed.errors import NotFiniteError, UserError
from wellposed.terminal import escaped

# What nothing that is read may ever cause. Writing and reading are watched apart.
FORBIDDEN = {
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn", "exec", "compile",
    "import", "pickle.find_class", "marshal.loads", "ctypes.dlopen", "socket.connect",
}  # fmt: skip
CHANGES = {
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate",
    "shutil.rmtree",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SPARE = 64 * 2**20  # bytes that reading may take beside twice the input
TRACED, SELDOM = 2_000, 10  # lines are traced for so many inputs at first, then for one in ten, because it is slow
PATIENCE = 120  # seconds
QUICK = Path("/dev/shm")  # files in memory, on Linux: an input is some twenty files, copied and deleted
READERS = (  # modules whose functions read what others wrote
    "runs/checkpoint", "runs/compare", "runs/files", "runs/listing", "runs/migrations", "runs/record", "runs/store",
    "runs/tables", "runs/writer", "arrays", "serialise", "config", "portable", "verdict",
    "launch/answers", "launch/manifest", "launch/overview", "launch/rows", "launch/states", "reproduce",
    "reality", "recorded", "start", "deploy_check/robot",
    "diagnose/evidence", "course/chapters/load", "course/chapters/tables", "course/chapters/records",
    "course/chapters/gather", "course/chapters/audit", "course/chapters/edited", "course/chapters/verify",
    "course/chapters/traces",
)  # fmt: skip

# Functions in there that read nothing of a stranger's: they write what is ours, or record what our code does, look at
# our own types, act in our environments, or ask git. All others count, entered or not, hard to reach or not. A name
# stands for what is defined within it, too.
OURS = {
    "runs/checkpoint": {"store", "commit"},
    "runs/files": {
        "write_whole", "remove_parts", "write_json", "format_json", "JsonLines.append", "JsonLines.sync", "append_rows",
        "_write_all",
    },
    "runs/tables": {"write_table"},
    "runs/writer": {  # what resumes a run reads, the rest writes while it trains
        "unobserved", "RunWriter.__init__", "RunWriter.log_metrics", "RunWriter.log_warnings",
        "RunWriter.log_evaluation", "RunWriter.save", "RunWriter.finish", "RunWriter.fail", "ScalarWriter",
    },
    "arrays": {"same_bits", "require_finite", "reset_carry"},
    "serialise": {"_gives_all", "_dataclasses", "_later"},
    "portable": {"seen", "Seen.turn", "encode"},
    "launch/answers": {"outcome"},
    "launch/rows": {"folder_of", "Folder.note_error"},
    "reality": {"Record.append"},
    "recorded": {"Recorder", "recorder_of", "RecordedVecEnv", "_of", "plain", "write_recording"},
    "start": {
        "source_of", "begin", "warm_start", "demonstrations_of", "oracle_demonstrations", "_episode", "fill",
        "write_demonstrations", "given", "Demonstrations",
    },
    "diagnose/evidence": {"Evidence.until"},
    "course/chapters/records": {"write_records"},
    "course/chapters/traces": {"sample", "store_traces", "record_sample", "traces_at"},
}  # fmt: skip


def path_of(reader: str) -> Path:
    """The file of one of `READERS`."""
    return Path(__file__).parent.parent / f"{'' if reader.startswith('course/') else 'wellposed/'}{reader}.py"


class Watch:
    """Python's audit events while something untrusted is read. A hook cannot be taken away, so there is one."""

    def __init__(self, *writable: Path) -> None:
        self.on, self.seen = False, list[str]()
        self.writable = (*(f"{os.path.realpath(folder)}/" for folder in writable), f"{os.devnull}/")
        sys.addaudithook(self.hear)

    def hear(self, event: str, args: tuple) -> None:
        """Note what is forbidden."""
        if not self.on:
            return
        if event == "open":
            path, mode, flags = args
            writes = flags & WRITING if mode is None else {*str(mode)} & {*"wax+"}
            link = flags & os.O_NOFOLLOW and isinstance(path, str) and os.path.islink(path)  # which the system refuses
            forbidden = writes and not isinstance(path, int) and not link and not self._may_change(path)
        elif event in CHANGES:
            inside = (
                type(args[-1]) is int and args[-1] >= 0
            )  # of a folder that is open: `shutil.rmtree` was asked for it
            follows = event in ("os.chmod", "os.truncate")  # a link; the others change the link itself
            forbidden = not inside and not all(
                self._may_change(one, follows) for one in args[:2] if isinstance(one, str | bytes)
            )
        else:
            forbidden = event in FORBIDDEN and not (event in ("compile", "exec") and _harmless())
        if forbidden:
            self.seen.append(f"{event} {args[:2]}"[:200])

    def _may_change(self, path: Any, follows: bool = True) -> bool:
        path = os.path.abspath(os.fsdecode(path))
        folder, name = os.path.split(path)
        there = os.path.realpath(path) if follows else os.path.join(os.path.realpath(folder), name)
        return f"{there}/".startswith(self.writable)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, everything counts; raises AssertionError if anything forbidden happened."""
        self.seen.clear()
        self.on = True
        try:
            yield
        finally:
            self.on = False
        assert not self.seen, f"reading caused {self.seen}"


def _harmless() -> bool:
    """Whether code is made by tyro, of our own annotations, or by `ast.literal_eval`, which executes none."""
    frame, names = sys._getframe(2), ("/tyro/", "/ast.py")
    while frame is not None:
        if any(name in frame.f_code.co_filename for name in names):
            return True
        frame = frame.f_back
    return False


class Lines:
    """Which lines of functions of `READERS` were reached, but for `OURS`."""

    def __init__(self) -> None:
        self.left = {str(path_of(name)): _lines_of(path_of(name), OURS.get(name, set())) for name in READERS}
        self.all = {name: {code: set(lines) for code, lines in found.items()} for name, found in self.left.items()}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, lines count."""
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]

    def _enter(self, frame: types.FrameType, _event: str, _arg: Any) -> Any:
        """Called at every call of a function: follow it line by line while it has lines that were not reached."""
        of_file = self.left.get(frame.f_code.co_filename)
        lines = None if of_file is None else of_file.get((frame.f_code.co_qualname, frame.f_code.co_firstlineno))
        if not lines:
            return None

        def follow(frame: types.FrameType, _event: str, _arg: Any) -> Any:
            lines.discard(frame.f_lineno)
            return follow

        return follow

    def told(self, missing: bool) -> str:
        """The share of lines that were reached; with `missing`, the others."""
        left = {(name, code): lines for name, of_file in self.left.items() for code, lines in of_file.items() if lines}
        total = sum(len(lines) for of_file in self.all.values() for lines in of_file.values())
        reached = total - sum(map(len, left.values()))
        head = f"lines of the readers that were reached: {reached / total:.1%} of {total:,}"
        found = [f"{Path(name).stem}.{code}: {sorted(lines)}" for (name, (code, _)), lines in left.items()]
        return "\n".join([head, *(found if missing else [])])


def _lines_of(path: Path, but: set[str]) -> dict[tuple[str, int], set[int]]:
    """The lines of every function of a file but the first, by its name and first line; without functions named."""
    found: dict[tuple[str, int], set[int]] = {}

    def visit(code: types.CodeType) -> None:
        if code.co_qualname in but or code.co_qualname in ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"):
            return  # a comprehension of the module runs when it is imported
        if code.co_flags & 0x2:  # a function, neither a module nor the body of a class
            lines = {line for _, _, line in code.co_lines() if line is not None} - {code.co_firstlineno}
            found[code.co_qualname, code.co_firstlineno] = lines or {code.co_firstlineno}
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                visit(inner)

    visit(compile(path.read_text(), str(path), "exec"))
    return found


def peak_above(before: int) -> int:
    """Bytes by which the memory of this process was at most above `before`; begins anew."""
    told = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    return int(told["VmHWM"].split()[0]) * 1024 - before


class TooMuchError(AssertionError):
    """An input took too much memory."""


class Fuzz:
    """The inputs that were fed so far, and what became of them."""

    def __init__(self, folder: Path, only: str = "") -> None:
        from tests.fuzz_targets import WORLD, confine, kinds, shorten
        from tests.fuzz_world import make_world

        shorten()
        self.live = folder / "live"
        if not (folder / "course").exists():
            with _captured():
                make_world(folder)
        WORLD[:] = [folder]
        confine()
        self.kinds, self.lines = [kind for kind in kinds(folder) if only in kind.name], Lines()
        tempfile.tempdir = str(folder / "tmp")
        (folder / "tmp").mkdir(exist_ok=True)
        compiled = sys.modules["jax"].config.jax_compilation_cache_dir or folder
        self.watch = Watch(self.live, folder / "tmp", folder / "cache", Path(compiled))
        self.count, self.sealed = Counter[str](), 0
        importlib.import_module("gymnasium_robotics")  # a record may name any of its environments
        for needed_by_some in ("scipy.stats", "encodings.utf_16_be"):
            importlib.import_module(needed_by_some)
        self.warm_up()

    def warm_up(self) -> None:
        """Read all of it whole, runs also without rows: what is imported and compiled at first use is no input's."""
        first = {(kind.source, read): kind for kind in self.kinds for _, read in kind.reads}
        for rows in (True, False):
            for (source, read), kind in first.items():
                self._copied(kind)
                if not rows:
                    if not (metrics := self.live / source.name / "metrics.jsonl").exists():
                        continue
                    metrics.write_bytes(b"")
                with contextlib.suppress(UserError, SystemExit), _captured():
                    read(self.live / source.name)

    def feed(self, rng: random.Random) -> None:
        """One input; raises AssertionError if it caused anything but a sentence or a result.

        One that takes too much memory is fed again: what we compile at first use, in 100 MB and more, is not its own.
        """
        began = rng.getstate()
        try:
            self._feed(rng)
        except TooMuchError:
            rng.setstate(began)
            self._feed(rng)

    def _feed(self, rng: random.Random) -> None:
        kind = rng.choices(self.kinds, [kind.weight for kind in self.kinds])[0]
        self._copied(kind)
        live, sealed = kind.mutate(self.live / kind.source.name, rng)
        self.sealed += sealed
        read = rng.choices([read for _, read in kind.reads], [often for often, _ in kind.reads])[0]
        size = sum(path.stat().st_size for path in self.live.rglob("*") if path.is_file())
        before = resident()
        peak_above(0)
        fed = self.count.total()
        noted = self.lines.reading() if fed < TRACED or fed % SELDOM == 0 else contextlib.nullcontext()
        with noted, _captured() as (out, err), self.watch.reading(), _at_most(PATIENCE):
            outcome = _outcome(read, live)
        peak = peak_above(before)
        text = out.getvalue() + err.getvalue()
        assert escaped(text) == text, f"{kind.name}: control characters in {text!r}"
        assert outcome == "done" or len(err.getvalue()) > 15, f"{kind.name}: no sentence, {outcome}"
        if peak > 2 * size + SPARE:
            raise TooMuchError(f"{kind.name}: {peak:,} bytes for an input of {size:,}")
        self.count[f"{kind.name}: {outcome}"] += 1

    def _copied(self, kind: Any) -> None:
        """A fresh copy of what is mutated."""
        shutil.rmtree(self.live, ignore_errors=True)
        self.live.mkdir()
        copy = shutil.copytree if kind.source.is_dir() else shutil.copyfile
        copy(kind.source, self.live / kind.source.name)


def _outcome(read: Any, live: Path) -> str:
    """Read an input: done, or refused."""
    try:
        code = read(live)
    except (UserError, NotFiniteError) as error:  # a function of Python's was called
        print(escaped(str(error)), file=sys.stderr)
        return "refused"
    except SystemExit as stop:
        code = stop.code
    return "refused" if code == 2 or (code and sys.stderr.getvalue()) else "done"  # type: ignore[attr-defined]


@contextmanager
def _captured() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        yield out, err


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Raises AssertionError inside once it has taken so long."""

    def late(*_: Any) -> None:
        raise AssertionError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def watched_for_stop() -> Callable[[], bool]:
    """What tells whether a Ctrl-C came since it was asked last, also to an input that handles Ctrl-C itself."""
    told, tell = os.pipe()
    for end in (told, tell):
        os.set_blocking(end, False)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.set_wakeup_fd(tell)  # gets the number of every signal, whoever handles it

    def stopped() -> bool:
        with contextlib.suppress(BlockingIOError):  # no signal came
            return signal.SIGINT in os.read(told, 4096)
        return False

    return stopped


def main() -> int:
    """Feed the inputs and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first one, so that several commands share")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--go-on", action="store_true", help="print the traceback of a fault and the input's number")
    parser.add_argument("--world", type=Path, help="keep there what the inputs begin from; made if it is missing")
    parser.add_argument("--only", default="", help="kinds of inputs whose names contain this")
    parser.add_argument("--missing", action="store_true", help="name the lines that were not reached")
    args = parser.parse_args()
    print(f"seed {args.seed}, inputs from {args.first:,}", flush=True)
    began, faults = time.monotonic(), 0
    with tempfile.TemporaryDirectory(dir=QUICK if QUICK.is_dir() else None) as temporary:
        folder = args.world or Path(temporary)
        folder.mkdir(exist_ok=True)
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        fuzz = Fuzz(folder, args.only)
        fed, stopped = time.monotonic(), watched_for_stop()
        for i in range(args.first, args.first + args.inputs):
            if stopped():  # the totals so far are told
                break
            try:
                fuzz.feed(random.Random(f"{args.seed} {i}"))
            except Exception:
                if not args.go_on:
                    raise
                import traceback

                faults += 1
                print(f"--- input {i}\n{traceback.format_exc(limit=-6)}", flush=True)
            if i % 5000 == 4999:
                n = i + 1 - args.first
                rate = n / (time.monotonic() - fed)
                print(f"{n:,} inputs, {rate:.1f} a second; {fuzz.lines.told(missing=False)}", flush=True)
                sys.modules["jax"].clear_caches()
                fuzz.warm_up()
    for name, n in sorted(fuzz.count.items()):
        print(f"{name:<40} {n:>8,}")
    print(fuzz.lines.told(args.missing))
    total = fuzz.count.total()
    print(f"{total:,} inputs, {fuzz.sealed / max(1, total):.0%} with their digests made right, ", end="")
    print(f"{faults} faults, {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
