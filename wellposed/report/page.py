"""The report: one self-contained HTML page out of finished runs. No network, no script, nothing to install."""

import base64
from collections.abc import Sequence
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from wellposed import verdict as verdicts
from wellposed.analysis.summary import summary_over_seeds
from wellposed.analysis.tables import learning_curve
from wellposed.diagnose import diagnose, lines, read_evidence
from wellposed.errors import UserError
from wellposed.report import figures
from wellposed.runs.files import explained, write_whole
from wellposed.runs.provenance import as_typed
from wellposed.runs.record import EvaluationRow, Provenance, Summary, Verdict
from wellposed.runs.store import RunReader, env_id, resume_command
from wellposed.stats import describe_interval, describe_rate
from wellposed.units import printed

SOLVED = 0.9  # a verdict is shown in green where even the lower end of its interval lies above


def _measures(unit: str) -> list[tuple[str, str, float, str, str]]:
    """Field of EpisodeRow, what a reader calls it, factor, unit, format; lengths are in the `unit` of goals."""
    length = lambda decimals: decimals if unit else ".3g"  # noqa: E731
    return [
        ("episode_return", "return, undiscounted", 1, "", ".1f"),
        ("final_distance", "distance to the goal at the end", *printed(unit), length(".1f")),
        ("time_to_success", "steps to the first success", 1, "", ".1f"),
        ("action_change", "squared change of the action, per step", 1, "", ".3f"),
        ("peak_action", "largest action component", 1, "", ".2f"),
        ("path_length", "way of the end effector", 1, unit, length(".2f")),
    ]


def write_report(paths: Sequence[str | Path], target: str | Path, *, video: bool = True, threads: int = 2) -> Path:
    """Write the report of one or several finished runs of one environment and configuration.

    Args:
        paths: run directories.
        target: the HTML file.
        video: whether to draw one; it takes a few seconds.
        threads: native threads for physics.

    Raises:
        UserError: if a run is not finished, or they are of different environments or configurations.
    """
    paths, target = [Path(path) for path in paths], Path(target)
    if len({path.resolve() for path in paths}) != len(paths):
        raise UserError("The same run was named twice; it would count twice in the interval.")
    readers = [RunReader(path) for path in paths]
    summaries = [_finished(reader) for reader in readers]
    configs = [{k: v for k, v in reader.config.items() if k != "seed"} for reader in readers]
    if any(config != configs[0] for config in configs):
        raise UserError("These runs differ in more than their seed; write one report for each configuration.")
    found = [verdicts.stored_verdict(path, threads) for path in paths]
    clip, why_not = _video(paths[0], threads) if video else (None, "it was not asked for (--no-video).")
    page = template("page.html.j2").render(
        **_head(readers, summaries, found),
        **_figure(readers, found),
        diagnoses=[_diagnosis(path, reader.config["seed"]) for path, reader in zip(paths, readers, strict=True)],
        **_numbers(found[0]),
        measured_seed=readers[0].config["seed"],
        **_origin(readers),
        video=clip,
        video_missing=why_not,
        video_caption="Twelve copies, one policy, half speed. Red ball: the goal; green: reached.",
        version=version("wellposed"),
        run_count="one run record" if len(paths) == 1 else f"{len(paths)} run records",
    )
    with explained(target, "write"):
        target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, page.encode())
    return target


def template(name: str) -> jinja2.Template:
    """A page's template; everything put into it is escaped unless it is our own SVG."""
    loader = jinja2.PackageLoader("wellposed", "report")
    env = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return env.get_template(name)


def _finished(reader: RunReader) -> Summary:
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


def _head(readers: list[RunReader], summaries: list[Summary], found: list[Verdict]) -> dict[str, Any]:
    """Title, abstract, verdicts and cards."""
    config, first = readers[0].config, found[0]
    method = config["algo"].upper() + (" with hindsight" if "replay" in config and config["replay"]["k"] else "")
    lines = [
        {
            "sentence": verdicts.sentence(v),
            "solved": v.trained.success_ci95[0] > SOLVED,
            "detail": f"seed {reader.config['seed']} · {s.seconds:.1f} s of training · {s.step:,} environment steps · "
            f"{s.updates:,} gradient updates · {_ended(s)}",
        }
        for reader, s, v in zip(readers, summaries, found, strict=True)
    ]
    which = f", seed {config['seed']}" if len(readers) > 1 else ""
    cards = [
        {"value": f"{v:.1%}", "label": f"{label}{which} ({describe_interval(ci)})"}
        for v, ci, label in (
            (first.trained.success_rate, first.trained.success_ci95, "success, trained policy"),
            (first.random.success_rate, first.random.success_ci95, "success, random actions"),
            (first.trained.already_solved_rate, first.trained.already_solved_ci95, "goals already solved at reset"),
        )
    ]
    whole = _over_seeds(found) if len(found) > 1 else lines[0]
    abstract = (
        f"{method} on {env_id(config)}. Success means: at the last step of the episode, the greedy policy is at its "
        f"goal. The verdict is over {first.trained.episodes} held-out episodes that neither trained the policy nor "
        "decided when to stop."
    )
    title = f"{env_id(config)}: {method}"
    return {"title": title, "abstract": abstract, "verdict": whole, "verdicts": lines, "cards": cards}


