"""The checklist for a robot: the documented one passes, and each mistake fails the check that is there to find it."""

import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wellposed as wp
from wellposed.cli import main
from wellposed.deploy_check import CHECKS, examine, recorded, stated
from wellposed.deploy_check.robot import Command, Delay, Robot, read_recording, read_robot
from wellposed.deploy_check.subject import Subject, arriving
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.registry import find
from wellposed.envs.suites.fetch.oracle import ProportionalReach
from wellposed.envs.wrappers.control import Control
from wellposed.errors import UserError
from wellposed.portable import LoadedPolicy, Seen

ROOT = Path(__file__).parent.parent
REACH = ROOT / "old_records" / "FetchReach-v4_sac_3782acf1ecbe_s0"
TOML = re.findall(r"```toml\n(.*?)```", (ROOT.parent / "docs" / "deploy_check.md").read_text(), re.DOTALL)[0]
STEPS, ENVS = 15, 4


@pytest.fixture(scope="module")
def policy() -> LoadedPolicy:
    """That of a short run on Reach."""
    return wp.load_policy(REACH)


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """What was observed while a controller written by hand moved the arm, and its actions."""
    moments: list[dict[str, np.ndarray]] = []
    with closing(make_env(EnvConfig("FetchReach-v4"), ENVS, "evaluation")) as env:
        now = env.reset(seed=0)
        for _ in range(STEPS + 1):
            action, _ = ProportionalReach().act(now.truth)
            moments.append(now.obs | {"action": action})
            env.step(action)
            now = env.now
    return {key: np.stack([m[key] for m in moments], axis=1).reshape(ENVS * (STEPS + 1), -1) for key in moments[0]}


@pytest.fixture
def file(tmp_path, arrays) -> Path:
    """The documented file, with that recording beside it."""
    (tmp_path / "robot.toml").write_text(TOML)
    np.savez(tmp_path / "recording.npz", **arrays, length=np.full(ENVS, STEPS))
    return tmp_path / "robot.toml"


def statuses(it: Subject) -> dict[str, str]:
    """The status of each check."""
    found = {}
    for name, check in CHECKS.items():
        try:
            found[name] = check(it).status
        except UserError:
            found[name] = "open"
    return found


def failing(it: Subject) -> set[str]:
    """The names of the checks that fail."""
    return {name for name, status in statuses(it).items() if status == "fails"}


