"""Evidence for a diagnosis: what the learner is given, and what it has become.

Taken at each evaluation, off the training clock, from transitions drawn by a generator that depends only on the run's
seed and the step. It uses no stream of the run, so the weights are bit for bit those of a run without probes.
"""

from typing import Any

import numpy as np

from wellposed import seeding
from wellposed.agents.probe import features, probe_policy
from wellposed.agents.probe import probe as probe_agent
from wellposed.arrays import map_leaves
from wellposed.config import OnPolicyRunConfig, RunConfig
from wellposed.data import ReplayBuffer, RolloutBuffer
from wellposed.types import Batch, Field, Metrics, Spec, VecEnv
from wellposed.units import still

ROWS = 2048  # transitions that are held against the environment at most
SEARCHED = 1024  # transitions whose episodes are searched for their goals
PICTURED = 1024  # transitions whose pictures are read
RIDGE = 0.01  # of a linear fit to features, as a share of their variance


def take_probe(config: RunConfig, agent: Any, replay: ReplayBuffer, env: VecEnv, step: int) -> Metrics:
    """All `probe/` metrics of this moment; none before an episode has ended.

    Only finite numbers are kept: a weight that is not finite ends the run by name when it is saved.
    """
    if not replay.transitions:
        return {}
    seed = seeding.seed_sequence(config.seed, f"probe {step}")
    size = config.updates_per_call, config.agent.batch_size
    batches, at, found = audit(replay, *size, seed)
    rows, control = map_leaves(lambda array: array.reshape(-1, *array.shape[2:])[:ROWS], batches), config.env.control
    arrived = rows
    if config.replay.action == "chosen":
        arrived = rows._replace(action=control.arriving(*replay.actions_until(at[:ROWS], control.memory)))
    found |= probe_rewards(rows, replay.failed(at[:ROWS]), env) | probe_motion(arrived, env.spec)
    if agent.window > 1 and agent.looks is None:
        batches = replay.sample(*size, np.random.default_rng(seed), agent.window)
    with np.errstate(all="ignore"):
        found |= probe_agent(*agent.probed(batches))
    return _finite(found | probe_pictures(agent, replay, seed))


def probe_pictures(agent: Any, replay: ReplayBuffer, seed: np.random.SeedSequence) -> Metrics:
    """How well an encoder's features of pictures tell what is achieved, now and with its first weights; {} without any.

    A linear fit is made on half of the episodes and judged on the others. All numbers are held at 0, so that nothing
    but the pictures tells.
    """
    images = {one.name for one in replay.spec.obs if one.kind == "image"}
    if not images:
        return {}
    rows = replay.draw(PICTURED, np.random.default_rng(seed))[0]
    begun = replay.number(rows) - replay.episodes_of(rows)[0]
    held_out = np.unique(begun, return_inverse=True)[1] % 2 == 1
    if not held_out.any():
        return {}
    batch = map_leaves(lambda array: array[0], replay.sample(1, PICTURED, np.random.default_rng(seed), agent.window))
    obs = {name: array if name in {*images, "valid"} else 0 * array for name, array in batch.obs.items()}
    places, sight = (batch.truth or batch.obs)["achieved_goal"], agent.sight
    places = places if agent.window == 1 else places[:, -1]
    miss = lambda encoder: missed_by(np.asarray(features(encoder, obs, sight.scales)), places, held_out)  # noqa: E731
    return {"sight/miss": miss(sight.encoder), "sight/miss_at_first": miss(sight.first)}


def missed_by(inputs: np.ndarray, places: np.ndarray, held_out: np.ndarray) -> float:
    """Root mean square distance of a linear (ridge) fit to inputs [n, f] from places [n, g], where `held_out` [n]."""
    inputs, fit = inputs.astype(np.float64), ~held_out
    varies = inputs[:, inputs.std(axis=0) > 1e-6]
    design, off = (varies - varies[fit].mean(axis=0)) / varies.std(axis=0), places - places[fit].mean(axis=0)
    gram = design[fit].T @ design[fit] + RIDGE * fit.sum() * np.eye(design.shape[1])
    off = off - design @ np.linalg.solve(gram, design[fit].T @ off[fit])
    return float(np.sqrt(np.mean(np.sum(off[held_out] ** 2, axis=1))))


