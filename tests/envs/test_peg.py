"""Pegs: nothing tells where the hole is before contact, the numbers are what they say, and memory is needed."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import itertools
from contextlib import closing
from dataclasses import replace
from functools import partial

import mujoco
import numpy as np
import pytest

from wellposed import envs, seeding
from wellposed.check import goals
from wellposed.check.subject import find_subject
from wellposed.config import override
from wellposed.data.episodes import ReplayBuffer, ReplayConfig
from wellposed.diagnose import diagnose, read_evidence
from wellposed.envs import registry
from wellposed.envs.evidence import Evidence
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.rendering import working_backend
from wellposed.envs.suites.peg import model
from wellposed.envs.suites.peg.guarded import (
    GuardedSimulation,
    GuardedTask,
    history_draws,
    memoryless_bound,
    probing_success,
)
from wellposed.envs.suites.peg.model import PegSimulation, peg_model
from wellposed.envs.suites.peg.oracle import (
    AnyProbe,
    EachProbe,
    OneProbe,
    SpiralSearch,
    TorqueSearch,
    lever_arm,
    spiral_points,
)
from wellposed.envs.suites.peg.rendering import PegRenderer
from wellposed.envs.suites.peg.task import PegTask, peg_spec
from wellposed.envs.vector import MujocoVecEnv
from wellposed.errors import UserError
from wellposed.recipes import default_config
from wellposed.runs.store import RunReader
from wellposed.training import train

HIDDEN = [*range(model.GRASP.start, model.READINGS)]


# --- what an episode hides


class ToldByObservation(PegTask):
    """The observation has the way to the true hole, not to where it is said to be."""

    def observe(self, readings, desired_goal):
        truth = super().observe(readings, desired_goal)
        truth["observation"][:, :2] = truth["achieved_goal"][:, :2] - desired_goal[:, :2]
        return truth


class ToldByGoal(PegTask):
    """The policy sees where the bottom is."""

    def __init__(self):
        super().__init__()
        self.spec = self.spec._replace(obs=(self.spec.obs[0], self.spec.truth[-1]))


class ToldByForce(PegTask):
    """What the sensor reads depends on how the peg is held, without contact too."""

    def observe(self, readings, desired_goal):
        truth = super().observe(readings, desired_goal)
        truth["observation"][:, 15] += 1e-12 * readings[:, model.GRASP.start]
        return truth


def descents(task, order):
    """Episodes that begin alike, with what they hide in this order; what is seen before contact, and after.

    Returns:
        Bytes of what each env sees [steps][n], and whether it has touched by then, [steps, n].
    """
    env = MujocoVecEnv(task, len(order))
    env.reset(seed=0)
    hidden, bottoms = env.readings[order][:, HIDDEN], env.goals[order]
    for simulation, own, place in zip(env.simulations, hidden, env.readings[:, :3].copy(), strict=True):
        simulation.begin(place, own[4:], own[:3], own[3])
    env.goals[:] = bottoms
    rng, seen, touched = np.random.default_rng(0), [], []
    now, contact = env.observe(), np.zeros(len(order), bool)
    for _ in range(12):
        seen.append([b"".join(array[i].tobytes() for array in now.obs.values()) for i in range(len(order))])
        touched.append(contact.copy())
        now = env.step(rng.uniform([-1, -1, -1], [1, 1, 0.2], (len(order), 3))).after
        contact |= [data.ncon > 0 for data in env.physics.data]
    return seen, np.array(touched)


def told_before_contact(task):
    """Whether the hidden numbers of other episodes change anything that is seen before contact, and after it."""
    (seen, touched), (others, also) = descents(task, np.arange(6)), descents(task, np.roll(np.arange(6), 1))
    differ = np.array(seen) != np.array(others)
    free = ~(touched | also)
    assert free[3].all()
    return bool(differ[free].any()), bool(differ[~free].any())


def test_what_is_hidden_changes_no_bit_that_is_seen_before_contact():
    assert told_before_contact(PegTask()) == (False, True)


@pytest.mark.parametrize("task", [ToldByObservation, ToldByGoal, ToldByForce])
def test_a_task_that_tells_what_it_hides_is_found(task):
    assert told_before_contact(task())[0]


def test_relabelling_changes_nothing_that_the_policy_sees():
    env = make_env(EnvConfig("PegInsert-v0", max_episode_steps=5), 4, "training")
    buffers = [ReplayBuffer(ReplayConfig(1_000, k=k), env.spec, 4, env.compute_reward, env.compute_terminated)
               for k in (0, 4)]  # fmt: skip
    env.reset(seed=0)
    for move in np.random.default_rng(0).uniform(-1, 1, (10, 4, 3)):
        step = env.step(move)
        for buffer in buffers:
            buffer.add(step)
    own, relabelled = (buffer.sample(1, 50, np.random.default_rng(1)) for buffer in buffers)
    assert own.obs.keys() == own.next_obs.keys() == {"observation"}
    assert np.array_equal(own.obs["observation"], relabelled.obs["observation"])
    assert np.array_equal(own.next_obs["observation"], relabelled.next_obs["observation"])
    changed = (own.truth["desired_goal"] != relabelled.truth["desired_goal"]).any(axis=-1)
    assert changed.mean() == 0.8


class ShowsNominal(MujocoVecEnv):
    """The policy is shown a goal, which lies where the hole is said to be."""

    def _seen(self, truth):
        return super()._seen(truth) | {"desired_goal": np.tile([0.0, 0.0, -model.DEPTH], (self.num_envs, 1))}


def made(task, kind=MujocoVecEnv, *, num_envs, threads, max_episode_steps=None):
    return kind(task(), num_envs, threads=threads, max_episode_steps=max_episode_steps)


@pytest.mark.parametrize(
    ("make", "status", "told"),
    [
        (None, "holds", "the policy sees none, so relabelling tells it nothing"),
        (partial(made, ToldByObservation), "fails", "number 0 is axis 0 of the way to it"),
        (partial(made, PegTask, ShowsNominal), "fails", "relabelling would put the true one in its place"),
    ],
    ids=["sound", "told by the observation", "a nominal goal"],
)
def test_the_certificate_says_whether_relabelling_leaks(make, status, told, monkeypatch):
    entry = envs.find("PegInsert-v0")
    monkeypatch.setitem(registry._REGISTRY, "Pegs-v0", replace(entry, id="Pegs-v0", make=make or entry.make))
    found = goals.goal_hidden.ask(Evidence(find_subject("Pegs-v0"), gamma=0.95))
    assert found.status == status
    assert told in found.evidence


# --- the simulation


@pytest.mark.parametrize(("shape", "clearance"), [*itertools.product(model.SHAPES, (2e-3, 1e-3, 5e-4, 3e-4))])
def test_a_hole_is_as_much_wider_than_the_peg_as_its_clearance(shape, clearance):
    """An upright peg touches a wall where it is half the clearance off the middle, towards a corner farther out."""
    found, data = peg_model(shape, clearance), mujoco.MjData(peg_model(shape, clearance))

    def touches(off, angle=0.0):
        data.qpos[:3] = off * np.cos(angle), off * np.sin(angle), -model.DEPTH / 2
        mujoco.mj_forward(found, data)
        return any(one.dist < 0 for one in data.contact)

    half, corner = clearance / 2, np.pi / model.SHAPES[shape]
    assert [touches(0.97 * half), touches(1.03 * half)] == [False, True]
    reach = half / np.cos(corner)
    assert [touches(0.97 * reach, corner), touches(1.03 * reach, corner)] == [False, True]


def settled(position, target):
    """The readings of a hand that is drawn to a target until it rests, with a hole in the middle."""
    data, readings = mujoco.MjData(peg_model("square", 1e-3)), np.zeros(model.READINGS)
    simulation = PegSimulation(data, readings)
    simulation.begin(np.array(position), np.zeros(2), np.zeros(3), 0.2)
    for _ in range(20):
        simulation.advance(np.array(target))
    return readings


@pytest.mark.parametrize(
    ("position", "target", "signs"),
    [
        ((0.004, 0, 0.001), (0.004, 0, -0.004), (0, 0, 1)),  # down on the plate
        ((0, 0, -0.01), (0.004, 0, -0.01), (-1, 0, 0)),  # at a wall
        ((0, 0, -0.01), (0, -0.004, -0.01), (0, 1, 0)),
    ],
)
def test_the_wrench_at_rest_is_that_of_both_springs(position, target, signs):
    """Of the controller, stiffness times the way that is left, and of the wrist, stiffness times its angles."""
    readings = settled(position, target)
    force, torque, angles = readings[12:15], readings[15:18], readings[3:6]
    assert np.abs(readings[6:12]).max() < 1e-3
    expected = model.STIFFNESS * (readings[:3] - target)
    assert force == pytest.approx(expected, abs=0.1)
    assert [int(np.sign(np.round(one))) for one in force] == list(signs)
    assert torque == pytest.approx(model.TURNING_STIFFNESS * angles, abs=0.01)
    if not signs[2]:
        assert np.abs(angles).max() > 1e-3


def test_a_peg_hardly_sinks_into_the_plate_and_a_free_hand_feels_nothing():
    pressed, free = settled((0.004, 0, 0.001), (0.004, 0, -0.004)), settled((0, 0, 0.01), (0.001, 0, 0.012))
    assert -5e-5 < pressed[model.TIP][2] < 1e-5
    assert np.abs(free[12:18]).max() < 1e-3
    assert free[:3] == pytest.approx([0.001, 0, 0.012], abs=1e-5)


def test_the_tip_is_where_the_peg_is_held():
    data, readings = mujoco.MjData(peg_model("round", 1e-3)), np.zeros(model.READINGS)
    simulation = PegSimulation(data, readings)
    simulation.begin(np.array([0.001, 0, 0.01]), np.zeros(2), np.array([5e-4, -5e-4, 2e-4]), 0.3)
    assert readings[model.TIP] == pytest.approx([0.0015, -0.0005, 0.0102], abs=1e-12)
    assert readings[:3].tolist() == [0.001, 0, 0.01]


@pytest.mark.parametrize(
    ("env_id", "kwargs", "told"),
    [
        ("PegInsert-v0", {"shape": "oval"}, "shape must be one of square, round"),
        ("PegInsert-v0", {"clearance": 1}, "clearance must be a number from 0.0001 to 0.004"),
        ("PegInsert-v0", {"grasp": "none"}, "grasp must be a number"),
        ("PegInsert-v0", {"offset": [0.003, 0.001]}, "offset must be two numbers, the least first"),
        ("PegInsert-v0", {"friction": 0.3}, "friction must be two numbers"),
        ("PegInsert-v0", {"reward": "none"}, "reward must be sparse or dense"),
        ("PegInsert-v0", {"cells": 3}, "unexpected keyword argument 'cells'"),
        ("PegProbe-v0", {"cells": 9}, "cells must be a whole number from 2 to 8"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(env_id, kwargs, told):
    with pytest.raises(UserError, match=told):
        make_env(EnvConfig(env_id, kwargs), 1, "evaluation")


def test_a_dense_reward_is_minus_the_distance_in_centimetres():
    task = PegTask(reward="dense")
    assert task.compute_reward(np.array([[0.0, 0, 0.02]]), np.array([[0.0, 0, -0.02]])) == pytest.approx([-4.0])
    assert (task.spec.reward_range, peg_spec(3, 100, dense=False).reward_range) == (None, (-1.0, 0.0))


@pytest.mark.slow
def test_a_picture_shows_the_peg_the_true_hole_and_whether_it_is_at_the_bottom():
    try:
        backend = working_backend()
    except UserError as error:
        pytest.skip(str(error))
    with closing(PegRenderer(64, backend)) as renderer:
        place, hole = np.zeros(6), np.array([0.0, 0.0, -model.DEPTH])
        shown = {
            "before": renderer.frame(place, hole, False),
            "hole elsewhere": renderer.frame(place, hole + 0.01 * np.eye(3)[0], False),
            "peg elsewhere": renderer.frame(place + 0.01 * np.eye(6)[2], hole, False),
            "reached": renderer.frame(place, hole, True),
        }
        assert np.array_equal(renderer.frame(place, hole, False), shown["before"])
    assert all(picture.shape == (64, 64, 3) for picture in shown.values())
    assert len({picture.tobytes() for picture in shown.values()}) == 4
    colours = {name: picture.mean(axis=(0, 1)) for name, picture in shown.items()}
    assert colours["reached"][1] > colours["before"][1], "it is greener"


# --- search, with memory and without


def success_of(policy, episodes=25, steps=100, forgets=False, **kwargs):
    env = make_env(EnvConfig("PegInsert-v0", kwargs, max_episode_steps=steps), episodes, "evaluation", threads=2)
    now = env.reset(seeding.evaluation_env_seeds(0, episodes, "held-out"))
    carry = policy.initial_carry(episodes)
    for _ in range(env.spec.max_episode_steps):
        action, after = policy.act(now.obs, carry)
        carry = carry if forgets else after
        step, now = env.step(action), env.now
    env.close()
    return step.success.mean()


@pytest.mark.slow
def test_a_spiral_search_inserts_the_peg_and_one_that_forgets_does_not():
    assert success_of(SpiralSearch()) >= 0.9
    assert success_of(SpiralSearch(), 10, 50, forgets=True) < 0.3
    assert success_of(SpiralSearch(pitch=0.003), 10, 50) < 0.9, "turns farther apart than the clearance"


class Unfeeling(TorqueSearch):
    """A wrist that reads no torque and no force sideways."""

    def act(self, obs, carry=(), rng=None):
        return super().act({"observation": obs["observation"] * ([1.0] * 12 + [0, 0, 1, 0, 0, 0])}, carry, rng)


@pytest.mark.slow
@pytest.mark.parametrize("shape", model.SHAPES)
def test_a_search_by_torque_inserts_the_peg_without_memory(shape):
    assert success_of(TorqueSearch(), shape=shape) >= 0.9
    assert success_of(Unfeeling(), 10, 50, shape=shape) < 0.3


@pytest.mark.parametrize("off", [0.001, 0.002, 0.003])
def test_the_plate_carries_a_peg_that_is_partly_over_the_hole_on_its_far_side(off):
    """The force acts in the middle of the strip that is left: the peg reaches w/2 from its middle, the hole's edge lies
    (w + c)/2 - off away."""
    data, readings = mujoco.MjData(peg_model("square", 1e-3)), np.zeros(model.READINGS)
    simulation = PegSimulation(data, readings)
    simulation.begin(np.array([off, 0, 2e-4]), np.zeros(2), np.zeros(3), 0.2)
    for _ in range(20):
        simulation.advance(np.array([off, 0, -0.0015]))
    edge = (model.WIDTH + 1e-3) / 2 - off
    assert lever_arm(readings[None, model.SEEN])[0] == pytest.approx([(edge + model.WIDTH / 2) / 2, 0], abs=1e-4)


def test_the_points_of_a_spiral_lie_as_far_apart_as_it_advances():
    lengths = np.linspace(1e-3, 0.05, 400)
    points = spiral_points(lengths, 6e-4)
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert gaps == pytest.approx(np.diff(lengths), rel=0.05)


def probed(task, moves):
    """What is seen after guarded moves in these directions [steps, n, 2], by env, and success."""
    env = MujocoVecEnv(task, moves.shape[1])
    env.reset(seed=0)
    cells = task.cell_of(env.goals[:, :2])
    steps = [env.step(move) for move in moves]
    return [step.next_obs["observation"] for step in steps], np.array([step.success for step in steps]), cells


def test_a_guarded_move_finds_the_hole_where_it_is_and_looks_the_same_everywhere_else():
    """In each of 40 episodes each cell is probed, so that each pair of hole and probe is met."""
    task, n = GuardedTask(), 40
    order = np.array([task.place_of(np.full(n, cell)) for cell in range(5)])
    seen, success, cells = probed(task, order)
    assert set(cells) == set(range(5))
    for probe, found in enumerate(success):
        assert np.array_equal(found, cells <= probe)
    missed = {row.tobytes() for obs, found in zip(seen, success, strict=True) for row in obs[~found]}
    assert missed == {MujocoVecEnv(task).reset(seed=3).obs["observation"][0].tobytes()}


class Lifts(GuardedSimulation):
    """After a move the hand does not hover quite where it did."""

    def place(self, position):
        super().place(position + 1e-12 * (self.readings[0] != 0) * self.readings[0])


class LiftsTask(GuardedTask):
    def simulate(self, data, readings):
        return Lifts(data, readings)


def test_a_hand_that_hovers_elsewhere_after_some_probes_is_found():
    task = LiftsTask()
    seen, success, _ = probed(task, np.array([task.place_of(np.arange(10) % 5)]))
    assert len({row.tobytes() for row in seen[0][~success[0]]}) > 1


def test_the_bounds_without_memory_and_with_it():
    """Exactly, over all ways to probe: T draws of K cells contain the hole's in a share of 1 - (1 - 1/K)^T."""
    ways = np.array(list(itertools.product(range(5), repeat=5)))
    assert (ways == 2).any(axis=1).mean() == pytest.approx(memoryless_bound(5, 5))
    assert memoryless_bound(5, 5) == pytest.approx(0.67232)
    uneven = np.random.default_rng(0).dirichlet(np.full(5, 0.5), 200)
    success = (1 - (1 - uneven) ** 5).mean(axis=1)
    assert success.max() < memoryless_bound(5, 5)
    assert success.min() >= 1 / 5


