"""Sealed realities: environments that training never sees, with a budget of episodes and a ledger of those played.

table.toml              what is asked: what differs from where policies are trained, what of it is hidden, the budget
table/sealed.json       the same with hidden values drawn, and the seed of its episodes
table/ledger.jsonl      append-only; each row holds the digest of the row before it, the first one that of sealed.json

An episode of a reality is played once: policies get the next ones, in the order in which they come. They are spent when
a row says that they begin, before the first step. docs/reality.md says what the ledger proves and what it does not.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wellposed import seeding, serialise, stats
from wellposed.config import AnyRunConfig
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.curriculum import Curriculum
from wellposed.envs.wrappers.dynamics import domain
from wellposed.errors import UserError, require
from wellposed.recorded import recorder_of, write_recording
from wellposed.robustness import undisturbed, with_settings
from wellposed.rollout.evaluate import summarise
from wellposed.runs import lock
from wellposed.runs.files import append_rows, explained, parse_json, read_bytes, read_lines, read_toml, write_json
from wellposed.runs.record import EpisodeRow, EvaluationRow
from wellposed.runs.store import RunReader
from wellposed.serialise import LATER
from wellposed.stats import describe_rate
from wellposed.translated import Affine, Translated
from wellposed.types import Agent, Policy
from wellposed.verdict import load_run, play_under

SEALED, LEDGER = "sealed.json", "ledger.jsonl"
MAX_BYTES = 2**20
Purpose = Literal["evaluation", "identification"]


@dataclass(frozen=True)
class Asked:
    """A reality before it is sealed. Settings are those of `EnvConfig`, dotted."""

    title: str
    budget: int  # episodes that it has
    env: dict[str, Any] = field(default_factory=dict, metadata=LATER)  # on top of the environment of a run
    hidden: dict[str, str] = field(default_factory=dict, metadata=LATER)  # LOW..HIGH or A,B,C, of which one is drawn
    sees: dict[str, Affine] = field(default_factory=dict, metadata=LATER)  # of another robot: `Translated`
    does: Affine | None = field(default=None, metadata=LATER)


@dataclass(frozen=True)
class Reality:
    """A sealed reality."""

    title: str
    budget: int
    seed: int  # of its hidden values and of its episodes
    settings: dict[str, Any]  # on top of the environment of a run, hidden values among them
    hidden: dict[str, str]  # of what they were drawn
    sees: dict[str, Affine] = field(default_factory=dict, metadata=LATER)
    does: Affine | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"its seed is {self.seed}, and no seed is below 0")

    def around(self, env: EnvConfig) -> EnvConfig:
        """This reality for a policy of an environment: how it acts and sees stays, sensors' faults and dynamics do not.

        Raises:
            UserError: if that environment does not have a setting, or it is out of its range.
        """
        try:
            return with_settings(replace(undisturbed(env), curriculum=Curriculum()), self.settings)
        except ValueError as error:
            raise UserError(f"{self.title}: {error}.") from error

    @property
    def episodes(self) -> list[int]:
        """The seeds of all its episodes, in their order."""
        return seeding.evaluation_env_seeds(self.seed, self.budget, "reality")


@dataclass(frozen=True)
class Entry:
    """A row of a ledger."""

    previous: str  # the digest of the row before; of the first one, that of sealed.json
    time: str  # UTC
    kind: Literal["sealed", "begun", "ended"]
    purpose: Literal["", "evaluation", "identification"] = field(default="", metadata=LATER)
    policy: str = field(default="", metadata=LATER)  # the digest of its checkpoint
    run: str = field(default="", metadata=LATER)  # the name of its directory, with the hash of its configuration
    trained: str = field(default="", metadata=LATER)  # when its training began, UTC
    first: int = field(default=0, metadata=LATER)  # number of its first episode
    episodes: int = field(default=0, metadata=LATER)
    success: list[bool] = field(default_factory=list, metadata=LATER)  # at the last step, of each that ended
    success_at_limit: list[bool] = field(default_factory=list, metadata=LATER)  # of those kept running at their goal

    @property
    def digest(self) -> str:
        """What the next row holds of this one."""
        return _sha256(json.dumps(serialise.to_dict(self), sort_keys=True).encode())


@dataclass(frozen=True)
class Record:
    """A sealed reality with its ledger, both verified."""

    folder: Path
    reality: Reality
    entries: list[Entry]

    @property
    def spent(self) -> int:
        """Episodes that were begun."""
        return sum(entry.episodes for entry in self.entries if entry.kind == "begun")

    @property
    def head(self) -> str:
        """The digest of the last row, and so of all: who publishes it can later show what was there."""
        return self.entries[-1].digest

    def append(self, **entry: Any) -> "Record":
        """The record with one more row, which is on the disk when this returns."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        made = Entry(self.head, now, **entry)
        append_rows(self.folder / LEDGER, [serialise.to_dict(made)])
        return replace(self, entries=[*self.entries, made])


