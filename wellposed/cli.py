"""The command line: it reads arguments, calls the laboratory, prints, and sets the exit code.

The functions in `wellposed.commands` do their heavy imports inside, so that `wellposed --help` answers at once.
"""

import errno
import functools
import gc
import importlib
import os
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import tyro

from wellposed.commands import ADDED, Group, environments, judging, launch, listed, policies, runs, tables
from wellposed.commands.arguments import INTEGERS, default_config_of, in_full, json_to_stdout
from wellposed.errors import UserError, instead
from wellposed.plugin import load_named
from wellposed.settings import fix_environment
from wellposed.terminal import Lasting, Plain, escaped, open_standard_streams, output

COMMANDS: dict[str, Any] = {
    "train": listed("Train an agent and record the run: `wellposed train ENV`."),
    "plan": listed("Predict what a training would take, and whether it fits: `wellposed plan ENV`."),
    "resume": runs.resume_runs,
    "reproduce": runs.reproduce_run,
    "eval": judging.evaluate,
    "robustness": judging.robustness,
    "reality": judging.REALITY,
    "check": environments.check,
    "diagnose": runs.diagnose,
    "anatomy": environments.anatomy,
    "doctor": environments.doctor,
    "envs": environments.list_envs,
    "runs": tables.list_runs,
    "rows": tables.rows,
    "compare": runs.compare,
    "report": runs.report,
    "export": policies.export,
    "deploy-check": policies.deploy_check,
    "video": policies.video,
    "watch": policies.watch,
    "launch": launch.launch,
    "status": launch.status,
    "collect": launch.collect,
    "experiment": runs.experiment,
    "study": runs.study,
    "demo": runs.demo,
}
BUILT = {"train": runs.train_command, "plan": runs.plan_command}
REFUSED = {  # why the operating system may refuse a path; other errors are defects, which show where they are
    errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO,
    errno.ESTALE,
}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run a command. A user's mistake prints a sentence to standard error, exit code 1; Ctrl-C gives 130."""
    open_standard_streams()
    if "jax" not in sys.modules:
        fix_environment()
    try:
        with output(Lasting):
            return _run(in_full(json_to_stdout(load_named(sys.argv[1:] if argv is None else argv))))
    except (UserError, FloatingPointError) as error:
        print(escaped(f"wellposed: {error}"), file=Lasting(sys.stderr))
        return 1
    except OSError as error:
        if error.errno not in REFUSED or error.filename is None:
            raise
        print(escaped(f"wellposed: Could not use {error.filename}: {error.strerror}."), file=Lasting(sys.stderr))
        return 1
    except KeyboardInterrupt as stop:
        how = str(stop) or "`wellposed resume RUN` resumes a training run."
        print(escaped(f"wellposed: stopped. {how}"), file=Lasting(sys.stderr), flush=True)
        if threading.active_count() > 1:  # do not wait for threads in the middle of an update
            sys.stdout.flush()
            os._exit(130)
        return 130


def _run(argv: list[str]) -> int:
    """Run the command of a command line; returns the exit code."""
    if argv == ["--version"]:
        print(f"wellposed {version('wellposed')}")
        return 0
    if argv[:1] not in ([], ["-h"], ["--help"]):  # the list of commands needs no physics
        _check_mujoco_gl()
    commands = COMMANDS | _built(argv)
    if argv[:1] == [] or argv[0] not in commands:  # asking for what is installed takes a tenth of a second
        commands |= {name: ADDED[name] for name in ADDED if name not in commands}
    if argv and argv[0] in BUILT and {"-h", "--help"} & {*argv}:
        argv = [argv[0], "--help"]  # tyro hides what was given
    if argv and isinstance(group := commands.get(argv[0]), Group):
        name, *rest = argv
        about = f"Commands of `wellposed {name}`; `wellposed {name} COMMAND --help` explains each."
        return _run_one(group.commands, f"wellposed {name}", about, rest)
    each = {name: listed(one.about) if isinstance(one, Group) else one for name, one in commands.items()}
    return _run_one(each, "wellposed", DESCRIPTION, argv)


def _built(argv: list[str]) -> dict[str, Any]:
    """The commands that have the learner's defaults, if one of them is asked for, or both are to be completed.

    Asking for the defaults imports JAX. Looking for garbage among what is imported would take 0.2 s.
    """
    complete = argv[:1] == ["--tyro-write-completion"]
    asked = {name: [name, "--help"] if complete else argv for name in BUILT if complete or argv[:1] == [name]}
    gc.disable()
    try:
        return {name: BUILT[name](default_config_of(words)) for name, words in asked.items()}
    finally:
        gc.enable()


def _check_mujoco_gl() -> None:
    """Import MuJoCo where MUJOCO_GL is set; raises UserError if the import fails because of its value."""
    if wished := os.environ.get("MUJOCO_GL"):
        try:
            importlib.import_module("mujoco")
        except Exception as error:  # its type depends on the value and on the installed OpenGL
            told = f"MuJoCo does not start with MUJOCO_GL={wished}: {error}. Unset it to let wellposed choose."
            raise UserError(told) from error


def _run_one(commands: dict[str, Any], prog: str, about: str, argv: list[str]) -> int:
    """Read the arguments of the command that comes first, and call it. Raises UserError if there is no such command."""
    first, *rest = argv or ["--help"]
    run = {name: _printing_plainly(command) for name, command in commands.items()}
    if first in run:
        return tyro.cli(run[first], prog=f"{prog} {first}", args=rest, registry=INTEGERS)
    if not first.startswith("-"):
        raise UserError(f"There is no command `{prog} {first}`{instead(first, commands)}")
    return tyro.extras.subcommand_cli_from_dict(
        run, prog=prog, description=about, args=[first, *rest], registry=INTEGERS
    )


def _printing_plainly(command: Callable[..., int]) -> Callable[..., int]:
    """A command whose output is escaped; the help that tyro prints has colours of its own."""

    @functools.wraps(command)
    def run(*args: Any, **settings: Any) -> int:
        with output(Plain):
            return command(*args, **settings)

    return run


DESCRIPTION = (
    "A laboratory for goal-conditioned robot learning: pose the problem, train fast, verify with intervals. "
    "`wellposed COMMAND --help` explains each command, `wellposed --version` prints the version. "
    "With any command, `--plugin FILE` first imports a Python file that registers an algorithm or environment; "
    "`--allow-import NAME` permits a record to name an environment that is imported, as my_env:make or file.py:make."
)
