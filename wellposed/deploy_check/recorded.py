"""Checks of a recording, and of what the policy does on it."""

import numpy as np

from wellposed.deploy_check.subject import Subject, unchecked, verdict
from wellposed.errors import UserError
from wellposed.findings import Finding
from wellposed.portable import PortablePolicy

OUTSIDE = 0.05  # share of moments in which a number may be further from its mean than the policy tells apart
BOUND = 1 - 1e-3  # from which on a component counts as being at its bound
STUCK = 0.95  # share of moments at one bound from which on it answers nothing
FACTOR = 10  # by which a measured motion may differ from the commanded one; a wrong unit differs by more


def recording(it: Subject) -> Finding:
    """Whether the recording is sound, and within what the sensors can give."""
    if not it.robot.recording:
        return unchecked("The robot's file names no recording.", "Record observations, be it of another controller.")
    try:
        found = it.dry.recording
    except UserError as error:
        return verdict(False, str(error), "Record again, or mend what writes it.")
    beyond = []
    for (key, i), one in it.robot.senses(it.policy.fields).items():
        seen, ends = found.obs[key].reshape(found.rows, -1)[:, i], (one.low, one.high)
        low, high = (-np.inf if ends[0] is None else ends[0]), (np.inf if ends[1] is None else ends[1])
        if off := int(((seen < low) | (seen > high)).sum()):
            beyond.append(f"{one.name} ({key} {i}) in {off}")
    said = f"{found.rows} moments of {len(found.episodes)} episodes"
    said += (
        f"; outside of what its sensor gives: {', '.join(beyond)}."
        if beyond
        else ", each number finite and in its range."
    )
    return verdict(not beyond, said, "Look at units, or at the range in [[sense]].", beyond=beyond)


def familiar(it: Subject) -> Finding:
    """Whether what was recorded is like what was seen in training."""
    policy, obs = it.policy.policy, it.dry.recording.obs
    if not isinstance(policy, PortablePolicy):
        return unchecked("A policy with memory or of images is not compared with its training.")
    arrays = policy.arrays
    if not arrays["mean"].any() and (arrays["std"] == 1).all():
        return unchecked("What was seen in training is not recorded: the policy's inputs are not normalised.")
    offsets = policy.offsets({one.name: one.shown(obs[one.name]) for one in it.policy.fields})[:, : policy.shown]
    share = (np.abs(offsets) > policy.header.clip).mean(axis=0)
    names = [*(f"{key} {i}" for key, i in it.places), ""]
    pairs = [names[a] + (names[b] and f" - {names[b]}") for a, b in zip(arrays["plus"], arrays["minus"], strict=True)]
    off = [f"{pairs[i]} in {share[i]:.0%} of moments" for i in np.flatnonzero(share > OUTSIDE)]
    said = "; ".join(off) if off else f"nothing in more than {OUTSIDE:.0%} of moments"
    said = f"Further than {policy.header.clip:g} standard deviations of training from its mean: {said}."
    how = "Compare unit, frame and origin of these numbers with those of training."
    return verdict(not off, said, how, most=float(share.max(initial=0.0)))


def answers(it: Subject) -> Finding:
    """How the policy answers: at its bounds, and in jumps."""
    chosen = it.dry.chosen
    at = np.stack([(chosen >= BOUND).mean(axis=0), (chosen <= -BOUND).mean(axis=0)])
    jump = float(max(np.abs(np.diff(chosen[e], axis=0)).max(initial=0.0) for e in it.dry.recording.episodes))
    stuck = [it.robot.action[i].name for i in np.flatnonzero(at.max(axis=0) >= STUCK)]
    said = f"{at.sum(axis=0).mean():.0%} of the components are at a bound, and the largest jump is {jump:.2g} of 2."
    said += f" Always at the same bound: {', '.join(stuck)}." if stuck else ""
    how = "It answers nothing there: compare units, frames and signs of what it reads with those of training."
    return verdict(not stuck, said, how, at_bound=at.sum(axis=0).tolist(), largest_jump=jump)


def envelope(it: Subject) -> Finding:
    """Whether recorded places, goals, and the places that are commanded from there lie in the workspace."""
    points, commands, space = {"places": it.effector}, it.dry.commands, it.robot.workspace
    assert space is not None  # else there were no places
    goals = it.dry.recording.obs.get("desired_goal")
    if goals is not None and goals.shape[1] == len(space.effector):
        points["goals"] = goals
    if commands is not None:
        points["targets"] = target = points["places"].copy()
        for i, one in ((i, one) for i, one in enumerate(it.robot.action) if one.axis is not None):
            step = commands[:, i] / (it.robot.rate if one.means == "velocity" else 1)
            target[:, one.axis] = step + (0 if one.means == "position" else target[:, one.axis])
    out = []
    for name, where in points.items():
        beyond = np.max([-space.box.depth(where), *(box.depth(where) for box in space.keep_out)], axis=0)
        if count := int((beyond > 0).sum()):
            out.append(f"{count} of {len(where)} {name}, by up to {beyond.max():.3g} {space.unit}")
    said = (
        f"Outside of the workspace, or where to keep out: {'; '.join(out)}."
        if out
        else f"All {', '.join(points)} are inside."
    )
    said += "" if commands is not None else " A controller makes the commands, so their targets were not looked at."
    return verdict(not out, said, "Let the driver stop there, and give goals that are further inside.", out=out)


def response(it: Subject) -> Finding:
    """Whether the effector moved as the recorded actions asked: signs, units and order of both."""
    found, places = it.dry.recording, it.effector
    moving = [(i, one) for i, one in enumerate(it.robot.action) if one.axis is not None and one.means != "position"]
    if found.action is None or not moving:
        return unchecked("Nothing recorded says what was commanded, or no action moves along an axis of [workspace].")
    shares = {}
    for i, one in moving:
        asked = one.scale * found.action[:, i] / (it.robot.rate if one.means == "velocity" else 1)
        a, b = np.concatenate([(asked[e][:-1], np.diff(places[e, one.axis])) for e in found.episodes], axis=1)
        if a.any():
            shares[one.name] = float(a @ b / (a @ a))
    wrong = [name for name, share in shares.items() if not 1 / FACTOR <= share <= FACTOR]
    told = ", ".join(f"{name} {share:.2g}" for name, share in shares.items()) or "nothing was asked for"
    said = f"What was moved, as a share of what was asked for: {told}."
    how = f"Look at {', '.join(wrong)}: below 0 an axis is the other way round, else a unit or the order differs."
    return verdict(not wrong, said, how, shares=shares)
