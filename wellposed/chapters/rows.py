"""JSON for results: a line for each thing that a person may look for, long lists of numbers on one."""

import json
from pathlib import Path
from typing import Any

from wellposed.runs.files import write_whole


def write_rows(path: Path, data: Any) -> None:
    """Write JSON data whole; NaN and infinity are refused."""
    write_whole(path, f"{format_rows(data)}\n".encode())


def format_rows(data: Any, indent: str = "") -> str:
    """JSON text in which a list of plain values takes one line, and everything else a line for each of its parts."""
    inner = indent + " "
    if isinstance(data, dict) and data:
        parts = [f"{json.dumps(key)}: {format_rows(part, inner)}" for key, part in data.items()]
    elif isinstance(data, list) and any(isinstance(part, dict | list) for part in data):
        parts = [format_rows(part, inner) for part in data]
    else:
        return json.dumps(data, allow_nan=False)
    opening, closing = "{}" if isinstance(data, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closing}"