def test_a_history_counts_its_moves_up_to_its_length_and_no_further():
    """K = T = 5: in closed form, and no way to draw that knows as much does better."""
    greedy = [probing_success(history_draws(5, 5, length, greedy=True)) for length in (1, 2, 4, 5, 8)]
    drawn = [probing_success(history_draws(5, 5, length, greedy=False)) for length in (1, 2, 4, 5, 8)]
    assert greedy == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0])
    assert drawn == pytest.approx([memoryless_bound(5, 5), 0.2 + 0.8 * memoryless_bound(4, 4), 0.9, 1.0, 1.0])
    rng = np.random.default_rng(0)
    for spread in np.geomspace(0.02, 2, 300):
        at = rng.dirichlet(np.full(5, spread), 4)[
            np.minimum(np.arange(5), 3)
        ]  # a history of 4: moves 4 and 5 look alike
        assert probing_success(at) <= 0.9 + 1e-12
        assert probing_success(np.eye(5)[at.argmax(axis=1)]) <= 0.8 + 1e-12


@pytest.mark.parametrize("policy", [OneProbe(), AnyProbe(np.random.default_rng(0)), EachProbe(5)])
def test_a_policy_succeeds_where_it_probed_the_cell_of_the_hole(policy):
    """So success is that of the bounds."""
    task, n = GuardedTask(), 100
    env = MujocoVecEnv(task, n)
    now = env.reset(seed=0)
    cells, tried, carry = task.cell_of(env.goals[:, :2]), [], policy.initial_carry(n)
    for _ in range(env.spec.max_episode_steps):
        action, carry = policy.act(now.obs, carry)
        tried.append(task.cell_of(action))
        step, now = env.step(action), env.now
    met = (np.array(tried) == cells).any(axis=0)
    assert np.array_equal(step.success, met)
    expected = {OneProbe: 1 / 5, AnyProbe: memoryless_bound(5, 5), EachProbe: 1.0}[type(policy)]
    assert met.mean() == pytest.approx(expected, abs=0.15)


