"""The trials of `wellposed exercise run`: the laboratory runs with whichever function is installed.

A trial is run twice, with the reader's function installed and without, and both outcomes are printed side by side.
Heavy imports are inside the functions, so that exercises can be listed without them.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from course.exercises.exercise import Outcome, Setting

BAR = 0.98
STEPS = 60  # of random play
ENVS = 16
RESETS = 400
WAVE = 240  # steps of a sinusoidal action
NOISY_EPISODES = 100  # at each level of noise
GOALS = 4_000  # pairs of goals to judge
PROBED, SEARCHED = 200, 25  # episodes of guarded moves, and of a search in each hole
CHOICES = 10_000  # of the best policy
DRIVES = 6  # episodes in which a drive is recorded
PUSH = [  # what FetchPush observes, in order
    ("vector", "position of the hand"), ("vector", "position of the block"), ("vector", "way between them"),
    ("number", "one finger"), ("number", "the other finger"), ("turning", "angles of the block"),
    ("vector", "velocity of the block"), ("turning", "angular velocity of the block"),
    ("vector", "velocity of the hand"), ("number", "speed of one finger"), ("number", "speed of the other finger"),
]  # fmt: skip


def train(env: str, settings: dict[str, Any] | None = None) -> Callable[[Setting], Outcome]:
    """A trial that trains each seed until it reaches the bar and evaluates it on held-out episodes.

    `settings` change the recipe.
    """

    def trial(setting: Setting) -> Outcome:
        from wellposed.analysis.summary import summary_over_seeds
        from wellposed.launch.manifest import Experiment
        from wellposed.stats import describe_rate
        from wellposed.verdict import EPISODES, stored_verdict

        seeds = ",".join(map(str, setting.seeds))
        question = Experiment("", env, seeds, until_success=BAR, base={}, variants={"": settings or {}})
        paths = [_trained(config, setting.folder, setting) for config in question.runs()[""]]
        verdicts = [stored_verdict(path, setting.threads).trained for path in paths]
        rows: list[tuple[str, str]] = []
        for seed, path, verdict in zip(setting.seeds, paths, verdicts, strict=True):
            rows.append((f"seed {seed}, until {BAR:.0%}", _until(path)))
            rows.append((f"seed {seed}, held out", describe_rate(verdict.success_rate, verdict.success_ci95)))
        if len(verdicts) > 1:
            together = summary_over_seeds([row.success_rate for row in verdicts], "rate", episodes=EPISODES)
            rows.append(("all seeds, held out", together.text))
        return Outcome(rows, paths)

    return trial


def _trained(config: Any, folder: Path, setting: Setting) -> Path:
    """The directory of a run, trained in this process, where the reader's function is, unless it has finished.

    Raises:
        UserError: if it diverges.
        KeyboardInterrupt: after Ctrl-C.
    """
    from wellposed.errors import UserError
    from wellposed.launch.rows import row_of
    from wellposed.launch.work import take_up
    from wellposed.progress import TrainingProgress
    from wellposed.training import how_it_diverged

    row = row_of("", config)
    state = take_up(row, folder, setting.threads, TrainingProgress(setting.quiet))
    if state == "interrupted":
        raise KeyboardInterrupt
    if state == "running":
        raise UserError(f"{folder / row.name} is being written by another process. Wait for it to end.")
    if diverged := how_it_diverged(folder / row.name):
        raise UserError(diverged)
    return folder / row.name


def _until(path: Path) -> str:
    """When a run reached the bar."""
    from wellposed.runs.store import RunReader

    summary = RunReader(path).summary
    assert summary is not None
    solved = summary.solved
    if solved is None:
        return f"not within {summary.step:,} steps"
    return f"{solved.step:,} steps, {solved.updates:,} updates"


def compare_states(setting: Setting) -> Outcome:
    """Trains two seeds briefly, the first one twice, and compares their weights."""
    from wellposed import arrays
    from wellposed.config import override
    from wellposed.recipes import default_config
    from wellposed.runs.store import RunReader

    short = {"total_steps": 800, "random_steps": 200, "eval_every": 800, "eval_episodes": 5}
    config, first = override(default_config("FetchReach-v4"), short), setting.seeds[0]

    def state(folder: str, seed: int) -> arrays.Arrays:
        path = _trained(replace(config, seed=seed), setting.folder / folder, setting)
        return RunReader(path).load_checkpoint()[1]

    once, again, other = state("once", first), state("again", first), state("other", first + 1)
    with_nan = {name: np.where(np.arange(array.size).reshape(array.shape) == 0, np.nan, array)
             for name, array in once.items() if array.dtype.kind == "f"}  # fmt: skip
    compare = lambda one, two: "the same" if arrays.same_bits(one, two) else "not the same"  # noqa: E731
    return Outcome(
        [
            (f"seed {first}, trained twice", compare(once, again)),
            (f"seed {first} and seed {first + 1}", compare(once, other)),
            (
                "weights with NaNs, and a copy",
                compare(with_nan, {name: array.copy() for name, array in with_nan.items()}),
            ),
        ]
    )


def measure_displacement(setting: Setting) -> Outcome:
    """Plays uniform actions on Reach and computes the displacement per action in each env."""
    from wellposed import seeding
    from wellposed.anatomy import motion
    from wellposed.envs import make_vec
    from wellposed.stats import student

    env = make_vec("FetchReach-v4", ENVS, threads=setting.threads, max_episode_steps=STEPS + 1)
    obs, _ = env.reset(seed=seeding.training_env_seed(setting.seeds[0]))
    rng = seeding.generator(setting.seeds[0], "random actions")
    hands, actions = [obs["observation"][:, env.geometry.effector]], []
    for _ in range(STEPS):
        actions.append(rng.uniform(-1, 1, (ENVS, 4)).astype(np.float32))
        hands.append(env.step(actions[-1])[0]["observation"][:, env.geometry.effector])
    env.close()
    seen = np.array(hands), np.array(actions)
    gains = [motion.displacement_per_action(seen[0][:-1, i], seen[1][:, i], seen[0][1:, i]) for i in range(ENVS)]
    rows = []
    for axis, values in zip("xyz", 1000 * np.array(gains).T, strict=True):
        mean, low, high = student(values)
        rows.append((f"{axis}, mm per unit", f"{mean:.2f} (95 % CI {low:.2f}-{high:.2f}, {ENVS} envs)"))
    return Outcome(rows)


def draw_goals(setting: Setting) -> Outcome:
    """Resets PickAndPlace with the goals of a curriculum at its start, half-way and at its end, and counts."""
    from wellposed import stats
    from wellposed.envs import make_vec
    from wellposed.envs.vector import GoalSpread

    env = make_vec("FetchPickAndPlace-v4", RESETS)
    rows = []
    for reach, air in ((0.3, 0.1), (0.65, 0.3), (1.0, 0.5)):
        env.task.goal_spread = GoalSpread(reach, air)
        obs, _ = env.reset(seed=setting.seeds[0])
        desired, achieved = obs["desired_goal"], obs["achieved_goal"]
        lifted = sum(kind == "air" for kind in env.goal_kinds(desired))
        solved = int(env.is_success(achieved, desired).sum())
        name = f"reach {reach:g}, air {air:g}"
        for what, count in (("in the air", lifted), ("solved at reset", solved)):
            rate, low, high = stats.wilson(count, RESETS)
            rows.append((f"{name}: {what}", stats.describe_rate(rate, (low, high))))
    env.close()
    return Outcome(rows)


def measure_phase(setting: Setting) -> Outcome:
    """Sends sinusoidal actions through filters and delays, and compares the lag of what arrives with the formula."""
    from wellposed.analysis import closed_loop
    from wellposed.envs.make import EnvConfig, make_env
    from wellposed.envs.wrappers.control import Control

    rows, time = [], np.arange(WAVE)
    for smoothing, delay, frequency in ((0.5, 0, 0.2), (0.8, 0, 0.2), (0.0, 2, 0.2), (0.5, 2, 0.8)):
        env = make_env(EnvConfig("FetchReach-v4", {}, WAVE + 1, control=Control(smoothing, delay)), 1, "evaluation")
        env.reset(seed=setting.seeds[0])
        sent = np.cos(frequency * time)
        arrived = np.array([env.step(np.full((1, 4), one, np.float32)).applied_action[0, 0] for one in sent])
        env.close()
        later = time >= WAVE // 2  # the beginning has died out
        waves = np.stack([np.cos(frequency * time), np.sin(frequency * time)], axis=1)[later]
        cosine, sine = np.linalg.lstsq(waves, arrived[later], rcond=None)[0]
        measured = np.arctan2(sine, cosine)
        formula = closed_loop.phase_cost(frequency, smoothing, delay)
        name = f"smoothing {smoothing:g}, delay {delay}, {frequency:g} a step"
        rows.append((name, f"{formula:.4f} by the formula, {measured:.4f} measured"))
    return Outcome(rows)


def track(_setting: Setting) -> Outcome:
    """Computes the largest error of a loop by its formula, and leads the simulated hand to the worst targets."""
    from course.measure.kinds import Context
    from course.measure.tracking import TrackingSettings, measure_tracking

    settings = TrackingSettings("FetchReach-v4", [0.5, 0.5], [0.7, 0.0], [0, 2])
    found = measure_tracking(settings, Context(1, {}))
    rows = []
    for row in found.rows:
        name = f"gain {row.gain:g}, smoothing {row.smoothing:g}, delay {row.delay}"
        rows.append(
            (f"{name}: largest error", f"{1000 * row.bound:.2f} mm at most, {1000 * row.measured:.2f} measured")
        )
        rows.append((f"{name}: largest gain", f"{row.largest_gain:.3f}, {row.largest_gain_measured:.3f} measured"))
    return Outcome(rows)


def learn_under_noise(_setting: Setting) -> Outcome:
    """Computes what hindsight learns under noise by the formula, and samples it from the laboratory's replay."""
    from course.measure.kinds import Context
    from course.measure.perturbation import PerturbationSettings, measure_perturbation

    settings = PerturbationSettings([], [], [0.01, 0.02, 0.05], episodes=100_000)
    rows = []
    for row in measure_perturbation(settings, Context(1, {})).hindsight:
        name = f"off by {1000 * row.noise:g} mm, goal {1000 * row.distance:g} mm beside"
        low, high = row.learnt.ci95
        learnt = f"{row.learnt.value:.3f} (95 % CI {low:.3f}-{high:.3f}) from the replay"
        rows.append((name, f"{row.chance:.3f} is true, {row.predicted:.3f} by the formula, {learnt}"))
    return Outcome(rows)


