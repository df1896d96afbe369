"""Commands about environments and this machine."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import tyro

from wellposed import plugin
from wellposed.commands.arguments import CORES, ENV_HELP, JsonFile, Positional, Threads, as_rows, emit
from wellposed.errors import UserError


def check(
    env: Annotated[Positional[str], tyro.conf.arg(metavar="ENV", help=ENV_HELP)],
    seed: Annotated[int, tyro.conf.arg(help="seed of the exploration")] = 0,
    gamma: Annotated[
        float | None, tyro.conf.arg(help="discount that training would use; the recipe's by default")
    ] = None,
    find_geometry: Annotated[
        bool, tyro.conf.arg(help="measure which numbers are positions and which symmetries hold, instead")
    ] = False,
    json_file: JsonFile = None,
) -> int:
    """Certify that hindsight can learn an environment, by measuring every condition. Exit code 1 if it cannot."""
    if find_geometry:
        return _found_geometry(env, seed, json_file)
    from wellposed.agents import SACConfig
    from wellposed.check import certificate

    gamma = SACConfig().gamma if gamma is None else gamma
    began, findings, silent = time.perf_counter(), [], str(json_file) == "-"
    plugin.allow_import(env)
    for finding in certificate.examine(env, seed=seed, gamma=gamma):
        findings.append(finding)
        if not silent and not finding.because:
            print(certificate.describe(finding), flush=True)
    found = certificate.Certificate(env, certificate.verdict(findings), findings, time.perf_counter() - began)
    keys = ("condition", "states", "status", "evidence", "numbers", "why", "advice", "because")
    if not emit(asdict(found) | {"findings": as_rows(findings, keys, condition="name")}, json_file):
        print(*certificate.unexamined_together(findings), "", sep="\n")
        print(f"{certificate.summary(env, findings)}, {found.seconds:.0f} s.")
    return 0 if found.posed else 1


def _found_geometry(env: str, seed: int, json_file: Path | None) -> int:
    """Measure the geometry of an environment. Exit code 1 if it has none."""
    from wellposed.check.declaration import describe
    from wellposed.check.geometry import find_geometry

    plugin.allow_import(env)
    found = find_geometry(env, seed=seed)
    if not emit(asdict(found), json_file):
        print(describe(found))
    return 0 if found.geometry else 1


def anatomy(
    env: Annotated[Positional[str], tyro.conf.arg(metavar="ENV", help=ENV_HELP)],
    resets: Annotated[int, tyro.conf.arg(help="resets to estimate the share of goals reached at reset")] = 10_000,
    episodes: Annotated[int, tyro.conf.arg(help="episodes of random actions")] = 1_000,
    seed: Annotated[int, tyro.conf.arg(help="seed of everything random")] = 0,
    threads: Threads = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar")] = False,
    json_file: JsonFile = None,
) -> int:
    """Measure a goal environment: its quantities, the effect of actions, reward and success, random success rates."""
    from wellposed.anatomy import AnatomySettings, describe
    from wellposed.anatomy.dissect import dissect
    from wellposed.progress import TrainingProgress

    plugin.allow_import(env)
    settings = AnatomySettings(env, resets, episodes, seed)
    with TrainingProgress(quiet) as bars:
        found = dissect(settings, threads, bars.over)
    if not emit(asdict(found), json_file):
        print("\n".join(describe(found)))
    return 0


def doctor(
    frame: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help="save the rendered frame here, as PNG")] = None,
    gpu: Annotated[bool, tyro.conf.arg(help="test instead whether an NVIDIA GPU computes, renders and trains")] = False,
    json_file: JsonFile = None,
) -> int:
    """Test this machine: versions, devices, OpenGL, a frame, determinism, a tiny training. Exit code 1 if unfit."""
    from wellposed.doctor import MARKS, OPTIONAL, examine

    data: list[dict[str, Any]] = []
    fit, silent = True, str(json_file) == "-"
    for finding in examine(frame, gpu=gpu):
        name, detail, seconds = finding.name, finding.evidence, finding.numbers["seconds"]
        fit &= finding.status != "fails"
        found = {"name": name, "ok": finding.status == "holds", "required": name not in OPTIONAL}
        data.append(found | {"detail": detail, "seconds": seconds})
        if not silent:
            print(f"{MARKS[finding.status]} {name:<24} {detail} ({seconds:.1f} s)", flush=True)
    if not emit({"fit": fit, "findings": data}, json_file):
        print("This machine is fit for the laboratory." if fit else "This machine is not fit; see FAIL above.")
    return 0 if fit else 1


def list_envs(
    tag: Annotated[str | None, tyro.conf.arg(help="only environments with this tag")] = None,
    json_file: JsonFile = None,
) -> int:
    """List the registered environments; any other goal environment of Gymnasium works by its id, too."""
    from wellposed import envs

    entries = [entry for entry in envs.registered() if tag is None or tag in entry.tags]
    if not entries:
        known = sorted(set().union(*(entry.tags for entry in envs.registered())))
        raise UserError(f"No environment has the tag {tag!r}; there are {', '.join(known)}.")
    data = [{"id": e.id, "tags": sorted(e.tags), "summary": e.summary, "budget": e.budget} for e in entries]
    if not emit(data, json_file):
        for row in data:
            print(f"{row['id']:<28} {', '.join(row['tags']):<24} {row['summary']}")
    return 0
