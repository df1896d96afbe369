"""The algorithms by name. Each file is one algorithm, its whole update written out; a new one is one file and one
registration, here or as an entry point of the group below.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from wellposed.agents import distil, estimate, ppo, sac, td3
from wellposed.agents.distil import Distil
from wellposed.agents.estimate import EstimateConfig, EstimateThenAct
from wellposed.agents.ppo import PPO, PPOConfig
from wellposed.agents.sac import SAC, SACConfig
from wellposed.agents.td3 import TD3, TD3Config
from wellposed.errors import UserError
from wellposed.registry import Registry
from wellposed.types import Agent, Spec


class Entry(NamedTuple):
    """A registered algorithm."""

    config: type  # of its settings
    make: Callable[[Any, Spec, int], Agent]  # (settings, spec of the environment, seed) -> fresh agent
    metrics: dict[str, str]  # what `update` logs, and what each number means
    on_policy: bool = False  # whether it learns only from its own newest steps: an `OnPolicyAgent`
    # What makes a greedy action of the actor's first outputs; None: its policies cannot be exported.
    squash: Literal["tanh", "clip"] | None = None
    needs: Literal["", "pictures"] = ""  # what an environment must show: pictures, of something that is not told
    told: str = ""  # what its updates use beside observations, rewards, and the truth that `critic_sees` names


ALGORITHMS: Registry[Entry] = Registry("algorithm", "wellposed.algorithms")
ALGORITHMS.register("sac", Entry(SACConfig, SAC, sac.METRICS, squash="tanh"))
ALGORITHMS.register("td3", Entry(TD3Config, TD3, td3.METRICS, squash="tanh"))
ALGORITHMS.register("ppo", Entry(PPOConfig, PPO, ppo.METRICS, on_policy=True, squash="clip"))
ALGORITHMS.register("estimate", Entry(EstimateConfig, EstimateThenAct, estimate.METRICS, needs="pictures"))
ALGORITHMS.register("distil", Entry(EstimateConfig, Distil, distil.METRICS, needs="pictures", told=distil.TOLD))

__all__ = [
    "ALGORITHMS", "PPO", "SAC", "TD3", "Distil", "Entry", "EstimateConfig", "EstimateThenAct", "PPOConfig", "SACConfig",
    "TD3Config", "find", "make_agent",
]  # fmt: skip

find = ALGORITHMS.find


def make_agent(algo: str, config: Any, spec: Spec, seed: int) -> Any:
    """A fresh agent of a registered algorithm, on-policy or off-policy.

    Raises:
        UserError: if there is none of that name, or the environment does not show what it needs.
    """
    entry = find(algo)
    if entry.needs == "pictures" and not (spec.truth and any(one.kind == "image" for one in spec.obs)):
        raise UserError(f"The algorithm {algo} reads pictures; ask for them, for example --env.pixels.size 48.")
    return entry.make(config, spec, seed)
