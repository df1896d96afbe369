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
    lock               held by the process that writes, with its signs of life (see `heartbeat`)

`RunWriter` (in `writer`) writes one. `RunReader` reads one and checks everything in it.
"""

import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from wellposed import plugin, serialise
from wellposed.arrays import Arrays, part_of
from wellposed.errors import UserError
from wellposed.notebook import curve, table
from wellposed.runs import checkpoint, lock, record
from wellposed.runs.checkpoint import Manifest
from wellposed.runs.files import read_json, read_last_line, read_lines
from wellposed.runs.migrations import migrated, migrated_agent
from wellposed.stats import describe_rate


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


def short_name(config: dict[str, Any]) -> str:
    """The beginning of the hash in a run's name, and its seed: `3f0c9d1_s0`."""
    shared, _, seed = run_name(config).rpartition("_s")
    return f"{shared[-12:-5]}_s{seed}"


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
    """Raise UserError, before training, for configurations that come twice or whose directory holds a run already."""
    names = [run_name(config) for config in configs_]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"The same configuration and seed is asked for twice: {', '.join(twice)}.")
    for folder in (runs_dir / name for name in names):
        if (folder / "config.json").exists():
            lock.acquire(folder / "lock").release()  # another error if a process is writing it
            refuse_existing(folder)


def refuse_existing(path: Path) -> None:
    """Raises UserError if the directory, whose lock the caller has, holds a run."""
    if not (path / "config.json").exists():
        return
    status = RunReader(path).status
    open_end = status not in ("finished", "diverged")
    advice = f", or resume it: `{resume_command([path])}`" if open_end else ""
    raise UserError(
        f"{path} holds {'an interrupted' if open_end else f'a {status}'} run of exactly this configuration and seed, "
        f"and two runs are never mixed. Choose another --seed or --runs-dir, or move that directory away{advice}."
    )


