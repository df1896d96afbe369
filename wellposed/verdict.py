"""The verdict on a run: its newest checkpoint on held-out episodes, beside random actions."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from wellposed import seeding
from wellposed.agents import find as find_algorithm
from wellposed.agents import make_agent
from wellposed.config import AnyRunConfig, stored_config
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.registry import find
from wellposed.envs.wrappers.dynamics import dynamics_from
from wellposed.envs.wrappers.pixels import seen_otherwise
from wellposed.envs.wrappers.sensors import Sensors, sensors_from
from wellposed.errors import UserError, require
from wellposed.rollout.evaluate import EVALUATION_ENVS, play_episodes, summarise
from wellposed.runs.checkpoint import require_held
from wellposed.runs.files import read_json, write_json
from wellposed.runs.record import EpisodeRow, Verdict, decode, encode
from wellposed.runs.store import RunReader
from wellposed.settings import own_settings
from wellposed.stats import describe_interval, describe_rate
from wellposed.types import Agent, Policy, Spec, VecEnv
from wellposed.units import printed

EPISODES = 100
SEED = 0


@own_settings()
def load_run(path: str | Path) -> tuple[AnyRunConfig, Agent, Any]:
    """The configuration, the trained agent, and the manifest of a run's newest checkpoint.

    Raises:
        UserError: if the record or the checkpoint is not what a run of this version wrote.
    """
    path = Path(path)
    config = stored_config(path)
    manifest, arrays = RunReader(path).load_checkpoint()
    require_held(path, config.agent.hidden)
    with closing(make_env(config.env, 1, "evaluation")) as env:
        agent = make_agent(config.algo, config.agent, env.spec, config.seed)
    agent.load_state(arrays)
    return config, agent, manifest


@own_settings()
def assess(
    path: str | Path,
    episodes: int = EPISODES,
    seed: int = SEED,
    threads: int = 2,
    noise: float = 0.0,
    sensors: Sequence[str] = (),
    dynamics: Sequence[str] = (),
    pixels: Sequence[str] = (),
) -> Verdict:
    """Play held-out episodes greedily with a run's agent, and the same ones with random actions.

    Args:
        path: a run's directory.
        episodes: number of held-out episodes, at least 1.
        seed: of the held-out episodes; the same seed gives every run the same episodes.
        threads: native threads for physics.
        noise: standard deviation, in goal units, of the error of every position that the agent observes, in place of
            that of its training (`wrappers.sensors`); 0 keeps that. Success is judged on the true state.
        sensors: faults of the sensors, as "delay=2" or "object.bias=0.01", in place of those of training.
        dynamics: other dynamics, as "friction=0.5..1.5", in place of those of training.
        pixels: changes to what the camera shows, as "moved=0.02" or "shown=blank".

    Raises:
        UserError: if the run cannot be loaded, its environment does not allow it, or a number is out of range.
    """
    if episodes < 1 or seed < 0:
        raise UserError(f"--episodes must be at least 1 and --seed not negative, got {episodes} and {seed}.")
    require(0 <= noise < math.inf, "noise", "is a length in goal units, 0 or more", noise)
    config, agent, manifest = load_run(path)
    where = under(with_noise(config.env, noise), sensors, dynamics, pixels)
    seeds = seeding.evaluation_env_seeds(seed, episodes, "held-out")
    rows = play_under(agent, where, seeds, seed, threads, to_limit=True)
    trained = summarise(rows, step=manifest.step, updates=manifest.updates, seconds=manifest.seconds, seed=seed)
    chance = RandomPolicy(agent.spec.action_dim, seeding.generator(seed, "random baseline"))
    random_rows = play_under(chance, replace(where, sensors=config.env.sensors), seeds, seed, threads, to_limit=True)
    random = summarise(random_rows, step=0, updates=0, seconds=0.0, seed=seed)
    told: dict[str, Any] = {"sees": information(config, agent.spec)}
    told |= {"noise": noise, "sensors": list(sensors), "dynamics": list(dynamics), "pixels": list(pixels)}
    return Verdict(config.env.id, seed, manifest.state.sha256, trained, random, rows, **told)


def information(config: AnyRunConfig, spec: Spec) -> str:
    """What a policy sees when it acts and what it learnt from, in sentences; "" where that is all there is to see."""
    if not spec.truth:
        return ""
    sizes = ", ".join(f"{one.name} ({' x '.join(map(str, one.shape))})" for one in spec.obs)
    hidden = " and ".join(one.name for one in spec.truth if one.kind == "vector" or one.name == "achieved_goal")
    also = "the same; hindsight's goals and rewards are of the truth"
    if getattr(config.agent, "critic_sees", "") == "truth":
        also = ", and ".join(filter(None, [f"the true {hidden} as well", find_algorithm(config.algo).told]))
    given = {"the networks of another run": config.init_from, "demonstrations": config.demonstrations}
    begun = " and ".join(what for what, source in given.items() if source)
    found = f"Acting, it sees {sizes}. Its updates saw {also}." + (f" It began with {begun}." if begun else "")
    leak = " It is shown what is achieved when it acts, which the picture should tell: a leak (--env.pixels.leak)."
    return found + leak * config.env.pixels.leak


def play_under(
    policy: Policy,
    where: EnvConfig,
    seeds: list[int],
    seed: int,
    threads: int = 2,
    *,
    to_limit: bool = False,
    watch: Callable[[VecEnv], VecEnv] = lambda env: env,
) -> list[EpisodeRow]:
    """Episodes of these seeds in an environment; `seed` begins what is random around it.

    With `to_limit`, those that success ends go on to their limit, for `success_at_limit`; no other number differs.
    `watch` is put around the environment.

    Where only sensors or dynamics differ, episodes of one seed are pairs: start, goal and all other draws are the same.

    Raises:
        UserError: if the environment cannot be made so.
    """
    num_envs = min(EVALUATION_ENVS, len(seeds))
    with closing(make_env(where, num_envs, "evaluation", threads=threads, seed=seed, to_limit=to_limit)) as env:
        return play_episodes(policy, watch(env), seeds)


def with_noise(env: EnvConfig, noise: float) -> EnvConfig:
    """The environment with noise on the positions that the policy observes; 0 leaves the sensors as they are."""
    return replace(env, sensors=Sensors(noise=noise)) if noise else env


def under(env: EnvConfig, sensors: Sequence[str], dynamics: Sequence[str], pixels: Sequence[str] = ()) -> EnvConfig:
    """The environment with these sensors and dynamics, in place of its own, and pictures that differ in this.

    What is not named stays.

    Raises:
        UserError: if a word is no fault, parameter or setting.
    """
    env = replace(env, pixels=seen_otherwise(env.pixels, pixels))
    env = replace(env, sensors=sensors_from(sensors)) if sensors else env
    return replace(env, dynamics=dynamics_from(dynamics)) if dynamics else env


def stored_verdict(path: Path, threads: int = 2) -> Verdict:
    """The verdict stored in a run's directory. If there is none of the newest checkpoint it is made and stored."""
    file = path / "verdict.json"
    if file.exists():
        found = decode(Verdict, read_json(file), str(file))
        if found.checkpoint == RunReader(path).load_checkpoint()[0].state.sha256:
            return found
    found = assess(path, threads=threads)
    with suppress(UserError):  # a record that cannot be written to can be judged all the same
        write_json(file, encode(found))
    return found


