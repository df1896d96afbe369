"""Run directories: one per environment, algorithm, configuration and seed; locked while written; never mixed.

FetchReach-v4_sac_3f0c9d1be2a7_s0/
    config.json        the full configuration and its hash
    provenance.json    commit, versions, machine, timing, and each time it was resumed
    metrics.jsonl      training metrics, append-only
    evaluations.jsonl  evaluations summed up, append-only
    episodes.jsonl     every evaluation episode, append-only
    warnings.jsonl     the simulator's warnings, append-only
    checkpoints/       the newest two, each with a manifest (see `checkpoint`)
    replay/            the episodes of the replay, in the parts in which they came
    tensorboard/       the same scalars as events; written again from the rows when a run is resumed
    summary.json       how the run ended; written last
    failure.json       instead of a summary: what was not finite
    lock               held by the process that writes

`RunWriter` (in `writer`) writes one. `RunReader` reads one and checks everything in it.
"""

import os
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from wellposed import plugin, serialise
from wellposed.arrays import Arrays, part_of
from wellposed.errors import UserError
from wellposed.runs import checkpoint, lock
from wellposed.runs.checkpoint import Manifest
from wellposed.runs.files import read_json, read_last_line, read_lines
from wellposed.runs.migrations import migrated, migrated_agent
from wellposed.runs.record import (
    EvaluationRow,
    Failure,
    MetricsRow,
    Provenance,
    Summary,
    WarningRow,
    check_schema,
    decode,
)  # fmt: skip


def run_name(config: dict[str, Any]) -> str:
    """Directory name of a configuration: environment, algorithm, hash of all but the seed, seed.

    It has at most 255 bytes, whatever the environment or algorithm is called: names that are cut short still differ by
    the hash, and a seed with too many digits is replaced by a hash of its own.
    """
    shared = as_named({key: value for key, value in config.items() if key != "seed"})
    names = env_id(config), config["algo"]
    env, algo = (re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip(".-")[:100] for name in names)
    seed = config["seed"]
    told = str(seed) if abs(seed) < 10**30 else f"x{serialise.content_hash({'seed': hex(seed)})}"
    return f"{env}_{algo}_{serialise.content_hash(shared)}_s{told}"