def probe_rollout(config: OnPolicyRunConfig, agent: Any, rollout: RolloutBuffer, env: VecEnv) -> Metrics:
    """The same for an agent without a replay, from the newest rollout, without goals and ages."""
    rows = map_leaves(lambda array: array[:ROWS], rollout.transitions())
    control = config.env.control
    actions, time, known = (array[:ROWS] for array in rollout.actions_until(control.memory))
    known &= (time >= 0) | (control.hold == 1)  # else nobody knows for how long the action in force has been held
    arrived = rows._replace(action=control.arriving(actions, time))
    found = probe_rewards(rows, rollout.ended_in_time[:ROWS], env)
    found |= probe_motion(map_leaves(lambda array: array[known], arrived), env.spec)
    with np.errstate(all="ignore"):
        found |= probe_policy(agent, rows)
    return _finite(found)


def _finite(found: Metrics) -> Metrics:
    return {name: value for name, value in found.items() if np.isfinite(value)}


def audit(
    replay: ReplayBuffer, updates: int, batch_size: int, seed: np.random.SeedSequence
) -> tuple[Batch, np.ndarray, Metrics]:
    """Minibatches [updates, batch_size, ...] as training gets them, the rows of their transitions, and metrics.

    The goals of a minibatch are looked up among all that the transition's own episode achieved, which does not rely on
    the index arithmetic that relabelled them. Drawn twice from the same fresh generator: once as training samples, once
    to learn which rows these are.
    """
    batch = replay.sample(updates, batch_size, np.random.default_rng(seed))
    rows, _, _ = replay.draw(updates * batch_size, np.random.default_rng(seed))
    age, held = replay.end - 1 - replay.number(rows), replay.end - replay.oldest
    chosen = np.random.default_rng(seed).permutation(len(rows))[:SEARCHED]
    time, length, achieved, stored = replay.episodes_of(rows[chosen])
    goals = (batch.truth or batch.obs)["desired_goal"].reshape(len(rows), -1)[chosen]
    found = goal_origins(goals, time, length, achieved, stored, replay.parts) | {
        "probe/replay_transitions": float(replay.transitions),
        "probe/replay_age": float(np.mean(age) / max(1, held - 1)),
        "probe/episode_length": float(np.mean(length)),
    }
    return batch, rows, found


def goal_origins(
    goals: np.ndarray,
    time: np.ndarray,
    length: np.ndarray,
    achieved: np.ndarray,
    stored: np.ndarray,
    parts: list[list[int]],
) -> Metrics:
    """Where the desired goals [n, g] of transitions come from, as shares that sum to 1.

    `time` is t of each transition [n] and `length` L of its episode [n]; `achieved` [n, T, g] are the achieved goals of
    that episode's states (those beyond L do not count), and `stored` [n, g] is the goal that it pursued. A goal comes
    from where all its `parts` come from, each of which may have a moment of its own.
    """
    moment, episode = np.arange(achieved.shape[1]), length[:, None]
    same = [(achieved == goals[:, None])[..., part].all(axis=2) & (moment <= episode) for part in parts]
    later = np.all([(match & (moment > time[:, None])).any(axis=1) for match in same], axis=0)
    own = (goals == stored).all(axis=1) & ~later
    earlier = np.all([match.any(axis=1) for match in same], axis=0) & ~later & ~own
    shares = {"future": later, "original": own, "past": earlier, "foreign": ~(later | own | earlier)}
    return {f"probe/goals_{name}": float(np.mean(share)) for name, share in shares.items()}


def probe_rewards(rows: Batch, failed: np.ndarray, env: VecEnv) -> Metrics:
    """Rewards, ends and successes of transitions [n], compared with the environment's own for their goals; actions.

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
        found["probe/ends_at_goal"] = float(np.mean(env.compute_terminated(goal, goal) > 0))
    if env.spec.radius is not None:
        found["probe/goal_moved"] = float(np.mean(np.linalg.norm(end - start, axis=1) > still(env.spec.radius)))
    return found


def probe_motion(rows: Batch, spec: Spec) -> Metrics:
    """What actions do, and what the observation tells of motion; motion is that of the truth.

    The actions are those that reached the simulator, after a filter or a delay. Where a geometry names the end
    effector, both are about it. Elsewhere any of the vectors may respond to the actions, and motion in the observation
    is not measured, because nobody knows which numbers are positions.
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
    share = lambda left, of: np.clip(1 - left / np.maximum(of, 1e-30), 0, 1)  # noqa: E731
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
    """Mean square [d] of the residuals of targets [n, d] after a linear fit to inputs [n, f]."""
    varies = inputs[:, inputs.std(axis=0) > 1e-9]
    scaled = (varies - varies.mean(axis=0)) / varies.std(axis=0)
    design = np.hstack([scaled, np.ones((len(inputs), 1))])
    weights = np.linalg.lstsq(design, targets, rcond=1e-8)[0]
    return np.mean((targets - design @ weights) ** 2, axis=0)