def refuse_ended(reader: "RunReader") -> None:
    """Raises UserError if a run that is to be resumed has ended."""
    if (status := reader.status) in ("finished", "diverged"):
        why = reader.failure.detail if reader.failure else "There is nothing left to train."
        raise UserError(f"{reader.path} is {status}. {why}")


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
        record.check_schema(data, str(where))
        config = data["config"]
        if not isinstance(config, dict) or not is_named(config):
            raise UserError(f"{where} lacks env, algo or seed. It was edited by hand.")
        if serialise.content_hash(config) != data["hash"] or run_name(config) != self._own_name:
            raise UserError(
                f"{where} does not match its own hash or the name of its directory: it was edited by hand or moved."
            )
        return data

    @property
    def provenance(self) -> record.Provenance:
        """Where the run comes from."""
        return self._read(record.Provenance, "provenance.json")

    @property
    def summary(self) -> record.Summary | None:
        """How the run ended; None while it runs, or if it died."""
        return self._read(record.Summary, "summary.json") if (self.path / "summary.json").exists() else None

    @property
    def failure(self) -> record.Failure | None:
        """What was not finite; None in a run that did not diverge."""
        return self._read(record.Failure, "failure.json") if (self.path / "failure.json").exists() else None

    @property
    def metrics(self) -> list[record.MetricsRow]:
        """Training metrics so far."""
        return self._rows(record.MetricsRow, "metrics.jsonl")

    @property
    def evaluations(self) -> list[record.EvaluationRow]:
        """Evaluations so far."""
        return self._rows(record.EvaluationRow, "evaluations.jsonl")

    @property
    def episodes(self) -> list[tuple[int, record.EpisodeRow]]:
        """Every evaluation episode so far, with the environment step at which it was played."""
        path, found = self.path / "episodes.jsonl", []
        for i, row in enumerate(read_lines(path), 1):
            step = row.pop("step", None) if isinstance(row, dict) else None
            if type(step) is not int or not (found[-1][0] if found else 0) <= step < 2**63:
                raise UserError(
                    f"{path}, line {i}: step {step!r} is missing or out of order. The file was edited by hand."
                )
            found.append((step, record.decode(record.EpisodeRow, row, f"{path}, line {i}")))
        return found

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of an append-only file, one of `checkpoint.LINES`, as JSON data."""
        if name == "episodes":
            return [{"step": step} | record.encode(episode) for step, episode in self.episodes]
        return [record.encode(row) for row in getattr(self, name)]

    @property
    def warnings(self) -> list[record.WarningRow]:
        """The simulator's warnings so far."""
        return self._rows(record.WarningRow, "warnings.jsonl")

    @property
    def last_evaluation(self) -> record.EvaluationRow | None:
        """The newest evaluation, None before the first; earlier rows are not read."""
        path = self.path / "evaluations.jsonl"
        row = read_last_line(path)
        return None if row is None else record.decode(record.EvaluationRow, row, f"{path}, the last line")

    @property
    def status(self) -> str:
        """One of finished, diverged, running and interrupted (by hand, or because its process died)."""
        if (self.path / "summary.json").exists():
            return "finished"
        if (self.path / "failure.json").exists():
            return "diverged"
        return "running" if lock.is_held(self.path / "lock") else "interrupted"

    def _repr_html_(self) -> str:
        """What a notebook shows: the run in a few lines, and its learning curve."""
        try:
            config, rows = self.config, self.evaluations
            lines = [("environment", env_id(config)), ("algorithm", config["algo"]), ("seed", str(config["seed"]))]
            lines.append(("status", self.status))
            if rows:
                last = rows[-1]
                lines += [("steps", f"{last.step:,}"), ("seconds of training", f"{last.seconds:.1f}")]
                lines.append(("success", describe_rate(last.success_rate, last.success_ci95)))
        except UserError as error:
            return table(self.path.name, [("damaged", str(error))])
        return table(self.path.name, lines, curve([row.step for row in rows], [row.success_rate for row in rows]))

    @property
    def newest_manifest(self) -> Path:
        """The file of the newest manifest. Raises UserError if there is none."""
        if found := checkpoint.manifests(self.path):
            return found[0]
        raise UserError(
            f"{self.path} holds no checkpoint; the run ended before the first. `wellposed resume` begins it anew."
        )

    def load_checkpoint(self) -> tuple[Manifest, Arrays]:
        """The newest checkpoint's manifest and agent. Raises UserError without one that fits this run."""
        manifest, state = self.load_state(self.newest_manifest)
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
        return record.decode(kind, read_json(self.path / name), str(self.path / name))

    def evaluations_until(self, manifest: Manifest) -> list[record.EvaluationRow]:
        """The evaluations that were recorded when a checkpoint was saved."""
        return self._rows(record.EvaluationRow, "evaluations.jsonl", manifest.lines["evaluations"])

    def _rows(self, kind: type, name: str, size: int | None = None) -> list[Any]:
        path = self.path / name
        rows = [record.decode(kind, row, f"{path}, line {i}") for i, row in enumerate(read_lines(path, size), 1)]
        strictly = kind is not record.WarningRow  # of which there is one for each kind of warning
        for i, (one, other) in enumerate(pairwise(rows), 2):
            if not (one.step < other.step if strictly else one.step <= other.step):
                raise UserError(
                    f"{path}, line {i}: step {other.step:,} comes after step {one.step:,}. Rows were doubled or moved; "
                    "the file was edited by hand, or two processes wrote it."
                )
        return rows


def find_run(word: str, runs_dir: Path) -> Path:
    """The directory of a run: `word` itself, or the one below `runs_dir` of that name or short name.

    Raises:
        UserError: if several runs have it. Where none has, `word` is returned, and whoever opens it says so.
    """
    path = Path(word)
    if path.exists() or len(path.parts) > 1:
        return path
    found = [reader.path for reader in list_runs(runs_dir) if _is_called(reader.path.name, word)]
    if len(found) > 1:
        raise UserError(f"{word!r} names {len(found)} runs: {', '.join(map(str, found))}. Name one of them in full.")
    return found[0] if found else path


def _is_called(name: str, word: str) -> bool:
    """Whether a run's directory has that name, or its hash begins as the word and its seed is the word's."""
    shared, _, seed = name.rpartition("_s")
    digits, _, asked = word.rpartition("_s")
    return name == word or (len(digits) >= 4 and seed == asked and shared.rpartition("_")[2].startswith(digits))


def is_named(config: dict[str, Any]) -> bool:
    """Whether a configuration has the keys that name a run, each of the right type."""
    env = config.get("env")
    found = env.get("id") if isinstance(env, dict) else env, config.get("algo"), config.get("seed")
    return tuple(map(type, found)) == (str, str, int)


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
