"""What is asked for costs nothing that it does not need: modules are counted, not seconds (`benchmarks/startup.py`)."""

import subprocess
import sys

import pytest

from wellposed.cli import main

HEAVY = {"av", "equinox", "gymnasium", "jax", "matplotlib", "mujoco", "numpy", "optax", "scipy", "tensorboard", "tyro"}


def loaded(code: str) -> set[str]:
    """The heavy modules that are loaded after some Python code, in a process of its own."""
    told = f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stderr.split())


HELP = "import contextlib, wellposed.cli\nwith contextlib.suppress(SystemExit): wellposed.cli.main({})"


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import wellposed", set()),
        ("from wellposed import UserError", set()),
        (HELP.format(["--help"]), {"numpy", "tyro"}),
        (HELP.format(["train", "FetchReach-v4", "--help"]), HEAVY - {"av", "matplotlib", "scipy", "tensorboard"}),
    ],
)
def test_only_what_is_needed_is_loaded(code, allowed):
    assert loaded(code) <= allowed


def test_the_list_of_commands_needs_no_physics_where_a_renderer_is_chosen(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert loaded(HELP.format(["--help"])) <= {"numpy", "tyro"}


def test_what_is_loaded_is_seen():
    assert loaded("import scipy") == {"numpy", "scipy"}


def test_the_shell_completes_the_options_of_every_command(tmp_path):
    with pytest.raises(SystemExit):
        main(["--tyro-write-completion", "bash", str(tmp_path / "wellposed")])
    written = (tmp_path / "wellposed").read_text()
    for option in ("--agent.learning-rate", "--replay.strategy", "--gpu", "--draft"):
        assert option in written
