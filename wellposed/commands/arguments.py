"""What the commands share: types of arguments, JSON output, and the default configuration of a command line."""

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from wellposed import plugin
from wellposed.errors import UserError
from wellposed.findings import Finding
from wellposed.runs.provenance import cores

if TYPE_CHECKING:
    from wellposed.config import AnyRunConfig

THREADS_HELP = "native threads for physics; results do not depend on it"
RUNS = Path("runs")
CORES = cores()
Positional = tyro.conf.Positional
JSON_HELP = "write the output as JSON to this file; - for standard output, which then contains nothing else"
JsonFile = Annotated[Path | None, tyro.conf.arg(name="json", metavar="FILE", help=JSON_HELP)]
Threads = Annotated[int, tyro.conf.arg(help=THREADS_HELP)]
ENV_HELP = "environment id (`wellposed envs` lists them), my_env:make, my_env:Id-v0 or file.py:make"
RunsDir = Annotated[Path, tyro.conf.arg(metavar="DIR", help="directory that contains run directories")]
RunPath = Annotated[
    Path,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="RUN",
        instance_from_str=lambda words: _run_called(words[0]),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda value: [str(value)],
    ),
]
INTEGERS = tyro.constructors.ConstructorRegistry()  # how every integer of a command line is read


def _run_called(word: str) -> Path:
    """The directory of a run that a command line names."""
    from wellposed.runs.store import find_run

    return find_run(word, RUNS)


@INTEGERS.primitive_rule
def _integer(info: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec[int] | None:
    """Tells tyro to read an integer with `parse_integer`; None for other types, which it reads as ever."""
    if info.type is not int:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: parse_integer(words[0]),
        is_instance=lambda value: type(value) is int,
        str_from_instance=lambda value: [str(value)],
    )


def parse_integer(text: str) -> int:
    """An integer as a person writes it: `100000`, `100_000` or `1e5`.

    Raises:
        ValueError: if it is not a whole number.
    """
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        number = float(text)
        if number.is_integer() and abs(number) < 2**53:  # beyond, a float is not exact
            return int(number)
    raise ValueError(f"{text!r} is not a whole number")


def emit(data: Any, target: Path | None) -> bool:
    """Write JSON to `target`, if there is one; True if it went to standard output."""
    if target is None:
        return False
    from wellposed.runs.files import format_json, write_json

    if str(target) == "-":
        print(format_json(data))
        return True
    write_json(target, data)
    return False


def as_rows(findings: Iterable[Finding], keys: Iterable[str], **called: str) -> list[dict[str, Any]]:
    """Findings as JSON data with a command's own keys; `called` maps those that are not names of fields."""
    return [{key: getattr(finding, called.get(key, key)) for key in keys} for finding in findings]


def default_config_of(argv: list[str]) -> "AnyRunConfig":
    """The default configuration for the environment and the algorithm of a `train` or `plan` command line.

    It is needed before the line is parsed, because the options and their defaults depend on it. `--config FILE` is the
    default where it is given; all other options of the line override it.

    Raises:
        UserError: if the line names no environment, or an unknown environment or algorithm.
    """
    from wellposed.config import ALGO, config_in
    from wellposed.recipes import default_config

    files = [word for before, word in pairwise(argv) if before == "--config"]
    files += [word.partition("=")[2] for word in argv if word.startswith("--config=")]
    if files:
        return config_in(Path(files[-1]))
    algo = [ALGO, *re.findall(r"(?<!\S)--algo[ =](\w\S*)", " ".join(argv))][-1]
    free = [word for before, word in pairwise(argv) if not before.startswith("--") or before.endswith("quiet")]
    named = [word for word in [*free, *argv[1:]] if re.search(r"^[^-=][^=]*(-v\d+|:[^=]+)$", word)]
    if words := named + [word for word in argv[1:2] if word[:1] != "-"]:
        plugin.allow_import(words[0])
        return default_config(words[0], algo)
    if {"-h", "--help"} & set(argv):
        return default_config("FetchReach-v4", algo)
    raise UserError(f"Name the environment to {argv[0]} for, as in `wellposed {argv[0]} FetchReach-v4`.")


def in_full(argv: list[str]) -> list[str]:
    """The short `--curriculum.kind` means `--env.curriculum.kind`."""
    return [re.sub(r"^--curriculum\.", "--env.curriculum.", word) for word in argv]


def json_to_stdout(argv: list[str]) -> list[str]:
    """`--json` without a file means standard output."""
    result = []
    for i, word in enumerate(argv):
        result.append(word)
        following = argv[i + 1 : i + 2]
        if word == "--json" and (not following or (following[0].startswith("-") and following[0] != "-")):
            result.append("-")
    return result
