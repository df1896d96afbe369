"""Mistakes in long exercises: what stands in the right file, what stands there instead, what the step lacks then."""

from typing import NamedTuple


class Slip(NamedTuple):
    """A mistake in one step, and the beginning of the name of the first property that the step does not have then."""

    right: str
    wrong: str
    lacks: str


SLIPS: dict[tuple[str, str], list[Slip]] = {
    ("2.4", "normalised"): [
        Slip("(advantage - advantage.mean()) / (advantage.std(ddof=1) + 1e-8)", "advantage", "the mean"),
        Slip("(advantage - advantage.mean())", "advantage", "the mean"),
        Slip("ddof=1", "ddof=0", "the standard"),
        Slip("advantage.std(ddof=1)", "advantage.var(ddof=1)", "the standard"),
        Slip(" + 1e-8)", ")", "where all are alike"),
    ],
    ("2.4", "log_density"): [
        Slip("+ log_std + 0.5", "+ 0.5", "at the mean"),
        Slip("jnp.log(2 * jnp.pi)).sum(axis=-1)", "jnp.log(2 * jnp.pi)).mean(axis=-1)", "at the mean"),
        Slip("0.5 * distance**2", "distance**2", "it falls"),
        Slip("/ jnp.exp(log_std)\n", "/ jnp.sqrt(jnp.exp(log_std))\n", "it falls"),
    ],
    ("2.4", "entropy"): [
        Slip(" * jnp.e", "", "it is that of the standard normal"),
        Slip("jnp.e)).sum()", "jnp.e)).mean()", "it is that of the standard normal"),
        Slip("(log_std + 0.5 * jnp.log(2 * jnp.pi * jnp.e))", "(jnp.exp(log_std) * 0 + 1.4189385)", "a wider"),
    ],
    ("2.4", "actor_loss"): [
        Slip("normalised(advantage), clip", "advantage, clip", "at first"),
        Slip("return -clipped", "return clipped", "at first"),
        Slip(
            "log_density(mean, log_std, action) - old_log_density",
            "old_log_density - log_density(mean, log_std, action)",
            "at first",
        ),
        Slip(
            "clipped_objective(ratio, normalised(advantage), clip)",
            "(ratio * normalised(advantage)).mean()",
            "the ratio",
        ),
        Slip("- entropy_weight *", "+ entropy_weight *", "entropy"),
    ],
    ("2.4", "value_loss"): [
        Slip(
            "((critic(parameters, obs) - target) ** 2)",
            "0.5 * ((critic(parameters, obs) - target) ** 2)",
            "it is the mean",
        ),
        Slip("** 2).mean()", "** 2).sum()", "it is the mean"),
        Slip("((critic(parameters, obs)", "((jax.lax.stop_gradient(critic(parameters, obs))", "its gradient"),
    ],
    ("2.4", "update"): [
        Slip('"terminated", "ended")', '"terminated", "terminated")', "the actor"),
        Slip("chosen(advantage)", "chosen(target)", "the actor"),
        Slip("reshape(-1, *array.shape[2:])", "swapaxes(0, 1).reshape(-1, *array.shape[2:])", "the actor"),
        Slip('target = advantage + rollout["value"]', "target = advantage", "the critic"),
        Slip(
            "critic, obs, chosen(target)", 'critic, obs, chosen(normalised(advantage) + rollout["value"])', "the critic"
        ),
    ],
    ("3.4", "squashed_gaussian"): [
        Slip("jnp.tanh(u)", "jnp.clip(u, -1, 1)", "the action is drawn"),
        Slip("jnp.exp(log_std)", "log_std", "the action is drawn"),
        Slip(" - 0.5 * jnp.log(2 * jnp.pi)", "", "at u = 0"),
        Slip("sum(axis=-1)", "mean(axis=-1)", "at u = 0"),
        Slip("- log_std -", "-", "at u = 0"),
        Slip("-0.5 * noise**2 - log_std", "-log_std", "an unlikely draw"),
        Slip("(normal - stretched)", "normal", "where tanh compresses"),
        Slip("(normal - stretched)", "(normal + stretched)", "where tanh compresses"),
        Slip("2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))", "jnp.log(1 - jnp.tanh(u) ** 2 + 1e-6)", "far out"),
    ],
    ("3.4", "critic_loss"): [
        Slip("0.5 * ((q", "((q", "both critics"),
        Slip("((q - target)", "((q.min(axis=0, keepdims=True) - target)", "both critics"),
        Slip(".mean(axis=1).sum()", ".mean()", "both critics"),
        Slip(".mean(axis=1).sum()", ".sum()", "it is the mean"),
        Slip(
            "critics(parameters, obs, action)",
            "jax.lax.stop_gradient(critics(parameters, obs, action))",
            "its gradient",
        ),
    ],
    ("3.4", "actor_loss"): [
        Slip("- q.min(axis=0)", "- q.min(axis=1).mean()", "of the two critics"),
        Slip("log_prob - q.min(axis=0)", "log_prob - q.mean(axis=0)", "of the two critics"),
        Slip("- q.min(axis=0)", "+ q.min(axis=0)", "of the two critics"),
        Slip("temperature * log_prob - q", "-temperature * log_prob - q", "certainty"),
        Slip(
            "critics(critic_parameters, obs, action)",
            "critics(critic_parameters, obs, jax.lax.stop_gradient(action))",
            "the gradient goes",
        ),
    ],
    ("3.4", "polyak"): [
        Slip(
            "(1 - tau) * target[name] + tau * online[name]",
            "tau * target[name] + (1 - tau) * online[name]",
            "with tau = 0",
        ),
        Slip("(1 - tau) * target[name]", "target[name]", "it goes"),
        Slip("tau * online[name] for", "tau**2 * online[name] for", "it goes"),
    ],
    ("3.4", "update"): [
        Slip("batch.obs), noise[1])", "batch.obs), noise[0])", "the temperature"),
        Slip(
            'critics(nets["target_critics"], batch.next_obs', 'critics(nets["critics"], batch.next_obs', "the critics"
        ),
        Slip("batch.next_obs), noise[0])", "batch.next_obs), noise[1])", "the critics"),
        Slip(
            "next_q, next_log_prob, gamma, temperature)\n",
            "next_q, next_log_prob, gamma, jnp.exp(log_temperature))\n",
            "the critics",
        ),
        Slip("batch.reward, batch.terminated,", "batch.reward, 0,", "the critics"),
        Slip("actor, new_critics, critics", 'actor, nets["critics"], critics', "the actor"),
        Slip("noise[1], temperature)", "noise[1], jnp.exp(log_temperature))", "the actor"),
        Slip(
            'polyak(nets["target_critics"], new_critics',
            'polyak(nets["target_critics"], nets["critics"]',
            "the targets",
        ),
    ],
    ("4.4", "draw_transitions"): [
        Slip("rows = draw(n)", "rows = np.sort(draw(n))", "rows that start"),
        Slip(
            "    while len(final := np.flatnonzero(time[rows] == length[rows])):\n"
            "        rows[final] = draw(len(final))\n",
            "",
            "a final state",
        ),
        Slip("        rows[final] = draw(len(final))\n", "        rows = draw(n)\n", "a final state"),
        Slip(
            "    while len(final := np.flatnonzero(time[rows] == length[rows])):\n",
            "    if len(final := np.flatnonzero(time[rows] == length[rows])):\n",
            "it goes on",
        ),
    ],
    ("4.4", "future"): [
        Slip("t + 1 + np.floor(u * (length - t))", "np.floor(u * (length + 1))", "the earliest"),
        Slip("t + 1 + np.floor(u * (length - t))", "t + np.floor(u * (length + 1 - t))", "the earliest"),
        Slip("u * (length - t)", "u * (length - t - 1)", "the latest"),
        Slip("u * (length - t)", "u * (length.max() - t)", "the latest"),
        Slip("np.floor(u * (length - t))", "np.rint(u * (length - t - 1))", "equal parts"),
    ],
    ("4.4", "goals"): [
        Slip("row + moment - t", "row + moment", "the row"),
        Slip("(row + moment - t) % len(achieved)", "moment", "the row"),
        Slip("(row + moment - t) % len(achieved)", "np.minimum(row + moment - t, len(achieved) - 1)", "behind"),
    ],
    ("4.4", "relabelled"): [
        Slip("b * k / (k + 1)", "b / (k + 1)", "without hindsight"),
        Slip("b * k / (k + 1)", "b * min(k, 1)", "k goals"),
        Slip("round(b * k / (k + 1))", "b * k // (k + 1)", "it is the nearest"),
    ],
    ("4.4", "outcomes"): [
        Slip("compute_reward(next_achieved, goal)", "np.zeros(len(goal))", "the reward"),
        Slip("compute_reward(next_achieved, goal)", "compute_reward(goal, next_achieved)", "the reward"),
        Slip("np.maximum(compute_terminated(next_achieved, goal), failed)", "failed", "termination"),
        Slip("np.maximum(compute_terminated(next_achieved, goal), failed)", "reward + 1", "termination"),
        Slip(
            "np.maximum(compute_terminated(next_achieved, goal), failed)",
            "compute_terminated(next_achieved, goal)",
            "a failure",
        ),
    ],
    ("4.4", "sample"): [
        Slip("(row + 1) % len(time)", "np.minimum(row + 1, len(time) - 1)", "it holds"),
        Slip('store["action"][row]', 'store["action"][after]', "it holds"),
        Slip("np.arange(b) < relabelled(b, k)", "np.arange(b) < b", "the first"),
        Slip("future(time[row], length[row], u)", "future(time[row], length[row], u[::-1])", "the first"),
        Slip("np.where(first, reward, ", "np.where(True, reward, ", "their rewards"),
        Slip('np.where(first, reward, store["reward"][row])', 'store["reward"][row]', "their rewards"),
        Slip('store["failed"][row], compute', 'store["failed"][row] * 0, compute', "so are"),
        Slip('np.where(first, terminated, store["terminated"][row])', 'store["terminated"][row]', "so are"),
    ],
}
