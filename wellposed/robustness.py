"""Success of policies under sensor errors and other dynamics: curves, challenges of the field, worst cases by search.

All that is played is data, `robustness.toml`. All conditions play the same held-out episodes; a search plays monitoring
episodes, so what it found is judged on fresh ones.
"""

import json
import tomllib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wellposed import seeding, serialise
from wellposed.analysis import robustness as numbers
from wellposed.analysis.robustness import Condition, LevelCurve, Robustness, WorstCase, estimate
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.dynamics import Dynamics, domain, dynamics_from
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError, instead, require
from wellposed.progress import TrainingProgress
from wellposed.rollout.evaluate import play_episodes
from wellposed.runs.files import explained, write_json, write_whole
from wellposed.runs.record import EpisodeRow, encode
from wellposed.types import Policy
from wellposed.units import RADII
from wellposed.verdict import load_run, play_under

PROTOCOLS = Path(__file__).parent / "robustness.toml"
ROUNDS, CANDIDATES, ELITES, TRIALS = 5, 12, 3, 25  # of a search: rounds, settings in each, the worst kept, episodes
YOURS = "yours"  # the name of a set that was given in words


@dataclass(frozen=True)
class Request:
    """What is asked of a policy."""

    only: Sequence[str] = ()  # names of curves, challenges and sets; all without any
    dynamics: Sequence[str] = ()  # an uncertainty set in words, friction=0.5..1.5
    episodes: int = 100
    seed: int = 0  # of the held-out episodes


@dataclass
class Examination:
    """A result, and every episode that it rests on, of each run, by the name of its condition."""

    result: Robustness
    episodes: dict[str, list[list[EpisodeRow]]] = field(default_factory=dict)


@dataclass
class Player:
    """Policies that play the held-out episodes of a seed under any conditions."""

    policies: list[Policy]
    undisturbed: EnvConfig
    radius: float
    episodes: int
    seed: int
    threads: int
    played: dict[str, list[list[EpisodeRow]]] = field(default_factory=dict)  # by condition, of each policy

    @property
    def held_out(self) -> list[int]:
        """Seeds of the episodes that judge."""
        return seeding.evaluation_env_seeds(self.seed, self.episodes, "held-out")

    @cached_property
    def clean(self) -> np.ndarray:
        """Success without disturbance [r, n]."""
        return self.outcomes("clean", {})

    def outcomes(self, name: str, settings: dict[str, Any]) -> np.ndarray:
        """Success of each policy in the held-out episodes [r, n] with these settings of the environment.

        Raises:
            UserError: if the environment does not allow them.
        """
        where = with_settings(self.undisturbed, settings)
        of_each = [play_under(one, where, self.held_out, self.seed, self.threads) for one in self.policies]
        self.played[name] = of_each
        return np.array([[row.success for row in rows] for rows in of_each])

    def length(self, value: float, unit: str) -> float:
        """A length in goal units; what has another unit stays."""
        factor = {"radii": self.radius, "spreads": RADII * self.radius}
        return value * factor[unit] if unit in factor else value


def examine(paths: Sequence[str | Path], request: Request, threads: int = 2, quiet: bool = True) -> Examination:
    """Play all that was asked for with runs' newest checkpoints. Sensors and dynamics of their training do not apply.

    Args:
        paths: directories of runs that differ in their seed only.
        request: what to play.
        threads: native threads for physics.
        quiet: no progress bar.

    Raises:
        UserError: if a run cannot be loaded, they are not of one recipe, or a name, a range or a number is not what it
            should be.
    """
    require(request.episodes >= 1, "episodes", "must be at least 1", request.episodes)
    require(request.seed >= 0, "seed", "must not be negative", request.seed)
    configs, agents, manifests = zip(*map(load_run, paths), strict=True)
    config, protocols = configs[0], asked(request)
    recipes, places = [replace(one, seed=0) for one in configs], {Path(path).resolve() for path in paths}
    if any(one != recipes[0] for one in recipes) or len(places) < len(paths):
        raise UserError("robustness takes runs that differ in their seed only; play others one by one.")
    radius = agents[0].spec.radius or 1.0
    player = Player(list(agents), undisturbed(config.env), radius, request.episodes, request.seed, threads)
    left_out: list[str] = []

    found: dict[str, list[Any]] = {kind: [] for kind in PLAYED}
    parts = [(kind, name, one) for kind, table in protocols.items() for name, one in table.items()]
    with TrainingProgress(quiet) as progress:
        for kind, name, one in progress.over(parts, "curves, challenges and sets"):
            try:
                found[kind].append(PLAYED[kind](name, one, player))
            except UserError as error:
                left_out.append(f"{name}: {error}")
    result = Robustness(
        env=config.env.id,
        runs=[str(path) for path in paths],
        checkpoints=[manifest.state.sha256 for manifest in manifests],
        seed=request.seed,
        episodes=request.episodes,
        clean=estimate(numbers.rate(player.clean)),
        curves=found["curves"],
        challenges=found["challenges"],
        worst_cases=found["sets"],
        left_out=left_out,
    )
    return Examination(result, player.played)


