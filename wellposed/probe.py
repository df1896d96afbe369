"""Evidence that a diagnosis needs and training does not: what the learner is handed, and what it has become.

Taken at each evaluation, off the training clock, from transitions drawn by a generator that only the run's seed and the
step decide. No stream of the run is touched, so its weights are bit for bit those of a run that was never probed.
"""

from typing import Any

import numpy as np

from wellposed import seeding
from wellposed.agents.probe import probe as probe_agent
from wellposed.agents.probe import probe_policy
from wellposed.arrays import map_leaves
from wellposed.config import OnPolicyRunConfig, RunConfig
from wellposed.data import ReplayBuffer, RolloutBuffer
from wellposed.data.audit import audit
from wellposed.types import Batch, Field, Metrics, Spec, VecEnv
from wellposed.units import still

ROWS = 2048  # transitions that are held against the environment at most


def take_probe(config: RunConfig, agent: Any, replay: ReplayBuffer, env: VecEnv, step: int) -> Metrics:
    """All `probe/` metrics of this moment; none before an episode has ended.

    Only finite numbers are kept: a weight that is not finite ends the run, with its name, when it is about to be saved.
    """
    if not replay.transitions:
        return {}
    seed = seeding.seed_sequence(config.seed, f"probe {step}")
    size = config.updates_per_call, config.agent.batch_size
    batches, at, found = audit(replay, *size, seed)
    rows, control = map_leaves(lambda array: array.reshape(-1, *array.shape[2:])[:ROWS], batches), config.env.control
    arrived = control.arriving(replay.actions_until(at[:ROWS], control.memory))
    found |= probe_rewards(rows, replay.failed(at[:ROWS]), env) | probe_motion(rows._replace(action=arrived), env.spec)
    if agent.window > 1:
        batches = replay.sample(*size, np.random.default_rng(seed), agent.window)
    with np.errstate(all="ignore"):
        found |= probe_agent(agent, batches)
    return _finite(found)


def probe_rollout(config: OnPolicyRunConfig, agent: Any, rollout: RolloutBuffer, env: VecEnv) -> Metrics:
    """The same of an agent without a replay, from the newest rollout: what is asked of goals and ages is left out."""
    rows = map_leaves(lambda array: array[:ROWS], rollout.transitions())
    actions, known = (array[:ROWS] for array in rollout.actions_until(config.env.control.memory))
    arrived = rows._replace(action=config.env.control.arriving(actions))
    found = probe_rewards(rows, rollout.ended_in_time[:ROWS], env)
    found |= probe_motion(map_leaves(lambda array: array[known], arrived), env.spec)
    with np.errstate(all="ignore"):
        found |= probe_policy(agent, rows)
    return _finite(found)


def _finite(found: Metrics) -> Metrics:
    return {name: value for name, value in found.items() if np.isfinite(value)}


def probe_rewards(rows: Batch, failed: np.ndarray, env: VecEnv) -> Metrics:
    """Rewards, ends and successes of transitions [n], held against what the environment says of their goals; actions.

    Those that `failed` [n] end their episode whatever their goal.
    """
    here, there = rows.truth or rows.obs, rows.next_truth or rows.next_obs
    start, end, goal = here["achieved_goal"], there["achieved_goal"], here["desired_goal"]
    reached, ends = env.compute_reward(end, goal), env.compute_terminated(end, goal)
    before, after = env.is_success(start, goal), env.is_success(end, goal)
    rounding = 1e-5 * float(np.abs(reached).mean())
    found = {
        "probe/reward_min": float(rows.reward.min()),
        "probe/reward_mean": float(rows.reward.mean()),
        "probe/reward_max": float(rows.reward.max()),
        "probe/reward_wrong": float(np.mean(~np.isclose(rows.reward, reached, rtol=1e-3, atol=rounding))),
        "probe/terminated_wrong": float(np.mean((rows.terminated > 0) != ((ends > 0) | failed))),
        "probe/success_before": float(np.mean(before)),
        "probe/success_gained": float(np.mean(after & ~before)),
        "probe/action_max": float(np.abs(rows.action).max()),
    }
    if env.spec.reward_range is not None:
        found |= dict(zip(("probe/reward_least", "probe/reward_greatest"), env.spec.reward_range, strict=True))
    if env.spec.radius is not None:
        found["probe/goal_moved"] = float(np.mean(np.linalg.norm(end - start, axis=1) > still(env.spec.radius)))
    return found


def probe_motion(rows: Batch, spec: Spec) -> Metrics:
    """What actions do, and what the observation knows of motion; motion is that of the truth.

    The actions of these transitions are those that reached the simulator: a filter or a delay stands before it.
    Both are asked of the end effector where a geometry names it. Else any number of the vectors may answer to the
    actions, and whether the observation knows of motion is not asked: which numbers are places, nobody has said.
    """
    truth, next_truth = rows.truth or rows.obs, rows.next_truth or rows.next_obs
    here, there = _vectors(truth, spec.goals), _vectors(next_truth, spec.goals)
    if spec.geometry is None:
        motion = there - here
    else:
        start, end = (np.asarray(true["observation"], np.float64) for true in (truth, next_truth))
        motion = (end - start)[:, list(spec.geometry.effector)]
    motion = motion[:, motion.std(axis=0) > 0]
    without, given = unexplained(motion, here), unexplained(motion, np.hstack([here, rows.action]))
    share = lambda left, of: 1 - left / np.maximum(of, 1e-30)  # noqa: E731
    found = {
        "probe/action_answered": float(np.max(share(given, without), initial=0.0)),
        "probe/observation_constant": float(np.sum(_vectors(rows.obs, spec.obs).std(axis=0) < 1e-9)),
    }
    if spec.geometry is None:
        return found
    known = share(unexplained(motion, _vectors(rows.next_obs, spec.obs)), motion.var(axis=0))
    return found | {"probe/motion_observed": float(np.mean(known)) if motion.size else 0.0}


def _vectors(obs: dict[str, np.ndarray], fields: tuple[Field, ...]) -> np.ndarray:
    """The numbers [n, d] of all vectors among the fields, without goals and images."""
    found = [np.asarray(obs[field.name], np.float64) for field in fields if field.kind == "vector"]
    return np.hstack(found) if found else np.empty((len(obs["desired_goal"]), 0))


def unexplained(targets: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Mean square [d] of what a linear function of inputs [n, f] leaves of targets [n, d]."""
    varies = inputs[:, inputs.std(axis=0) > 1e-9]
    scaled = (varies - varies.mean(axis=0)) / varies.std(axis=0)
    design = np.hstack([scaled, np.ones((len(inputs), 1))])
    weights = np.linalg.lstsq(design, targets, rcond=1e-8)[0]
    return np.mean((targets - design @ weights) ** 2, axis=0)
