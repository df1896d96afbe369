"""The trained policy in the page, `{{ arm: caption="..." }}`: the reader drags the goal, and the arm follows.

Beside the text lie `arm.svg`, the picture of the start, and `policies.json`, which `scripts/arm.py` makes from
runs. The rest is `theme/js/arm.js`, and the engine that `make book` fetches.
"""

import json
from html import escape
from os.path import relpath
from pathlib import Path

from wellposed.book.engine import write_engine
from wellposed.book.live import Choice, Slider
from wellposed.book.pages import FILES, Directive, Page, captioned
from wellposed.errors import UserError

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
    if directive.words or missing:
        raise UserError(f'Write it as: arm: caption="..."; beside the text must be {" and ".join(missing)}.')
    address = ""
    if engine := write_engine():
        target = page.links.files.setdefault(engine.resolve(), f"{FILES}/{engine.name}")
        address = relpath(target, Path(page.target).parent)
    policies = json.loads((folder / "policies.json").read_text())["policies"]
    return captioned(page, directive, html((folder / "arm.svg").read_text(), policies, address))


def html(still: str, policies: dict, address: str) -> str:
    """The element: the picture, and if there is an engine at an address, what loads it."""
    picture = f'<svg role="img" aria-label="{_ABOUT}" viewBox="-210 -190 420 330" class="wp-arm">{still}</svg>'
    said = f'<p class="wp-said" aria-live="polite">{_STILL}</p>'
    if not address:
        return f"<div>{picture}{said}</div>"
    inputs = (Choice("policy", "policy", tuple(policies)), *_SLIDERS)
    numbers = {one.name: one.number for one in inputs}
    return (
        f'<div data-engine="{escape(address)}">{picture}{said}'
        f'<div class="wp-inputs" hidden>{"".join(one.html(numbers) for one in inputs)}{_BUTTONS}</div>'
        '<button type="button" name="load" hidden>Let it move (loads 4 MB)</button>'
        f'<script type="application/json">{json.dumps(policies)}</script></div>'
    )
