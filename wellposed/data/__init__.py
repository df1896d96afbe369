"""What was experienced, on its way to the agent: replay with hindsight, and rollouts with advantages."""

from wellposed.data.episodes import ReplayBuffer, ReplayConfig
from wellposed.data.rollout import RolloutBuffer

__all__ = ["ReplayBuffer", "ReplayConfig", "RolloutBuffer"]
