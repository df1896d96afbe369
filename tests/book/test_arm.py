"""The arm in the page: its physics, its observation and its policy are the laboratory's; the button starts it."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import mujoco
import numpy as np
import pytest

from tests.test_browser import BROWSER, opened
from wellposed import serialise
from wellposed.book.arm import html
from wellposed.book.engine import fetch, package, write_engine
from wellposed.book.site import THEME
from wellposed.envs.suites.fetch.model import PUSH
from wellposed.envs.suites.fetch.task import FetchTask
from wellposed.errors import UserError
from wellposed.portable import Header, PortablePolicy
from wellposed.repository import ROOT

SCRIPT, NODE, FOLDER = THEME / "js" / "arm.js", shutil.which("node"), ROOT / "chapters" / "ch04_hindsight"
POLICIES = json.loads((FOLDER / "policies.json").read_text())["policies"]
BLOCK, GOAL = [1.36, 0.85], [1.42, 0.68, 0.4248]
WITHIN = 1e-6  # metres, and metres a step


def portable(found: dict) -> PortablePolicy:
    """The policy of the page, as the laboratory reads it."""
    arrays = {
        name: np.frombuffer(base64.b64decode(one["data"]), one["type"]).reshape(one["shape"])
        for name, one in found["arrays"].items()
    }
    return PortablePolicy(serialise.from_dict(Header, found["header"], "policies.json"), arrays)


@pytest.fixture(scope="module")
def engine() -> Path:
    """The script of the engine, from pytest's cache or from npm."""
    try:
        if not package().is_file():
            fetch()
    except UserError as error:
        pytest.skip(str(error))
    found = write_engine()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def episode() -> dict[str, list]:
    """Fifty steps of the laboratory's arm under the policy that learnt with hindsight."""
    task, policy = FetchTask(PUSH), portable(POLICIES["with hindsight"])
    readings = np.zeros((1, task.readings))
    env = task.simulate(mujoco.MjData(task.model), readings[0])
    env.restart(np.array(BLOCK))
    rows: dict[str, list] = {"obs": [], "actions": []}
    for _ in range(50):
        obs = task.observe(readings, np.array([GOAL]))
        action = policy.actions(obs)
        rows["obs"].append({name: array[0].tolist() for name, array in obs.items()})
        rows["actions"].append(action[0].tolist())
        env.advance(task.control(readings, action)[0])
    return rows


COMPARE = """
async function compared() {
    const arm = await wellposedArm.open(wellposedEngine), act = wellposedArm.policy(POLICY), {obs, actions} = EPISODE;
    arm.restart(BLOCK);
    const numbers = one => [...one.observation, ...one.achieved_goal, ...one.desired_goal];
    const apart = (a, b) => Math.max(...a.map((one, i) => Math.abs(one - b[i])));
    const found = {physics: [], policy: [], version: arm.mujoco.mj_versionString()};
    actions.forEach((action, t) => {
        found.physics.push(apart(numbers(arm.observe(GOAL)), numbers(obs[t])));
        found.policy.push(apart(act(obs[t]), action));
        arm.advance(action);
    });
    return {...found, back: wellposedArm.under(wellposedArm.shown(GOAL), GOAL[2]),
        picture: wellposedArm.picture(arm, GOAL)};
}
"""


def comparison(episode: dict) -> str:
    """A script that plays the episode again and returns how far it was from it."""
    values = {"POLICY": POLICIES["with hindsight"], "EPISODE": episode, "BLOCK": BLOCK, "GOAL": GOAL}
    return "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items()) + COMPARE


def require_alike(found: dict, episode: dict) -> None:
    """The page's arm and policy are the laboratory's."""
    moved = np.ptp([one["achieved_goal"] for one in episode["obs"]], axis=0)
    assert moved.max() > 0.1, "the block has to be pushed"
    assert len(found["physics"]) == 50
    assert max(found["physics"]) < WITHIN
    assert max(found["policy"]) < 1e-5  # the laboratory computes in single precision
    np.testing.assert_allclose(found["back"], GOAL[:2], atol=1e-9)
    assert "NaN" not in found["picture"]
    assert 'class="wp-block-part"' in found["picture"]


@pytest.mark.skipif(NODE is None, reason="no Node is installed here")
def test_fifty_steps_are_those_of_the_laboratory(engine, episode):
    script = f"globalThis.location = {{href: 'file:///x'}};\n{engine.read_text()}\n{SCRIPT.read_text()}\n"
    script += comparison(episode) + "compared().then(found => console.log(JSON.stringify(found)))"
    said = subprocess.run([str(NODE), "-"], input=script, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    print({name: max(found[name]) for name in ("physics", "policy")}, found["version"], mujoco.__version__)
    require_alike(found, episode)