def as_named(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration in the form of schema 3, whose hash names runs, so that names stay the same."""
    if isinstance(config["env"], str):
        return config
    env = dict(config["env"])
    form = config | {"env": env.pop("id")}
    if "curriculum" in env:
        form["curriculum"] = env.pop("curriculum")
    return form | ({"env settings": env} if env else {})


def env_id(config: dict[str, Any]) -> str:
    """The id of the environment of a configuration, of any schema version."""
    return config["env"]["id"] if isinstance(config["env"], dict) else config["env"]


def require_free(runs_dir: Path, configs_: list[dict[str, Any]]) -> None:
    """Refuse, before training, configurations that come twice or whose directory holds a run already.

    Raises UserError, naming the directories.
    """
    names = [run_name(config) for config in configs_]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"The same configuration and seed is asked for twice: {', '.join(twice)}.")
    for folder in (runs_dir / name for name in names):
        if (folder / "config.json").exists():
            os.close(lock.acquire(folder / "lock"))  # another error if a process is writing it
            refuse_existing(folder)


def refuse_existing(path: Path) -> None:
    """Raises UserError if the directory, whose lock the caller has, holds a run."""
    if not (path / "config.json").exists():
        return
    status = RunReader(path).status
    open_end = status not in ("finished", "diverged")
    advice = f", or resume it: `wellposed resume {shlex.quote(str(path))}{plugin.options()}`" if open_end else ""
    raise UserError(
        f"{path} holds {'an interrupted' if open_end else f'a {status}'} run of exactly this configuration and seed, "
        f"and two runs are never mixed. Choose another --seed or --runs-dir, or move that directory away{advice}."
    )


@dataclass(frozen=True, init=False)
class RunReader:
    """A run record, opened for reading; every access validates what it reads."""

    path: Path

    def __init__(self, path: str | Path):
        """Raises UserError if it is not a run's directory."""
        object.__setattr__(self, "path", Path(path))
        if not (self.path / "config.json").is_file():
            raise UserError(f"{self.path} is not a run directory: it has no config.json. `wellposed runs` lists runs.")

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as this version's JSON data, checked against its hash and the directory's name."""
        data = self._config_file
        return migrated(data["config"], data["schema"])

    @property
    def schema(self) -> int:
        """The schema version that the run was written with."""
        return self._config_file["schema"]

    @property
    def _config_file(self) -> dict[str, Any]:
        """The content of config.json, checked but not migrated."""
        where = self.path / "config.json"
        data = read_json(where)
        if not isinstance(data, dict) or data.keys() != {"schema", "hash", "config"}:
            raise UserError(f"{where} does not have the keys schema, hash and config. It was edited by hand.")
        check_schema(data, str(where))
        config = data["config"]
        if not isinstance(config, dict) or not _named(config):
            raise UserError(f"{where} lacks env, algo or seed. It was edited by hand.")
        if _hash(config) != data["hash"] or run_name(config) != self._own_name:
            raise UserError(
                f"{where} does not match its own hash or the name of its directory: it was edited by hand or moved."
            )
        return data

    @property
    def provenance(self) -> Provenance:
        """Where the run comes from."""
        return self._read(Provenance, "provenance.json")

    @property
    def summary(self) -> Summary | None:
        """How the run ended; None while it runs, or if it died."""
        return self._read(Summary, "summary.json") if (self.path / "summary.json").exists() else None

    @property
    def failure(self) -> Failure | None:
        """What was not finite; None in a run that did not diverge."""
        return self._read(Failure, "failure.json") if (self.path / "failure.json").exists() else None

    @property
    def metrics(self) -> list[MetricsRow]:
        """Training metrics so far."""
        return self._rows(MetricsRow, "metrics.jsonl")

    @property
    def evaluations(self) -> list[EvaluationRow]:
        """Evaluations so far."""
        return self._rows(EvaluationRow, "evaluations.jsonl")

    @property
    def warnings(self) -> list[WarningRow]:
        """The simulator's warnings so far."""
        return self._rows(WarningRow, "warnings.jsonl")

    @property
    def last_evaluation(self) -> EvaluationRow | None:
        """The newest evaluation, None before the first; earlier rows are not read."""
        path = self.path / "evaluations.jsonl"
        row = read_last_line(path)
        return None if row is None else decode(EvaluationRow, row, f"{path}, the last line")

    @property
    def status(self) -> str:
        """One of finished, diverged, running and interrupted (by hand, or because its process died)."""
        if (self.path / "summary.json").exists():
            return "finished"
        if (self.path / "failure.json").exists():
            return "diverged"
        return "running" if lock.is_held(self.path / "lock") else "interrupted"

    def load_checkpoint(self) -> tuple[Manifest, Arrays]:
        """The newest checkpoint's manifest and its agent, checked to be of this run's configuration.

        Raises UserError if there is none, or it is damaged or of another configuration.
        """
        found = checkpoint.manifests(self.path)
        if not found:
            raise UserError(
                f"{self.path} holds no checkpoint; the run ended before the first. `wellposed resume` begins it anew."
            )
        manifest, state = self.load_state(found[0])
        return manifest, migrated_agent(part_of(state, "agent"), self.schema)

    def load_state(self, path: Path) -> tuple[Manifest, Arrays]:
        """A manifest and all arrays of its state, checked to be of this run's configuration."""
        manifest, data = checkpoint.read_manifest(path), self._config_file
        own = data["hash"], env_id(data["config"]), data["config"]["algo"]
        if (manifest.config_hash, manifest.env, manifest.algo) != own:
            raise UserError(f"{path} belongs to another configuration than {self.path}; it is refused.")
        return manifest, checkpoint.load_state(self.path, manifest)

    @property
    def _own_name(self) -> str:
        """The directory's name, even if it is reached by a link of another name."""
        path = self.path
        return path.resolve().name if path.name in ("", "..") or path.is_symlink() else path.name

    def _read(self, kind: type, name: str) -> Any:
        return decode(kind, read_json(self.path / name), str(self.path / name))

    def evaluations_until(self, manifest: Manifest) -> list[EvaluationRow]:
        """The evaluations that were recorded when a checkpoint was saved."""
        return self._rows(EvaluationRow, "evaluations.jsonl", manifest.lines["evaluations"])

    def _rows(self, kind: type, name: str, size: int | None = None) -> list[Any]:
        path = self.path / name
        rows = [decode(kind, row, f"{path}, line {i}") for i, row in enumerate(read_lines(path, size), 1)]
        strictly = kind is not WarningRow  # of which there is one for each kind of warning
        for i, (one, other) in enumerate(pairwise(rows), 2):
            if not (one.step < other.step if strictly else one.step <= other.step):
                raise UserError(
                    f"{path}, line {i}: step {other.step:,} comes after step {one.step:,}. Rows were doubled or moved; "
                    "the file was edited by hand, or two processes wrote it."
                )
        return rows


def _named(config: dict[str, Any]) -> bool:
    """Whether a configuration has the keys that name a run, each of the right type."""
    env = config.get("env")
    found = env.get("id") if isinstance(env, dict) else env, config.get("algo"), config.get("seed")
    return tuple(map(type, found)) == (str, str, int)


def _hash(config: dict[str, Any]) -> str | None:
    """The hash of a configuration; None if it holds NaN, which Python's JSON reader accepts."""
    try:
        return serialise.content_hash(config)
    except ValueError:
        return None


def list_runs(runs_dir: str | Path) -> list[RunReader]:
    """All runs below a directory at any depth, sorted by path; [] if there is no such directory.

    Links are not followed, nor folders inside a run. A folder with a config.json but no lock may be something else.
    """
    found, folders = [], [str(runs_dir)]
    while folders:
        folder = folders.pop()
        if os.path.isfile(f"{folder}/config.json"):
            found.append(RunReader(folder))
            if os.path.exists(f"{folder}/lock"):
                continue
        with suppress(OSError), os.scandir(folder) as entries:
            folders += sorted((entry.path for entry in entries if entry.is_dir(follow_symlinks=False)), reverse=True)
    return found
