"""Certificates that are kept, so that training can refuse what is not posed without examining it every time.

Those of registered environments come with the package and hold for the source that they were made from. Those of other
environments are made once, within a limit of time, and kept in the user's cache directory for one name, its arguments,
its source and the packages it is made with. `python -m scripts.certificates` makes the first kind anew.
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from wellposed import envs, serialise
from wellposed.check.certificate import Certificate, certify
from wellposed.check.subject import find_subject
from wellposed.errors import UserError
from wellposed.runs.files import read_json, write_json

SECONDS = 20.0  # what the examination before training may take
SHIPPED = Path(__file__).parent / "certificates.json"
PACKAGES = ("wellposed", "gymnasium", "mujoco", "numpy")  # whose versions decide about an environment, beside its own
_PARSING = threading.Lock()  # where two threads parse at once, CPython 3.11 may raise a SystemError (gh-106905)


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


def certificate_for(
    name: str, kwargs: dict[str, Any] | None = None, *, gamma: float, seconds: float = SECONDS
) -> Certificate:
    """The certificate of an environment: the one that is kept, or a new one, which is kept from then on.

    A registered environment costs nothing while its source is that of its certificate. Nothing here needs the main
    thread, so training may ask while its first update compiles.

    Args:
        name: as of `certify`.
        kwargs: the environment's arguments.
        gamma: the discount that training uses; a certificate that is kept may be of another.
        seconds: that the examination may take; what it did not come to says so.

    Raises:
        UserError: as `certify`.
    """
    origin = origin_of(name, kwargs or {})
    shipped = shipped_certificates().get(name)
    if shipped is not None and (shipped.origin.arguments, shipped.origin.source) == (origin.arguments, origin.source):
        return shipped.certificate
    path = _cache() / f"{hashlib.sha256(json.dumps(asdict(origin), sort_keys=True).encode()).hexdigest()[:16]}.json"
    with contextlib.suppress(UserError, ValueError):  # one that cannot be read is made anew
        if path.exists() and (kept := serialise.from_dict(Kept, read_json(path), str(path))).origin == origin:
            return kept.certificate
    found = certify(name, gamma=gamma, kwargs=kwargs, seconds=seconds)
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


def origin_of(name: str, kwargs: dict[str, Any]) -> Origin:
    """What a certificate of this environment would be about.

    Raises:
        UserError: if there is no such environment, or it cannot be made.
    """
    subject = find_subject(name, kwargs)
    if (module := subject.module) is None:
        with closing(subject.make()) as env:
            module = type(env.unwrapped).__module__
    packages = dict.fromkeys((*PACKAGES, module.split(".")[0]))
    versions = {package: found for package in packages if (found := _version(package))}
    return Origin(name, json.dumps(kwargs, sort_keys=True), source_digest(module), versions)


def source_digest(module: str) -> str:
    """Digest of a module's code and of all that it imports of its own package; docstrings and comments do not count."""
    within = ".".join(module.split(".")[: max(1, min(2, module.count(".")))])  # the package, or `wellposed.envs`
    waiting, sources = [module], dict[str, str]()
    while waiting:
        name = waiting.pop()
        if name in sources or (spec := _spec(name)) is None or not str(spec.origin).endswith(".py"):
            continue
        with _PARSING:
            tree = ast.parse(Path(str(spec.origin)).read_bytes())
        waiting += _imported(tree, spec.parent or "", within)
        sources[name] = ast.unparse(_without_docstrings(tree))
    return hashlib.sha256("\n".join(f"{name}\n{sources[name]}" for name in sorted(sources)).encode()).hexdigest()


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is; None if there is none of that name."""
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


def _imported(tree: ast.Module, package: str, within: str) -> Iterator[str]:
    """Names of what a module of `package` imports from `within`; where a name is no module, the one that holds it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        holder = ""
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            holder = importlib.util.resolve_name(module, package) if node.level else module
        for name in (f"{holder}.{alias.name}".lstrip(".") for alias in node.names):
            if f"{name}.".startswith(f"{within}."):
                yield name if not holder or _spec(name) is not None else holder


def _without_docstrings(tree: ast.Module) -> ast.Module:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return tree


def _version(package: str) -> str | None:
    """The version of an installed package, by the name under which it is imported."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    for name in metadata.packages_distributions().get(package, []):
        return metadata.version(name)
    return None


def _cache() -> Path:
    """Where certificates of the user's environments are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "wellposed" / "certificates"


def _kept(origin: Origin, found: Certificate) -> Kept:
    return Kept(
        origin, replace(found, findings=[replace(f, numbers={}) for f in found.findings if f.status != "holds"])
    )


def shipped_certificates() -> dict[str, Kept]:
    """The certificates that come with the package, by id."""
    return {name: serialise.from_dict(Kept, data, str(SHIPPED)) for name, data in read_json(SHIPPED).items()}


def ship(gamma: float) -> None:
    """Make the certificates of all registered environments anew."""
    found = {entry.id: _kept(origin_of(entry.id, {}), certify(entry.id, gamma=gamma)) for entry in envs.registered()}
    write_json(SHIPPED, {name: serialise.to_dict(kept) for name, kept in found.items()})
