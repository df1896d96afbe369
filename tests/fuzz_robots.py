"""What a stranger may hand us of robots: the file of one, a recording, a sealed reality (see fuzz_targets.py)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wellposed.deploy_check.robot import read_robot
from wellposed.reality import seal

SIZES = {"observation": 25, "achieved_goal": 3, "desired_goal": 3}  # of FetchPickAndPlace
ROBOT = """
rate = 25
recording = "recording.jsonl"
[delay]
sensing = 0.01
actuation = 0.01
[workspace]
unit = "m"
low = [0, 0, 0]
high = [2, 2, 2]
effector = [0, 1, 2]
[control]
smoothing = 0.0
"""
REALITY = """
title = "A slow arm"
budget = 10
[env]
"control.delay" = 1
[hidden]
"dynamics.gain" = "0.5..1.5"
[does]
constant = [0, 0]
terms = [[0, 0, 1], [1, 2, 0.5]]
"""


def make(folder: Path) -> None:
    """A robot with a recording, and a reality in which two policies were evaluated."""
    (folder / "robot").mkdir()
    sense = [f'[[sense]]\nkey = "{key}"\nname = "{key}"\nunit = "m"\nnoise = 0.001\nhigh = 3\n' for key in SIZES]
    action = (
        '[[action]]\nname = "{}"\nmeans = "displacement"\nunit = "m"\nscale = 0.05\nlow = -1\nhigh = 1\nspeed = 1\n'
    )
    axes = [action.format(name) + f"axis = {i}\n" for i, name in enumerate("xyz")]
    (folder / "robot" / "robot.toml").write_text(ROBOT + "".join([*sense, *axes, action.format("fingers")]))
    read_robot(folder / "robot" / "robot.toml")
    moment = {key: [1.0] * size for key, size in SIZES.items()} | {"action": [0.1, 0.0, 0.2, 0.0]}
    rows = [json.dumps(moment | {"episode": t // 4}) + "\n" for t in range(8)]
    (folder / "robot" / "recording.jsonl").write_text("".join(rows))
    (folder / "arm.toml").write_text(REALITY)
    record = seal(folder / "arm.toml", 0)
    for i, policy in enumerate("ab"):
        told: dict[str, Any] = {"purpose": "evaluation", "policy": policy * 64, "first": 2 * i, "episodes": 2}
        record = record.append(kind="begun", **told).append(kind="ended", success=[True, False], **told)


def files(command: Callable[..., Any]) -> list[tuple[str, str, list[Any]]]:
    """What is mutated: its folder or file in the world, its name in there, and what reads it."""
    check = [command(0.1, "deploy-check", "{world}/policy.npz", "--robot", "{live}/robot.toml")]
    show = [command(1.0, "reality", "show", "{live}"), command(1.0, "reality", "show", "{live}", "--json", "-")]
    robots = [("robot", name, check) for name in ("robot.toml", "recording.jsonl")]
    realities = [("arm", name, show) for name in ("sealed.json", "ledger.jsonl")]
    return [*robots, *realities, ("arm.toml", "", [command(1.0, "reality", "seal", "{live}", "--seed", "0")])]
