"""What `check --find-geometry` finds, against what is known: what is declared, what is true, what is broken.

Fetch, panda-gym where it is installed, PointMaze, and pushers written in numpy (`tests/check/pushers.py`):
sound, shown otherwise, and broken by a wind, a wall, a slope, an off-centre arm and unlabelled axes.

    python -m benchmarks.geometry
    python -m benchmarks.geometry --only Fetch

Exit code 1 if something false is found, or less than nine in ten of what is true.
"""

import argparse
import sys

import numpy as np

import wellposed as wp
from benchmarks.machine import print_header
from tests.check.pushers import BROKEN, HIDDEN, SOUND
from wellposed.check.geometry import Found
from wellposed.envs import EnvConfig, find, make_env
from wellposed.envs.make import installed
from wellposed.types import Geometry

EVERY = ("shift 0", "shift 1", "mirror 0", "mirror 1")
# An arm has no symmetry that is exact: known is what is declared. Of mirror images it is the one that is chosen;
# further ones may hold as nearly.
ARMS = {f"Fetch{task}-v4": ("shift 0", "shift 1", "mirror 1") for task in ("Reach", "Push", "PickAndPlace")}
ARMS |= {f"Panda{task}-v3": ("shift 0", "shift 1", "mirror 1") for task in ("Reach", "Push", "PickAndPlace", "Stack")}
ARMS |= {"FetchSlide-v4": ("mirror 1",), "PandaSlide-v3": ("mirror 1",)}
KNOWN = {
    "PointMaze_UMaze-v3": ("mirror 1",),
    "PointMaze_Open-v3": ("mirror 0", "mirror 1"),
    **{f"tests.check.pushers:{kind.__name__}": EVERY for kind in SOUND},
    **{f"tests.check.pushers:{kind.__name__}": true for kind, true in BROKEN.items()},
    **{f"tests.check.pushers:{kind.__name__}": () for kind in HIDDEN},
}


def held(found: Found) -> set[str]:
    """The symmetries that were found."""
    return {f"{one.symmetry.kind} {one.symmetry.axis}" for one in found.tried if one.holds}


def chosen(geometry: Geometry | None) -> set[str]:
    """The symmetries that a geometry declares."""
    if geometry is None:
        return set()
    mirrors = (
        np.flatnonzero(np.array(geometry.mirror.goal_sign)[list(geometry.targets[0])] < 0) if geometry.mirror else []
    )
    return {f"shift {axis}" for axis in geometry.shift_axes} | {f"mirror {axis}" for axis in mirrors}


def against_declared(name: str, found: Geometry) -> str:
    """How a found geometry differs from the declared one; numbers of the observation that do not vary are no matter."""
    env = make_env(EnvConfig(name), 64, "evaluation", threads=2)
    declared = env.spec.geometry
    assert declared is not None
    assert declared.mirror is not None
    env.reset(seed=0)
    size = 64, env.spec.action_dim
    rows = [env.step(np.random.default_rng(t).uniform(-1, 1, size).astype(np.float32)).obs for t in range(40)]
    spread = np.std(np.concatenate([row["observation"] for row in rows]), axis=0)
    env.close()
    named = ("effector", "points", "goal_points", "differences", "shift_axes")
    differ = [key for key in named if getattr(found, key) != getattr(declared, key)]
    if found.mirror is None:
        return ", ".join([*differ, "mirror"])
    for part in ("goal_sign", "action_sign"):
        differ += [part] if getattr(found.mirror, part) != getattr(declared.mirror, part) else []
    image = [
        np.array(mirror.observation_sign) * (np.array(mirror.observation_order) + 1)
        for mirror in (found.mirror, declared.mirror)
    ]
    floor = env.spec.field("observation").floor
    differ += [f"number {i}" for i in np.flatnonzero((image[0] != image[1]) & (spread > floor))]
    offsets = np.abs(np.subtract(found.mirror.observation_offset, declared.mirror.observation_offset))
    return ", ".join([*differ, *(["offsets"] if offsets.max() > 1e-3 else [])])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the names to examine")
    args = parser.parse_args()
    print_header("Found geometry", "gymnasium", "gymnasium-robotics", "mujoco", "numpy")
    true = missed = false = 0
    for name, known in (ARMS | KNOWN).items():
        if args.only not in name or not installed(find(name)):
            continue
        found = wp.find_geometry(name)
        seen = chosen(found.geometry) if name in ARMS else held(found)
        true, missed, false = true + len(known), missed + len({*known} - seen), false + len(seen - {*known})
        how = "by state" if found.by_state else "by matched resets"
        points = list(map(list, found.geometry.points)) if found.geometry else "none"
        print(f"\n{name}: {', '.join(sorted(seen)) or 'no symmetry'}; points {points}; {how}, {found.seconds:.0f} s")
        for label, these in (("missed", {*known} - seen), ("FALSE", seen - {*known})):
            if these:
                print(f"    {label}: {', '.join(sorted(these))}")
        if name in ARMS:
            differ = against_declared(name, found.geometry) if found.geometry else "no geometry"
            print(f"    against what is declared: {differ or 'the same'}")
        for one in found.tried:
            what = f"{one.symmetry.kind} {one.symmetry.axis}" + (
                f" at {one.symmetry.offset / 2:.4g}" if one.symmetry.offset else ""
            )
            told = f"{one.within:6.1%} of {one.steps} steps (needed {one.needed:.0%}), largest error {one.error:.3g}"
            print(f"    {'holds' if one.holds else 'no   '} {what:<20} {told}, {one.tested:.0%} tested", flush=True)
    print(f"\nOf {true} symmetries that are true {true - missed} were found; {false} false ones were.")
    return int(false > 0 or missed > 0.1 * true)


if __name__ == "__main__":
    sys.exit(main())
