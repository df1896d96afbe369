"""A policy at work in an environment: how it explores, how it is judged, what its training episodes come to."""

from wellposed.rollout.collector import Explorer, pack_step, unpack_step
from wellposed.rollout.evaluate import EVALUATION_COPIES, play_episodes, summarise
from wellposed.rollout.statistics import EpisodeStatistics

__all__ = [
    "EVALUATION_COPIES",
    "EpisodeStatistics",
    "Explorer",
    "pack_step",
    "play_episodes",
    "summarise",
    "unpack_step",
]