def tolerate_noise(setting: Setting) -> Outcome:
    """Plays Push by hand under rising noise, and looks up where success falls to 90 % and to 50 %."""
    from wellposed.envs.make import EnvConfig
    from wellposed.envs.suites.fetch.oracle import ScriptedPush
    from wellposed.report.robustness import describe
    from wellposed.robustness import Player, play_curve
    from wellposed.stats import describe_rate

    about = {"about": "", "setting": "sensors.noise", "unit": "m", "levels": [0, 0.002, 0.004, 0.006, 0.01]}
    player = Player([ScriptedPush()], EnvConfig("FetchPush-v4"), 0.05, NOISY_EPISODES, 0, setting.threads)
    found = play_curve("noise", about, player)
    rows = [(f"{1000 * one.level:g} mm", describe_rate(one.success.value, one.success.ci95)) for one in found.levels]
    for one in found.crossings:
        rows.append((f"{one.share:.0%}, levels in metres", describe(one, found)))
    return Outcome(rows)


def declare_mirror(_setting: Setting) -> Outcome:
    """Declares the mirror of Push and measures it on pairs of rollouts that begin as each other's image."""
    from wellposed.check.geometry import find_geometry
    from wellposed.envs import geometry

    declared = geometry.mirror_signs([kind for kind, _ in PUSH], 1)
    found = find_geometry("FetchPush-v4").geometry
    assert found is not None
    assert found.mirror is not None
    rows, at = [], 0
    for kind, name in PUSH:
        own = slice(at, at := at + (1 if kind == "number" else 3))
        text = lambda signs: " ".join(f"{int(sign):+d}" for sign in signs)  # noqa: E731
        rows.append((name, f"declared {text(declared[own])}, measured {text(found.mirror.observation_sign[own])}"))
    return Outcome(rows)


