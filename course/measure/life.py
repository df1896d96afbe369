"""Proof of life of a machine: the doctor's findings, a checkpoint round trip, and the same training run twice."""

import hashlib
import math
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course.measure.kinds import Context
from wellposed import doctor, seeding
from wellposed.agents import make_agent
from wellposed.arrays import Arrays, bits
from wellposed.envs import rendering
from wellposed.envs.make import make_env
from wellposed.runs import checkpoint
from wellposed.runs.compare import differences
from wellposed.runs.store import RunReader
from wellposed.training import train
from wellposed.verdict import load_run

ENVS = 64  # whose observations both agents act on
NETWORKS = "learner.nets."  # prefix in an agent's state of actor, critics and target critics
NUMBERS, ORDERS = 10_000, 1_000
MARKS = {"/.dockerenv": "Docker", "/run/.containerenv": "Podman"}  # files that only exist in a container
CGROUPS = ("docker", "containerd", "kubepods", "lxc", "libpod")


@dataclass(frozen=True)
class ProofOfLifeSettings:
    """The seed of the short training runs."""

    seed: int = 0


@dataclass(frozen=True)
class MachineTest:
    """The outcome of one test of the machine."""

    name: str
    ok: bool
    required: bool  # the machine is unfit if this is required and not ok
    evidence: str


@dataclass(frozen=True)
class RoundTrip:
    """A trained agent's state, written to a file and loaded into another agent."""

    arrays: int
    numbers: int
    unequal: int  # arrays that differ in a bit after loading
    unequal_before: int  # arrays that differed before loading, which shows that the comparison can fail
    actions: int  # numbers in the greedy actions of both agents for the same observations
    unequal_actions: int  # of these, how many differ in a bit


@dataclass(frozen=True)
class Twice:
    """The same training run twice, and once with another seed."""

    steps: int
    updates: int
    sha256: str  # of the weights of the first run
    sha256_again: str
    sha256_other_seed: str
    differences: int  # quantities of the first two records that differ: rows, weights, optimisers, streams, replay


@dataclass(frozen=True)
class Rounding:
    """The same float32 numbers, summed in many orders."""

    numbers: int
    orders: int
    sums: int  # distinct results
    lowest: float
    highest: float
    span: float  # highest minus lowest
    spacing: float  # distance between neighbouring float32 numbers near the sum
    exact: float  # the sum without rounding


@dataclass(frozen=True)
class ProofOfLife:
    """What is known of a machine before anything is trained on it."""

    findings: list[MachineTest]
    unfit: int  # required findings that are not ok
    container: str  # name of the container software; "none" outside of a container
    rendering: dict[str, str]  # OpenGL back end -> "renders", or why it does not
    checkpoint: RoundTrip
    twice: Twice
    rounding: Rounding


def measure_life(settings: ProofOfLifeSettings, context: Context) -> ProofOfLife:
    """Examine the machine and train three short runs in a temporary folder."""
    seen = [(f.name, f.status == "holds", f.name not in doctor.OPTIONAL, f.evidence) for f in doctor.examine()]
    findings = [MachineTest(*one) for one in seen]
    seeds = [settings.seed, settings.seed, settings.seed + 1]
    runs: list[Path] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in context.over(range(len(seeds)), "the same training twice, and with another seed"):
            config = doctor.tiny_config(seeds[number])
            runs.append(train(config, Path(folder) / str(number), threads=1, quiet=True)[0])
        twice, trip = _twice(runs), _round_trip(runs[0], Path(folder))
    findings += [_twice_finding(twice), _trip_finding(trip)]
    where = find_container()
    findings.append(MachineTest("container", True, False, "in no container" if where == "none" else f"in {where}"))
    evidence = {finding.name: "renders" if finding.ok else finding.evidence for finding in findings}
    return ProofOfLife(
        findings=findings,
        unfit=sum(finding.required and not finding.ok for finding in findings),
        container=where,
        rendering={backend: evidence[f"OpenGL {backend}"] for backend in rendering.BACKENDS},
        checkpoint=trip,
        twice=twice,
        rounding=sum_in_many_orders(settings.seed),
    )