def test_more_cells_are_as_many_probes():
    env = make_env(EnvConfig("PegProbe-v0", {"cells": 8}), 16, "evaluation")
    assert env.spec.max_episode_steps == 8
    now, policy = env.reset(seed=0), EachProbe(8)
    carry = policy.initial_carry(16)
    for _ in range(8):
        action, carry = policy.act(now.obs, carry)
        step, now = env.step(action), env.now
    assert step.success.all()


# --- training


@pytest.mark.slow
def test_a_policy_that_sees_no_goal_is_trained_and_not_blamed_for_ignoring_it(tmp_path):
    small = {"total_steps": 200, "num_envs": 4, "random_steps": 100, "eval_every": 100, "eval_episodes": 4}
    config = override(default_config("PegProbe-v0"), small | {"agent.hidden": [8], "agent.batch_size": 16})
    assert (config.agent.critic_sees, config.replay.k) == ("truth", 0)
    path, summary = train(config, tmp_path, quiet=True)
    told = set().union(*(row.metrics for row in RunReader(path).metrics))
    assert summary.updates > 0
    assert "probe/inputs_clipped" in told
    assert "probe/goal_in_inputs" not in told
    found = {finding.name for finding in diagnose(read_evidence(path)).findings}
    assert found.isdisjoint({"goal_blind", "hindsight_off"})
