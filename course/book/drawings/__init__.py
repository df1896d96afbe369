"""The drawings of the course, `{{ drawing: NAME caption="..." }}`: one function each.

A drawing needs no records. What can be computed in it is computed, by the chapter's formula or by the laboratory's own
code. The docstring of its function is its alternative text in the page.
"""

from collections.abc import Callable
from inspect import cleandoc

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course.book.drawings import cameras, contact, curves, evidence, robots, schemes, timelines
from course.book.drawings.primitives import STYLE, typeset
from course.book.figures import style, themed
from course.book.pages import Directive, Page, captioned
from wellposed.report.figures import as_svg

DRAWINGS: dict[str, Callable[[], Axes]] = {
    one.__name__: one
    for one in (
        schemes.kernel,
        schemes.sac,
        schemes.loop,
        schemes.senses,
        schemes.same_problem,
        schemes.ports,
        timelines.streams,
        timelines.gae,
        timelines.strategies,
        timelines.stages,
        robots.task,
        robots.goals_grow,
        robots.grasp,
        curves.wilson_test,
        curves.spring,
        curves.clip,
        curves.squashed,
        curves.landscape,
        curves.step_error,
        curves.too_optimistic,
        curves.worst_world,
        curves.far_enough,
        cameras.camera_rays,
        cameras.pixel_and_goal,
        cameras.four_ways,
        contact.contacts,
        contact.jamming,
        contact.search,
        contact.guarded_moves,
        evidence.best_of_many,
        evidence.ledger,
        evidence.ridge,
    )
}


def drawing(page: Page, directive: Directive) -> str:
    """`{{ drawing: NAME caption="..." }}`: the drawing with its caption. Raises UserError if there is none."""
    return captioned(page, directive, draw(directive.picked(DRAWINGS, "drawing")))


def draw(made: Callable[[], Axes]) -> str:
    """A drawing as an SVG element."""
    with style(), plt.rc_context(STYLE):
        figure = made().figure
        assert isinstance(figure, Figure)
        return themed(typeset(as_svg(figure)), " ".join(cleandoc(made.__doc__ or "").split()))
