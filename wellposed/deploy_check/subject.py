"""A policy and a robot: what is known of how the one was trained, and what it does on a recording of the other."""

import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wellposed import serialise
from wellposed.deploy_check.robot import Recording, Robot, read_recording
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.registry import EnvEntry, find
from wellposed.envs.sensing import sensing_of
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.filter import Filter
from wellposed.envs.wrappers.pixels import Pixels
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError
from wellposed.findings import Finding
from wellposed.portable import LoadedPolicy, PortablePolicy
from wellposed.types import GOAL_KEYS

ACTS = 300  # that are timed
Place = tuple[str, int]  # of a number: the key of an observation, and where that holds it


@dataclass(frozen=True)
class Dry:
    """What a policy does on a recording."""

    recording: Recording
    chosen: np.ndarray  # [rows, a], in [-1, 1]
    commands: np.ndarray | None  # [rows, a], on the robot, in its units; None where a controller makes them


@dataclass
class Subject:
    """A policy, a robot, and what is known of how the one was trained. What is not known raises a UserError."""

    policy: LoadedPolicy
    robot: Robot
    folder: Path  # of the robot's file

    @cached_property
    def env(self) -> EnvConfig:
        """The environment of training."""
        try:
            return serialise.from_dict(EnvConfig, self.policy.card.get("environment"), "its card")
        except ValueError as error:
            raise UserError(f"The policy does not say how it was trained ({error}).") from error

    @cached_property
    def entry(self) -> EnvEntry:
        """Its entry in the registry."""
        return find(self.env.id)

    @cached_property
    def places(self) -> list[Place]:
        """All numbers that are observed."""
        return [(one.name, i) for one in self.policy.fields for i in range(one.size)]

    @cached_property
    def read(self) -> dict[Place, float]:
        """The numbers that the policy reads, and the error of each that it cannot tell from none, 0 if not known."""
        if not isinstance(policy := self.policy.policy, PortablePolicy):
            return dict.fromkeys(self.places, 0.0)
        finest: dict[Place, float] = {}
        for side in (policy.arrays["plus"], policy.arrays["minus"]):
            for i, std in zip(side, policy.arrays["std"], strict=True):
                if i < len(self.places):
                    place, error = self.places[i], policy.header.nearest * float(std)
                    finest[place] = min(error, finest.get(place, error))
        return finest

    @cached_property
    def noise(self) -> dict[Place, float]:
        """The standard deviation of the errors, without bias and drift, under which each number was seen."""
        perfect = replace(self.env, sensors=Sensors(), filter=Filter(), pixels=Pixels())
        with closing(make_env(perfect, 1, "evaluation")) as env:
            sensing = sensing_of(env)
        own = np.sqrt(((self.env.sensors.faults(sensing)["noise"][:, None] * sensing.spread) ** 2).sum(axis=0))
        places = [(name, i) for name, size in sensing.shown for i in range(size)]
        return dict(zip(places, own.tolist(), strict=True))

    def unit(self, place: Place) -> str:
        """The unit of a number in training; "" where nobody names it."""
        key, i = place
        quantities = self.entry.quantities
        if quantities is None or key not in ("observation", *GOAL_KEYS):
            return ""
        named = quantities.goal if key in GOAL_KEYS else quantities.observation
        return named[i].unit if i < len(named) else ""

    @cached_property
    def act_time(self) -> tuple[float, float]:
        """Median and 99 % quantile of the seconds that one action takes on this machine."""
        zeros, times = {one.name: np.zeros(one.shape) for one in self.policy.fields}, []
        self.policy.reset()
        for _ in range(ACTS + 10):  # the first ones compile or fill caches
            began = time.perf_counter()
            self.policy(zeros)
            times.append(time.perf_counter() - began)
        half, most = np.quantile(times[10:], [0.5, 0.99])
        return float(half), float(most)

    @cached_property
    def commanded(self) -> tuple[np.ndarray, np.ndarray]:
        """What actions of 0 are on the robot in its units, and how much more actions of 1 are, [a]."""
        low, high = (np.array(ends, float) for ends in (self.policy.low, self.policy.high))
        scale = np.array([one.scale for one in self.robot.action])
        return scale * (low + high) / 2, scale * (high - low) / 2

    @cached_property
    def dry(self) -> Dry:
        """The policy on the recording."""
        if not self.robot.recording:
            raise UserError("The robot's file names no recording.")
        low, high = (np.array(ends, float) for ends in (self.policy.low, self.policy.high))
        found = read_recording(self.folder / self.robot.recording, self.policy.fields, len(low))
        chosen, arrived, (middle, half) = [], [], self.commanded
        for episode in found.episodes:
            self.policy.reset()
            rows = range(episode.start, episode.stop)
            native = np.array([self.policy({key: array[t] for key, array in found.obs.items()}) for t in rows])
            chosen.append(2 * (native - low) / (high - low) - 1)
            arrived.append(arriving(self.env.control, chosen[-1]))
        direct = self.env.control.target == "none"
        return Dry(found, np.concatenate(chosen), middle + half * np.concatenate(arrived) if direct else None)

    @property
    def effector(self) -> np.ndarray:
        """Where the effector was in the recording, [rows, axes]."""
        if (space := self.robot.workspace) is None:
            raise UserError("The robot's file has no [workspace].")
        seen = self.dry.recording.obs.get("observation", np.zeros((0, 0)))
        if not all(0 <= i < seen.shape[-1] for i in space.effector):
            raise UserError("The policy does not read the numbers of an observation that [workspace] effector names.")
        return seen[:, space.effector]


def arriving(control: Control, chosen: np.ndarray) -> np.ndarray:
    """What reaches the robot [T, a] of all actions of an episode [T, a], without the delay."""
    held = chosen[np.arange(len(chosen)) // control.hold * control.hold]
    filtered = sent = np.zeros_like(held[0])
    arrived = []
    for asked in np.clip(control.scale * held, -1, 1):
        filtered, sent = control.passed_on(asked, filtered, sent)
        arrived.append(sent)
    return np.array(arrived)


def verdict(good: bool, evidence: str, advice: str, **numbers: Any) -> Finding:
    """A check that passes or fails; what to do is told where it fails."""
    return Finding("", "holds" if good else "fails", evidence, numbers, advice="" if good else advice)


def unchecked(evidence: str, advice: str = "") -> Finding:
    """A check that lacks something."""
    return Finding("", "open", evidence, advice=advice)
