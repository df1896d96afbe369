"""Run directories: one per environment, algorithm, configuration and seed; locked while written; never mixed.

FetchReach-v4_sac_3f0c9d1be2a7_s0/
    config.json        the full resolved configuration and its hash
    provenance.json    commit, versions, machine, timing
    metrics.jsonl      training metrics, append-only
    evaluations.jsonl  evaluations summed up, append-only
    episodes.jsonl     every evaluation episode, append-only
    checkpoints/       step_*.safetensors + step_*.json, the newest few
    tensorboard/       the same scalars as events
    summary.json       how the run ended; written last
    lock               held by the process that writes
"""

import fcntl
import os
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wellposed import config as configs
from wellposed.errors import UserError
from wellposed.runs import checkpoint
from wellposed.runs.files import JsonLines, explained, read_json, read_lines, write_json
from wellposed.runs.record import (
    SCHEMA,
    EpisodeRow,
    EvaluationRow,
    MetricsRow,
    Provenance,
    Summary,
    check_schema,
    decode,
    encode,
)
from wellposed.runs.tensorboard import ScalarWriter

KEEP_CHECKPOINTS = 2


def run_name(config: dict[str, Any]) -> str:
    """Directory name of a configuration: environment, algorithm, hash of all but the seed, seed."""
    shared = {key: value for key, value in config.items() if key != "seed"}
    env = re.sub(r"[^A-Za-z0-9.-]+", "-", config["env"]).strip(".-")
    return f"{env}_{config['algo']}_{configs.content_hash(shared)}_s{config['seed']}"


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
            os.close(_acquire(folder / "lock"))  # another process may be writing it: that is another sentence
            _refuse_existing(folder)


class RunWriter:
    """A new run's directory, held by this process until `close`.

    Args:
        runs_dir: where run directories live; made if missing.
        config: the full resolved configuration as JSON data, with keys env, algo and seed.
        provenance: where the run comes from.

    Raises:
        UserError: if the directory holds a run already, or another process is writing it.
    """

    def __init__(self, runs_dir: Path, config: dict[str, Any], provenance: Provenance):
        self.path, self.config, self.provenance = runs_dir / run_name(config), config, provenance
        with explained(self.path, "create"):
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        self._lock = _acquire(self.path / "lock")
        try:
            _refuse_existing(self.path)
            shared = {"schema": SCHEMA, "hash": configs.content_hash(config), "config": config}
            write_json(self.path / "provenance.json", encode(provenance))
            write_json(self.path / "config.json", shared)
            self._metrics = JsonLines(self.path / "metrics.jsonl")
            self._evaluations = JsonLines(self.path / "evaluations.jsonl")
            self._episodes = JsonLines(self.path / "episodes.jsonl")
            self._scalars = ScalarWriter(self.path / "tensorboard")
        except BaseException:
            os.close(self._lock)
            raise

    def log_metrics(self, row: MetricsRow) -> None:
        """Append a row of training metrics."""
        self._metrics.append(encode(row))
        self._scalars.add(row.metrics, row.step)

    def log_evaluation(self, row: EvaluationRow, episodes: list[EpisodeRow]) -> None:
        """Append an evaluation and its episodes."""
        for episode in episodes:
            self._episodes.append({"step": row.step} | encode(episode))
        self._evaluations.append(encode(row))
        self._scalars.add({"eval/success_rate": row.success_rate}, row.step)

    def save_checkpoint(self, arrays: dict[str, np.ndarray], step: int, updates: int) -> None:
        """Save the agent; only the newest few checkpoints are kept."""
        folder, config = self.path / "checkpoints", self.config
        config_hash = configs.content_hash(config)
        names = {"env": config["env"], "algo": config["algo"], "config_hash": config_hash}
        checkpoint.save(folder, arrays, step=step, updates=updates, **names)
        checkpoint.prune(folder, KEEP_CHECKPOINTS)

    def finish(self, summary: Summary) -> None:
        """Write how the run ended; after this it is finished."""
        timing = {
            "wall_clock_seconds": summary.seconds + summary.evaluation_seconds,
            "steps_per_second": summary.steps_per_second,
            "updates_per_second": summary.updates_per_second,
        }
        write_json(self.path / "provenance.json", encode(replace(self.provenance, **timing)))
        write_json(self.path / "summary.json", encode(summary))

    def close(self) -> None:
        """Close all files and let go of the lock."""
        try:
            for file in (self._metrics, self._evaluations, self._episodes, self._scalars):
                file.close()
        finally:
            os.close(self._lock)

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse_existing(path: Path) -> None:
    """Raises UserError if the directory holds a run."""
    if not (path / "config.json").exists():
        return
    state = "a finished run" if (path / "summary.json").exists() else "an interrupted run"
    raise UserError(
        f"{path} holds {state} of exactly this configuration and seed, and two runs are never mixed. "
        "Choose another --seed or --runs-dir, or move that directory away."
    )


