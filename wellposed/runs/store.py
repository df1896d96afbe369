"""Run directories: one per environment, algorithm, configuration and seed; locked while written; never mixed.

FetchReach-v4_sac_3f0c9d1be2a7_s0/
    config.json        the full resolved configuration and its hash
    provenance.json    commit, versions, machine, timing, and each time it was resumed
    metrics.jsonl      training metrics, append-only
    evaluations.jsonl  evaluations summed up, append-only
    episodes.jsonl     every evaluation episode, append-only
    warnings.jsonl     what the simulator complained of, append-only
    checkpoints/       the newest two, each with a manifest (see `checkpoint`)
    replay/            the episodes of the replay, in the parts in which they came
    tensorboard/       the same scalars as events; made anew from the rows when a run is resumed
    summary.json       how the run ended; written last
    failure.json       instead of a summary: what was not finite
    lock               held by the process that writes

`RunWriter` (in `writer`) writes one, `RunReader` here reads one and trusts nothing in it.
"""

import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
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
)


def run_name(config: dict[str, Any]) -> str:
    """Directory name of a configuration: environment, algorithm, hash of all but the seed, seed.

    It is a plain name of at most 255 bytes, whatever the environment or the algorithm is called. Names that are cut
    short stay distinct by the hash; a seed too long to be a name is told by a hash of its own.
    """
    shared = as_named({key: value for key, value in config.items() if key != "seed"})
    names = env_id(config), config["algo"]
    env, algo = (re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip(".-")[:100] for name in names)
    seed = config["seed"]
    told = str(seed) if abs(seed) < 10**30 else f"x{serialise.content_hash({'seed': hex(seed)})}"
    return f"{env}_{algo}_{serialise.content_hash(shared)}_s{told}"


def as_named(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration in the form of schema 3, by whose hash runs are named: names stay what they were."""
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
    """Refuse, before anything is trained, configurations that come twice or whose directory holds a run already.

    Raises:
        UserError: naming the directories.
    """
    names = [run_name(config) for config in configs_]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"The same configuration and seed is asked for twice: {', '.join(twice)}.")
    for folder in (runs_dir / name for name in names):
        if (folder / "config.json").exists():
            os.close(lock.acquire(folder / "lock"))  # another process may be writing it: that is another sentence
            refuse_existing(folder)


def refuse_existing(path: Path) -> None:
    """Raises UserError if the directory, whose lock the caller has, holds a run."""
    if not (path / "config.json").exists():
        return
    status = RunReader(path).status
    open_end = status not in ("finished", "diverged")
    advice = f", or go on with it: `{resume_command([path])}`" if open_end else ""
    raise UserError(
        f"{path} holds {'an interrupted' if open_end else f'a {status}'} run of exactly this configuration and seed, "
        f"and two runs are never mixed. Choose another --seed or --runs-dir, or move that directory away{advice}."
    )


def resume_command(paths: Sequence[Path]) -> str:
    """The command that goes on with runs, with the permissions and files that it needs."""
    words = [word for path in paths for word in plugin.words_for(env_id(RunReader(path).config))]
    pairs = dict.fromkeys(zip(words[::2], words[1::2], strict=True))
    return shlex.join(["wellposed", "resume", *map(str, paths), *(word for pair in pairs for word in pair)])


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
        """The configuration as JSON data of this version, checked against its own hash and the directory's name."""
        data = self._config_file
        return migrated(data["config"], data["schema"])

    @property
    def schema(self) -> int:
        """The schema version that the run was written with."""
        return self._config_file["schema"]

    @property
    def _config_file(self) -> dict[str, Any]:
        """The content of config.json, as it stands there, checked."""
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
                f"{where} does not match its own hash or the name of its directory: it was edited by hand or moved. "
                "Nothing read from it could be trusted."
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
        """What the simulator complained of so far."""
        return self._rows(WarningRow, "warnings.jsonl")

    @property
    def last_evaluation(self) -> EvaluationRow | None:
        """The newest evaluation, None before the first; the rows before it are not read."""
        path = self.path / "evaluations.jsonl"
        row = read_last_line(path)
        return None if row is None else decode(EvaluationRow, row, f"{path}, the last line")

    @property
    def status(self) -> str:
        """One of finished, diverged, running and interrupted (by hand, or by the death of its process)."""
        if (self.path / "summary.json").exists():
            return "finished"
        if (self.path / "failure.json").exists():
            return "diverged"
        return "running" if lock.is_held(self.path / "lock") else "interrupted"

    def load_checkpoint(self) -> tuple[Manifest, Arrays]:
        """The newest checkpoint's manifest and its agent, checked to be of this run's configuration.

        Raises:
            UserError: if there is none, or it is damaged or of another configuration.
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
        manifest = checkpoint.read_manifest(path)
        if manifest.config_hash != self._config_file["hash"]:
            raise UserError(f"{path} belongs to another configuration than {self.path}; it is refused.")
        return manifest, checkpoint.load(self.path, manifest.state)

    @property
    def _own_name(self) -> str:
        """The directory's name, whatever a link to it is called."""
        path = self.path
        return path.resolve().name if path.name in ("", "..") or path.is_symlink() else path.name

    def _read(self, kind: type, name: str) -> Any:
        return decode(kind, read_json(self.path / name), str(self.path / name))

    def _rows(self, kind: type, name: str) -> list[Any]:
        path = self.path / name
        return [decode(kind, row, f"{path}, line {i}") for i, row in enumerate(read_lines(path), 1)]


def _named(config: dict[str, Any]) -> bool:
    """Whether a configuration holds what names a run, each of the right type."""
    env = config.get("env")
    found = env.get("id") if isinstance(env, dict) else env, config.get("algo"), config.get("seed")
    return tuple(map(type, found)) == (str, str, int)


def _hash(config: dict[str, Any]) -> str | None:
    """The hash of a configuration; None if it holds what JSON has not, for Python's reader lets NaN through."""
    try:
        return serialise.content_hash(config)
    except ValueError:
        return None


def list_runs(runs_dir: str | Path) -> list[RunReader]:
    """All runs below a directory, however deep, sorted by path; an empty list if there is no such directory.

    Links are not followed. Below a run nothing is looked for; one without a lock may be somebody else's folder.
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
