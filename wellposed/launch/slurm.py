"""Rows as array jobs of Slurm: an index of an array does a row, by the same command as everywhere.

Slurm holds indices and nothing else. What has ended and what is running is read from the run directories, so rows whose
jobs were lost with Slurm's database are submitted again, and a row that is in the queue twice is trained once.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from wellposed import plugin
from wellposed.errors import UserError
from wellposed.launch.options import Options
from wellposed.launch.rows import Folder
from wellposed.launch.states import states
from wellposed.launch.work import HELD, command
from wellposed.runs.files import folder_in

NOTICE = 120  # seconds before the time limit at which a run is told to save; Slurm may be a minute early
RESTARTS = 10  # of a job whose worker is killed, as by a lack of memory

# The batch shell alone is told of the time limit. A job that is cancelled or preempted is told as a whole; it saves and
# is not put back into the queue here: a preempted one is by Slurm, and a cancelled one is not meant to be.
# A signal ends `wait` early, which then waits again; 127 says that the worker's end was told already.
JOB = """\
#!/bin/sh
row=$(({first} + SLURM_ARRAY_TASK_ID))
exec >> {logs}/$row.txt 2>&1
told=
trap 'told=yes; hit=yes; kill -TERM "$worker"' USR1
trap 'hit=yes' TERM
{command} "$row" --threads {threads} &
worker=$!
code=127
hit=yes
while [ -n "$hit" ]; do hit=; wait "$worker"; now=$?; [ "$now" -eq 127 ] && break; code=$now; done
again=no
case $code in
    0 | 1) ;;
    {held}) again=yes ;;
    130 | 143) again=$told ;;
    *) [ "${{SLURM_RESTART_COUNT:-0}}" -ge {restarts} ] || again=yes ;;
esac
[ "$again" != yes ] || scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
exit "$code"
"""


def launch(folder: Path, rows: list[int], options: Options) -> None:
    """Submit the rows that are neither running nor in Slurm's queue; they run when Slurm lets them.

    `options.threads` are the cores of each; `options.words` are further options of `sbatch`, as `partition=long`.

    Raises:
        UserError: if there is no Slurm, or it refuses.
    """
    if shutil.which("sbatch") is None:
        raise UserError(
            "--on slurm needs the commands of Slurm, and there is no sbatch here. Launch from a login node."
        )
    place = Folder(folder.resolve())
    known, name = place.rows, job_name(place.path)
    now = states(place.runs, [known[row] for row in rows])
    there = queued(name)
    wanted = [row for row, state in zip(rows, now, strict=True) if state != "running" and row not in there]
    folder_in(place.path, "logs")
    size = largest_array()
    for first, of_one in groupby(sorted(wanted), key=lambda row: row // size * size):
        indices = [row - first for row in of_one]
        number = ask(*submission(place.path, first, indices, options)).strip().partition(";")[0]
        if not options.quiet:
            print(f"Slurm's job {number} does {len(indices)} rows from row {first + indices[0]} on.", flush=True)


def submission(folder: Path, first: int, indices: Sequence[int], options: Options) -> tuple[list[str], str]:
    """The words of `sbatch` and the job that it is to run, for rows `first` + `indices`."""
    words = [
        "sbatch",
        "--parsable",
        "--requeue",
        f"--job-name={job_name(folder)}+{first}",
        f"--cpus-per-task={options.threads}",
        f"--signal=B:USR1@{NOTICE}",
        "--output=/dev/null",
        *(word if word.startswith("-") else f"--{word}" for word in options.words),
        f"--array={as_ranges(indices)}",
    ]
    job = JOB.format(
        first=first,
        logs=shlex.quote(str(folder / "logs")),
        command=shlex.join(command(folder, 0)[:-1]),
        threads=options.threads,
        held=HELD,
        restarts=RESTARTS,
    )
    return words, job


def job_name(folder: Path) -> str:
    """What the jobs of a folder are called, but for the first row of each array."""
    return f"{folder.name}-{sha256(str(folder).encode()).hexdigest()[:8]}"


def queued(name: str) -> set[int]:
    """The rows of jobs of that name that wait or run, as Slurm says. Nothing rests on it but a shorter queue."""
    told = ask(["squeue", "--noheader", "--me", "--array", "--states=PENDING,RUNNING,SUSPENDED", "--format=%j %K"])
    found = (re.fullmatch(rf"{re.escape(name)}\+(\d+) (\d+)", line.strip()) for line in told.splitlines())
    return {int(match[1]) + int(match[2]) for match in found if match}


def largest_array() -> int:
    """How many indices an array may have on this cluster."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask(["scontrol", "show", "config"]), re.MULTILINE)
    return int(found[1]) if found else 1001


def as_ranges(indices: Iterable[int]) -> str:
    """Ascending indices as Slurm reads them: `0-3,7`."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def ask(words: Sequence[str], text: str = "") -> str:
    """What a command of Slurm answers; raises UserError with its complaint if it refuses."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, env=plugin.environment())
    if done.returncode:
        raise UserError(f"{words[0]} refused: {done.stderr.strip() or 'no reason was given'}")
    return done.stdout
