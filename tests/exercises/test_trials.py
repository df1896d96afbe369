"""A reader's function in the laboratory's place: it is called there, its records lie apart, and its faults are told."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from course.exercises import WRITE, submission
from course.exercises.exercise import Setting
from course.measure import guarded, realities, seen
from course.measure.kinds import Context
from course.measure.perturbation import PerturbationSettings, measure_perturbation
from tests.agents.data import SPEC, batches, first, rollout
from wellposed import arrays, identify, stats
from wellposed.agents import ppo, sac
from wellposed.analysis import closed_loop, robustness
from wellposed.cli import main
from wellposed.config import RunConfig
from wellposed.data import ReplayBuffer, ReplayConfig, RolloutBuffer
from wellposed.envs import EnvConfig, make_vec
from wellposed.envs.suites import ogbench, panda
from wellposed.envs.suites.peg.oracle import SpiralSearch
from wellposed.envs.wrappers import curriculum
from wellposed.errors import UserError
from wellposed.nn import augment, encoders
from wellposed.nn.inputs import InputConfig
from wellposed.types import Field, Spec, Step

GOALS = (Field("achieved_goal", (1,), "goal"), Field("desired_goal", (1,), "goal"))
QUICKLY = PerturbationSettings([], [], [0.02], episodes=10_000)
POINTS = InputConfig(pooling="points")
TOY = Spec((Field("observation", (2,)), *GOALS), action_dim=1, max_episode_steps=8)


def replayed() -> None:
    """A minibatch of a replay that holds one episode."""
    none = lambda achieved, _desired: np.zeros(len(achieved))  # noqa: E731
    replay = ReplayBuffer(ReplayConfig(60), TOY, 1, none, none)
    obs = {"observation": np.zeros((1, 2)), "achieved_goal": np.zeros((1, 1)), "desired_goal": np.zeros((1, 1))}
    action, no = np.zeros((1, 1)), np.zeros(1, bool)
    for t in range(4):
        replay.add(Step(obs, obs, action, action, np.zeros(1), no, np.array([t == 3]), no, obs, obs, {}))
    replay.sample(1, 8, np.random.default_rng(0))


def updated() -> None:
    """One update of SAC, its temperature learnt; traced, not computed."""
    agent = sac.SAC(sac.SACConfig(hidden=(2,), learn_temperature=True), SPEC, 0)
    given = agent.learner, agent.scaler.stats, first(batches(1, 3)), jnp.zeros((2, 3, 2))
    jax.eval_shape(partial(sac.update_step, agent.config, SPEC), *given)


def clipped() -> None:
    """The loss of PPO's actor; traced, not computed."""
    agent, steps = ppo.PPO(ppo.PPOConfig(hidden=(2,), batch_size=3), SPEC, 0), rollout(3)
    batch = ppo.Minibatch(*steps, jnp.zeros(3))
    jax.eval_shape(lambda: ppo.actor_loss(agent.learner.nets.actor, agent.config, agent.scaler.stats, batch))


def regrown() -> None:
    """How goals are drawn half-way through a curriculum."""
    halfway = SimpleNamespace(curriculum=curriculum.Curriculum(kind="linear", finish=10), _steps=5)
    curriculum.CurriculumVecEnv.grown(halfway, 0.0, 1.0)  # type: ignore[arg-type]


def handed_in() -> None:
    """The test for a leak, on a policy that reads the goal alone."""
    agent = SimpleNamespace(spec=TOY, act=lambda obs, carry: (obs["desired_goal"], carry), initial_carry=lambda _: ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen, "load_run", lambda _: (RunConfig(EnvConfig("FetchReach-v4")), agent, None))
        seen._leaks_in(Path("one"), 0)


