"""The arm in the page: its physics, its observation and its policy are the laboratory's; the button starts it."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from course.book.arm import html
from course.book.engine import fetch, package, write_engine
from course.book.site import THEME
from tests.test_browser import BROWSER
from wellposed import serialise
from wellposed.envs.suites.fetch.model import PUSH
from wellposed.envs.suites.fetch.task import FetchTask
from wellposed.errors import UserError
from wellposed.portable import Header, PortablePolicy
from wellposed.repository import ROOT

SCRIPT, NODE, FOLDER = THEME / "js" / "arm.js", shutil.which("node"), ROOT / "chapters" / "ch04_hindsight"
FOUND = json.loads((FOLDER / "policies.json").read_text())
POLICIES = FOUND["policies"]
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
    const numbers = one => [...one.observation, ...one.achieved_goal, ...one.desired_goal];
    const apart = (a, b) => Math.max(...a.map((one, i) => Math.abs(one - b[i])));
    const play = acted => {  // how far each observation is from the episode's
        arm.restart(BLOCK);
        return acted.map((action, t) => {
            const far = apart(numbers(arm.observe(GOAL)), numbers(obs[t]));
            arm.advance(action);
            return far;
        });
    };
    const late = play([actions[0], ...actions.slice(0, -1)]);
    return {
        late, physics: play(actions), policy: actions.map((action, t) => apart(act(obs[t]), action)),
        noisy: Array.from({length: 2000}, () => numbers(arm.observe(GOAL, 0.01))), exact: numbers(arm.observe(GOAL)),
        back: wellposedArm.under(wellposedArm.shown(GOAL), GOAL[2]), picture: wellposedArm.picture(arm, GOAL),
    };
}
"""


def comparison(episode: dict) -> str:
    """A script that plays the episode again and returns how far it was from it."""
    values = {"POLICY": POLICIES["with hindsight"], "EPISODE": episode, "BLOCK": BLOCK, "GOAL": GOAL}
    return "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items()) + COMPARE