def asked(request: Request) -> dict[str, dict[str, Any]]:
    """The protocols that are asked for: tables by name of "curves", "challenges" and "sets".

    Raises:
        UserError: for a name that there is not, or a set of more than three dimensions or of no range.
    """
    found: dict[str, dict[str, Any]] = tomllib.loads(PROTOCOLS.read_text())
    names = [name for table in found.values() for name in table]
    if wrong := [name for name in request.only if name not in names]:
        raise UserError(f"--only: there is no {wrong[0]!r}{instead(wrong[0], names)}")
    if request.only:
        found = {kind: {n: one for n, one in table.items() if n in request.only} for kind, table in found.items()}
    elif request.dynamics:
        found["sets"] = {}
    if request.dynamics:
        found["sets"][YOURS] = {"about": " ".join(request.dynamics)} | own_set(request.dynamics)
    return found


def own_set(words: Sequence[str]) -> dict[str, list[float]]:
    """Ranges by name from words. Raises UserError unless there are one to three, each LOW..HIGH."""
    given = {name: domain(getattr(dynamics_from(words), name)) for name in (word.partition("=")[0] for word in words)}
    require(1 <= len(given) <= 3, "dynamics", "takes one to three parameters here", len(given))
    for name, one in given.items():
        require(one.between, "dynamics", "takes NAME=LOW..HIGH here", name)
    return {name: list(one.values) for name, one in given.items()}


def undisturbed(env: EnvConfig) -> EnvConfig:
    """The environment with perfect sensors and its own dynamics."""
    return replace(env, sensors=Sensors(), dynamics=Dynamics())


def with_settings(env: EnvConfig, settings: dict[str, Any]) -> EnvConfig:
    """The environment with settings replaced by dotted name; ranges of the dynamics may be numbers.

    Raises:
        UserError: if a setting is out of its range.
    """
    texts = {name: str(value) if name.startswith("dynamics.") else value for name, value in settings.items()}
    return serialise.from_dict(EnvConfig, serialise.override(serialise.whole(env), texts), "settings")


def play_curve(name: str, one: dict[str, Any], player: Player) -> LevelCurve:
    """Success against the levels of a disturbance."""
    values = [player.length(level, one["unit"]) for level in one["levels"]]
    outcomes = [player.clean] + [player.outcomes(f"{name} {value:g}", {one["setting"]: value}) for value in values[1:]]
    unit = "goal units" if one["unit"] == "radii" else one["unit"]
    about = {"name": name, "about": one["about"], "setting": one["setting"], "unit": unit}
    return numbers.level_curve(about, values, np.array(outcomes))


def play_challenge(name: str, one: dict[str, Any], player: Player) -> Condition:
    """Success under a combination of disturbances. What is optional is left out where the environment lacks it."""
    settings = one["settings"] | {key: player.length(value, one["unit"]) for key, value in one["lengths"].items()}
    try:
        settings, outcomes = settings | one["optional"], player.outcomes(name, settings | one["optional"])
    except UserError:
        outcomes = player.outcomes(name, settings)
    lost = estimate(numbers.lost(player.clean, outcomes))
    return Condition(name, one["about"], settings, estimate(numbers.rate(outcomes)), lost)


