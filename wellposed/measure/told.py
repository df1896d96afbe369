"""An anatomy as people read it."""

from wellposed.measure.anatomy import Anatomy, Field, Gripper, Motion
from wellposed.runs.record import Estimate
from wellposed.stats import describe_rate


def lines(found: Anatomy) -> list[str]:
    """What was measured of an environment."""
    size, rule, agreed = found.interface, found.reward, found.agreement
    told = [f"{found.env}: {size.max_episode_steps} steps an episode", ""]
    for title, fields in (
        ("Observation", found.fields),
        ("Goal", found.goal_fields),
        ("Action", found.action_fields),
    ):
        told += [f"{title}, {len(fields)} numbers", *map(_field, fields), ""]
    told += [f"Reward: {rule.kind}, seen from {rule.lowest:.4g} to {rule.highest:.4g}; {rule.formula or 'no formula'}."]
    if rule.threshold is not None:
        told.append(f"Success: closer than {rule.threshold:.6g} {rule.unit}".rstrip() + f", {rule.norm}.")
    told.append(
        f"Of {agreed.transitions:,} steps {agreed.recomputed_mismatches} have another reward than compute_reward gives "
        f"and {_count(agreed.formula_mismatches)} another than the formula; of {agreed.goals} pairs of goals "
        f"{_count(agreed.goal_mismatches)}; {agreed.telling:,} steps could have told."
    )
    told += _motion(found.motion) if found.motion else []
    told += _gripper(found.gripper) if found.gripper else []
    floor, chance = found.floor, found.chance
    expected = "" if floor.expected is None else f"; by integration {100 * floor.expected:.2f} %"
    told += [
        f"Already solved at reset: {_rate(floor.solved)} of {floor.resets:,}{expected}.",
        *(f"  {kind}: {_rate(share)}" for kind, share in floor.kinds.items()),
        f"Random actions, {chance.episodes:,} episodes, {_rate(chance.already_solved)} solved at reset: success "
        f"{_rate(chance.success)}, at any step {_rate(chance.any_success)}, return {chance.episode_return.value:.4g}.",
        f"They move the achieved goal in {_rate(chance.moved)} of episodes and {chance.moved_steps:.1%} of steps.",
        f"Markov: {found.markov}.",
        *found.unsaid,
    ]
    return told


def _rate(share: Estimate) -> str:
    return describe_rate(share.value, share.ci95)


def _count(mismatches: int | None) -> str:
    return "an unknown number of" if mismatches is None else str(mismatches)


def _field(field: Field) -> str:
    seen = f"{field.lowest:.4g} to {field.highest:.4g}"
    return f"  {field.number:>2} {field.name:<27} {field.unit:<13} {seen:<24} {field.frame}".rstrip()


def _motion(motion: Motion) -> list[str]:
    """What an action does, axis by axis."""
    told = [f"Displacement per unit of action, in {motion.states} states (one step; after a rest; each step if held):"]
    for one in motion.responses:
        pairs = (one.first_step, one.first_step_spread), (one.settled, one.settled_spread), (one.held, one.held_spread)
        means = "; ".join(f"{mean:.4f} +- {std:.4f}" for mean, std in pairs)
        told.append(
            f"  {one.component}: {one.axis} {means}; half an action does {one.half:.3f} of that; "
            f"cross-talk {one.cross_talk:.1%}"
        )
    told.append(f"No action moves it by {', '.join(f'{way:.1e}' for way in motion.drift)} in a step.")
    return told


def _gripper(gripper: Gripper) -> list[str]:
    """What the fingers do."""
    if gripper.opens == "neither":
        return ["Gripper: blocked; no action changes its width."]
    return [
        f"Gripper: {gripper.opens} actions open it, to {gripper.widest:.3f} m. From closed, in one step:",
        *(f"  action {row.action:g}: {row.closed_first_step:.4f} m" for row in gripper.widths if row.action > 0),
    ]
