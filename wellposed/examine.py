"""Diagnosis of a recorded run: from its rows, and from a probe of its newest checkpoint where rows lack one."""

from dataclasses import replace
from pathlib import Path

from wellposed import envs
from wellposed.arrays import part_of
from wellposed.diagnose import Diagnosis, Evidence, diagnose, read_evidence
from wellposed.probe import probe_rollout, take_probe
from wellposed.recipe import OnPolicyRunConfig, RunConfig
from wellposed.replay import ReplayBuffer
from wellposed.replay.rollout import RolloutBuffer
from wellposed.runs import checkpoint
from wellposed.runs.record import MetricsRow
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

    Raises:
        UserError: if the checkpoint is damaged.
    """
    config, agent, manifest = load_run(path)
    _, state = RunReader(path).load_state(checkpoint.manifests(path)[0])
    env, loop = envs.make_vec(config.env), part_of(state, "loop")
    dims = envs.dims(env)
    if isinstance(config, RunConfig):
        replay = ReplayBuffer(config.replay, dims, config.num_envs, env.compute_reward, env.compute_terminated)
        parts = [(part.first, checkpoint.load(path, part.stored)) for part in manifest.replay]
        replay.load_state(part_of(loop, "replay"), parts)
        metrics = take_probe(config, dims, agent, replay, env, manifest.step)
    else:
        assert isinstance(config, OnPolicyRunConfig)
        rollout = RolloutBuffer(config.rollout_steps, dims, config.num_envs)
        rollout.load_state(part_of(loop, "rollout"))
        metrics = probe_rollout(dims, agent, rollout, env)
    env.close()
    row = MetricsRow(manifest.step, manifest.updates, manifest.seconds, metrics)
    rows = sorted([*evidence.rows, row], key=lambda row: row.step)
    return replace(evidence, rows=rows)
