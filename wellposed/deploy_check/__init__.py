"""A checklist for a real robot: what is known of a policy's training against what a `robot.toml` says of the robot.

Each check passes ("holds"), fails, or says what it lacks ("open"). Facts of the training come from the configuration
that the policy carries, the environment's entry in the registry, and the environment itself where it can be made.
"""

from dataclasses import replace
from pathlib import Path

from wellposed.deploy import load_policy
from wellposed.deploy_check import recorded, stated
from wellposed.deploy_check.robot import read_robot
from wellposed.deploy_check.subject import Subject, unchecked
from wellposed.errors import UserError
from wellposed.findings import Finding

CHECKS = {
    "control rate": stated.rate,
    "time of an action": stated.acting,
    "delay": stated.delay,
    "driver": stated.driver,
    "actions": stated.actions,
    "motion": stated.motion,
    "observation": stated.observation,
    "noise": stated.noise,
    "recording": recorded.recording,
    "like training": recorded.familiar,
    "answers": recorded.answers,
    "safety envelope": recorded.envelope,
    "response": recorded.response,
}


def examine(policy: str | Path, robot: str | Path) -> list[Finding]:
    """All checks of a policy on a robot, in their order; what lacks something it needs is open, with the reason.

    Args:
        policy: a run's directory, or a file that `wellposed export` wrote.
        robot: a `robot.toml`.

    Raises:
        UserError: if one of them cannot be read, or they do not fit together.
    """
    it = Subject(load_policy(policy), read_robot(Path(robot)), Path(robot).parent)
    if len(it.robot.action) != len(it.policy.low):
        raise UserError(
            f"The policy's actions have {len(it.policy.low)} components, [[action]] {len(it.robot.action)}."
        )
    it.robot.senses(it.policy.fields)
    found: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            finding = check(it)
        except UserError as error:
            finding = unchecked(str(error))
        found.append(replace(finding, name=name))
    return found
