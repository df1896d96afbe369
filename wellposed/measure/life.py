"""Proof of life, measured: the doctor's findings, a checkpoint written and read, the same training twice."""

import hashlib
import math
import tempfile
from pathlib import Path

import numpy as np

from wellposed import doctor, envs, seeding
from wellposed.agents import make_agent
from wellposed.arrays import Arrays, bits
from wellposed.envs import rendering
from wellposed.measure.kinds import Context
from wellposed.measure.proof_of_life import Finding, ProofOfLife, ProofOfLifeSettings, Rounding, RoundTrip, Twice
from wellposed.runs import checkpoint
from wellposed.runs.compare import differences
from wellposed.runs.store import RunReader
from wellposed.training import train
from wellposed.verdict import load_run

COPIES = 64  # of the environment, whose observations both agents are asked about
NETWORKS = "learner.nets."  # of an agent's state: actor, critics and target critics
NUMBERS, ORDERS = 10_000, 1_000
MARKS = {"/.dockerenv": "Docker", "/run/.containerenv": "Podman"}  # files that containers are known by
GROUPS = ("docker", "containerd", "kubepods", "lxc", "libpod")


def prove(settings: ProofOfLifeSettings, context: Context) -> ProofOfLife:
    """Examine the machine, and train three tiny runs in a folder that is removed afterwards."""
    seen = [(f.name, f.status == "holds", f.name not in doctor.OPTIONAL, f.evidence) for f in doctor.examine()]
    findings = [Finding(*one) for one in seen]
    seeds = [settings.seed, settings.seed, settings.seed + 1]
    runs: list[Path] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in context.over(range(len(seeds)), "the same training twice, and with another seed"):
            config = doctor.tiny_config(seeds[number])
            runs.append(train(config, Path(folder) / str(number), threads=1, quiet=True)[0])
        twice, trip = _twice(runs), _round_trip(runs[0], Path(folder))
    findings += [_twice_finding(twice), _trip_finding(trip)]
    where = container()
    findings.append(Finding("container", True, False, "in no container" if where == "none" else f"in {where}"))
    told = {finding.name: "renders" if finding.ok else finding.evidence for finding in findings}
    return ProofOfLife(
        findings=findings,
        unfit=sum(finding.required and not finding.ok for finding in findings),
        container=where,
        rendering={backend: told[f"OpenGL {backend}"] for backend in rendering.BACKENDS},
        checkpoint=trip,
        twice=twice,
        rounding=add_up(settings.seed),
    )


def digest(arrays: Arrays) -> str:
    """SHA-256 of named arrays: of every name, type, shape and bit."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _twice(runs: list[Path]) -> Twice:
    """Three records held against each other: two of one seed, one of another."""
    manifest, _ = RunReader(runs[0]).load_checkpoint()
    states = [RunReader(run).load_checkpoint()[1] for run in runs]
    weights = [digest({name: state[name] for name in state if name.startswith(NETWORKS)}) for state in states]
    found = differences(RunReader(runs[0]), RunReader(runs[1]))
    return Twice(manifest.step, manifest.updates, *weights, differences=len(found))


def _twice_finding(twice: Twice) -> Finding:
    same = twice.differences == 0 and twice.sha256 == twice.sha256_again
    if twice.sha256 == twice.sha256_other_seed:
        return Finding("the same training twice", False, True, "another seed gave the same weights")
    told = f"weights {twice.sha256[:12]} and {twice.sha256_again[:12]}, {twice.differences} quantities differ"
    return Finding("the same training twice", same, True, f"{twice.updates} updates each: {told}")


def _round_trip(run: Path, folder: Path) -> RoundTrip:
    """Write a trained agent's state to a file, and read it into an agent of another seed."""
    config, agent, _ = load_run(run)
    env = envs.make_vec(config.env, COPIES)
    obs, _ = env.reset(seed=seeding.training_env_seed(config.seed))
    other = make_agent(config.algo, config.agent, env.inner.spec, config.seed + 1)
    env.close()
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
    """How many of two states' arrays differ in a bit."""
    return sum(bits(one[name]) != bits(other[name]) for name in one.keys() | other.keys())


def _trip_finding(trip: RoundTrip) -> Finding:
    ok = trip.unequal == trip.unequal_actions == 0 and trip.unequal_before > 0
    told = f"{trip.unequal} of {trip.arrays} arrays and {trip.unequal_actions} of {trip.actions} numbers of actions"
    return Finding("checkpoint round trip", ok, True, f"read by another agent, {told} differ")


def container() -> str:
    """The container that this process is in, or "none". Linux says so nowhere: what containers leave behind does."""
    for mark, name in MARKS.items():
        if Path(mark).exists():
            return name
    try:
        groups = Path("/proc/1/cgroup").read_text()
    except OSError:
        groups = ""
    found = [name for name in GROUPS if name in groups]
    return found[0] if found else "none"


def add_up(seed: int) -> Rounding:
    """Add the same float32 numbers one after another, in many orders: rounding depends on the order."""
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
