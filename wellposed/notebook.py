"""What a notebook shows of a record: small tables, and a curve."""

from collections.abc import Iterable, Sequence
from html import escape

_WIDTH, _HEIGHT = 240, 60  # of a curve, pixels


def table(title: str, rows: Iterable[Sequence[str]], below: str = "") -> str:
    """A table as HTML, everything in it escaped; `below` is HTML of ours that follows it."""
    left = ' style="text-align: left; vertical-align: top"'
    cells = ("".join(f"<td{left}>{escape(cell)}</td>" for cell in row) for row in rows)
    lines = "".join(f"<tr>{line}</tr>" for line in cells)
    return f"<table><caption{left}><b>{escape(title)}</b></caption>{lines}</table>{below}"


def curve(steps: Sequence[float], rates: Sequence[float]) -> str:
    """Rates in [0, 1] against steps, as SVG; nothing of fewer than two."""
    if len(steps) < 2:
        return ""
    end = max(steps) or 1
    pairs = zip(steps, rates, strict=True)
    points = " ".join(f"{_WIDTH * step / end:.1f},{2 + (_HEIGHT - 4) * (1 - rate):.1f}" for step, rate in pairs)
    line = f'<polyline points="{points}" fill="none" stroke="#1667a8" stroke-width="2"/>'
    label = f"success from step {steps[0]:,} to {steps[-1]:,}"
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{label}">{line}</svg>'
