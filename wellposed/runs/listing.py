"""What `wellposed runs` says of recorded runs: a row for each, filtered, sorted, and as a table for 80 columns."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from wellposed import serialise
from wellposed.errors import UserError, instead
from wellposed.runs.record import EvaluationRow
from wellposed.runs.store import RunReader, env_id, short_name
from wellposed.serialise import flatten

WIDTH = 80
Order = Literal["path", "date", "env", "algo", "steps", "seconds", "success"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass
class Listed:
    """One run, as far as its record can be read."""

    run: str  # its directory
    name: str = "-"  # short: the beginning of the hash, and the seed
    status: str = "damaged"
    date: str = ""  # when it began, ISO 8601, UTC
    env: str = ""
    algo: str = ""
    config_seed: int | None = None
    steps: int = 0
    seconds: float = 0.0  # of training
    last: EvaluationRow | None = None
    differs: dict[str, Any] | None = None  # settings in which the listed runs of its environment and algorithm differ
    problem: str | None = None  # why it cannot be read

    @property
    def words(self) -> str:
        """What a filter looks at."""
        return " ".join((self.run, self.name, self.status, self.date, self.env, self.algo))


def listing(readers: Iterable[RunReader]) -> list[Listed]:
    """A row for each run, in the order given; a damaged one says what is wrong."""
    rows, settings = [], {}
    for reader in readers:
        row = Listed(str(reader.path))
        rows.append(row)
        try:
            config = reader.config
            row.name, row.env, row.algo = short_name(config), env_id(config), config["algo"]
            row.config_seed, row.status = config["seed"], reader.status
            settings[row.run] = flatten({key: value for key, value in config.items() if key != "seed"})
            row.last = reader.last_evaluation
            row.date = reader.provenance.started
        except UserError as error:
            row.problem = str(error)
        if row.last is not None:
            row.steps, row.seconds = row.last.step, row.last.seconds
    for row in rows:
        if row.run in settings:
            group = [
                settings[one.run] for one in rows if one.run in settings and (one.env, one.algo) == (row.env, row.algo)
            ]
            row.differs = differing(settings[row.run], group)
    return rows


def differing(mine: dict[str, Any], group: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings of one run that are not the same in all runs of its group; "default" where its record has none."""
    names = dict.fromkeys(name for one in group for name in one)
    return {name: mine.get(name, "default") for name in names if any(one.get(name) != mine.get(name) for one in group)}


def chosen(rows: list[Listed], words: Iterable[str], where: Iterable[str], sort: Order, reverse: bool) -> list[Listed]:
    """The rows that hold all words, and whose differing settings are as `where` says, sorted.

    Args:
        rows: of `listing`.
        words: parts of directory, environment, algorithm, status or date, whatever their case.
        where: `SETTING=VALUE` each, of settings that differ between the runs.
        sort: by what; equal rows keep their order.
        reverse: from the largest down.

    Raises:
        UserError: if a condition is not of that form, or no run differs in that setting.
    """
    known = {name for row in rows for name in row.differs or {}}
    for condition in where:
        name, equals, value = condition.partition("=")
        if not equals:
            raise UserError(f"--where takes SETTING=VALUE, got {condition!r}.")
        if name not in known:
            raise UserError(f"These runs do not differ in a setting {name!r}{instead(name, sorted(known))}")
        rows = [row for row in rows if row.differs and str(row.differs.get(name)) == value]
    rows = [row for row in rows if all(word.lower() in row.words.lower() for word in words)]
    keys: dict[Order, Callable[[Listed], Any]] = {
        "path": lambda row: row.run,
        "date": lambda row: row.date,
        "env": lambda row: row.env,
        "algo": lambda row: row.algo,
        "steps": lambda row: row.steps,
        "seconds": lambda row: row.seconds,
        "success": lambda row: -1.0 if row.last is None else row.last.success_rate,
    }
    return sorted(rows, key=keys[sort], reverse=reverse)


def table(rows: list[Listed], paths: bool = False) -> list[str]:
    """Lines of at most `WIDTH` columns, but for a problem, a setting or a directory that is longer by itself.

    `paths`: with the directory of each run beneath it.
    """
    header = ("name", "began", "environment", "algo", "steps", "s", "success")
    cells = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    widths[2] -= max(0, sum(widths) + 2 * (len(widths) - 1) - WIDTH)
    lines = [_line(header, widths)]
    for row, line in zip(rows, cells[1:], strict=True):
        lines.append(_line(line, widths))
        if row.problem or paths:
            lines.append(f"  {row.run}{f': {row.problem}' if row.problem else ''}")
        lines += _wrapped([f"{name}={value}" for name, value in (row.differs or {}).items()])
    return lines


def _cells(row: Listed) -> tuple[str, ...]:
    """The cells of one run."""
    success = row.status
    if row.last is not None:
        low, high = (100 * end for end in row.last.success_ci95)
        success = f"{100 * row.last.success_rate:.0f} % ({low:.0f}-{high:.0f})"
        success += "" if row.status == "finished" else f" {row.status}"
    began = row.date[5:16].replace("T", " ")
    return row.name, began, row.env, row.algo, f"{row.steps:,}", f"{row.seconds:,.0f}", success


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """Cells side by side: numbers to the right, words to the left, a word that is too long cut short."""
    parts = []
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        cell = cell if len(cell) <= width else f"{cell[: width - 1]}…"
        parts.append(cell.rjust(width) if i in (4, 5) else cell.ljust(width))
    return "  ".join(parts).rstrip()


def _wrapped(words: list[str]) -> list[str]:
    """Words in indented lines."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"  {word}")
    return lines


def as_data(rows: list[Listed]) -> list[dict[str, Any]]:
    """Rows as JSON data."""
    return [asdict(row) | {"last": row.last and serialise.to_dict(row.last)} for row in rows]