@pytest.mark.slow
@pytest.mark.skipif(NODE is None, reason="no Node is installed here")
def test_fifty_steps_are_those_of_the_laboratory(engine, episode):
    script = f"globalThis.location = {{href: 'file:///x'}};\n{engine.read_text()}\n{SCRIPT.read_text()}\n"
    script += comparison(episode) + "compared().then(found => console.log(JSON.stringify(found)))"
    said = subprocess.run([str(NODE), "-"], input=script, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    moved = np.ptp([one["achieved_goal"] for one in episode["obs"]], axis=0)
    assert moved.max() > 0.1, "the block has to be pushed"
    assert len(found["physics"]) == 50
    assert max(found["physics"]) < WITHIN < max(found["late"])
    assert max(found["policy"]) < 1e-5  # the laboratory computes in single precision
    np.testing.assert_allclose(found["back"], GOAL[:2], atol=1e-9)
    noise_is_that_of_the_sensors(np.array(found["noisy"]), np.array(found["exact"]))
    assert "NaN" not in found["picture"]
    assert 'class="wp-block-part"' in found["picture"]


def noise_is_that_of_the_sensors(noisy: np.ndarray, exact: np.ndarray) -> None:
    """An error of 1 cm of every position, the same wherever the position is shown; the goal is known."""
    hand, block, between, achieved, goal = (noisy[:, i : i + 3] for i in (0, 3, 6, 25, 28))
    spread = (noisy - exact).std(axis=0)
    np.testing.assert_allclose(spread[:6], 0.01, rtol=0.1)
    np.testing.assert_array_equal(achieved, block)
    np.testing.assert_array_equal(between, block - hand)
    assert np.abs((noisy - exact).mean(axis=0)[:6]).max() < 0.001
    assert np.abs(np.corrcoef((hand - hand.mean(0)).T, (block - block.mean(0)).T)[:3, 3:]).max() < 0.1
    np.testing.assert_array_equal(goal, np.broadcast_to(GOAL, goal.shape))


@pytest.mark.skipif(NODE is None, reason="no Node is installed here")
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_delay_hands_on_the_action_of_so_many_steps_ago(steps):
    script = f"{SCRIPT.read_text()}\n"
    script += (
        f"const waiting = [], found = [...Array(30).keys()].map(t => wellposedArm.delayed(waiting, t + 1, {steps}));"
    )
    script += "console.log(JSON.stringify([found, waiting.length]))"
    said = subprocess.run([str(NODE), "-"], input=script, capture_output=True, text=True, check=True).stdout
    found, kept = json.loads(said)
    assert found == [[0, 0, 0, 0]] * steps + [t + 1 for t in range(30 - steps)]
    assert kept <= 10, "what is not needed is not kept"


def test_a_package_that_is_not_the_locked_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert write_engine() is None
    package().parent.mkdir(parents=True)
    package().write_bytes(b"something else")
    with pytest.raises(UserError, match="is not the file whose digest"):
        write_engine()


def test_what_npm_cannot_do_is_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("course.book.engine.cache_folder", lambda: tmp_path)
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'npm error: no network' >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    for path, said in ((str(tmp_path), "fetched: npm error: no network"), ("", "npm is not installed")):
        monkeypatch.setenv("PATH", path)
        with pytest.raises(UserError, match=said):
            fetch()
    assert not package().exists()


def test_without_an_engine_there_is_a_picture_with_its_sentence():
    element = html((FOLDER / "arm.svg").read_text(), FOUND, "")
    assert 'class="wp-block-part"' in element
    assert "aria-label" in element
    assert "<button" not in element
    assert "data-engine" not in element


START = """
new Promise(done => {
    const figure = document.querySelector("[data-engine]"), said = figure.querySelector("[aria-live]");
    const before = figure.querySelector("svg").innerHTML;
    new MutationObserver(() => /^Step [1-9]|cannot/.test(said.textContent) && done(JSON.stringify([said.textContent,
        figure.querySelector("svg").innerHTML !== before, figure.querySelector(".wp-inputs").hidden]))
    ).observe(said, {childList: true});
    figure.querySelector("[name=load]").click();
})
"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")
def test_in_a_browser_the_button_starts_it_from_a_file(engine, tmp_path):
    page = tmp_path / "page.html"
    element = html((FOLDER / "arm.svg").read_text(), FOUND, engine.as_uri())
    page.write_text(f'<meta charset="utf-8">{element}<script src="{SCRIPT.as_uri()}"></script>')
    said, moved, hidden = json.loads(evaluated(page, START, tmp_path / "profile"))
    assert said.startswith("Step ")
    assert moved
    assert not hidden


def evaluated(page: Path, expression: str, profile: Path) -> str:
    """What a script in a page resolves to, in a Chromium whose clock is real; it takes its orders from a pipe."""
    (orders, give), (hear, answers) = os.pipe(), os.pipe()
    command = ["bash", "-c", f'exec "$0" "$@" 3<&{orders} 4>&{answers}', str(BROWSER), "--headless", "--no-sandbox"]
    command += ["--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(command, pass_fds=(orders, answers), stderr=subprocess.DEVNULL)
    with browser, open(give, "wb", buffering=0) as out, open(hear, "rb", buffering=0) as back:
        os.close(orders)
        os.close(answers)

        def ask(method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
            order = {"id": 1, "method": method, "params": params} | ({"sessionId": session} if session else {})
            out.write(json.dumps(order).encode() + b"\0")
            while True:
                answer = json.loads(b"".join(iter(lambda: back.read(1), b"\0")))
                if "id" in answer:
                    return answer["result"]

        target = ask("Target.createTarget", url=page.as_uri())["targetId"]
        session = ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        loaded = f"document.readyState === 'complete' && location.href === {json.dumps(page.as_uri())}"
        while not ask("Runtime.evaluate", session, expression=loaded)["result"]["value"]:
            time.sleep(0.1)
        found = ask("Runtime.evaluate", session, expression=expression, awaitPromise=True, returnByValue=True)
        browser.kill()
        return found["result"]["value"]
