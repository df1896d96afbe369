"""docker/dev.sh takes what is there. Stand-ins for docker, podman and buildah write down how they were called."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "docker" / "dev.sh"
STAND_IN = '#!/bin/sh\n[ "$1" != info ] || exit {info}\n[ "$1" != from ] || echo working\necho "{name} $*" >> {log}\n'


@pytest.fixture
def call(tmp_path):
    """Runs the script, in a copy of the checkout's shape, with these tools on the path; returns what they were told."""
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "dev.sh").write_bytes(SCRIPT.read_bytes())
    log, tools = tmp_path / "log", tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "mkdir"):
        (tools / name).symlink_to(f"/usr/bin/{name}")

    def run(*names: str, info: int = 0, **settings: str) -> tuple[int, list[str]]:
        for name in names:
            (tools / name).write_text(STAND_IN.format(name=name, info=info, log=log))
            (tools / name).chmod(0o755)
        command = ["/bin/sh", str(tmp_path / "docker" / "dev.sh"), "make", "test"]
        environment = {"PATH": str(tools), **settings}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.returncode, log.read_text().splitlines() if log.exists() else [done.stderr]

    return run


def test_docker_builds_and_runs_with_the_runs_outside(call, tmp_path):
    code, (build, run) = call("docker", "podman", "buildah")
    assert code == 0
    assert build == "docker build -q -f docker/Dockerfile -t wellposed --build-arg EXTRAS=dev ."
    assert run == f"docker run --rm -v {tmp_path}/runs:/wellposed/runs wellposed make test"


def test_a_docker_without_an_engine_is_passed_over(call):
    assert call("docker", "podman", info=1)[1][-1].startswith("podman run --rm ")


def test_buildah_alone_does_it_too_and_cleans_up(call, tmp_path):
    code, (_, begun, run, removed) = call("buildah")
    assert (code, begun, removed) == (0, "buildah from wellposed", "buildah rm working")
    assert run == f"buildah run -v {tmp_path}/runs:/wellposed/runs working -- make test"


def test_with_none_it_says_what_does_the_same(call):
    code, (told,) = call()
    assert code == 1
    assert "`make demo` does the same" in told


@pytest.mark.parametrize(("tool", "handed"), [("docker", "--gpus all"), ("podman", "--device nvidia.com/gpu=all")])
def test_the_gpu_is_handed_in_and_the_image_has_cuda(call, tool, handed):
    build, run = call(tool, GPU="1")[1]
    assert "-t wellposed:cuda --build-arg EXTRAS=dev,cuda" in build
    assert f" {handed} " in run


def test_buildah_says_that_it_cannot_hand_in_a_gpu(call):
    code, (told,) = call("buildah", GPU="1")
    assert code == 1
    assert "cannot hand in a GPU" in told


def test_options_of_the_build_reach_it(call):
    assert "build -q --network host -f" in call("docker", BUILD_OPTIONS="--network host")[1][0]


def test_the_script_without_an_engine_makes_the_image_that_the_dockerfile_begins_with():
    """Debian's Python in it is the one that the tag promises."""
    text = (SCRIPT.parent / "Dockerfile").read_text()
    assert "FROM python:3.11-slim-bookworm\n" in text
    assert "bookworm" in (SCRIPT.parent / "build_without_engine.sh").read_text()
    assert os.access(SCRIPT.parent / "build_without_engine.sh", os.X_OK)