def test_the_documented_robot_passes_every_check(file, capsys):
    assert main(["deploy-check", str(REACH), "--robot", str(file), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["fit"]
    assert {row["check"]: row["verdict"] for row in data["checks"]} == dict.fromkeys(CHECKS, "pass")


def test_an_exported_file_is_checked_as_its_run(file, run, tmp_path, capsys):
    exported = wp.export_policy(run, tmp_path / "policy.npz")
    assert statuses(Subject(wp.load_policy(exported), read_robot(file), tmp_path)) == statuses(
        Subject(wp.load_policy(run), read_robot(file), tmp_path)
    )
    file.write_text(TOML.replace("sensing = 0.004", "sensing = 0.4"))
    assert main(["deploy-check", str(exported), "--robot", str(file)]) == 1
    assert re.search(
        r"fail +delay +The robot is late by 10 periods .* Train with --env.control.delay 10", capsys.readouterr().out
    )


def first(robot: Robot, part: str, **changes: Any) -> Robot:
    """The robot with the first entry of a list changed."""
    one, *others = getattr(robot, part)
    return replace(robot, **{part: [replace(one, **changes), *others]})


MISTAKES: dict[str, tuple[Callable[[Robot], Robot], set[str]]] = {
    "slow": (lambda r: replace(r, rate=10.0), {"control rate"}),
    "late": (lambda r: replace(r, delay=Delay(1.0, 0.5, "periods")), {"delay"}),
    "a driver of its own": (lambda r: replace(r, control={"smoothing": 0.5}), {"driver"}),
    "a filter of its own": (lambda r: replace(r, filter={"smoothing": 0.5}), {"driver"}),
    "other scale": (lambda r: first(r, "action", scale=0.04), {"actions"}),
    "other unit": (lambda r: replace(r, action=[*r.action[:3], replace(r.action[3], unit="mm")]), {"actions"}),
    "clipped": (lambda r: first(r, "action", low=-0.02), {"actions"}),
    "slow motor": (lambda r: first(r, "action", speed=0.01), {"motion"}),
    "weak motor": (lambda r: first(r, "action", acceleration=0.01), {"motion"}),
    "blind": (lambda r: replace(r, sense=r.sense[1:]), {"observation"}),
    "no goal": (lambda r: replace(r, sense=r.sense[:-1]), {"observation"}),
    "millimetres": (lambda r: first(r, "sense", unit="mm"), {"observation"}),
    "noisy": (lambda r: first(r, "sense", noise=0.02), {"noise"}),
    "short range": (lambda r: first(r, "sense", high=1.0), {"recording"}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_fails_its_check_and_no_other(name, policy, file):
    change, expected = MISTAKES[name]
    assert failing(Subject(policy, change(read_robot(file)), file.parent)) == expected


def rewritten(file: Path, arrays: dict[str, np.ndarray], **changed: np.ndarray) -> None:
    parts: Any = arrays | changed
    np.savez(file.parent / "recording.npz", **parts, length=np.full(ENVS, STEPS))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            lambda a: {"observation": a["observation"] * 1000, "achieved_goal": a["achieved_goal"] * 1000},
            "like training",
        ),
        (lambda a: {"observation": a["observation"] + 0.5}, "safety envelope"),
        (lambda a: {"desired_goal": a["desired_goal"] - 0.9}, "safety envelope"),
        (lambda a: {"action": -a["action"]}, "response"),
        (lambda a: {"action": a["action"][:, [1, 0, 2, 3]] * 1e-3}, "response"),
        (lambda a: {"observation": np.where(np.arange(10) == 3, np.nan, a["observation"])}, "recording"),
        (lambda a: {"observation": a["observation"][:, :9]}, "recording"),
        (lambda a: {"desired_goal": a["desired_goal"][1:]}, "recording"),
    ],
)
def test_a_recording_in_another_frame_or_unit_is_found(changed, expected, policy, file, arrays):
    rewritten(file, arrays, **changed(arrays))
    assert expected in failing(Subject(policy, read_robot(file), file.parent))


def test_a_place_to_keep_out_of_is_found_by_where_commands_lead(policy, file, arrays):
    """The wall is thinner than what a command moves, and lies where no place was recorded, but a target is."""
    it = Subject(policy, read_robot(file), file.parent)
    height = float(arrays["observation"][:, 2].max() + 1e-4)
    highest = float((arrays["observation"][:, 2] + it.dry.commands[:, 2]).max())  # type: ignore[index]
    assert highest > height, "else this tests nothing"
    lid = {"low": [1.0, 0.4, height], "high": [1.6, 1.1, highest + 1e-4]}
    space = read_robot(file).workspace
    assert space is not None
    lidded = replace(space, keep_out=[type(space.box)(**lid)])
    found = recorded.envelope(Subject(policy, replace(it.robot, workspace=lidded), file.parent))
    assert found.status == "fails"
    assert {text.split(", by")[0].split(" ", 3)[3] for text in found.numbers["out"]} <= {"targets", "goals"}


class Fixed:
    """A policy that answers everything alike, after a while."""

    def __init__(self, action: float, seconds: float = 0.0):
        self.action, self.seconds = np.full(4, action), seconds

    def initial_carry(self, n: int) -> tuple[()]:
        return ()

    def act(self, obs: Any, carry: Any = (), rng: Any = None) -> tuple[np.ndarray, Any]:
        time.sleep(self.seconds)
        return self.action[None], carry


def test_a_policy_that_answers_nothing_and_one_that_is_too_slow_are_found(policy, file):
    made = lambda *how: LoadedPolicy(Fixed(*how), policy.fields, policy.low, policy.high, policy.card)  # noqa: E731
    there = read_robot(file), file.parent
    assert [recorded.answers(Subject(made(a), *there)).status for a in (0.9, 1.0)] == ["holds", "fails"]
    quick = replace(there[0], rate=2000.0), there[1]
    assert stated.acting(Subject(made(0.0, 0.001), *quick)).status == "fails"


def test_what_is_not_stated_or_not_recorded_is_not_checked(policy, file):
    bare = replace(
        read_robot(file), recording="", workspace=None, action=[replace(a, axis=None) for a in read_robot(file).action]
    )
    found = statuses(Subject(policy, first(bare, "sense", noise=None), file.parent))
    assert {name for name, status in found.items() if status == "open"} == {"noise", *list(CHECKS)[-5:]}
    stranger = LoadedPolicy(policy.policy, policy.fields, policy.low, policy.high, {})
    found = statuses(Subject(stranger, read_robot(file), file.parent))
    assert found["time of an action"] == "holds"
    assert {found[name] for name in ("control rate", "delay", "driver", "actions", "motion", "noise")} == {"open"}


def test_noise_is_that_under_which_each_number_was_seen(policy, file):
    """A velocity is the difference of two measured places, so its error is larger by the root of two."""
    env = policy.card["environment"] | {"sensors": {"noise": 0.01, "each": {"fingers.noise": 0.002}}}
    noisy = LoadedPolicy(policy.policy, policy.fields, policy.low, policy.high, policy.card | {"environment": env})
    it = Subject(noisy, first(read_robot(file), "sense", noise=0.01), file.parent)
    assert [it.noise["observation", i] for i in (0, 3, 5)] == pytest.approx([0.01, 0.002, 0.01 * 2**0.5])
    assert it.noise["achieved_goal", 2] == pytest.approx(0.01)
    assert ("desired_goal", 0) not in it.noise
    assert stated.noise(it).status == "holds"
    assert stated.noise(replace(it, robot=first(it.robot, "sense", noise=0.011))).status == "fails"


@pytest.mark.parametrize(
    "control",
    [Control(), Control(scale=0.3), Control(0.6, scale=0.5), Control(rate=0.1), Control(0.5, rate=0.4, hold=3)],
)
def test_what_can_be_commanded_at_most_is_a_bound_that_is_reached(control):
    """By actions that change sides after long enough."""
    sides = np.repeat(np.where(np.arange(8) % 2, 1.0, -1.0), 60)[:, None]
    noise = np.random.default_rng(0).uniform(-1, 1, (480, 1))
    for actions in (sides, noise, np.sign(noise)):
        sent = arriving(control, actions)
        assert np.abs(sent).max() <= control.furthest + 1e-9
        assert np.abs(np.diff(sent, axis=0)).max() <= control.steepest + 1e-9
    sent = arriving(control, sides)
    assert np.abs(sent).max() == pytest.approx(control.furthest, rel=0.02)
    assert np.abs(np.diff(sent, axis=0)).max() == pytest.approx(control.steepest, rel=0.02)


def test_one_motion_has_the_same_speed_acceleration_and_jerk_in_every_meaning():
    """Of a cubic path, sampled fast enough that differences are derivatives."""
    rate, t = 1000.0, np.arange(0, 1, 1e-3)
    path = t**3 / 6
    meant = {"position": path, "displacement": np.diff(path), "velocity": t**2 / 2}
    for limit, expected in (("speed", 0.5), ("acceleration", 1.0), ("jerk", 1.0)):
        for means, commands in meant.items():
            one = Command("x", means, "m", 1.0, -1.0, 1.0)  # type: ignore[arg-type]
            assert one.derivative(commands, limit, rate) == pytest.approx(expected, rel=0.01), (means, limit)


def test_one_of_a_quantity_is_read_off_its_unit():
    assert [stated.one_of(unit) for unit in ("m", "0.05 m", "1", "2 N m", "")] == [
        (1.0, "m"), (0.05, "m"), (1.0, "1"), (2.0, "N m"), (1.0, "")
    ]  # fmt: skip


def test_the_rates_of_suites_are_those_of_their_simulators():
    with closing(make_env(EnvConfig("FetchPush-v4"), 1, "evaluation")) as env:
        simulation = env.simulations[0]  # type: ignore[attr-defined]
        assert find("FetchPush-v4").rate == pytest.approx(1 / (simulation.substeps * simulation.model.opt.timestep))
    assert find("PegInsert-v0").rate == pytest.approx(20)
    assert find("PegProbe-v0").rate is None, "a guarded move takes as long as it takes"


def test_json_lines_hold_the_same_recording(policy, file, arrays):
    rows = [
        {key: array[t].tolist() for key, array in arrays.items()} | {"episode": t // (STEPS + 1)}
        for t in range(len(arrays["action"]))
    ]
    (file.parent / "recording.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, other = (read_recording(file.parent / f"recording.{form}", policy.fields, 4) for form in ("npz", "jsonl"))
    assert one.episodes == other.episodes
    assert len(one.episodes) == ENVS
    np.testing.assert_array_equal(one.obs["observation"], other.obs["observation"])


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("rate = 25", "rate = 25\nspeed = 3", "unknown.*speed"),
        ("rate = 25", "", "rate"),
        ("rate = 25", "rate = 0", "rate must be greater than 0"),
        ("rate = 25", "rate = 1e300", "1e\\+300 is beyond any number of a robot"),
        ("rate = 25", 'rate = "25"', "Expected `float`"),
        ("sensing = 0.004", "sensing = -1", "0 or more"),
        ('unit = "m"\nscale = 0.05', 'unit = "m"\nscale = 0', "scale must be greater than 0"),
        ("speed = 1.5", "speed = 0", "limits must be greater than 0"),
        ('means = "displacement"', 'means = "torque"', "torque"),
        ('unit = "m"\nscale = 0.05', 'unit = "mm"\nscale = 50', "so its unit is 'm'"),
        ("axis = 1", "axis = 0", "no other action has it"),
        ("high = [1.6", "high = [0.6", "each is greater"),
        ("[workspace]", "[control]\nsmothing = 0.5\n[workspace]", "did you mean 'smoothing'"),
        ("[workspace]", "[control]\ndelay = 1\n[workspace]", r"said in \[delay\]"),
        ("[workspace]", "[filter]\nsmoothing = 1.5\n[workspace]", "is a share"),
        ("numbers = [3, 4]", "numbers = [2, 4]", "number 2 of 'observation' more than once"),
        ("numbers = [3, 4]", "numbers = [3, 10]", "number 10 of 'observation' that is not there"),
        ('key = "desired_goal"', 'key = "goal"', "the policy reads observation"),
        ("[[action]]", '[[action]]\nname="a"\nmeans="effort"\nunit="N"\nscale=1\nlow=0\nhigh=1\n[[action]]', "have 4"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_a_sentence(before, after, why, file, capsys):
    assert before in TOML
    file.write_text(TOML.replace(before, after, 1))
    with pytest.raises(UserError, match=why):
        examine(REACH, file)
    assert main(["deploy-check", str(REACH), "--robot", str(file)]) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("length", [np.inf, np.nan, 4.0])
def test_lengths_of_episodes_that_are_none_are_a_sentence(tmp_path, length):
    file = tmp_path / "recording.npz"
    np.savez(file, x=np.ones((8, 2)), length=np.array([length, 3]))
    with pytest.raises(UserError, match="do not add up"):
        read_recording(file, [Seen("x", [2], [], [], 0.0)], 1)
