"""Plans: bytes to the byte, the largest replay that fits, refusals before anything is written, and what is free."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from wellposed import budget as budgets
from wellposed import memory, serialise
from wellposed import plan as plans
from wellposed.agents import PPOConfig, SACConfig, TD3Config, make_agent
from wellposed.budget import Demand, Pixels, budget, environment_spec, frame_bytes
from wellposed.cli import main
from wellposed.config import RunConfig, override
from wellposed.data import ReplayBuffer, ReplayConfig
from wellposed.data.rows import replay_bytes
from wellposed.envs import EnvConfig
from wellposed.errors import UserError
from wellposed.memory import Free, Held, Room, UnderWay, refusal
from wellposed.plan import Calibration, Rates, _peak, expected_seconds, lines, make_plan
from wellposed.recipes import default_config
from wellposed.runs import lock, provenance
from wellposed.runs.store import RunReader
from wellposed.runs.writer import RunWriter
from wellposed.side_by_side import resume, train_side_by_side
from wellposed.training import train
from wellposed.types import Field, Spec, Step

GIB = 2**30
TINY = RunConfig(
    env=EnvConfig("FetchReach-v4"), total_steps=610, num_envs=4, random_steps=200, eval_every=210, eval_episodes=4,
    agent=SACConfig(hidden=(16, 16), batch_size=32),
)  # fmt: skip


def sizes(observation: int, goal: int, action: int, longest: int) -> Spec:
    """The spec of an environment that shows a state and goals."""
    goals = (Field("achieved_goal", (goal,), "goal"), Field("desired_goal", (goal,), "goal"))
    return Spec((Field("observation", (observation,)), *goals), action, longest)


def store(capacity: int, spec: Spec, num_envs: int) -> ReplayBuffer:
    never = lambda achieved, _: np.zeros(len(achieved))  # noqa: E731
    return ReplayBuffer(ReplayConfig(capacity), spec, num_envs, never, never)


@pytest.mark.parametrize("spec", [sizes(10, 3, 4, 50), sizes(25, 3, 4, 50), sizes(1, 2, 7, 1), sizes(100, 9, 1, 300)])
@pytest.mark.parametrize(("capacity", "num_envs"), [(301, 1), (1_000, 16), (77_777, 3)])
def test_bytes_of_a_replay_are_those_it_allocates(spec, capacity, num_envs):
    assert replay_bytes(capacity, spec, num_envs) == store(capacity, spec, num_envs).nbytes
    assert replay_bytes(capacity + 1, spec, num_envs) != store(capacity, spec, num_envs).nbytes


def test_a_plan_says_that_no_episode_ends_within_the_budget():
    long = replace(TINY, env=EnvConfig("FetchReach-v4", max_episode_steps=1000), num_envs=16, total_steps=9_600)
    for config, said in ((long, True), (replace(long, num_envs=9), False)):
        told = plans._verdict(Demand((config,), 1), None, None)
        assert ("No episode may end in time to be learnt from" in told) == said
        assert (budget(config).updates == 0) == said


def fill(buffer: ReplayBuffer, steps: int, num_envs: int) -> None:
    """Episodes that last as long as they may, in all envs."""
    spec = buffer.spec
    obs = {field.name: np.ones((num_envs, *field.shape)) for field in spec.obs}
    action, reward, no = np.ones((num_envs, spec.action_dim)), np.ones(num_envs), np.zeros(num_envs, bool)
    for t in range(1, steps // num_envs + 1):
        cut = ~no if t % spec.max_episode_steps == 0 else no
        buffer.add(Step(obs, obs, action, action, reward, no, cut, no, obs, obs, {}))


@pytest.mark.parametrize("steps", [5, 95, 100, 160, 380, 3_000])
@pytest.mark.parametrize("capacity", [60, 100_000])
def test_rows_in_use_are_those_that_were_touched(monkeypatch, steps, capacity):
    spec = sizes(4, 2, 3, 20)
    monkeypatch.setattr(budgets, "environment_spec", lambda _: spec)
    config = replace(TINY, num_envs=5, total_steps=steps, replay=ReplayConfig(capacity))
    buffer = store(capacity, spec, 5)
    fill(buffer, steps, 5)
    touched = int((buffer._rows["float32"][:, 0] != 0).sum())
    assert touched == min(buffer.end, capacity)
    # Whole episodes wrap around the ring without a gap, so that all of its rows are used when it is full.
    assert budget(config).rows_in_use == touched
    assert budget(config).ring_in_use == touched * (4 * buffer._rows["float32"].shape[1] + 8)


@pytest.mark.parametrize("stack", [1, 3])
def test_frames_stored_once_and_stacked_by_index_are_the_stacks_stored_per_transition(stack):
    """Two episodes of three steps, of 2 x 5 pixels, and one env under way: both stores, filled."""
    spec, (height, width), episodes = sizes(1, 1, 1, 3), (2, 5), 2
    pixels, rows = Pixels(height, width, stack), episodes * 4
    frames = np.random.default_rng(0).integers(0, 256, (rows, height, width, 3), dtype=np.uint8)
    stacks = lambda row, t: frames[[row - min(i, t) for i in range(stack)]]  # noqa: E731, the first frame repeats
    once = {(row, row + 1): (stacks(row, row % 4), stacks(row + 1, row % 4 + 1)) for row in range(rows) if row % 4 < 3}
    stored = np.array(list(once.values()))  # [transitions, 2, stack, height, width, 3]
    under_way = np.zeros((4, height, width, 3), np.uint8)  # of the only env: its frames, or the stacks of 3 transitions
    found = frame_bytes(pixels, capacity=rows, rows_in_use=rows, spec=spec, num_envs=1)
    assert found.one_frame == frames[0].nbytes
    assert found.once == found.in_use == frames.nbytes + under_way.nbytes
    assert found.per_transition == stored.nbytes + np.zeros((3, 2, stack, height, width, 3), np.uint8).nbytes
    assert frame_bytes(pixels, rows, 4, spec, 1).in_use == found.once - 4 * found.one_frame


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"total_steps": 613, "updates_per_step": 0.3},
        {"total_steps": 200},
        {"random_steps": 608},
    ],
)
def test_steps_updates_and_evaluations_are_those_of_the_run(tmp_path, change):
    config = replace(TINY, **change)
    path, summary = train(config, tmp_path, quiet=True)
    planned = budget(config)
    assert (planned.steps, planned.updates) == (summary.step, summary.updates)
    assert planned.evaluations == len(RunReader(path).evaluations)


@pytest.mark.parametrize(
    ("algo", "kind", "networks"),
    [
        ("sac", SACConfig, budgets.NETWORKS),
        ("td3", TD3Config, budgets.NETWORKS),
        ("ppo", PPOConfig, budgets.NETWORKS_WITHOUT_REPLAY),
    ],
)
def test_weights_and_optimisers_are_about_those_of_the_agent(algo, kind, networks):
    spec = environment_spec(EnvConfig("FetchPush-v4"))
    shapes = jax.eval_shape(lambda: make_agent(algo, kind(hidden=(64, 32)), spec, 0).learner)  # type: ignore[attr-defined]
    there = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    assert networks * 4 * budgets._weights((64, 32), spec) == pytest.approx(there, rel=0.25)


LARGE = replace(TINY, total_steps=10**9, eval_every=100_000, replay=ReplayConfig(20_000_000))  # 1.9 GiB


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("pixels", [None, Pixels(84, 84, 3)])
def test_the_largest_replay_that_fits_is_the_largest(seeds, pixels):
    asked = Demand(tuple(replace(LARGE, seed=seed) for seed in range(seeds)), 2, pixels)
    limit = 2 * GIB  # two runs at a time, each in a process of its own
    assert not asked.fits(limit)
    capacity = asked.largest_capacity(limit)
    assert capacity is not None
    assert asked.at_most(capacity).fits(limit)
    assert not asked.at_most(capacity + 1).fits(limit)
    assert asked.largest_capacity(budgets.PROCESS) is None, "nothing helps where the process itself does not fit"


def test_a_replay_that_never_fills_counts_as_far_as_it_fills(monkeypatch):
    """Twenty million rows for 600 steps: only those that are touched are resident."""
    free_now(monkeypatch, 1 * GIB)
    roomy = replace(LARGE, total_steps=TINY.total_steps, eval_every=TINY.eval_every)
    assert budget(roomy).replay_bytes > GIB
    assert Demand((roomy,), 1).peak == Demand((TINY,), 1).peak
    memory.require_fit([roomy], 1, [])
    with pytest.raises(UserError, match="does not fit"):
        memory.require_fit([LARGE], 1, [])


def free_now(monkeypatch, size: int) -> None:
    monkeypatch.setattr(memory, "free", lambda: Free(size, "MemAvailable"))


def test_what_would_not_fit_is_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    free_now(monkeypatch, GIB)
    monkeypatch.setattr(memory, "held", lambda *_: Held(0, 0))
    argv = ["FetchReach-v4", "--total-steps", "1000000000", "--replay.capacity", "20000000"]
    argv += ["--runs-dir", str(tmp_path / "runs")]
    assert main(["train", *argv]) == 1
    said = capsys.readouterr().err
    assert "The run does not fit into memory: " in said
    assert "1.00 GiB are free (MemAvailable)" in said
    capacity = int(said.split("--replay.capacity ")[1].rstrip(".\n"))
    assert not (tmp_path / "runs").exists()
    recipe = replace(default_config("FetchReach-v4"), total_steps=10**9)
    asked = Demand((replace(recipe, replay=replace(recipe.replay, capacity=capacity)),), 1)
    assert 0.99 * GIB < asked.peak <= GIB
    assert main(["plan", *argv]) == 1
    out = capsys.readouterr().out
    assert "not measured, because it does not fit" in out
    assert f"--replay.capacity {capacity}." in out


def begin(folder: Path, config: RunConfig) -> Path:
    """A run that was begun and cut short before its first checkpoint."""
    origin = provenance.collect(threads=1, autoreset_mode="SameStep", devices=[])
    with RunWriter(folder, serialise.to_dict(config), origin) as run:
        return run.path


def test_a_resumed_run_and_a_whole_wave_are_refused_too(tmp_path, monkeypatch):
    path = begin(tmp_path, TINY)
    one = Demand((TINY,), 1).peak
    two = [replace(TINY, seed=1), replace(TINY, seed=2)]
    monkeypatch.setattr(memory, "held", lambda *_: Held(0, 0))
    free_now(monkeypatch, one)
    memory.require_fit(two, 1, [tmp_path])  # one after the other
    with pytest.raises(UserError, match=r"2 runs side by side do not fit .* choose fewer --threads"):
        memory.require_fit(two, 2, [tmp_path])
    assert Demand(tuple(two), 2).fewer_at_a_time(one).together == 1
    assert Demand(tuple(two), 2).fewer_at_a_time(2 * one).together == 2
    free_now(monkeypatch, one - 1)
    with pytest.raises(UserError, match="The run does not fit into memory"):
        list(train_side_by_side(two, tmp_path, threads=2, quiet=True))
    with pytest.raises(UserError, match="The run does not fit into memory"):
        list(resume([path], quiet=True))
    assert list(tmp_path.iterdir()) == [path]


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: None)
    memory.require_fit([LARGE], 1, [])


def test_a_replay_whose_address_space_is_not_granted_is_refused_with_the_reason(monkeypatch):
    free_now(monkeypatch, GIB)
    absurd = replace(TINY, replay=ReplayConfig(10**15))
    with pytest.raises(UserError, match=r"the system does not grant a replay of .* --replay.capacity \d+"):
        memory.require_fit([absurd], 1, [])


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def machine(folder: Path, cgroup: str) -> tuple[Path, Path]:
    write(folder / "proc" / "meminfo", "MemTotal: 9000000 kB\nMemFree: 100 kB\nMemAvailable:    8000 kB\n")
    write(folder / "proc" / "self" / "cgroup", cgroup)
    return folder / "proc", folder / "groups"


def test_free_memory_is_the_least_that_machine_and_groups_grant(tmp_path):
    proc, groups = machine(tmp_path, "0::/user.slice/run\n")
    assert memory.free(proc, groups) == Free(8000 * 1024, "MemAvailable")
    own = groups / "user.slice" / "run"
    write(own / "memory.max", "max\n")
    write(own / "memory.current", "123\n")
    assert memory.free(proc, groups) == Free(8000 * 1024, "MemAvailable"), "no limit"
    above = groups / "user.slice"
    write(above / "memory.max", "5000000\n")
    write(above / "memory.current", "3000000\n")
    write(above / "memory.stat", "anon 1\ninactive_file 700\nactive_file 70\nslab 5\n")
    assert memory.free(proc, groups) == Free(2_000_770, f"the limit in {above / 'memory.max'}")
    write(above / "memory.current", "6000000\n")
    assert memory.free(proc, groups) == Free(0, f"the limit in {above / 'memory.max'}")


def test_groups_of_version_1_and_a_path_that_only_the_host_sees(tmp_path):
    proc, groups = machine(tmp_path, "9:cpu,cpuacct:/\n4:memory:/docker/0123\n1:name=systemd:/x:memory\n")
    top = groups / "memory"  # inside the container the host's /docker/0123 is the top
    write(top / "memory.limit_in_bytes", "4000000\n")
    write(top / "memory.usage_in_bytes", "3000000\n")
    write(top / "memory.stat", "inactive_file 9\ntotal_inactive_file 1000\ntotal_active_file 1\n")
    assert memory.free(proc, groups) == Free(1_001_001, f"the limit in {top / 'memory.limit_in_bytes'}")
    write(top / "memory.limit_in_bytes", "9223372036854771712\n")
    assert memory.free(proc, groups) == Free(8000 * 1024, "MemAvailable")


def test_a_machine_that_tells_nothing(tmp_path):
    assert memory.free(tmp_path, tmp_path) is None
    assert memory.held(1, tmp_path) is None
    assert memory.held(2**22 + 1) is None


HOLDER = """
import sys
from pathlib import Path
from wellposed.runs import lock, provenance
handles = [lock.acquire(Path(path) / "lock") for path in sys.argv[1:]]
print("held", flush=True)
sys.stdin.read()
"""


def test_runs_under_way_in_another_process_are_counted_and_others_are_not(tmp_path, monkeypatch):
    paths = [begin(tmp_path, replace(TINY, seed=seed)) for seed in (0, 1, 2)]
    assert memory.under_way([tmp_path]) == [], "nobody holds their locks"
    command = [sys.executable, "-c", HOLDER, *map(str, paths[:2])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        (found,) = memory.under_way([tmp_path])
        there = memory.held(other.pid)
        assert there is not None
        assert (found.pid, sorted(found.runs)) == (other.pid, sorted(map(str, paths[:2])))
        planned = Demand((TINY, replace(TINY, seed=1)), 2).peak
        assert found.growth == pytest.approx(planned - there.now, abs=2**20)
        here = lock.acquire(tmp_path / "lock")
        assert lock.owner(tmp_path / "lock") == memory.getpid()
        lock.disk.truncate(here.handle, 0)
        lock.disk.write(here.handle, b"process 1 on another-machine")
        assert lock.owner(tmp_path / "lock") is None
        free_now(monkeypatch, 10 * GIB)
        there_is = memory.find_room([tmp_path])
        assert there_is is not None
        assert there_is.bytes == pytest.approx(10 * GIB - (planned - there.now) + there_is.own, abs=2**20)
        assert "2 other runs under way will still take" in there_is.describe()
        other.communicate("")


def test_the_verdict_names_what_it_does_not_know():
    asked = Demand((LARGE,), 1)
    there = Room(Free(GIB, "MemAvailable"), [UnderWay(7, ["a"], None), UnderWay(8, ["b", "c"], 2 * GIB)], 0)
    assert there.bytes == 0
    assert "3 other runs under way will still take 2.00 GiB" in refusal(asked, there)
    assert "No smaller replay would" in refusal(asked, there)


def test_time_and_memory_follow_from_the_rates():
    """By hand: 608 steps of 4 envs to 612, the first 200 without updates, 104 updates late, then side by side."""
    rates = Rates(start=5.0, collect=0.01, update=0.1, together=0.5, evaluation=2.0, probe=0.5, checkpoint=0.25)
    seen = Calibration(
        imports=3.0, rates=rates, held=Held(600 * 2**20, 700 * 2**20), replay_in_use=1000, stepping="here"
    )
    config = replace(TINY, eval_episodes=60)
    seconds = expected_seconds(Demand((config, replace(config, seed=1), replace(config, seed=2)), 2), seen)
    training = 200 * 0.01 + 200 * 0.5 * 0.1 + 412 * 0.5
    assert seconds.training == pytest.approx(2 * training), "three runs, two at a time: two waves"
    assert seconds.evaluation == pytest.approx(2 * (4 * 3 * 2.0 + 3 * 0.5)), "four of 60 episodes, three probes"
    assert seconds.total == pytest.approx(2 * (3 + 5 + training + 25.5 + 4 * 0.25))
    small, large = Demand((TINY,), 1), Demand((LARGE,), 1)
    assert _peak(small, seen) == 700 * 2**20, "what compiling gave back serves the replay"
    each = budget(LARGE)
    assert _peak(large, seen) == 600 * 2**20 + each.ring_in_use + each.checkpoint - 1000


@pytest.mark.slow
def test_a_plan_is_measured_and_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plans, "calibrate", partial(plans.calibrate, seconds=1.0))
    file = tmp_path / "plan.json"
    argv = ["plan", "FetchReach-v4", "--total-steps", "5000", "--buffer", "3000", "--agent.hidden", "8"]
    argv += ["--eval-episodes", "2"]
    assert main([*argv, "--threads", "1", "--runs-dir", str(tmp_path), "--json", str(file)]) == 0
    data, out = json.loads(file.read_text()), capsys.readouterr().out
    assert data["each"]["replay_bytes"] == replay_bytes(3000, environment_spec(EnvConfig("FetchReach-v4")), 16)
    assert f"{data['each']['replay_bytes']:,} bytes" in out
    assert data["fits"] is True
    assert data["seconds"]["total"] > data["seconds"]["training"] > 0
    assert 200 * 2**20 < data["peak"] < 2 * GIB
    assert "It fits: " in out
    assert list(tmp_path.iterdir()) == [file], "nothing is recorded"


@pytest.mark.slow
def test_a_policy_that_remembers_is_measured_too(tmp_path):
    """Its updates read windows."""
    change = {"agent.inputs.encoder": "history", "agent.inputs.memory": 2, "agent.hidden": (8,), "eval_episodes": 1}
    found = plans.measure(override(default_config("FetchReach-v4"), change), 1, tmp_path, 0.5)
    assert found.rates.update > 0
    assert found.replay_in_use > 0
    assert found.stepping == "in this process"


def test_frames_that_are_asked_for_are_counted_both_ways_and_their_time_is_not_planned(tmp_path):
    plan = make_plan([TINY], tmp_path, threads=1, pixels=Pixels(84, 84, 3))
    said = "\n".join(lines(plan))
    frames = plan.each.frames
    assert frames is not None
    assert frames.per_transition > 5 * frames.once
    assert f"{frames.once:,} bytes" in said
    assert f"{frames.per_transition:,} bytes" in said
    assert "a run with --env.pixels.size is planned whole" in said
    assert plan.seconds is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["plan"], "Name the environment to plan for, as in `wellposed plan FetchReach-v4`"),
        (["plan", "FetchReech-v4"], "Did you mean FetchReach-v4"),
        (["plan", "FetchReach-v4", "--buffer", "50"], "--replay.capacity must hold an episode, 51 rows, got 50"),
        (["plan", "FetchReach-v4", "--pixels", "0", "84"], "--pixels takes a height and a width greater than 0"),
        (["plan", "FetchReach-v4", "--pixels", "8", "8", "--frame-stack", "0"], "--frame-stack must be greater than 0"),
        (["plan", "FetchReach-v4", "--threads", "0"], "--threads must be at least 1"),
    ],
)
def test_a_mistake_gets_a_sentence(capsys, argv, message):
    assert main(argv) == 1
    assert message in capsys.readouterr().err