def seal(path: Path, seed: int | None = None) -> Record:
    """Seal what a TOML file asks for, in a folder of its name beside it.

    Args:
        path: the file.
        seed: from which hidden values and episodes are drawn; a secret one if not given.

    Raises:
        UserError: if the file is not valid, or was sealed before.
    """
    require(seed is None or seed >= 0, "seed", "must not be negative", seed)
    try:
        asked = serialise.from_dict(Asked, read_toml(path)[1], str(path))
        seed = secrets.randbits(62) if seed is None else seed
        settings = asked.env | {name: _drawn(name, text, seed) for name, text in asked.hidden.items()}
        reality = Reality(asked.title, asked.budget, seed, settings, asked.hidden, asked.sees, asked.does)
    except ValueError as error:
        raise UserError(f"{path}: {error}.") from error
    reality.around(EnvConfig(str(settings.get("id", "any"))))
    _ = reality.episodes  # raises if there are too many
    folder = path.with_suffix("")
    if folder.exists():
        raise UserError(f"{folder} is there already; a reality is sealed once, in a folder named as its TOML file.")
    with explained(folder, "write"):
        folder.mkdir()
    write_json(folder / SEALED, serialise.to_dict(reality))
    first = Entry(
        _sha256(read_bytes(folder / SEALED, MAX_BYTES)), datetime.now(UTC).isoformat(timespec="seconds"), "sealed"
    )
    append_rows(folder / LEDGER, [serialise.to_dict(first)])
    return Record(folder, reality, [first])


def _drawn(name: str, text: str, seed: int) -> Any:
    """A value of a hidden setting."""
    values = domain(text)
    value = values.draw(seeding.generator(seed, f"hidden {name}"))
    return int(value) if not values.between and all(one.is_integer() for one in values.values) else value


def read_record(folder: Path) -> Record:
    """Read and verify a sealed reality and its ledger.

    Raises:
        UserError: naming the row of the ledger that does not follow from those before it.
    """
    content = read_bytes(folder / SEALED, MAX_BYTES)
    try:
        reality = serialise.from_dict(Reality, parse_json(content, SEALED), str(folder / SEALED))
        rows = read_lines(folder / LEDGER)
        entries = [serialise.from_dict(Entry, row, f"{folder / LEDGER}, row {i}") for i, row in enumerate(rows, 1)]
    except ValueError as error:
        raise UserError(f"{error}. It was edited by hand, or is no sealed reality.") from error
    if not entries:
        raise UserError(f"{folder / LEDGER} has no rows: they were removed.")
    previous = _sha256(content)
    for i, entry in enumerate(entries):
        record = Record(folder, reality, entries[:i])
        if entry.previous != previous or not _follows(entry, record):
            before = f"row {i}" if i else SEALED
            raise UserError(
                f"{folder / LEDGER}: row {i + 1} does not follow from {before}: something was edited, added or removed."
            )
        previous = entry.digest
    return Record(folder, reality, entries)


