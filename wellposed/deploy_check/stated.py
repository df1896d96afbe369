"""Checks of what is stated: how the policy was trained, against what the robot's file says."""

import re
from dataclasses import replace

from wellposed import serialise
from wellposed.deploy_check.robot import LIMITS, ORDERS
from wellposed.deploy_check.subject import Subject, unchecked, verdict
from wellposed.envs.wrappers.dynamics import domain
from wellposed.findings import Finding

RATE_OFF = 0.05  # share by which a control rate may differ from that of training
DELAY_OFF = 0.5  # control periods by which a delay may
ROUNDING = 1e-6  # share of a range


def rate(it: Subject) -> Finding:
    """Steps in a second."""
    if (own := it.entry.rate) is None:
        return unchecked(f"How many steps {it.env.id} takes in a second is not recorded.", "Compare it by hand.")
    values = [own * factor for factor in domain(it.env.dynamics.rate).values]
    low, high = min(values), max(values)
    trained = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    said = f"The robot takes {it.robot.rate:g} steps in a second, training took {trained}."
    how = f"Run the policy at that rate, or train with --env.dynamics.rate {it.robot.rate / own:.3g}."
    good = (1 - RATE_OFF) * low <= it.robot.rate <= (1 + RATE_OFF) * high
    return verdict(good, said, how, robot=it.robot.rate, trained=[low, high])


def acting(it: Subject) -> Finding:
    """How long an answer takes."""
    (half, most), period = it.act_time, 1 / it.robot.rate
    said = f"An action takes {1e3 * half:.2g} ms (median) and {1e3 * most:.2g} ms (99 %) on this machine, "
    said += f"where a control period has {1e3 * period:.3g} ms."
    how = "Lower the control rate, or train narrower networks (--agent.hidden)."
    return verdict(most <= period, said, how, p50=half, p99=most, period=period)


def delay(it: Subject) -> Finding:
    """Periods by which what is done answers what was measured."""
    given, sensors, acting = it.robot.delay, it.env.sensors, it.act_time[0] * it.robot.rate
    late = (given.sensing + given.actuation) * (it.robot.rate if given.unit == "s" else 1) + acting
    each = [int(value) for name, value in sensors.each.items() if name.endswith(".delay")]
    trained = it.env.control.delay + max(sensors.delay, *each, 0)
    said = f"The robot is late by {late:.2g} periods ({acting:.1g} of them for the action), training was by {trained}."
    how = f"Train with --env.control.delay {round(late)}, or a part of it as --env.sensors.delay."
    if late < trained:
        how = f"Hold commands back by {trained - late:.2g} periods, or train with a delay of {round(late)}."
    return verdict(abs(late - trained) <= DELAY_OFF, said, how, robot=late, trained=trained)


def driver(it: Subject) -> Finding:
    """What stands between policy and robot."""
    control, smoothing = map(serialise.whole, it.robot.driver)
    trained = serialise.whole(replace(it.env.control, delay=0, shown=False)), serialise.whole(it.env.filter)
    off = {
        f"{part}.{name}": [value, theirs[name]]
        for part, mine, theirs in zip(("control", "filter"), trained, (control, smoothing), strict=True)
        for name, value in mine.items()
        if value != theirs[name] and name != "shown"
    }
    listed = ", ".join(f"{name} = {mine} (the driver: {theirs})" for name, (mine, theirs) in off.items())
    said = f"Training had {listed}." if off else "The driver treats actions and readings as training did."
    how = "Let the driver do the same and say so in [control] or [filter], or train with what it does."
    return verdict(not off, said, how, differ=off)


def actions(it: Subject) -> Finding:
    """Units and range of the commands."""
    named = it.entry.quantities.action if it.entry.quantities else ()
    wrong, (middle, half) = [], it.commanded
    for i, one in enumerate(it.robot.action):
        if i < len(named) and one_of(named[i].unit) != (one.scale, one.unit):
            wrong.append(f"{one.name}: 1 is {one.scale:g} {one.unit} here, {named[i].unit} in training")
        reach = it.env.control.furthest * half[i]
        least, most, slack = middle[i] - reach, middle[i] + reach, ROUNDING * half[i]
        if least < one.low - slack or most > one.high + slack:
            wrong.append(
                f"{one.name}: {least:.3g} to {most:.3g} of {one.low:g} to {one.high:g} {one.unit} is asked for"
            )
    said = f"{'; '.join(wrong)}." if wrong else "All that can be commanded is within what the robot does."
    said += "" if named else " Units of training are not recorded."
    how = "Mend units and scales, or train with a smaller --env.control.scale and let the driver apply it."
    return verdict(not wrong, said, how, wrong=wrong)