def _acquire(path: Path) -> int:
    """Take the lock file; the operating system lets go of it when the process dies, however it dies.

    Raises:
        UserError: naming process and host, if another process holds it.
    """
    with explained(path, "lock"):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _try_lock(handle):
            owner = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise UserError(
                f"{path.parent} is being written by {owner}. Wait for it to end, or choose another --runs-dir."
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return handle


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class RunReader:
    """A run record, opened for reading; every access validates what it reads."""

    path: Path

    def __post_init__(self) -> None:
        if not (self.path / "config.json").is_file():
            raise UserError(f"{self.path} is not a run directory: it has no config.json. `wellposed runs` lists runs.")

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as JSON data, checked against its own hash and the directory's name."""
        where = self.path / "config.json"
        data = read_json(where)
        if not isinstance(data, dict) or data.keys() != {"schema", "hash", "config"}:
            raise UserError(f"{where} does not have the keys schema, hash and config. It was edited by hand.")
        check_schema(data, str(where))
        config = data["config"]
        if not isinstance(config, dict) or not {"env", "algo", "seed"} <= config.keys():
            raise UserError(f"{where} lacks env, algo or seed. It was edited by hand.")
        if (
            not _hashable(config)
            or configs.content_hash(config) != data["hash"]
            or run_name(config) != self.path.resolve().name
        ):
            raise UserError(
                f"{where} does not match its own hash or the name of its directory: it was edited by hand or moved. "
                "Nothing read from it could be trusted."
            )
        return config

    @property
    def provenance(self) -> Provenance:
        """Where the run comes from."""
        return self._read(Provenance, "provenance.json")

    @property
    def summary(self) -> Summary | None:
        """How the run ended; None while it runs, or if it died."""
        return self._read(Summary, "summary.json") if (self.path / "summary.json").exists() else None

    @property
    def metrics(self) -> list[MetricsRow]:
        """Training metrics so far."""
        return self._rows(MetricsRow, "metrics.jsonl")

    @property
    def evaluations(self) -> list[EvaluationRow]:
        """Evaluations so far."""
        return self._rows(EvaluationRow, "evaluations.jsonl")

    @property
    def status(self) -> str:
        """One of finished, running and interrupted (by hand, or by the death of its process)."""
        if (summary := self.summary) is not None:
            return "interrupted" if summary.stop_reason == "interrupted" else "finished"
        if not (self.path / "lock").exists():
            return "interrupted"
        handle = os.open(self.path / "lock", os.O_RDONLY)
        try:
            return "interrupted" if _try_lock(handle) else "running"
        finally:
            os.close(handle)

    def load_checkpoint(self) -> tuple[checkpoint.Manifest, dict[str, np.ndarray]]:
        """The newest checkpoint, checked to be one of this run's configuration."""
        path = checkpoint.latest(self.path / "checkpoints")
        manifest, arrays = checkpoint.load(path)
        if manifest.config_hash != configs.content_hash(self.config):
            raise UserError(f"{path} belongs to another configuration than {self.path}; it is refused.")
        return manifest, arrays

    def _read(self, kind: type, name: str) -> Any:
        return decode(kind, read_json(self.path / name), str(self.path / name))

    def _rows(self, kind: type, name: str) -> list[Any]:
        path = self.path / name
        return [decode(kind, row, f"{path}, line {i}") for i, row in enumerate(read_lines(path), 1)]


def _hashable(config: dict[str, Any]) -> bool:
    """Whether the configuration holds only what JSON has; Python's reader lets NaN through."""
    try:
        configs.content_hash(config)
    except ValueError:
        return False
    return True


def list_runs(runs_dir: Path) -> list[RunReader]:
    """All runs below a directory, however deep, sorted by path; an empty list if there is no such directory."""
    return [RunReader(path.parent) for path in sorted(runs_dir.rglob("config.json"))]