def judge_goals(setting: Setting) -> Outcome:
    """Judges random goals of OGBench's tasks, each thing off by about its tolerance."""
    from wellposed import stats
    from wellposed.envs import goals
    from wellposed.envs.suites.ogbench import TASKS

    rng, rows = np.random.default_rng(setting.seeds[0]), []
    for name, task in TASKS.items():
        sizes = [tolerance for part, tolerance in zip(task.parts, task.tolerance, strict=True) for _ in part]
        desired = np.zeros((GOALS, len(sizes)))
        achieved = 0.5 * np.array(sizes) * rng.standard_normal(desired.shape)
        reached = goals.all_in_place(achieved, desired, task.parts, task.tolerance)
        rate, low, high = stats.wilson(int(np.sum(reached)), GOALS)
        rows.append((f"{name}, things off by half a tolerance", stats.describe_rate(rate, (low, high))))
    return Outcome(rows)


def probe_cells(setting: Setting) -> Outcome:
    """Plays guarded moves by hand, each kind of policy in turn, and computes what the formula says of it."""
    from course.measure.guarded import GuardedSettings, measure_guarded
    from course.measure.kinds import Context
    from wellposed.stats import describe_rate

    settings = GuardedSettings([], episodes=PROBED, seed=setting.seeds[0])
    rows = []
    for row in measure_guarded(settings, Context(setting.threads, {})).rows:
        found = describe_rate(row.success.value, row.success.ci95)
        rows.append((row.policy, f"{100 * row.bound:.1f} % by the formula, {found} in the simulator"))
    return Outcome(rows)


