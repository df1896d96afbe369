"""The page of a capstone: what was predicted, what came of it, how the seeds learnt and what they tolerate."""

from pathlib import Path

from markupsafe import Markup

from course.capstone.grade import Grade, paths_of, robustness_of
from course.capstone.register import FILE, digest, registered
from course.capstone.task import LEVEL, PAGE, load
from wellposed.analysis.curves import learning_curve
from wellposed.check.stored import warnings_of
from wellposed.report import figures
from wellposed.report.page import render
from wellposed.report.robustness import lines
from wellposed.runs.store import RunReader
from wellposed.serialise import flatten
from wellposed.verdict import stored_verdict


def write_page(folder: Path, grade: Grade) -> None:
    """Write capstone.html of a capstone whose runs have ended; raises UserError if the disk refuses."""
    capstone, registration = load(folder), registered(folder)
    readers = [RunReader(path) for path in paths_of(folder, registration)]
    finished = [reader for reader in readers if reader.summary is not None]
    judged = {f"seed {one.config['seed']}": stored_verdict(one.path) for one in finished}
    rates = [(name, one.trained.success_rate, one.trained.success_ci95) for name, one in judged.items()]
    curve, tolerated = None, robustness_of(folder, [one.path for one in finished]) if finished else None
    for one in [*judged.values()][:1]:
        rates.append(("random actions", one.random.success_rate, one.random.success_ci95))
        found = learning_curve([reader.evaluations for reader in finished])
        curve = Markup(figures.learning_curve(found, one.random.success_rate, one.trained.already_solved_rate))
    if grade.scores:
        low, guess, high = grade.scores[0].result.predicted
        rates.insert(0, ("predicted", guess, (low, high)))
    render(
        "capstone.html.j2",
        folder / PAGE,
        capstone=capstone,
        grade=grade,
        level=LEVEL,
        registration=registration,
        digest=digest(folder / FILE),
        warnings=warnings_of(registration.certificate),
        rates_svg=Markup(figures.rates_figure(rates)) if rates else "",
        curve_svg=curve,
        levels=[Markup(figures.level_figure(one)) for one in tolerated.curves] if tolerated else [],
        tolerated=lines(tolerated) if tolerated else [],
        configuration=flatten(readers[0].config | {"seed": ", ".join(str(one.config["seed"]) for one in readers)}),
        origin=readers[0].provenance,
    )
