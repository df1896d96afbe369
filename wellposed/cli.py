"""The command line. Thin: it reads arguments, calls the laboratory, prints, and sets the exit code.

The commands stand in `wellposed.commands`, their heavy imports inside them, so that `wellposed --help` answers at once.
"""

import importlib
import os
import sys
import threading
from importlib.metadata import version
from typing import Any

import tyro

from wellposed.commands import book, chapters, environments, exercises, records, runs
from wellposed.commands.arguments import INTEGERS, default_config_of, in_full, json_to_stdout
from wellposed.errors import UserError, instead
from wellposed.plugin import load_named

COMMANDS: dict[str, Any] = {
    "resume": runs.resume_runs,
    "reproduce": records.reproduce_run,
    "eval": records.evaluate,
    "check": environments.check,
    "diagnose": records.diagnose,
    "anatomy": environments.anatomy,
    "doctor": environments.doctor,
    "envs": environments.list_envs,
    "runs": records.list_runs,
    "compare": records.compare,
    "report": records.report,
    "experiment": runs.experiment,
    "study": runs.study,
    "chapter": chapters.chapter,
    "exercise": exercises.exercise,
    "book": book.book,
    "demo": runs.demo,
}
GROUPS: dict[str, dict[str, Any]] = {  # of COMMANDS those that have commands of their own
    "chapter": chapters.COMMANDS,
    "exercise": exercises.COMMANDS,
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; a person's mistake gets a sentence on standard error and exit code 1, Ctrl-C gets 130."""
    try:
        argv = in_full(json_to_stdout(load_named(sys.argv[1:] if argv is None else argv)))
        if argv == ["--version"]:
            print(f"wellposed {version('wellposed')}")
            return 0
        _import_mujoco_as_wished()
        # Only `train` and `plan` need the learner's defaults; asking for them imports JAX.
        commands = {"train": _named_train, "plan": _named_plan} | COMMANDS
        if build := {"train": runs.train_command, "plan": runs.plan_command}.get(argv[0] if argv else ""):
            commands[argv[0]] = build(default_config_of(argv))
            argv = [argv[0], "--help"] if {"-h", "--help"} & {*argv} else argv  # tyro leaves out what was named before
        if argv and argv[0] in GROUPS:
            group, *rest = argv
            about = f"Commands of `wellposed {group}`; `wellposed {group} COMMAND --help` explains each."
            return _run_one(GROUPS[group], f"wellposed {group}", about, rest)
        return _run_one(commands, "wellposed", DESCRIPTION, argv)
    except (UserError, FloatingPointError) as error:
        print(f"wellposed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        how = str(stop) or "`wellposed resume RUN` goes on with a training run."
        print(f"wellposed: stopped. {how}", file=sys.stderr, flush=True)
        if threading.active_count() > 1:  # one that is in the middle of an update or an evaluation would be waited for
            sys.stdout.flush()
            os._exit(130)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _import_mujoco_as_wished() -> None:
    """Import MuJoCo where MUJOCO_GL is set, since a value that it does not like makes that fail, whatever is asked.

    Raises:
        UserError: saying so.
    """
    if wished := os.environ.get("MUJOCO_GL"):
        try:
            importlib.import_module("mujoco")
        except Exception as error:  # which one depends on the value, and on what of OpenGL is installed
            raise UserError(
                f"MuJoCo refuses to start with MUJOCO_GL={wished}: {error}. Unset it, and wellposed takes what works."
            ) from error


def _run_one(commands: dict[str, Any], prog: str, about: str, argv: list[str]) -> int:
    """Read the arguments of the command that comes first, and call it.

    Raises:
        UserError: if there is no such command.
    """
    argv = argv or ["--help"]
    if argv[0] not in commands and not argv[0].startswith("-"):
        raise UserError(f"There is no command `{prog} {argv[0]}`{instead(argv[0], commands)}")
    return tyro.extras.subcommand_cli_from_dict(commands, prog=prog, description=about, args=argv, registry=INTEGERS)


def _named_train() -> int:
    """Train an agent and record the run: `wellposed train ENV`."""
    raise AssertionError("only listed; main builds the real command")


def _named_plan() -> int:
    """What a training would take, and whether it fits: `wellposed plan ENV`."""
    raise AssertionError("only listed; main builds the real command")


DESCRIPTION = (
    "A laboratory for goal-conditioned robot learning: pose the problem, train fast, verify with intervals. "
    "`wellposed COMMAND --help` explains each command, `wellposed --version` says which wellposed this is. "
    "With any command, `--plugin FILE` first imports a Python file that registers an algorithm or environment; "
    "`--allow-import NAME` permits a record to name an environment that is imported, as my_env:make or file.py:make."
)

if __name__ == "__main__":
    sys.exit(main())