def require_head(record: Record, digest: str) -> None:
    """Raises UserError unless a row of the ledger has this digest, all of it or its first 12 digits at least."""
    if not (len(digest) >= 12 and any(entry.digest.startswith(digest) for entry in record.entries)):
        raise UserError(
            f"{record.folder / LEDGER} does not hold the row whose digest was published, {digest}: rows were removed "
            "or written anew since."
        )


def _follows(entry: Entry, before: Record) -> bool:
    """Whether a row can come after those before it."""
    last = before.entries[-1] if before.entries else None
    if entry.kind == "sealed" or last is None:
        return entry.kind == "sealed" and last is None
    if entry.kind == "begun":
        fits = 0 < entry.episodes <= before.reality.budget - before.spent
        return fits and entry.first == before.spent and not entry.success + entry.success_at_limit
    begun = replace(entry, previous=last.previous, time=last.time, kind="begun", success=[], success_at_limit=[])
    return last == begun and len(entry.success) == entry.episodes and len(entry.success_at_limit) in (0, entry.episodes)


@dataclass(frozen=True)
class Played:
    """Episodes of a policy in a reality, on record."""

    record: Record
    rows: list[EpisodeRow]
    summary: EvaluationRow


def play(
    run: Path,
    folder: Path,
    episodes: int,
    purpose: Purpose = "evaluation",
    threads: int = 2,
    record_in: Path | None = None,
) -> Played:
    """Play a reality's next episodes greedily with a run's newest checkpoint, which has ended.

    With `record_in` they are written there as a recording (`recorded`), for identification.

    Raises:
        UserError: if the run still trains or was trained there, the reality shows something else than its policy reads,
            or does not have so many episodes left. Nothing is spent then.
    """
    require(episodes >= 1, "episodes", "must be at least 1", episodes)
    reader = RunReader(run)
    if reader.summary is None and reader.failure is None:
        raise UserError(f"{run} has not ended: it could go on with what it was shown here. Let it end first.")
    config, agent, manifest = load_run(run)
    held = lock.acquire(folder / "lock") if (folder / SEALED).exists() else None
    try:
        record = read_record(folder)
        where = record.reality.around(config.env)
        _refuse(record, config, where, episodes)
        policy, recorder = translated(record.reality, agent, where), recorder_of(where) if record_in else None
        told = {"purpose": purpose, "policy": manifest.state.sha256, "run": reader.path.resolve().name}
        told |= {"trained": reader.provenance.started, "first": record.spent, "episodes": episodes}
        seeds = record.reality.episodes[record.spent : record.spent + episodes]
        record = record.append(kind="begun", **told)
        threads, watch = (1, recorder.watch) if recorder else (threads, lambda env: env)  # states are in this process
        rows = play_under(policy, where, seeds, record.reality.seed, threads, to_limit=True, watch=watch)
        if recorder and record_in:
            write_recording(record_in, recorder.recording)
        kept = [row.success_at_limit for row in rows if row.success_at_limit is not None]
        record = record.append(kind="ended", success=[row.success for row in rows], success_at_limit=kept, **told)
    finally:
        if held is not None:
            held.release()
    numbers = {"step": manifest.step, "updates": manifest.updates, "seconds": manifest.seconds}
    return Played(record, rows, summarise(rows, **numbers))


def _refuse(record: Record, config: AnyRunConfig, where: EnvConfig, episodes: int) -> None:
    """Raises UserError for what must not or cannot be played."""
    if (left := record.reality.budget - record.spent) < episodes:
        raise UserError(
            f"{record.folder} has {left} of {record.reality.budget} episodes left, and {episodes} are asked for."
        )
    if replace(config.env, curriculum=Curriculum()) == where:
        raise UserError(f"The run was trained in exactly this environment, so {record.folder} is no reality for it.")


