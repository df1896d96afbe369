"""The verdict on a run: its newest checkpoint on held-out episodes, beside a policy that knows nothing."""

from pathlib import Path
from typing import Any

from wellposed import envs, seeding
from wellposed.agents import make_agent
from wellposed.envs.scripted import RandomPolicy
from wellposed.errors import UserError
from wellposed.evaluate import play_episodes, summarise
from wellposed.recipe import RunConfig, read_config
from wellposed.runs.files import read_json, write_json
from wellposed.runs.record import EpisodeRow, EvaluationRow, Verdict, decode, encode
from wellposed.runs.store import RunReader
from wellposed.stats import describe_interval, describe_rate
from wellposed.training import EVALUATION_COPIES
from wellposed.types import Agent, Policy

EPISODES = 100
SEED = 0


def load_run(path: Path) -> tuple[RunConfig, Agent, Any]:
    """The configuration, the trained agent, and the manifest of a run's newest checkpoint.

    Raises:
        UserError: if the record or the checkpoint is not what a run of this version wrote.
    """
    reader = RunReader(path)
    try:
        config = read_config(reader.config, str(path / "config.json"))
    except ValueError as error:
        raise UserError(f"{error}. The run was made by another version of wellposed.") from error
    if ":" in config.env:  # "module:Id" imports the module, and a record must not decide what is executed
        raise UserError(f"{path} names the environment {config.env!r}, which would import a module. It is refused.")
    manifest, arrays = reader.load_checkpoint()
    env = envs.make_vec(config.env)
    agent = make_agent(config.algo, config.agent, envs.dims(env), config.seed)
    env.close()
    agent.load_state(arrays)
    return config, agent, manifest


def assess(path: str | Path, episodes: int = EPISODES, seed: int = SEED, threads: int = 2) -> Verdict:
    """Play held-out episodes greedily with a run's agent, and the same ones with random actions.

    Args:
        path: a run's directory.
        episodes: how many, at least 1.
        seed: which held-out episodes; the same seed gives the same episodes to every run.
        threads: native threads for physics.

    Raises:
        UserError: if there is nothing sound to load, or `episodes` or `seed` is out of range.
    """
    if episodes < 1 or seed < 0:
        raise UserError(f"--episodes must be at least 1 and --seed not negative, got {episodes} and {seed}.")
    config, agent, manifest = load_run(Path(path))
    env = envs.make_vec(config.env, min(EVALUATION_COPIES, episodes), threads=threads)
    seeds = seeding.evaluation_env_seeds(seed, episodes, "held-out")
    seconds = next(row.seconds for row in RunReader(Path(path)).evaluations if row.step == manifest.step)

    def play(policy: Policy, step: int, updates: int, seconds: float) -> tuple[list[EpisodeRow], EvaluationRow]:
        rows = play_episodes(policy, env, seeds)
        return rows, summarise(rows, step=step, updates=updates, seconds=seconds, seed=seed)

    rows, trained = play(agent, manifest.step, manifest.updates, seconds)
    noise = RandomPolicy(envs.dims(env).action, seeding.generator(seed, "random baseline"))
    _, random = play(noise, step=0, updates=0, seconds=0.0)
    env.close()
    return Verdict(config.env, seed, trained, random, rows)


def stored_verdict(path: Path, threads: int = 2) -> Verdict:
    """The verdict that stands in a run's directory; made and written there the first time it is asked for."""
    file = path / "verdict.json"
    if not file.exists():
        write_json(file, encode(assess(path, threads=threads)))
    return decode(Verdict, read_json(file), str(file))


def sentence(verdict: Verdict) -> str:
    """`FetchReach-v4: 100/100, 95 % CI 96.3-100.0`."""
    row = verdict.trained
    reached = round(row.success_rate * row.episodes)
    kinds = [f"; {kind} {describe_rate(e.value, e.ci95)}" for kind, e in row.success_by_kind.items()]
    return f"{verdict.env}: {reached}/{row.episodes}, {describe_interval(row.success_ci95)}" + "".join(kinds)


def baselines(verdict: Verdict) -> str:
    """The two numbers a verdict must be read beside."""
    random, floor = verdict.random, verdict.trained
    return (
        f"random actions {describe_rate(random.success_rate, random.success_ci95)}, "
        f"already solved at reset {describe_rate(floor.already_solved_rate, floor.already_solved_ci95)}"
    )
