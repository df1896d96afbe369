"""What a run begins with beside its seed: the networks of another run, and demonstrations.

Demonstrations enter the replay as its first episodes, where there is one, so hindsight relabels them as all others.
Their observations enter the input statistics, and the actor is cloned from their actions. They are no environment steps
of the run. Whatever a run began with is in its first checkpoint: taking it up again needs neither file nor run.

Source: Nair et al. (2018), "Overcoming Exploration in Reinforcement Learning with Demonstrations", arXiv 1709.10089,
for demonstrations in the replay; cloning is `agents.bc`.
"""

import hashlib
import io
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wellposed import envs, seeding
from wellposed.agents.bc import imitate
from wellposed.arrays import Arrays, lengths_of, map_leaves, merged, parse_npz, require_numbers
from wellposed.config import AnyRunConfig
from wellposed.data.episodes import ReplayBuffer, columns
from wellposed.envs.make import make_env
from wellposed.errors import UserError, require
from wellposed.portable import seen
from wellposed.runs.files import read_bytes, write_whole
from wellposed.runs.store import RunReader
from wellposed.types import Moment, Spec, Step

ORACLE = "oracle:"
MAX_BYTES = 2**30
# What begins the names of networks and input statistics in the state of an agent; an eye is what sees pictures.
LEARNT = ("learner.nets", "inputs.", "eye/.net", "eye/.steady", "eye/inputs.")


class Demonstrations(NamedTuple):
    """Whole episodes, one after another: of each L + 1 moments, and L actions; the last row of its actions is zeros."""

    obs: Arrays  # by key, [rows, *shape]: what the policy would have seen
    truth: Arrays  # by key; {} where that is the truth
    action: np.ndarray  # [rows, action_dim], in [-1, 1]
    length: np.ndarray  # L of each episode, [episodes]

    @property
    def before_action(self) -> np.ndarray:
        """Which rows are followed by an action, [rows], bool."""
        rows = np.ones(len(self.action), bool)
        rows[np.cumsum(self.length + 1) - 1] = False
        return rows


def source_of(config: AnyRunConfig, folder: Path) -> Path:
    """The run that `init_from` names: a directory, or, by a recipe's name, its run of the same seed in `folder`.

    The name of a recipe is that of its runs without the seed. It is the same for all seeds and on all machines.
    """
    named = Path(str(config.init_from))
    beside = folder / f"{named}_s{config.seed}"
    return beside if beside.is_dir() and not named.is_dir() else named


def begin(run: Any, config: AnyRunConfig, folder: Path) -> None:
    """Put what the configuration names into a run whose environments stand at their first moment.

    `folder`: the directory of the runs.

    Raises:
        UserError: if the other run or the demonstrations do not fit.
    """
    if config.init_from is not None:
        warm_start(run.agent, RunReader(source_of(config, folder)).load_checkpoint()[1])
    if config.demonstrations is None:
        return
    found = demonstrations_of(config, run.env.spec)
    if (replay := getattr(run, "replay", None)) is not None:
        fill(replay, found, run.env)
    rows = found.before_action
    here = lambda arrays: {key: array[rows] for key, array in arrays.items()}  # noqa: E731
    obs = here(found.obs)
    run.agent.observe(Moment(obs, here(found.truth) or obs))
    if config.clone_updates:
        rng = seeding.generator(config.seed, "cloning")
        imitate(run.agent, obs, found.action[rows], config.clone_updates, rng)


def warm_start(agent: Any, state: Arrays) -> None:
    """Give an agent the networks and input statistics of another's `state()`.

    Where the agent is told the truth and the other saw it, its statistics are those of the truth. Optimisers and random
    streams stay the agent's own.

    Raises:
        UserError: if they are of another shape.
    """
    taken = {name: array for name, array in state.items() if name.startswith(LEARNT)}
    own = agent.state()
    as_seen = {name: name.replace("inputs.truth", "inputs.obs") for name in own if name.startswith("inputs.truth")}
    taken |= {name: taken[seen] for name, seen in as_seen.items() if name not in taken and seen in taken}
    agent.load_state(own | taken)


def demonstrations_of(config: AnyRunConfig, spec: Spec) -> Demonstrations:
    """Those that a configuration names: of the task's own controller, or out of a file."""
    source = str(config.demonstrations)
    if not source.startswith(ORACLE):
        return read_demonstrations(Path(source), spec)
    count = source.removeprefix(ORACLE)
    if not count.isdigit() or not int(count):
        raise UserError(f"--demonstrations takes a file, or oracle:N for N episodes, got {source!r}.")
    return oracle_demonstrations(config, int(count))


def oracle_demonstrations(config: AnyRunConfig, count: int) -> Demonstrations:
    """Episodes of the controller that is written for the task, which knows the truth.

    Raises:
        UserError: if there is none for this environment.
    """
    make = envs.find(config.env.id).oracle
    if make is None:
        raise UserError(f"There is no oracle for {config.env.id}; name a file: --demonstrations FILE.")
    oracle, num_envs = make(), min(config.num_envs, count)
    seeds = seeding.generator(config.seed, "demonstrations").integers(2**30 - 2**16, size=count).tolist()
    episodes: list[Demonstrations] = []
    with closing(make_env(config.env, num_envs, "evaluation", seed=config.seed)) as env:
        if "oracle" not in env.capabilities:
            raise UserError("The oracle speaks of another frame than that of --geometry found; leave one of them out.")
        for first in range(0, count, num_envs):
            some = seeds[first : first + num_envs]
            now, carry = env.reset([*some, *[some[-1]] * (num_envs - len(some))]), oracle.initial_carry(num_envs)
            steps: list[Step] = []
            length = np.zeros(num_envs, int)  # 0: the episode goes on
            while not length.all():
                action, carry = oracle.act(now.truth, carry)
                steps.append(env.step(action))
                now = env.now
                length[(length == 0) & steps[-1].ended] = len(steps)
            episodes += [_episode(steps[: length[i]], i) for i in range(len(some))]
    return map_leaves(lambda *same: np.concatenate(same), *episodes)