def find_worst(name: str, one: dict[str, Any], player: Player) -> WorstCase:
    """The worst setting of a set, by search, and success there and over the set on the held-out episodes."""
    ranges = {key: tuple(ends) for key, ends in one.items() if key != "about"}
    low, high = np.array(list(ranges.values())).T
    seeds = iter(np.split(np.array(seeding.evaluation_env_seeds(player.seed, ROUNDS * TRIALS, "monitoring")), ROUNDS))
    everywhere = {f"dynamics.{key}": f"{a!r}..{b!r}" for key, (a, b) in ranges.items()}
    where = with_settings(player.undisturbed, everywhere)
    with closing(make_env(where, TRIALS, "evaluation", threads=player.threads, seed=player.seed)) as env:

        def judge(points: np.ndarray) -> list[tuple[float, float]]:
            """Success and minus the distance to the goal at the end, of each of these points of the unit cube."""
            chunk, found = list(map(int, next(seeds))), []
            for point in points:
                env.fix(dict(zip(ranges, low + point * (high - low), strict=True)))  # type: ignore[attr-defined]
                rows = [row for policy in player.policies for row in play_episodes(policy, env, chunk)]
                found.append((np.mean([r.success for r in rows]), -np.mean([r.final_distance for r in rows])))
            return found

        rng = seeding.generator(player.seed, f"worst case of {name}")
        found = low + cross_entropy(judge, len(ranges), rng) * (high - low)
    average = player.outcomes(f"{name}, average", everywhere)
    worst = player.outcomes(f"{name}, worst", _named(ranges, found))
    return WorstCase(
        name=name,
        about=one["about"],
        ranges=ranges,
        found=dict(zip(ranges, map(float, found), strict=True)),
        searched=ROUNDS * CANDIDATES * TRIALS * len(player.policies),
        worst=estimate(numbers.rate(worst)),
        average=estimate(numbers.rate(average)),
        lost=estimate(numbers.lost(average, worst)),
    )


def _named(ranges: dict[str, Any], values: np.ndarray) -> dict[str, float]:
    """Values as settings of the environment."""
    return {f"dynamics.{key}": float(value) for key, value in zip(ranges, values, strict=True)}


def cross_entropy(
    judge: Callable[[np.ndarray], list[tuple[float, ...]]], dimensions: int, rng: np.random.Generator
) -> np.ndarray:
    """The point of the unit cube [dimensions] with the lowest score that a search by cross-entropy finds.

    Each round draws settings from a normal distribution, cut to the cube, and moves it to the worst of them; the first
    round is uniform. The worst of the last round is returned, for earlier ones are each the best of fewer tries.

    Args:
        judge: scores of points [candidates, dimensions], compared from left to right; lower is worse.
        dimensions: of the cube.
        rng: what is drawn from.

    Source: Rubinstein (1999), "The Cross-Entropy Method for Combinatorial and Continuous Optimization", Methodology and
    Computing in Applied Probability 1.
    """
    points = worst = rng.random((CANDIDATES, dimensions))
    for i in range(ROUNDS):
        scores = judge(points)
        worst = points[sorted(range(CANDIDATES), key=scores.__getitem__)[:ELITES]]
        if i < ROUNDS - 1:
            spread = worst.std(axis=0) + 0.1 / (i + 1)  # a floor that shrinks, so that it does not settle at once
            points = np.clip(rng.normal(worst.mean(axis=0), spread, (CANDIDATES, dimensions)), 0, 1)
    return worst[0]


PLAYED: dict[str, Callable[..., Any]] = {"curves": play_curve, "challenges": play_challenge, "sets": find_worst}


def write(found: Examination, folder: Path) -> None:
    """Write robustness.json, and episodes.jsonl with every episode; raises UserError if the disk refuses."""
    with explained(folder, "write"):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "robustness.json", encode(found.result))
    rows = [
        {"condition": name, "run": run} | encode(row)
        for name, of_each in found.episodes.items()
        for run, rows in zip(found.result.runs, of_each, strict=True)
        for row in rows
    ]
    write_whole(folder / "episodes.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
