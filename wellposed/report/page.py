"""The report: one self-contained HTML page out of finished runs. No network, no script, nothing to install."""

import base64
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wellposed import verdict as verdicts
from wellposed.analysis.curves import learning_curve
from wellposed.analysis.summary import summary_over_seeds
from wellposed.diagnose import diagnose, lines, read_evidence
from wellposed.errors import UserError
from wellposed.report import figures, template
from wellposed.runs.files import encoded, explained, write_whole
from wellposed.runs.record import EvaluationRow, Summary, Verdict
from wellposed.runs.store import RunReader, env_id, resume_command
from wellposed.serialise import flatten
from wellposed.units import printed

SOLVED = 0.9  # a verdict is shown in green where even the lower end of its interval lies above


def write_report(paths: Sequence[str | Path], target: str | Path, *, video: bool = True, threads: int = 2) -> Path:
    """Write the report of finished runs; those of several configurations get an overview, without a video.

    Args:
        paths: run directories.
        target: the HTML file.
        video: whether to draw one; it takes a few seconds.
        threads: native threads for physics.

    Raises:
        UserError: if a run is not finished.
    """
    paths, target = [Path(path) for path in paths], Path(target)
    if len({path.resolve() for path in paths}) != len(paths):
        raise UserError("The same run was named twice; it would count twice in the interval.")
    readers = [RunReader(path) for path in paths]
    summaries = [finished(reader) for reader in readers]
    configs = [{k: v for k, v in reader.config.items() if k != "seed"} for reader in readers]
    if any(config != configs[0] for config in configs):
        from wellposed.report.overview import write_overview  # only here: it imports this module

        write_overview(readers, target, threads)
        return target
    found = [verdicts.stored_verdict(path, threads) for path in paths]
    trained, random = found[0].trained, found[0].random
    curve = learning_curve([reader.evaluations for reader in readers])
    whole = summary_over_seeds([v.trained.success_rate for v in found], "rate", episodes=trained.episodes)
    clip, why_not = _video(paths[0], threads) if video else (None, "it was not asked for (--no-video).")
    render(
        "page.html.j2",
        target,
        env=env_id(configs[0]),
        method=_method(configs[0]),
        runs=[_run(*one) for one in zip(readers, summaries, found, strict=True)],
        whole=whole,
        solved=whole.low is not None and whole.low > SOLVED,
        trained=trained,
        random=random,
        interval=curve.interval,
        curve_svg=Markup(figures.learning_curve(curve, random.success_rate, trained.already_solved_rate)),
        measures=_measures(found[0].env, trained, random),
        configuration=flatten(
            readers[0].config | {"seed": ", ".join(str(reader.config["seed"]) for reader in readers)}
        ),
        origin=readers[0].provenance,
        video=clip,
        video_missing=why_not,
    )
    return target


def render(name: str, target: Path, **values: Any) -> None:
    """Write a page from its template; raises UserError if the disk refuses."""
    page = template(name).render(version=version("wellposed"), **{"cost": ()} | values)
    with explained(target, "write"):
        target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, encoded(page))


def finished(reader: RunReader) -> Summary:
    """How a run ended; raises UserError if it has not finished."""
    summary = reader.summary
    if summary is None:
        raise UserError(
            f"{reader.path} is {reader.status}, not finished; a report needs a finished run. If it was cut short, "
            f"`{resume_command([reader.path])}` goes on with it."
        )
    return summary


def _video(path: Path, threads: int) -> tuple[str | None, str]:
    """The grid video as base64, or None and the reason."""
    from wellposed.report.video import grid_video  # only here: it needs OpenGL

    config, agent, _ = verdicts.load_run(path)
    try:
        return base64.b64encode(grid_video(agent, config.env, config.seed, threads)).decode(), ""
    except UserError as error:
        return None, str(error)


def _method(config: dict[str, Any]) -> str:
    """`SAC with hindsight`."""
    return config["algo"].upper() + (" with hindsight" if "replay" in config and config["replay"]["k"] else "")


def _run(reader: RunReader, summary: Summary, verdict: Verdict) -> dict[str, Any]:
    """What the page says of one run. Its diagnosis has the lines of `wellposed diagnose`, or why there is none."""
    try:
        found = diagnose(read_evidence(reader.path))
        healthy, said = found.healthy, lines(found)
    except UserError as error:
        healthy, said = False, [str(error)]
    return {
        "seed": reader.config["seed"],
        "summary": summary,
        "sentence": verdicts.sentence(verdict),
        "sees": verdict.sees,
        "solved": verdict.trained.success_ci95[0] > SOLVED,
        "healthy": healthy,
        "diagnosis": said,
    }


def _measures(env: str, *policies: EvaluationRow) -> list[tuple[str, ...]]:
    """The rows of the table of episode measures: a name, and a cell for each policy. Lengths have the unit of goals."""

    def row(name: str, field: str, form: str, unit: str = "", factor: float = 1.0) -> tuple[str, ...]:
        cells = []
        for measured in (policy.means.get(field) for policy in policies):
            if measured is None:  # no episode succeeded, or the verdict is older than the measure
                cells.append("never" if field == "time_to_success" else "not measured")
                continue
            mean, low, high = (format(factor * number, form) for number in (measured.value, *measured.ci95))
            cells.append(f"{mean} {unit} ({low} to {high})".replace("  ", " "))
        return name, *cells

    unit = verdicts.goal_unit(env)
    factor, small = printed(unit)
    return [
        row("return, undiscounted", "episode_return", ".1f"),
        row("distance to the goal at the end", "final_distance", ".1f" if unit else ".3g", small, factor),
        row("steps to the first success", "time_to_success", ".1f"),
        row("squared change of the action, per step", "action_change", ".3f"),
        row("jerk: squared second difference of it", "action_jerk", ".3f"),
        row("energy: steps at full action", "action_energy", ".1f"),
        row("largest action component", "peak_action", ".2f"),
        row("path of the end effector", "path_length", ".2f" if unit else ".3g", unit),
    ]