def _episode(steps: list[Step], i: int) -> Demonstrations:
    """The steps of env i as a demonstration."""
    last = steps[-1]

    def states(part: str) -> Arrays:
        after = getattr(last, f"next_{part}")
        return {key: np.stack([*(getattr(step, part)[key][i] for step in steps), after[key][i]]) for key in after}

    actions = [step.action[i] for step in steps]
    truth = {} if last.truth is last.obs else states("truth")
    return Demonstrations(states("obs"), truth, np.stack([*actions, np.zeros_like(actions[0])]), np.array([len(steps)]))


def fill(replay: ReplayBuffer, found: Demonstrations, env: Any) -> None:
    """Put demonstrations into an empty replay, with the environment's own rewards and terminations of their goals.

    Raises:
        UserError: if it does not hold them.
    """
    rows = len(found.action)
    require(
        rows <= replay.config.capacity,
        "replay.capacity",
        f"must hold the {rows} rows of demonstrations",
        replay.config.capacity,
    )
    goals, after = found.truth or found.obs, np.minimum(np.arange(rows) + 1, rows - 1)
    pair = goals["achieved_goal"][after], goals["desired_goal"]
    parts = merged(obs=found.obs, truth=found.truth) | {
        "action": found.action,
        "reward": env.compute_reward(*pair),
        "terminated": env.compute_terminated(*pair),
        "failed": np.zeros(rows),
        "time": np.concatenate([np.arange(length + 1) for length in found.length]),
        "length": np.repeat(found.length, found.length + 1),
    }
    dtypes = {key: column.dtype for key, column in columns(replay.spec).items()} | {"time": "int32", "length": "int32"}
    state = replay.state() | {"held": np.array([0, rows])}
    replay.load_state(state, [(0, {key: parts[key].astype(dtype) for key, dtype in dtypes.items()})])


def write_demonstrations(found: Demonstrations, path: str | Path) -> None:
    """Write demonstrations in the form that `--demonstrations FILE` reads.

    They have to be of an environment that is shown as it is: without a found geometry, and not far from 0.
    """
    memory, truth = io.BytesIO(), {f"truth/{key}": array for key, array in found.truth.items()}
    np.savez_compressed(memory, **found.obs, **truth, action=found.action, length=found.length)  # type: ignore[arg-type]
    write_whole(Path(path), memory.getvalue())


def read_demonstrations(path: Path, spec: Spec) -> Demonstrations:
    """Demonstrations out of an npz: each key of an observation [rows, *shape], `action` [rows, action_dim], `length`.

    An episode of L actions has L + 1 rows, and nothing stands in the last row of its actions. Observations are as the
    environment gives them. Where the policy sees something else than the truth, that is there as `truth/KEY`.

    Raises:
        UserError: saying what is wrong with the file.
    """
    try:
        arrays = parse_npz(read_bytes(path, MAX_BYTES), MAX_BYTES)
    except ValueError as error:
        raise UserError(f"{path} is not an npz with demonstrations: {error}.") from error
    shapes = {one.name: one.shape for one in spec.obs} | {"action": (spec.action_dim,)}
    shapes |= {f"truth/{one.name}": one.shape for one in spec.truth}
    if missing := [name for name in [*shapes, "length"] if name not in arrays]:
        raise UserError(f"{path} lacks {', '.join(missing)}; it has {', '.join(arrays)}.")
    try:
        length = lengths_of(arrays["length"])
        if length.max() > spec.max_episode_steps:
            raise ValueError(f"an episode has {length.max()} steps, and {spec.max_episode_steps} are allowed")
        for name, shape in shapes.items():
            require_numbers(name, arrays[name], (int((length + 1).sum()), *shape))
    except ValueError as error:
        raise UserError(f"{path}: {error}.") from error
    if np.abs(arrays["action"]).max() > 1:
        raise UserError(f"{path}: actions lie in [-1, 1]; scale them from the bounds of the environment.")
    shown = {one.name: one.shown for one in seen(spec)}
    obs = {one.name: shown[one.name](arrays[one.name]) for one in spec.obs}
    truth = {one.name: shown[one.name](arrays[f"truth/{one.name}"]) for one in spec.truth}
    return Demonstrations(obs, truth, arrays["action"], length)


def given(config: AnyRunConfig, folder: Path) -> dict[str, str]:
    """What a run is given, by a digest of its content: it decides the result, and a path does not tell it.

    `folder`: the directory of the runs.

    Raises:
        UserError: if it cannot be read.
    """
    found: dict[str, str] = {}
    if config.init_from is not None:
        found["init_from"] = RunReader(source_of(config, folder)).load_checkpoint()[0].state.sha256
    source = config.demonstrations
    if source is not None:
        read = lambda: hashlib.sha256(read_bytes(Path(source), MAX_BYTES)).hexdigest()  # noqa: E731
        found["demonstrations"] = source if source.startswith(ORACLE) else read()
    return found