def sentence(verdict: Verdict) -> str:
    """`FetchReach-v4: 100/100, 95 % CI 96.3-100.0`."""
    row = verdict.trained
    reached = round(row.success_rate * row.episodes)
    more = [f"; {kind} {describe_rate(e.value, e.ci95)}" for kind, e in row.success_by_kind.items()]
    if (kept := row.success_at_limit) is not None:
        more.append(f"; at the limit of episodes that go on after their goal {describe_rate(kept.value, kept.ci95)}")
    factor, unit = printed(goal_unit(verdict.env)) if verdict.noise else (1.0, "")
    stress = f", positions off by {factor * verdict.noise:g} {unit}".rstrip() if verdict.noise else ""
    for what, words in (("sensors", verdict.sensors), ("dynamics", verdict.dynamics), ("pixels", verdict.pixels)):
        stress += f", {what} {' '.join(words)}" if words else ""
    return f"{verdict.env}{stress}: {reached}/{row.episodes}, {describe_interval(row.success_ci95)}" + "".join(more)


def goal_unit(env_id: str) -> str:
    """The unit of an environment's goals, as "m"; "" where nobody names it, or the environment is not installed."""
    with suppress(UserError):
        quantities = find(env_id).quantities
        return quantities.goal_unit if quantities else ""
    return ""


def baselines(verdict: Verdict) -> str:
    """The two numbers that a verdict is read against."""
    random, floor = verdict.random, verdict.trained
    return (
        f"random actions {describe_rate(random.success_rate, random.success_ci95)}, "
        f"already solved at reset {describe_rate(floor.already_solved_rate, floor.already_solved_ci95)}"
    )
