"""Commands that read run records."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro

from wellposed.commands.arguments import CORES, RUNS, JsonFile, Positional, RunPath, RunsDir, Threads, as_rows, emit
from wellposed.errors import UserError, require


def reproduce_run(
    run: Annotated[
        Positional[RunPath], tyro.conf.arg(metavar="RUN", help="a finished run's directory; it is only read")
    ],
    threads: Threads = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Train a recorded run again and compare it with its record. Exit code 1 if the record is not reproduced."""
    from wellposed.reproduce import reproduce

    found = reproduce(run, threads=threads, quiet=quiet)
    if not emit(asdict(found), json_file):
        print(found.sentence)
    return 0 if found.holds else 1


def evaluate(
    run: Annotated[Positional[RunPath], tyro.conf.arg(metavar="RUN", help="a run's directory")],
    episodes: Annotated[int, tyro.conf.arg(help="held-out episodes to play")] = 100,
    seed: Annotated[int, tyro.conf.arg(help="which held-out episodes; they are never used in training")] = 0,
    noise: Annotated[
        float, tyro.conf.arg(metavar="LENGTH", help="standard deviation of errors of all positions the policy sees")
    ] = 0.0,
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Evaluate a run's newest checkpoint on held-out episodes, greedily, beside random actions."""
    from wellposed import verdict

    found = verdict.assess(run, episodes, seed, threads, noise)
    trained = asdict(found.trained)
    data = {"env": found.env, "run": str(run), "seed": seed, "noise": noise, **trained}
    data |= {"random": asdict(found.random), "per_episode": [asdict(row) for row in found.per_episode]}
    if not emit(data, json_file):
        print(verdict.sentence(found))
        print(verdict.baselines(found))
    return 0


def diagnose(
    run: Annotated[Positional[RunPath], tyro.conf.arg(metavar="RUN", help="a run's directory; it may be under way")],
    json_file: JsonFile = None,
) -> int:
    """Find what is wrong with a run, from its record, and what to change. Exit code 1 if anything is wrong."""
    from wellposed.diagnose import lines
    from wellposed.examination import examine

    found = examine(run)
    keys = ("rule", "kind", "sure", "step", "evidence", "lesson", "change")
    rows = as_rows(found.findings, keys, rule="name", lesson="why", change="advice")
    if not emit({"run": str(run), "healthy": found.healthy, **asdict(found), "findings": rows}, json_file):
        print("\n".join(lines(found)))
    return 0 if found.healthy else 1


GROUP_HELP = (
    "runs of one configuration, with one or several seeds: a directory, a quoted pattern with *, or the beginning of "
    "their names or of the hash in them; separate several with commas"
)


def compare(
    a: Annotated[Positional[str], tyro.conf.arg(metavar="A", help=GROUP_HELP)],
    b: Annotated[Positional[str], tyro.conf.arg(metavar="B", help="the same for the other group")],
    more: Annotated[
        Positional[tuple[str, ...]], tyro.conf.arg(metavar="C...", help="further groups, each compared with A as well")
    ] = (),
    page: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="write an HTML page with the curves of all groups together")
    ] = None,
    bar: Annotated[
        float | None,
        tyro.conf.arg(help="success rate to reach; by default the lowest at which one of the groups stops"),
    ] = None,
    episodes: Annotated[int, tyro.conf.arg(help="held-out episodes of each run; more give narrower intervals")] = 100,
    runs_dir: RunsDir = RUNS,
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Compare groups of runs with the first: which is better, by how much, how certainly, and what else differs."""
    from wellposed.analysis import comparison
    from wellposed.compare import find_runs, lines, read_groups

    if bar is not None:
        require(0 < bar <= 1, "bar", "is a share above 0 and at most 1", bar)
    first, *others = (find_runs(words, runs_dir) for words in (a, b, *more))
    found = [comparison.compare(*read_groups(first, other, episodes, threads), bar) for other in others]
    if page is not None:
        from wellposed.report.page import write_report  # only here: it draws

        paths = [*dict.fromkeys(reader.path for group in (first, *others) for reader in group)]
        write_report(paths, page, video=False, threads=threads)
    data = [comparison.as_data(one) for one in found]
    if not emit(data if more else data[0], json_file):
        print("\n\n".join("\n".join(lines(one)) for one in found))
    return 0


def report(
    runs: Annotated[
        Positional[list[RunPath]],
        tyro.conf.arg(metavar="RUN...", help="finished runs, of one configuration or of several"),
    ],
    out: Annotated[Path, tyro.conf.arg(metavar="FILE", help="the HTML file to write")] = Path("report.html"),
    video: Annotated[bool, tyro.conf.arg(help="draw the video of the trained policy; takes seconds")] = True,
    threads: Threads = CORES,
) -> int:
    """Write a self-contained HTML report of finished runs; the last line printed is its path."""
    from wellposed.report.page import write_report

    if not runs:
        raise UserError("Name at least one run directory; `wellposed runs` lists them.")
    print(write_report(runs, out, video=video, threads=threads))
    return 0