def one_of(unit: str) -> tuple[float, str]:
    """What 1 of a quantity is: 1 m where its unit is "m", 0.05 m where it is "0.05 m"."""
    number, rest = re.fullmatch(r"(?:(\d+(?:\.\d+)?) )?(.*)", unit, re.DOTALL).groups()  # type: ignore[union-attr]
    return float(number or 1), rest


def motion(it: Subject) -> Finding:
    """Speed, acceleration and jerk: of whatever can be commanded, else of what is on the recording."""
    commands = it.dry.commands if it.robot.recording else None
    over, shares, where = [], {}, "that can be given"
    for i, one in enumerate(it.robot.action):
        for name in LIMITS:
            if (limit := one.limit(name)) is None:
                continue
            most = fastest(it, i, name)
            if most > limit and commands is not None:
                most = max(one.derivative(commands[e, i], name, it.robot.rate) for e in it.dry.recording.episodes)
                where = "on the recording, where more could be given,"
            shares[f"{one.name} {name}"] = most / limit
            if most > limit:
                over.append(f"{one.name} {name} {most:.3g} of {limit:g}")
    how = "Train with --env.control.scale, .rate or .smoothing, and let the driver do the same."
    if not shares:
        return unchecked("[[action]] has no limit of speed, acceleration or jerk.")
    if over and commands is None:
        return unchecked(f"More can be asked for than the robot may: {'; '.join(over)}.", f"Name a recording. {how}")
    said = f"Above their limits: {'; '.join(over)}." if over else f"No command {where} is beyond limits."
    return verdict(not over, said, how, share_of_limit=shares)


def fastest(it: Subject, i: int, limit: str) -> float:
    """The largest speed, acceleration or jerk that component i can command, whatever the policy does."""
    one, control, (middle, half) = it.robot.action[i], it.env.control, it.commanded
    order = LIMITS.index(limit) + 1 - ORDERS[one.means]
    change = half[i] * control.steepest * 2 ** (order - 1)  # of differences of bounded changes
    largest = change if order else abs(middle[i]) + control.furthest * half[i]
    return float(largest * it.robot.rate ** (order + (one.means == "displacement")))


def observation(it: Subject) -> Finding:
    """Whether all that the policy reads is there, in the unit of training."""
    senses = it.robot.senses(it.policy.fields)
    missing = [f"{key} {i}" for key, i in it.read if (key, i) not in senses]
    units = {place: (one.unit, it.unit(place)) for place, one in senses.items()}
    wrong = [
        f"{key} {i} is in {own or 'no unit'}, not {due}"
        for (key, i), (own, due) in units.items()
        if due not in ("", own)
    ]
    parts = [f"nothing senses {', '.join(missing)}"] * bool(missing) + wrong
    said = "; ".join(parts) or f"all {len(it.read)} numbers are sensed, in their units"
    said = f"Of what the policy reads, {said}."
    how = "Sense or compute them in the unit and frame of training."
    return verdict(not parts, said, how, missing=missing, units=wrong)


def noise(it: Subject) -> Finding:
    """The sensors' noise against that of training."""
    senses = {place: one for place, one in it.robot.senses(it.policy.fields).items() if place in it.read}
    over = [
        f"{one.name} ({key} {i}) {one.noise:g} {one.unit}, in training {it.noise.get((key, i), 0.0):.3g}"
        for (key, i), one in senses.items()
        if one.noise and one.noise > max(it.noise.get((key, i), 0.0), it.read[key, i])
    ]
    if not over and (unknown := sorted({one.name for one in senses.values() if one.noise is None})):
        return unchecked(f"The noise of {', '.join(unknown)} is not given.", "Measure it while the robot stands still.")
    said = "; ".join(over) or "nothing, by more than the policy tells apart"
    said = f"Noisier than in training is {said}."
    how = "Train with --env.sensors.noise, or measure what it costs: `wellposed robustness RUN --only noise`."
    return verdict(not over, said, how, over=over)
