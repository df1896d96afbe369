"""Certificates that are kept, so that training can refuse what is not posed without examining it every time.

Those of registered environments come with the package and hold for the source that they were made from. Those of other
environments are made once, within a limit of time, and kept in the user's cache directory for one name, its arguments,
its source and the packages it is made with. `python -m scripts.certificates` makes the first kind anew.
"""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium as gym

from wellposed import envs, plugin, serialise
from wellposed.check.certificate import Certificate, certify
from wellposed.check.subject import find_subject
from wellposed.envs.rules import Subject
from wellposed.errors import UserError
from wellposed.repository import cache_folder
from wellposed.runs.files import read_json, write_json
from wellposed.source import OURS, source_of

SECONDS = 20.0  # what the examination before training may take
SHIPPED = Path(__file__).parent / "certificates.json"


@dataclass(frozen=True)
class Origin:
    """What a certificate is about: the same origin, the same environment."""

    env: str
    arguments: str  # as JSON
    source: str  # digest of the code that defines the environment
    versions: dict[str, str]


@dataclass(frozen=True)
class Kept:
    """A certificate as it is kept: of its findings those that do not hold, without numbers, which the evidence says."""

    origin: Origin
    certificate: Certificate


def certificate_for(origin: Origin, *, gamma: float, seconds: float = SECONDS) -> Certificate:
    """The certificate of an environment: the one that is kept, or a new one, which is kept from then on.

    A registered environment costs nothing while its source is that of its certificate. Nothing here needs the main
    thread, so training may ask while its first update compiles.

    Args:
        origin: of `origin_of`.
        gamma: the discount that training uses; a certificate that is kept may be of another.
        seconds: that the examination may take; what it did not come to says so.

    Raises:
        UserError: as `certify`.
    """
    shipped = shipped_certificates().get(origin.env)
    if shipped is not None and (shipped.origin.arguments, shipped.origin.source) == (origin.arguments, origin.source):
        return shipped.certificate
    path = _cache() / f"{hashlib.sha256(json.dumps(asdict(origin), sort_keys=True).encode()).hexdigest()[:16]}.json"
    with contextlib.suppress(UserError, ValueError):  # one that cannot be read is made anew
        if path.exists() and (kept := serialise.from_dict(Kept, read_json(path), str(path))).origin == origin:
            return kept.certificate
    found = certify(origin.env, gamma=gamma, kwargs=json.loads(origin.arguments), seconds=seconds)
    with contextlib.suppress(OSError, UserError, ValueError):  # a cache that cannot be written costs time, no result
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, serialise.to_dict(_kept(origin, found)))
    return found


def require_posed(found: Certificate) -> None:
    """Refuse to train on what is not posed.

    Raises:
        UserError: with the conditions that fail, their evidence and what to do.
    """
    if found.posed:
        return
    failing = [finding for finding in found.findings if finding.status == "fails"]
    told = [f"{f.states} It does not hold: {f.evidence}. {f.why} What to do: {f.advice}" for f in failing]
    raise UserError(
        "\n".join([f"{found.env} is not posed, so training on it would fail in silence.", *told])
        + f"\n`wellposed check {found.env}` examines all conditions."
    )


def warnings_of(found: Certificate) -> list[str]:
    """What somebody who trains on it should know, one sentence for each condition that only warns."""
    return [f"{f.states} {f.evidence[:1].upper()}{f.evidence[1:]}." for f in found.findings if f.status == "warns"]


def origin_of(name: str, kwargs: dict[str, Any]) -> Origin:
    """What a certificate of this environment would be about.

    Raises:
        UserError: if there is no such environment, or it cannot be made.
    """
    subject = find_subject(name, kwargs)
    found = source_of([subject.module] if subject.module else _modules(name, subject))
    versions = {OURS: metadata.version(OURS)} | found.packages
    return Origin(name, json.dumps(kwargs, sort_keys=True), found.digest, versions)


def _modules(name: str, subject: Subject) -> list[str]:
    """The modules of an environment's class, of the wrappers around it, and of whatever makes it."""
    with closing(subject.make()) as env:
        layers = [env]
        while isinstance(layers[-1], gym.Wrapper):
            layers.append(layers[-1].env)
    found = [type(layer).__module__ for layer in layers]
    found += [plugin.import_named(name)[0].__name__] if plugin.imports(name) else []
    return [module for module in dict.fromkeys(found) if not module.startswith("gymnasium.wrappers")]


def _cache() -> Path:
    """Where certificates of the user's environments are kept."""
    return cache_folder() / "certificates"


def _kept(origin: Origin, found: Certificate) -> Kept:
    return Kept(
        origin, replace(found, findings=[replace(f, numbers={}) for f in found.findings if f.status != "holds"])
    )


def shipped_certificates() -> dict[str, Kept]:
    """The certificates that come with the package, by id."""
    return {name: serialise.from_dict(Kept, data, str(SHIPPED)) for name, data in read_json(SHIPPED).items()}


def ship(gamma: float, names: Sequence[str] = ()) -> None:
    """Make the certificates of these registered environments anew, else of all that need no extra; others stay."""
    entries = envs.registered()
    wanted = names or [entry.id for entry in entries if not entry.extra]
    found = {name: serialise.to_dict(_kept(origin_of(name, {}), certify(name, gamma=gamma))) for name in wanted}
    known = read_json(SHIPPED) | found
    write_json(SHIPPED, {entry.id: known[entry.id] for entry in entries if entry.id in known})
