"""The registration of a prediction: when it was made, of which code, for which runs. It is written once."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from course.capstone.task import RUNS, TOML, Capstone, load, require_permission
from wellposed.check import certificate
from wellposed.check.certificate import Certificate
from wellposed.check.stored import origin_of, require_posed
from wellposed.errors import UserError
from wellposed.launch.rows import Row, row_of
from wellposed.plan import lines, make_plan
from wellposed.runs.files import MAX_JSON_BYTES, read_bytes, read_json, write_json
from wellposed.runs.record import decode, encode
from wellposed.runs.store import list_runs

FILE = "registered.json"


@dataclass(frozen=True)
class Registration:
    """What was registered before the first run."""

    time: str  # ISO 8601, UTC
    files: dict[str, str]  # SHA-256 of capstone.toml and of each Python file beside it
    environment: str  # digest of the environment's code, as in the provenance of a run
    runs: list[str]  # names of the run directories that answer, one for each seed
    certificate: Certificate
    plan: list[str]  # in lines

    def __post_init__(self) -> None:
        moment(self.time)
        if not all(re.fullmatch(r"[\w.-]+_s\w+", name) for name in self.runs):  # and no paths
            raise ValueError("runs are names of run directories")
        if len({name.rpartition("_s")[0] for name in self.runs}) != 1:
            raise ValueError("runs differ in more than their seed")


def moment(time: str) -> datetime:
    """A time of a record; raises ValueError unless it is ISO 8601 with a time zone."""
    found = datetime.fromisoformat(time)
    if found.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone")
    return found


def registered(folder: Path) -> Registration:
    """The registration of a capstone. Raises UserError if there is none, or it is damaged."""
    file = folder / FILE
    if not file.exists():
        raise UserError(f"{folder}: no prediction is registered. `wellposed capstone predict {folder}` does it.")
    return decode(Registration, read_json(file), str(file))


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(read_bytes(file, MAX_JSON_BYTES)).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """The digests of capstone.toml and of each Python file beside it."""
    return {file.name: digest(file) for file in [folder / TOML, *sorted(folder.glob("*.py"))]}


def changed(folder: Path, registration: Registration) -> list[str]:
    """The names of files that are not what was registered: changed, new or gone."""
    return sorted({name for name, _ in registration.files.items() ^ digests(folder).items()})


def asked_for(capstone: Capstone) -> tuple[list[Row], str]:
    """The runs of a capstone, and the digest of its environment's code, which is imported.

    Raises:
        UserError: as `Capstone.configs`, or if the environment cannot be made.
    """
    configs = capstone.configs()
    env = configs[0].env
    return [row_of("capstone", config) for config in configs], origin_of(env.id, env.arguments).source


def register(folder: Path, threads: int) -> Iterator[str]:
    """Examine and plan the task, and register its prediction.

    Yields:
        Lines: what the certificate does not hold, the plan, and last the digest of what was registered.

    Raises:
        UserError: if a prediction is registered already or a run exists, the environment is not posed, the runs do not
            fit, or the prediction is not complete; nothing is registered then.
    """
    capstone = load(folder)
    if (folder / FILE).exists():
        raise UserError(f"{folder / FILE} is there: a prediction is registered once. Another one is another capstone.")
    if found := list_runs(folder / RUNS):
        raise UserError(f"{found[0].path} is a run: what is said after the first run is no prediction.")
    if capstone.prediction.success and capstone.prediction.steps:
        capstone.predicted()  # what is wrong with it is said before seconds are spent
    require_permission(folder, capstone)
    files, configs = digests(folder), capstone.configs()
    env = configs[0].env
    checked = certificate.certify(env.id, gamma=configs[0].agent.gamma, kwargs=env.arguments)
    yield from (certificate.describe(one) for one in checked.findings if one.status in ("warns", "fails"))
    yield f"{certificate.summary(capstone.env, checked.findings)}."
    require_posed(checked)
    planned = make_plan(configs, folder / RUNS, threads=threads)
    yield from lines(planned)
    if planned.fits is False:
        raise UserError("The runs do not fit, so nothing is registered.")
    capstone.predicted()
    rows, environment = asked_for(capstone)
    registration = Registration(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        files=files,
        environment=environment,
        runs=[row.name for row in rows],
        certificate=replace(checked, findings=[replace(one, numbers={}) for one in checked.findings]),
        plan=lines(planned),
    )
    write_json(folder / FILE, encode(registration))
    yield f"Registered {digest(folder / FILE)}"
