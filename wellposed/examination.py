"""Diagnosis of a recorded run: from its rows, and from a probe of its newest checkpoint where rows lack one."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from wellposed import agents
from wellposed.arrays import part_of
from wellposed.data.episodes import ReplayBuffer
from wellposed.data.rollout import RolloutBuffer
from wellposed.diagnose import Diagnosis, Evidence, diagnose, read_evidence
from wellposed.envs.make import make_env
from wellposed.memory import require_fit
from wellposed.probe import probe_rollout, take_probe
from wellposed.runs import checkpoint
from wellposed.runs.record import SCHEMA, MetricsRow
from wellposed.runs.store import RunReader
from wellposed.verdict import load_run


def examine(path: str | Path) -> Diagnosis:
    """Diagnose a run, whether finished, under way or interrupted.

    Raises:
        UserError: if it is not a run directory, or its record is damaged.
    """
    path = Path(path)
    evidence = read_evidence(path)
    probed, _ = evidence.series("probe/q_mean")
    found = checkpoint.manifests(path)
    if found and (not len(probed) or checkpoint.read_manifest(found[0]).step > probed[-1]):
        evidence = with_checkpoint(path, evidence)
    return diagnose(evidence)


def with_checkpoint(path: Path, evidence: Evidence) -> Evidence:
    """The evidence with one more row, a probe of the newest checkpoint with the environment of this installation.

    A checkpoint of an older version is left out: what its replay holds has another form.

    Raises:
        UserError: if the checkpoint is damaged.
    """
    reader = RunReader(path)
    if reader.schema != SCHEMA:
        return evidence
    loaded: tuple[Any, Any, Any] = load_run(path)
    config, agent, manifest = loaded
    require_fit([config], 1, [])
    _, state = reader.load_state(path / f"{manifest.stem}.json")  # a run under way may have saved another since
    loop = part_of(state, "loop")
    with closing(make_env(config.env, 1, "training")) as env:
        if agents.find(config.algo).on_policy:
            rollout = RolloutBuffer(config.rollout_steps, env.spec, config.num_envs)
            rollout.load_state(part_of(loop, "rollout"))
            metrics = probe_rollout(config, agent, rollout, env)
        else:
            replay = ReplayBuffer(config.replay, env.spec, config.num_envs, env.compute_reward, env.compute_terminated)
            parts = [(part.first, checkpoint.load(path, part.stored)) for part in manifest.replay]
            replay.load_state(part_of(loop, "replay"), parts)
            metrics = take_probe(config, agent, replay, env, manifest.step)
    row = MetricsRow(manifest.step, manifest.updates, manifest.seconds, metrics)
    rows = sorted([*evidence.rows, row], key=lambda row: row.step)
    return replace(evidence, rows=rows)
