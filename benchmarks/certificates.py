"""Certificates of all goal environments that others publish: none of them may be refused without reason.

The Fetch, Hand and Maze environments of Gymnasium-Robotics, and those of panda-gym and OGBench where they are
installed. Old versions that Gymnasium no longer makes are left out. Prints the verdict of each, with what warns or
fails.

    python -m benchmarks.certificates
    python -m benchmarks.certificates --only Maze --seed 1

Exit code 1 if one is not posed.
"""

import argparse
import contextlib
import importlib
import io
import re
import sys

import gymnasium as gym

from benchmarks.machine import print_header
from wellposed.agents import SACConfig
from wellposed.check import Certificate, certify
from wellposed.envs import registered
from wellposed.envs.make import installed
from wellposed.errors import UserError

PACKAGES = {"gymnasium_robotics": r"Fetch|Hand(Reach|Manipulate)|Maze", "panda_gym": r"Panda"}


def published() -> list[str]:
    """Ids of all goal environments, of each name the newest version, in the notation "module:Id"."""
    found: dict[tuple[str, str], int] = {}
    for package, pattern in PACKAGES.items():
        with contextlib.suppress(ImportError), contextlib.redirect_stderr(io.StringIO()):
            module = importlib.import_module(package)
            if package == "gymnasium_robotics":
                gym.register_envs(module)
        for env_id in gym.registry:
            name, version = env_id.rsplit("-v", 1) if "-v" in env_id else (env_id, "0")
            if re.match(pattern, name) or re.search(f"^(Point|Ant)({pattern})", name):
                found[package, name] = max(int(version), found.get((package, name), 0))
    extras = [entry.id for entry in registered() if entry.extra and installed(entry)]
    return [f"{package}:{name}-v{version}" for (package, name), version in found.items()] + extras


def line(found: Certificate) -> str:
    """A certificate in short: what does not hold, with the evidence."""
    told = [f"\n    {f.status} {f.name}: {f.evidence}" for f in found.findings if f.status in ("warns", "fails")]
    unseen = [f.name for f in found.findings if f.status == "open"]
    told += [f"\n    open: {', '.join(unseen)}"] if unseen else []
    return f"{found.env}: {found.verdict}, {found.seconds:.0f} s{''.join(told)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the names to examine")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    names = [name for name in published() if args.only in name]
    print_header(f"Certificates of {len(names)} goal environments", "gymnasium", "gymnasium-robotics", "mujoco")
    refused = []
    for name in names:
        try:
            found = certify(name, seed=args.seed, gamma=SACConfig().gamma)
        except UserError as error:
            print(f"{name}: could not be made: {error}", flush=True)
            continue
        print(line(found), flush=True)
        refused += [] if found.posed else [name]
    print(f"{len(refused)} of {len(names)} not posed{': ' + ', '.join(refused) if refused else ''}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
