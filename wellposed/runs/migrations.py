"""What older schema versions wrote, read as this version's: one small function for each step between two versions.

Fields that came later need no migration: absent means their default, at any depth (`serialise.LATER`). Here is what was
moved or renamed. tests/old_records/ holds runs that older versions wrote.
"""

import re
from collections.abc import Callable
from typing import Any

from wellposed.arrays import Arrays

OLDEST = 3  # the first version whose records can be read


def configurations_3(data: Any) -> Any:
    """Schema 3 to 4: a run's environment was its id, and its curriculum stood beside it."""
    if isinstance(data, list):
        return [configurations_3(part) for part in data]
    if not isinstance(data, dict):
        return data
    data = {name: configurations_3(part) for name, part in data.items()}
    if {"env", "algo", "agent"} <= data.keys() and isinstance(data["env"], str):
        curriculum = {"curriculum": data.pop("curriculum")} if "curriculum" in data else {}
        data["env"] = {"id": data["env"]} | curriculum
    return data


DATA: dict[int, Callable[[Any], Any]] = {3: configurations_3}  # version -> from it to the next


def migrated(data: Any, schema: int) -> Any:
    """JSON data of a record of an older version, as this version writes them."""
    for version in range(schema, max(DATA) + 1):
        data = DATA[version](data)
    return data


def agent_3(arrays: Arrays) -> Arrays:
    """Schema 3 to 4: networks have an encoder and heads; exploration noise is the loop's; statistics are by field."""
    return {_renamed_3(name): array for name, array in arrays.items() if name != "exploration"}


def _renamed_3(name: str) -> str:
    """The name of an agent's array of schema 3 in schema 4."""
    fields = {"obs_stats.": "inputs.obs.observation.", "goal_stats.": "inputs.obs.goal."}
    for old, new in fields.items():
        name = name.replace(old, new)
    one_critic = "heads[0]" if "critic" in name else "head"
    rules = (
        (r"(critics|\.mu|\.nu)\[(\d)\]\.(weights|biases)", r"\1.heads[\2].\3"),  # twin critics
        (r"\.mean\.(weights|biases)", r".head.\1"),  # the actor of PPO
        (r"(actor|critic|mu|nu)\.(weights|biases)", rf"\1.{one_critic}.\2"),
    )
    for pattern, new in rules:
        if re.search(pattern, name):
            return re.sub(pattern, new, name)
    return name


AGENT: dict[int, Callable[[Arrays], Arrays]] = {3: agent_3}


def migrated_agent(arrays: Arrays, schema: int) -> Arrays:
    """The arrays of an agent's checkpoint of an older version, with this version's names."""
    for version in range(schema, max(AGENT) + 1):
        arrays = AGENT[version](arrays)
    return arrays