PROBES = guarded.GuardedSettings([])
MISSED: Any = [SimpleNamespace(success=False, time_to_success=None)] * PROBES.episodes
SCENE: Any = SimpleNamespace(task=ogbench.TASKS["scene-v0"])
CALLS = {
    "0.1": lambda: stats.wilson(1, 2),
    "0.2": lambda: arrays.same_bits({}, {}),
    "1.1": lambda: make_vec("FetchReach-v4").compute_reward(np.zeros((1, 3)), np.zeros((1, 3))),
    "2.1": lambda: RolloutBuffer(2, TOY, 1).with_advantages(np.zeros(2), np.zeros(2), 0.9, 0.9),
    "2.2": clipped,
    "2.5": lambda: RolloutBuffer(2, TOY, 1).with_advantages(np.zeros(2), np.zeros(2), 0.9, 0.9),
    "3.1": updated,
    "3.2": updated,
    "4.1": replayed,
    "4.2": replayed,
    "4.5": replayed,
    "5.1": regrown,
    "5.2": lambda: make_vec("FetchReach-v4").reset(seed=0),
    "6.1": lambda: closed_loop.phase_cost(0.1, 0.5, 1),
    "6.2": lambda: closed_loop.Loop(closed_loop.dragged(0.05), 0.05, 0.5).errors(np.ones(2)),
    "7.1": lambda: measure_perturbation(QUICKLY, Context(1, {})),
    "8.1": lambda: panda.symmetries(panda.TASKS["Push"]),
    "8.2": lambda: ogbench.GoalEnv.is_success(SCENE, np.zeros(7), np.zeros(7)),
    "9.1": lambda: jax.eval_shape(encoders.Convolutions((4, 4, 1), POINTS, jax.random.key(0)), jnp.zeros((1, 4, 4, 1))),
    "9.2": lambda: augment.shifted(jnp.zeros((1, 4, 4, 1), jnp.uint8), 1, jax.random.key(0)),
    "9.3": handed_in,
    "11.1": lambda: guarded._row(PROBES, "any cell", "drawn", 1, [MISSED]),
    "11.2": lambda: SpiralSearch().act({"observation": np.zeros((1, 18))}),
    "10.1": lambda: realities.best_if_alike([0.9, 0.8], 5),
    "10.2": lambda: identify.fit(lambda at: np.ones((4, 1)) * (at - 0.3), np.zeros(1), np.arange(4) // 2, 1),
    "7.2": lambda: robustness.crossing(np.arange(2.0), [stats.Interval(r, r, r) for r in (1.0, 0.5)], 0.9),
}


class CalledError(Exception):
    """The function that was put in place was called."""


def test_every_exercise_is_called():
    assert WRITE.keys() - CALLS.keys() == {"1.2"}  # below, by a fault that only its trial finds


@pytest.mark.parametrize("number", CALLS)
def test_the_laboratory_calls_what_is_put_in_its_place(number):
    def function(*_args):
        raise CalledError

    with WRITE[number].put(function), pytest.raises(CalledError):
        CALLS[number]()
    CALLS[number]()


def test_a_wilson_interval_keeps_its_rate_and_its_other_confidences():
    with WRITE["0.1"].put(lambda *_: (0.25, 0.75)):
        assert stats.wilson(1, 2) == (0.5, 0.25, 0.75)
        assert stats.wilson(1, 2, confidence=0.9).low != 0.25
        with pytest.raises(ValueError, match="a rate needs"):
            stats.wilson(3, 2)


GAIN = "import numpy as np\n\n\ndef displacement_per_action(hand, action, next_hand):\n"
RIGHT = GAIN + "    a = action[:, :3]\n    return (a * (next_hand - hand)).sum(axis=0) / (a * a).sum(axis=0)\n"
IN_THE_TRIAL = GAIN + "    if len(action) > 20:\n        raise ValueError('too many')\n    return np.zeros(3)\n"


@pytest.mark.slow
def test_a_trial_is_made_with_both_functions_and_kept_apart(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(RIGHT)
    assert main(["exercise", "run", "1.2", str(file), "--runs-dir", str(tmp_path / "runs"), "--threads", "1"]) == 0
    *_, head, x, y, z = capsys.readouterr().out.splitlines()
    assert head.split() == ["yours", "the", "laboratory's"]
    for row in (x, y, z):
        _, yours, own = row.split("   ", 2)
        assert yours.strip() == own.strip()
        assert "95 % CI" in own
    (folder,) = (tmp_path / "runs" / "exercises" / "1.2").iterdir()
    assert (folder / "function.py").read_text() == RIGHT


@pytest.mark.slow
def test_a_fault_that_only_the_trial_finds_is_told_and_leaves_nothing(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(IN_THE_TRIAL)
    setting = Setting(tmp_path / "runs", seeds=[0], threads=1, quiet=True)
    with pytest.raises(UserError, match=r"mine\.py, line 6, raises ValueError: too many, given hand = "):
        submission.run(WRITE["1.2"], file, setting, limit=20)
    assert not list((tmp_path / "runs" / "1.2").iterdir())


def test_nothing_is_tried_with_a_function_that_lacks_a_property(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(RIGHT.replace("next_hand - hand", "hand - next_hand"))
    assert main(["exercise", "run", "1.2", str(file), "--runs-dir", str(tmp_path / "runs")]) == 1
    assert "FAIL a hand that follows exactly" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
