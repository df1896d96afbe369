"""The trained policy in the page, `{{ arm: caption="..." }}`: the reader drags the goal, and the arm follows.

Beside the text lie `arm.svg`, the picture of the start, and `policies.json`, which `scripts/arm.py` makes from runs.
The rest is `theme/js/arm.js`, and the engine that `make book` fetches.
"""

import json
from html import escape
from os.path import relpath
from pathlib import Path
from typing import Any

from course.book.engine import write_engine
from course.book.live import Choice, Slider
from course.book.pages import FILES, Directive, Page, captioned
from wellposed.errors import UserError
from wellposed.stats import describe_rate

_SLIDERS = (
    Slider("forwards", "goal, forwards (cm)", -15, 15, 1, 8),
    Slider("sideways", "goal, sideways (cm)", -15, 15, 1, 8),
    Slider("noise", "noise (cm)", 0, 5, 0.5, 0),
    Slider("delay", "delay (steps)", 0, 5, 1, 0),
)
_BUTTONS = (
    '<button type="button" name="again">Start again</button> '
    '<button type="button" name="pause" aria-pressed="false">Pause</button>'
)
_ABOUT = "A robot arm beside a table with a block, and a circle around the goal of the block."
_STILL = "At the start: the block is to be pushed into the circle."


def arm(page: Page, directive: Directive) -> str:
    """The answer to the directive.

    Raises:
        UserError: if a file is missing, or there is no caption.
    """
    directive.refuse_options_but("caption")
    folder = page.source.parent
    missing = [name for name in ("arm.svg", "policies.json") if not (folder / name).is_file()]
    if missing:
        raise UserError(f"There is no {' and no '.join(missing)} beside the text; scripts/arm.py makes them.")
    address = ""
    if engine := write_engine():
        target = page.links.files.setdefault(engine.resolve(), f"{FILES}/{engine.name}")
        address = relpath(target, Path(page.target).parent)
    found = json.loads((folder / "policies.json").read_text())
    return captioned(page, directive, html((folder / "arm.svg").read_text(), found, address))


def html(still: str, found: dict[str, Any], address: str) -> str:
    """The element: the picture, and if there is an engine at an address, what loads it.

    Args:
        still: the inside of the SVG element.
        found: the content of `policies.json`.
        address: of the engine's script; empty without one.
    """
    picture = f'<svg role="img" aria-label="{_ABOUT}" viewBox="-210 -190 420 330" class="wp-arm">{still}</svg>'
    said = f'<p class="wp-said" aria-live="polite">{_STILL}</p>'
    if not address:
        return f"<div>{picture}{said}{_origins(found)}</div>"
    policies = found["policies"]
    inputs = (Choice("policy", "policy", tuple(policies)), *_SLIDERS)
    numbers = {one.name: one.number for one in inputs}
    return (
        f'<div data-engine="{escape(address)}">{picture}{said}'
        f'<div class="wp-inputs" hidden>{"".join(one.html(numbers) for one in inputs)}{_BUTTONS}</div>'
        '<button type="button" name="load" hidden>Let it move (loads 4 MB)</button>'
        f'{_origins(found)}<script type="application/json">{json.dumps(policies)}</script></div>'
    )


def _origins(found: dict[str, Any]) -> str:
    """What each policy achieves, and how it was made."""
    lines = []
    for name, policy in found["policies"].items():
        card = policy["header"]["card"]
        verdict, made = card["verdict"], f"<code>{escape(found['made'][name])}</code>, commit {card['commit'][:7]}"
        success = describe_rate(verdict["success_rate"], verdict["success_ci95"])
        lines.append(f"{escape(name.capitalize())}: {success} of {verdict['episodes']} held-out episodes. {made}")
    return f'<p class="wp-made">{"<br>".join(lines)}</p>'