def _over_seeds(found: list[Verdict]) -> dict[str, Any]:
    """The verdict over all seeds: the mean, with an interval that knows how few they are."""
    rates = [verdict.trained.success_rate for verdict in found]
    whole = summary_over_seeds(rates, "rate", episodes=found[0].trained.episodes)
    return {
        "sentence": f"{found[0].env}: {whole.text}",
        "solved": whole.low is not None and whole.low > SOLVED,
        "detail": f"mean over the seeds; the least {min(rates):.0%}, the most {max(rates):.0%}",
    }


def _ended(summary: Summary) -> str:
    """Why training ended, in words."""
    if summary.solved is not None:
        return f"stopped at two evaluations in a row at {summary.solved.success_rate:.0%} or above"
    return "the whole budget was used"


def _figure(readers: list[RunReader], found: list[Verdict]) -> dict[str, Any]:
    """The learning curve and what its reader must know."""
    curve = learning_curve([reader.evaluations for reader in readers])
    svg = figures.learning_curve(curve, found[0].random.success_rate, found[0].trained.already_solved_rate)
    caption = (
        f"Success of the greedy policy on fixed monitoring episodes. Band: {curve.interval}. Evaluation takes no "
        "training time. Below the dashed and dotted lines nothing has been learnt."
    )
    return {"curve_svg": Markup(svg), "curve_caption": caption}


def _diagnosis(path: Path, seed: int) -> dict[str, Any]:
    """What `wellposed diagnose` says of a run, in the same lines; where a record cannot be diagnosed, why."""
    try:
        found = diagnose(read_evidence(path))
    except UserError as error:
        return {"seed": seed, "healthy": False, "lines": [str(error)]}
    return {"seed": seed, "healthy": found.healthy, "lines": lines(found)}


def _numbers(verdict: Verdict) -> dict[str, Any]:
    """The table of episode measures, trained beside random."""

    def rate(row: EvaluationRow) -> str:
        return describe_rate(row.success_rate, row.success_ci95)

    def cell(row: EvaluationRow, field: str, factor: float, unit: str, form: str) -> str:
        if field not in row.means:  # only the time to success may be missing, where no episode succeeded
            return "never"
        estimate = row.means[field]
        mean, low, high = (format(factor * number, form) for number in (estimate.value, *estimate.ci95))
        return f"{mean} {unit} ({low} to {high})".replace("  ", " ")

    both = (verdict.trained, verdict.random)
    measures = [("success at the last step", *(rate(row) for row in both))]
    measures += [
        ("success at any step", *(describe_rate(r.any_success.value, r.any_success.ci95) for r in both)),
    ]
    own = _measures(verdicts.goal_unit(verdict.env))
    measures += [(name, *(cell(row, field, f, unit, form) for row in both)) for field, name, f, unit, form in own]
    note = (
        "Rates with Wilson intervals, means with bootstrap intervals, 95 %. Actions are those that reached the "
        "simulator. Steps to success are over the episodes that succeeded."
    )
    rows = [{"name": n, "trained": t, "random": r} for n, t, r in measures]
    return {"measures": rows, "measures_note": note, "episodes": verdict.trained.episodes}


def _origin(readers: list[RunReader]) -> dict[str, Any]:
    """Configuration and provenance as rows of words."""
    config = readers[0].config | {"seed": ", ".join(str(reader.config["seed"]) for reader in readers)}
    return {"configuration": flat_settings(config), "provenance": provenance_rows(readers[0].provenance)}


def flat_settings(config: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A configuration as rows of name and value; nested settings, at any depth, get dotted names and come last."""
    plain = [(prefix + name, value) for name, value in config.items() if not isinstance(value, dict)]
    nested = [flat_settings(part, f"{prefix}{name}.") for name, part in config.items() if isinstance(part, dict)]
    return [*plain, *chain.from_iterable(nested)]


def provenance_rows(p: Provenance) -> list[tuple[str, str]]:
    """Where something comes from, as rows of words."""
    dirty = " with uncommitted changes" if p.dirty else ""
    rows = [
        ("command", " ".join(as_typed(p.command))),
        ("commit", f"{p.commit}{dirty}" if p.commit else "not a git checkout"),
        ("started", p.started),
        ("machine", f"{p.cpu}, {p.cores} cores, {p.platform}"),
        ("devices", ", ".join(p.devices)),
        ("physics threads", str(p.threads)),
        ("autoreset", p.autoreset_mode),
        ("Python", p.python),
    ]
    if p.steps_per_second is not None and p.updates_per_second is not None:
        rows.append(("speed", f"{p.steps_per_second:,.0f} steps/s, {p.updates_per_second:,.0f} updates/s in training"))
    return rows + [(name, number) for name, number in p.packages.items()]