def digest(arrays: Arrays) -> str:
    """SHA-256 of named arrays; it covers every name, dtype, shape and bit."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _twice(runs: list[Path]) -> Twice:
    """Compare three records: two of the same seed, one of another seed."""
    manifest, _ = RunReader(runs[0]).load_checkpoint()
    states = [RunReader(run).load_checkpoint()[1] for run in runs]
    weights = [digest({name: state[name] for name in state if name.startswith(NETWORKS)}) for state in states]
    found = differences(RunReader(runs[0]), RunReader(runs[1]))
    return Twice(manifest.step, manifest.updates, *weights, differences=len(found))


def _twice_finding(twice: Twice) -> MachineTest:
    same = twice.differences == 0 and twice.sha256 == twice.sha256_again
    if twice.sha256 == twice.sha256_other_seed:
        return MachineTest("the same training twice", False, True, "another seed gave the same weights")
    compared = f"weights {twice.sha256[:12]} and {twice.sha256_again[:12]}, {twice.differences} quantities differ"
    return MachineTest("the same training twice", same, True, f"{twice.updates} updates each: {compared}")


def _round_trip(run: Path, folder: Path) -> RoundTrip:
    """Write a trained agent's state to a file and load it into an agent of another seed."""
    config, agent, _ = load_run(run)
    with closing(make_env(config.env, ENVS, "evaluation")) as env:
        obs = env.reset(seed=seeding.training_env_seed(config.seed)).obs
        other = make_agent(config.algo, config.agent, env.spec, config.seed + 1)
    before = _unequal(agent.state(), other.state())
    (folder / checkpoint.CHECKPOINTS).mkdir()
    stored = checkpoint.store(folder, f"{checkpoint.CHECKPOINTS}/agent.safetensors", agent.state())
    other.load_state(checkpoint.load(folder, stored))
    here, there = agent.act(obs)[0], other.act(obs)[0]
    state = agent.state()
    return RoundTrip(
        arrays=len(state),
        numbers=sum(array.size for array in state.values()),
        unequal=_unequal(state, other.state()),
        unequal_before=before,
        actions=here.size,
        unequal_actions=int((here.view(np.uint32) != there.view(np.uint32)).sum()),
    )


def _unequal(one: Arrays, other: Arrays) -> int:
    """How many arrays of two states differ in a bit."""
    return sum(bits(one[name]) != bits(other[name]) for name in one.keys() | other.keys())


def _trip_finding(trip: RoundTrip) -> MachineTest:
    ok = trip.unequal == trip.unequal_actions == 0 and trip.unequal_before > 0
    differing = (
        f"{trip.unequal} of {trip.arrays} arrays and {trip.unequal_actions} of {trip.actions} numbers of actions"
    )
    return MachineTest("checkpoint round trip", ok, True, f"read by another agent, {differing} differ")


def find_container() -> str:
    """The container software this process runs under, or "none"; found by its marker files and control groups."""
    for mark, name in MARKS.items():
        if Path(mark).exists():
            return name
    try:
        groups = Path("/proc/1/cgroup").read_text()
    except OSError:
        groups = ""
    found = [name for name in CGROUPS if name in groups]
    return found[0] if found else "none"


def sum_in_many_orders(seed: int) -> Rounding:
    """Sum the same float32 numbers in many orders: the rounding error depends on the order."""
    rng = seeding.generator(seed, "rounding")
    numbers = rng.standard_normal(NUMBERS).astype(np.float32)
    sums = [float(np.cumsum(rng.permutation(numbers), dtype=np.float32)[-1]) for _ in range(ORDERS)]
    exact = math.fsum(map(float, numbers))
    return Rounding(
        numbers=NUMBERS,
        orders=ORDERS,
        sums=len(set(sums)),
        lowest=min(sums),
        highest=max(sums),
        span=max(sums) - min(sums),
        spacing=float(np.spacing(np.float32(exact))),
        exact=exact,
    )
