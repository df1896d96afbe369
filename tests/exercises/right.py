"""Right solutions of the long exercises, as a reader writes them: files."""

SOFT = """import jax
import jax.numpy as jnp


def squashed_gaussian(mean, log_std, noise):
    u = mean + jnp.exp(log_std) * noise
    normal = -0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi)
    stretched = 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))
    return jnp.tanh(u), (normal - stretched).sum(axis=-1)


def soft_target(reward, terminated, next_q, next_log_prob, gamma, temperature):
    return reward + gamma * (1 - terminated) * (next_q.min(axis=0) - temperature * next_log_prob)


def critic_loss(parameters, critics, obs, action, target):
    q = critics(parameters, obs, action)
    return 0.5 * ((q - target) ** 2).mean(axis=1).sum()


def actor_loss(parameters, actor, critic_parameters, critics, obs, noise, temperature):
    action, log_prob = squashed_gaussian(*actor(parameters, obs), noise)
    q = critics(critic_parameters, obs, action)
    return (temperature * log_prob - q.min(axis=0)).mean()


def temperature_loss(log_temperature, log_prob, target_entropy):
    return -(log_temperature * (log_prob + target_entropy)).mean()


def polyak(target, online, tau):
    return {name: (1 - tau) * target[name] + tau * online[name] for name in target}


def update(nets, batch, noise, actor, critics, descend, gamma, tau, target_entropy):
    temperature = jnp.exp(nets["log_temperature"])
    _, log_prob = squashed_gaussian(*actor(nets["actor"], batch.obs), noise[1])
    slope = jax.grad(temperature_loss)(nets["log_temperature"], log_prob, target_entropy)
    log_temperature = descend("log_temperature", slope)

    next_action, next_log_prob = squashed_gaussian(*actor(nets["actor"], batch.next_obs), noise[0])
    next_q = critics(nets["target_critics"], batch.next_obs, next_action)
    target = soft_target(batch.reward, batch.terminated, next_q, next_log_prob, gamma, temperature)
    new_critics = descend(
        "critics", jax.grad(critic_loss)(nets["critics"], critics, batch.obs, batch.action, target)
    )

    grad = jax.grad(actor_loss)(nets["actor"], actor, new_critics, critics, batch.obs, noise[1], temperature)
    return {
        "actor": descend("actor", grad),
        "critics": new_critics,
        "target_critics": polyak(nets["target_critics"], new_critics, tau),
        "log_temperature": log_temperature,
    }
"""
CLIPPED = """import jax
import jax.numpy as jnp
import numpy as np


def gae(rewards, values, next_values, terminated, ended, gamma, lam):
    delta = rewards + gamma * (1 - terminated) * next_values - values
    advantages, ahead = np.zeros_like(delta), 0.0
    for t in reversed(range(len(delta))):
        ahead = delta[t] + gamma * lam * (1 - ended[t]) * ahead
        advantages[t] = ahead
    return advantages


def normalised(advantage):
    return (advantage - advantage.mean()) / (advantage.std(ddof=1) + 1e-8)


def log_density(mean, log_std, action):
    distance = (action - mean) / jnp.exp(log_std)
    return -(0.5 * distance**2 + log_std + 0.5 * jnp.log(2 * jnp.pi)).sum(axis=-1)


def clipped_objective(ratio, advantage, epsilon):
    return jnp.minimum(ratio * advantage, ratio.clip(1 - epsilon, 1 + epsilon) * advantage).mean()


def entropy(log_std):
    return (log_std + 0.5 * jnp.log(2 * jnp.pi * jnp.e)).sum()


def actor_loss(parameters, actor, obs, action, advantage, old_log_density, clip, entropy_weight):
    mean, log_std = actor(parameters, obs)
    ratio = jnp.exp(log_density(mean, log_std, action) - old_log_density)
    return -clipped_objective(ratio, normalised(advantage), clip) - entropy_weight * entropy(log_std)


def value_loss(parameters, critic, obs, target):
    return ((critic(parameters, obs) - target) ** 2).mean()


def update(nets, rollout, rows, actor, critic, descend, gamma, lam, clip, entropy_weight):
    judged = [rollout[name] for name in ("reward", "value", "next_value", "terminated", "ended")]
    advantage = gae(*judged, gamma, lam)
    target = advantage + rollout["value"]

    def chosen(array):
        return jnp.asarray(array, jnp.float32).reshape(-1, *array.shape[2:])[rows]

    obs = {name: chosen(array) for name, array in rollout["obs"].items()}
    given = chosen(rollout["action"]), chosen(advantage), chosen(rollout["log_density"])
    grad = jax.grad(actor_loss)(nets["actor"], actor, obs, *given, clip, entropy_weight)
    slope = jax.grad(value_loss)(nets["critic"], critic, obs, chosen(target))
    return {"actor": descend("actor", grad), "critic": descend("critic", slope)}
"""
IN_HINDSIGHT = """import numpy as np


def draw_transitions(time, length, n, draw):
    rows = draw(n)
    while len(final := np.flatnonzero(time[rows] == length[rows])):
        rows[final] = draw(len(final))
    return rows


def future(t, length, u):
    return t + 1 + np.floor(u * (length - t)).astype(int)


def goals(achieved, row, t, moment):
    return achieved[(row + moment - t) % len(achieved)]


def relabelled(b, k):
    return round(b * k / (k + 1))


def outcomes(next_achieved, goal, failed, compute_reward, compute_terminated):
    reward = compute_reward(next_achieved, goal)
    return reward, np.maximum(compute_terminated(next_achieved, goal), failed)


def sample(store, b, k, draw, u, compute_reward, compute_terminated):
    time, length = store["time"], store["length"]
    row = draw_transitions(time, length, b, draw)
    after, first = (row + 1) % len(time), np.arange(b) < relabelled(b, k)
    moment = future(time[row], length[row], u)
    hindsight = goals(store["achieved_goal"], row, time[row], moment)
    reward, terminated = outcomes(
        store["achieved_goal"][after], hindsight, store["failed"][row], compute_reward, compute_terminated
    )
    return {
        "observation": store["observation"][row],
        "action": store["action"][row],
        "next_observation": store["observation"][after],
        "desired_goal": np.where(first[:, None], hindsight, store["desired_goal"][row]),
        "reward": np.where(first, reward, store["reward"][row]),
        "terminated": np.where(first, terminated, store["terminated"][row]),
    }
"""
RIGHT = {"2.4": CLIPPED, "3.4": SOFT, "4.4": IN_HINDSIGHT}
