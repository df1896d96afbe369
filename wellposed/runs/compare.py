"""Two records of the same run: all but the seconds must be equal, bit for bit."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from wellposed.arrays import Arrays, bits
from wellposed.errors import UserError
from wellposed.runs import checkpoint
from wellposed.runs.record import LATER_MEANS, encode
from wellposed.runs.store import RunReader

RATES = {"steps_per_second", "updates_per_second"}
TIMING = RATES | {f"time/{rate}" for rate in RATES} | {"seconds", "evaluation_seconds"}


@dataclass(frozen=True)
class Difference:
    """A quantity that differs between two records, at an environment step."""

    step: int
    quantity: str
    one: Any
    other: Any

    def __str__(self) -> str:
        return f"step {self.step:,}: {self.quantity} is {_short(self.one)} in one and {_short(self.other)} in the other"


def differences(one: RunReader, other: RunReader) -> list[Difference]:
    """All differences between two finished records except seconds, the earliest step first.

    Compared are the rows of metrics, evaluations, episodes and warnings, the summary, and from the newest checkpoint
    weights, optimisers, statistics, random streams, environments and replay. Raises UserError if a record is damaged.
    """
    found = [d for name in checkpoint.LINES for d in _rows(name, one, other)]
    ends = [reader.load_state(reader.newest_manifest) for reader in (one, other)]
    step = ends[0][0].step
    found += _values(step, "", *({"step": m.step, "updates": m.updates} for m, _ in ends))
    found += _values(
        step, "", *(state | _replay(r, m, state) for r, (m, state) in zip((one, other), ends, strict=True))
    )
    found += _values(step, "summary", *(_timeless(_plain(reader.summary)) for reader in (one, other)))
    return sorted(found, key=lambda difference: difference.step)


def _rows(name: str, one: RunReader, other: RunReader) -> Iterator[Difference]:
    """Differences between the rows of one append-only file."""
    for first, second in zip_longest(*(reader.rows(name) for reader in (one, other))):
        if first is None or second is None:
            row: Any = first or second
            yield Difference(row["step"], f"{name} (a row)", first is not None, second is not None)
        else:
            yield from _values(first["step"], name, _timeless(first), _timeless(second))


def _values(step: int, name: str, one: Any, other: Any) -> Iterator[Difference]:
    """Differences between two values, down to the leaves of dictionaries."""
    if isinstance(one, dict) and isinstance(other, dict):
        later = {key for key in LATER_MEANS if None in (one.get(key), other.get(key))}
        for key in sorted((one.keys() | other.keys()) - later):
            yield from _values(step, f"{name} {key}".strip(), one.get(key), other.get(key))
    elif isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if bits(one) != bits(other):
            yield Difference(step, name, one, other)
    elif isinstance(one, np.ndarray) or isinstance(other, np.ndarray) or one != other:
        yield Difference(step, name, one, other)


def _replay(reader: RunReader, manifest: checkpoint.Manifest, state: Arrays) -> Arrays:
    """The rows of the replay, oldest first, joined from the parts they are stored in.

    Raises UserError if the parts are not of one replay.
    """
    parts = [checkpoint.load(reader.path, part.stored) for part in manifest.replay]
    if not parts:
        return {}
    forms = [{name: (array.dtype, array.shape[1:], array.ndim) for name, array in part.items()} for part in parts]
    held = state.get("loop/replay/held")
    if any(form != forms[0] for form in forms) or 0 in {array.ndim for array in parts[0].values()}:
        raise UserError(f"{reader.path} is damaged: the parts of its replay do not fit together.")
    if held is None or held.shape != (2,) or held.dtype.kind not in "iu":
        raise UserError(f"{reader.path} is damaged: its checkpoint does not say which rows its replay holds.")
    oldest, end = (int(bound) - manifest.replay[0].first for bound in held)
    return {f"replay {name}": np.concatenate([part[name] for part in parts])[oldest:end] for name in parts[0]}


def _timeless(value: Any) -> Any:
    """A row without times."""
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in TIMING}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    return None if value is None else encode(value)


def _short(value: Any) -> str:
    """A value in few characters; an array by type, shape and first number."""
    if isinstance(value, np.ndarray):
        first = value.reshape(-1)[:1].tolist()
        return f"{value.dtype}{list(value.shape)} beginning {first}"
    return repr(value)