def search_hole(setting: Setting) -> Outcome:
    """Inserts the peg along a spiral in a wide and in a narrower hole."""
    from wellposed import seeding
    from wellposed.envs.make import EnvConfig
    from wellposed.envs.suites.peg.oracle import SpiralSearch
    from wellposed.stats import describe_rate, wilson
    from wellposed.verdict import play_under

    rows, seeds = [], seeding.evaluation_env_seeds(setting.seeds[0], SEARCHED, "held-out")
    for clearance in (2e-3, 1e-3):
        where, policy = EnvConfig("PegInsert-v0", {"clearance": clearance}), SpiralSearch(0.6 * clearance)
        played = play_under(policy, where, seeds, setting.seeds[0], setting.threads)
        rate, low, high = wilson(sum(row.success for row in played), len(played))
        rows.append((f"clearance {1000 * clearance:g} mm", describe_rate(rate, (low, high))))
    return Outcome(rows)


def choose_policies(setting: Setting) -> Outcome:
    """Computes what choosing adds by the formula, and chooses among as many policies that are all alike."""
    from wellposed import stats

    rng, rows = np.random.default_rng(setting.seeds[0]), []
    for policies, episodes in ((5, 100), (20, 100), (10, 5)):
        formula = stats.expected_best(np.full(policies, 0.9), episodes)
        best = rng.binomial(episodes, 0.9, (CHOICES, policies)).max(axis=1) / episodes
        name = f"the best of {policies} by {episodes} episodes each, all of them 90 %"
        rows.append((name, f"{100 * formula:.1f} % by the formula, {100 * best.mean():.1f} % in {CHOICES:,} choices"))
    return Outcome(rows)


def identify_drive(setting: Setting) -> Outcome:
    """Records Reach by hand with a weaker drive, and identifies drive and friction, which nothing touches."""
    from contextlib import closing

    from wellposed.envs.make import EnvConfig, make_env
    from wellposed.envs.suites.fetch.oracle import ProportionalReach
    from wellposed.envs.wrappers.dynamics import Dynamics
    from wellposed.envs.wrappers.sensors import Sensors
    from wellposed.identify import identify
    from wellposed.recorded import Recorder
    from wellposed.rollout.evaluate import play_episodes

    sensors = Sensors(0.001)
    recorder = Recorder(where := EnvConfig("FetchReach-v4", {}, 10, Dynamics(gain="0.7"), sensors=sensors))
    with closing(make_env(where, DRIVES, "evaluation", threads=setting.threads)) as env:
        play_episodes(ProportionalReach(), recorder.watch(env), list(range(DRIVES)))
    rows = []
    for one in identify(recorder.recording, ["gain", "friction"], threads=setting.threads).parameters:
        told = f"{one.estimate:.3f} (95 % CI {one.low:.3f}-{one.high:.3f})" if one.identifiable else "not identifiable"
        rows.append((one.name, told))
    return Outcome(rows)


def compare_records(one: Path, other: Path) -> str:
    """Whether two records of the same run are equal to the last bit, or the first difference."""
    from wellposed.runs.compare import differences
    from wellposed.runs.store import RunReader

    found = differences(RunReader(one), RunReader(other))
    return f"first difference at {found[0]}" if found else "bit for bit the same run"
