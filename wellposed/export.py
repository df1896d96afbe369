"""From a run to a policy that others can use: one file in a format that they read, and a model card.

What is exported are policies of states (`--agent.inputs.encoder state`); `portable` says what is in a file.
"""

from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from wellposed import agents, serialise
from wellposed.arrays import Arrays
from wellposed.config import AnyRunConfig, stored_config
from wellposed.envs.make import make_env
from wellposed.errors import UserError
from wellposed.nn.inputs import NEAREST, InputConfig, Scales, StateEncoder, scale_name
from wellposed.nn.normaliser import InputScaler
from wellposed.onnx_graph import onnx_model
from wellposed.portable import FORMAT, Header, LoadedPolicy, PortablePolicy, check, encode, in_bounds, loaded, seen
from wellposed.runs.files import write_whole
from wellposed.runs.record import Verdict
from wellposed.runs.store import RunReader
from wellposed.types import Spec
from wellposed.verdict import load_run, stored_verdict

Format = Literal["npz", "safetensors", "onnx", "stablehlo"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export_policy(
    run: str | Path, target: str | Path | None = None, *, form: Format = "npz", licence: str = "mit", threads: int = 2
) -> Path:
    """Write the policy of a run's newest checkpoint to one file; a run without a verdict is judged first.

    Args:
        run: a run's directory.
        target: the file; by default the run's name and the format's ending, in the current directory.
        form: how: npz or safetensors (`load_policy` and plain NumPy read them), onnx, stablehlo.
        licence: of the policy, as the Hugging Face hub writes it.
        threads: native threads for physics.

    Raises:
        UserError: if the policy is none that can be exported, or the run is damaged.
    """
    run = Path(run)
    target = Path(f"{RunReader(run).path.resolve().name}.{form}") if target is None else Path(target)
    write_whole(target, content(judged(run, licence, threads), form))
    return target


def content(policy: PortablePolicy, form: Format) -> bytes:
    """The bytes of a file of that format."""
    if form == "onnx":
        return onnx_model(policy)
    return stablehlo(policy) if form == "stablehlo" else encode(policy, form)


def policy_of_run(run: Path) -> LoadedPolicy:
    """The greedy policy of a run's newest checkpoint; through JAX where it cannot be exported."""
    config = stored_config(run)
    if why_not(config) is None:
        return loaded(portable(run, config))
    _, agent, _ = load_run(run)
    return LoadedPolicy(agent, seen(agent.spec), *bounds(agent.spec), origin(run, config))


def judged(run: Path, licence: str, threads: int) -> PortablePolicy:
    """The portable policy of a run, with its verdict on the card.

    Raises:
        UserError: if it cannot be exported.
    """
    config = stored_config(run)
    if reason := why_not(config):
        raise UserError(f"{run} cannot be exported: {reason}. `wp.load_policy(RUN)` plays it, through JAX.")
    policy = portable(run, config)
    card = policy.header.card | {"licence": licence, "verdict": told(stored_verdict(run, threads))}
    return replace(policy, header=replace(policy.header, card=card))


def why_not(config: AnyRunConfig) -> str | None:
    """Why the policies of a configuration cannot be exported; None if they can."""
    if config.agent.inputs.encoder != "state":
        return f"the encoder {config.agent.inputs.encoder!r} sees images or remembers, and the formats hold neither"
    if agents.find(config.algo).squash is None:
        return f"the algorithm {config.algo!r} does not say what makes an action of its outputs (`Entry.squash`)"
    return None


def portable(run: Path, config: AnyRunConfig) -> PortablePolicy:
    """The portable policy of a run's newest checkpoint. Nothing is compiled for it.

    Raises:
        UserError: if the checkpoint is damaged, or of other networks than the configuration's.
    """
    _, arrays = RunReader(run).load_checkpoint()
    with closing(make_env(config.env, 1, "evaluation")) as env:
        try:
            policy = portable_of(config.algo, config.agent, env.spec, arrays, origin(run, config))
            check(policy)
        except (KeyError, ValueError, IndexError) as error:
            raise UserError(f"The checkpoint of {run} is not that of its configuration: {error}.") from error
    return policy


def portable_of(algo: str, settings: Any, spec: Spec, state: Arrays, card: dict[str, Any]) -> PortablePolicy:
    """The portable policy of an agent of these settings whose `state()` this is, a cloned one's too."""
    scaler = InputScaler(settings.inputs, spec, settings.critic_sees)
    scaler.load_state(state)
    arrays, order = features(settings.inputs, spec, scaler.stats.obs)
    for i in range(len(settings.hidden) + 1):
        for name in ("weights", "biases"):
            arrays[f"{name}.{i}"] = state[f"learner.nets.actor.head.{name}[{i}]"]
    arrays["weights.0"] = arrays["weights.0"][order]
    squash = agents.find(algo).squash
    assert squash is not None
    low, high = bounds(spec)
    return PortablePolicy(Header(FORMAT, seen(spec), low, high, squash, settings.inputs.clip, NEAREST, card), arrays)


def features(config: InputConfig, spec: Spec, scales: Scales) -> tuple[Arrays, np.ndarray]:
    """What a `StateEncoder` shows a network: numbers, differences of two of them, and distances.

    Returns:
        The arrays of a portable policy that say so, and where the encoder has each feature [f] that they make.
    """
    encoder, places, size = StateEncoder(config, spec.obs, spec), {}, 0
    for one in spec.obs:
        places[one.name] = size + np.arange(spec.size(one.name))
        size += spec.size(one.name)
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []  # plus, minus, mean, std

    def add(plus: np.ndarray, minus: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Append offsets; returns their places."""
        begin = sum(len(row[0]) for row in rows)
        rows.append((plus, minus, mean, std))
        return begin + np.arange(len(plus))

    to_goal, groups = {"achieved_goal", "desired_goal"} <= places.keys(), []
    for one in sorted(spec.obs, key=lambda one: one.kind == "goal"):
        if one.name != "achieved_goal" or not to_goal:
            kept, scale = encoder.without_place(one, np.arange(spec.size(one.name))), scales[scale_name(one)]  # type: ignore[arg-type]
            add(places[one.name][kept], np.full(len(kept), size), scale.mean[kept], scale.std[kept])
    geometry, behind = spec.geometry if "observation" in places else None, 0
    zero, std = np.zeros_like(scales["goal"].std), scales["goal"].std
    targets = [np.array(point) for point in spec.geometry.targets] if spec.geometry else [np.arange(len(std))]
    if to_goal:
        way = add(places["desired_goal"], places["achieved_goal"], zero, std)
        groups = [way[target] for target in targets]
    before, ways = sum(len(row[0]) for row in rows), len(groups)  # the distances of the way stand behind it
    if geometry is not None:
        points = [places["observation"][np.array(point)] for point in geometry.points]
        for start, to in geometry.differences:
            behind += len(add(points[to], points[start], zero[targets[0]], std[targets[0]]))
        if to_goal and len(points) > 1:
            effector = places["observation"][np.array(geometry.effector)]
            groups += [add(places["achieved_goal"][one], effector, zero[one], std[one]) for one in targets]
    plus, minus, mean, std = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    shown = np.array(groups, np.int32) if config.distances and groups else np.zeros((0, 1), np.int32)
    order = np.arange(before + behind + len(shown))
    if len(shown):  # here distances come last
        end = before + ways
        order = np.r_[order[:before], order[end : end + behind], order[before:end], order[end + behind :]]
    indices = {"plus": plus, "minus": minus, "groups": shown}
    numbers = {"mean": mean, "std": std}
    arrays = {name: array.astype(np.int32) for name, array in indices.items()}
    return arrays | {name: array.astype(np.float32) for name, array in numbers.items()}, order


def bounds(spec: Spec) -> tuple[list[float], list[float]]:
    """What -1 and 1 of an action stand for in the environment."""
    low, high = spec.action_bounds or ((-1.0,) * spec.action_dim, (1.0,) * spec.action_dim)
    return [*low], [*high]


def stablehlo(policy: PortablePolicy) -> bytes:
    """The policy as `jax.export` serialises it, for batches of any size: `jax.export.deserialize(...).call(obs)`.

    Raises:
        UserError: if a number of the observation has to be read in double precision, which JAX does not do by default.
    """
    from jax import export

    if any(one.origin for one in policy.header.fields):
        raise UserError("float32 would not resolve what this policy reads; take --format npz or onnx.")
    header, (n,) = policy.header, export.symbolic_shape("n")
    low, high = header.action_low, header.action_high
    shapes = {one.name: jax.ShapeDtypeStruct((n, *one.shape), jnp.float32) for one in header.fields}

    def native(obs: dict[str, jax.Array]) -> jax.Array:
        """From what the environment gives to its actions."""
        shown = {one.name: obs[one.name] @ one.turn if one.pairs else obs[one.name] for one in header.fields}
        return in_bounds(policy.actions(shown, jnp), low, high, jnp)

    return bytes(export.export(jax.jit(native), platforms=("cpu", "cuda", "tpu"))(shapes).serialize())


def origin(run: Path, config: AnyRunConfig) -> dict[str, Any]:
    """Where a policy comes from, as JSON data."""
    manifest, reader = RunReader(run).load_checkpoint()[0], RunReader(run)
    return {
        "run": reader.path.resolve().name,
        "algorithm": config.algo,
        "environment": serialise.to_dict(config.env),
        "seed": config.seed,
        "checkpoint": manifest.state.sha256,
        "steps": manifest.step,
        "updates": manifest.updates,
        "seconds": manifest.seconds,
        "commit": reader.provenance.commit,
        "wellposed": version("wellposed"),
    }


def told(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a card tells it: rates with their 95 % intervals, on held-out episodes."""
    row, random = verdict.trained, verdict.random
    return {
        "episodes": row.episodes,
        "success_rate": row.success_rate,
        "success_ci95": list(row.success_ci95),
        "random_success_rate": random.success_rate,
        "already_solved_rate": row.already_solved_rate,
    }