def translated(reality: Reality, policy: Agent, where: EnvConfig) -> Policy:
    """A policy as it plays there. Raises UserError unless it is shown what it reads, and acts by as many numbers."""
    with closing(make_env(where, 1, "evaluation")) as env:
        there, now = env.spec, env.reset(seed=0).obs
    found = Translated(policy, there.obs, reality.sees, reality.does)
    reads = {one.name: one.shape for one in policy.spec.obs}
    shown = {name: (len(one.constant),) for name, one in reality.sees.items()} or {f.name: f.shape for f in there.obs}
    if reads != shown:
        raise UserError(f"The policy reads {reads}; {where.id} shows {shown}.")
    if (done := found.act(now, found.initial_carry(1))[0].shape[1]) != there.action_dim:
        raise UserError(f"An action has {done} numbers here, and {there.action_dim} in {where.id}.")
    return found


def table(record: Record) -> list[str]:
    """What was spent, by whom, and what could have been chosen by it, as lines."""
    reality, sealed = record.reality, record.entries[0].time
    lines = [f"{reality.title}: sealed {sealed}, {record.spent} of {reality.budget} episodes spent"]
    ended = {entry.first: entry for entry in record.entries if entry.kind == "ended"}
    for entry in record.entries:
        if entry.kind == "begun":
            outcome = "interrupted, not known"
            if (end := ended.get(entry.first)) is not None:
                outcome = _rate(end.success)
                if end.success_at_limit:
                    outcome += f"; at the limit of episodes that go on after their goal {_rate(end.success_at_limit)}"
            numbers = f"{entry.first + 1}-{entry.first + entry.episodes}".ljust(9)
            lines.append(f"{entry.time}  {entry.purpose:<14}  {entry.policy[:12]}  {entry.run}  {numbers}  {outcome}")
    return [*lines, *_over_seeds(record.entries), selection(record.entries), f"head {record.head}"]


def _over_seeds(entries: Sequence[Entry]) -> list[str]:
    """The mean over runs that differ in their seed only and played equally many episodes at a time, as lines."""
    groups: dict[tuple[str, int, bool], dict[str, list[Entry]]] = {}
    for one in entries:
        if one.kind == "ended" and one.purpose == "evaluation":
            alike = groups.setdefault((one.run.rpartition("_s")[0], one.episodes, bool(one.success_at_limit)), {})
            alike.setdefault(one.run, []).append(one)
    lines: list[str] = []
    for (config, episodes, kept), runs in groups.items():
        if len(runs) > 1:
            told = f"{config}, mean over {len(runs)} seeds x {episodes} episodes: {_mean(runs, episodes, 'success')}"
            lines.append(told + (f"; at the limit {_mean(runs, episodes, 'success_at_limit')}" if kept else ""))
    return lines


def _mean(runs: dict[str, list[Entry]], episodes: int, outcome: str) -> str:
    rates = np.array([np.mean([getattr(one, outcome) for one in played]) for played in runs.values()])
    mean, low, high = stats.over_seeds(rates, episodes, shared=False)
    return describe_rate(mean, (low, high))


def _rate(outcomes: list[bool]) -> str:
    rate, low, high = stats.wilson(sum(outcomes), len(outcomes))
    return describe_rate(rate, (low, high))


def selection(entries: Sequence[Entry]) -> str:
    """Whether a policy could have been chosen, or trained, by what was seen, in sentences."""
    begun = [entry for entry in entries if entry.kind == "begun"]
    judged = [entry for entry in begun if entry.purpose == "evaluation"]
    policies = {entry.policy for entry in judged}
    if not policies:
        return "No policy was evaluated here."
    told = f"One policy was evaluated, {_times(len(judged))}: it was not selected among others here."
    if len(policies) > 1:
        told = f"{len(policies)} policies were evaluated, {_times(len(judged))} in all: one of them may have been "
        told += "selected by this, and its success here is then too high."
    if later := {entry.policy for entry in judged if entry.trained >= begun[0].time}:
        told += f" {len(later)} of {len(policies)} began to train after the first episodes were played here."
    if used := sum(entry.episodes for entry in begun if entry.purpose == "identification"):
        told += f" {used} episodes served identification."
    return told


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
