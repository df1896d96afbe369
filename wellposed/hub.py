"""A model card as the Hugging Face hub reads it, and the way there; nothing is sent unless it is asked for."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wellposed.errors import UserError
from wellposed.export import content
from wellposed.portable import PortablePolicy
from wellposed.runs.files import encoded, write_whole
from wellposed.stats import describe_interval, describe_rate

FILES = ("safetensors", "onnx")  # in which a policy stands in a repository of the hub


def model_card(policy: PortablePolicy) -> str:
    """README.md: what the hub indexes, between two lines of dashes, and what a person reads."""
    card = policy.header.card
    name = f"{card['algorithm'].upper()} on {card['environment']['id']}"
    return "\n".join(["---", *_front_matter(card, name), "---", "", f"# {name}", "", *_text(policy)]) + "\n"


def _front_matter(card: dict[str, Any], name: str) -> Iterator[str]:
    """YAML, each value written as JSON, which YAML contains."""
    env, verdict = card["environment"]["id"], card["verdict"]
    low, high = (100 * end for end in verdict["success_ci95"])
    metric = {
        "type": "success_rate",
        "name": f"success rate over {verdict['episodes']} held-out episodes, 95 % CI {low:.1f}-{high:.1f}",
        "value": round(100 * verdict["success_rate"], 1),
    }
    task = {"type": "reinforcement-learning", "name": "reinforcement-learning"}
    result = {"task": task, "dataset": {"type": env, "name": env}, "metrics": [metric]}
    values = {
        "license": card["licence"],
        "library_name": "wellposed",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["reinforcement-learning", "robotics", "goal-conditioned", card["algorithm"], env],
        "model-index": [{"name": name, "results": [result]}],
    }
    yield from (f"{key}: {json.dumps(value)}" for key, value in values.items())


def _text(policy: PortablePolicy) -> Iterator[str]:
    """The card for people: what it achieved, how it is used, where it comes from."""
    card, header = policy.header.card, policy.header
    verdict = card["verdict"]
    success = describe_rate(verdict["success_rate"], verdict["success_ci95"])
    yield f"Success on {verdict['episodes']} held-out episodes: **{success}**. Random actions reach"
    yield f"{verdict['random_success_rate']:.1%} of these goals, and {verdict['already_solved_rate']:.1%} are reached"
    yield "before the first action. Success means: at the last step of the episode, the goal is reached."
    yield from ("", "```python", "import wellposed as wp", "", 'policy = wp.load_policy("policy.safetensors")')
    yield from ("action = policy(obs)  # greedy, in the environment's own units", "```", "")
    yield from ("`policy.onnx` holds the same policy. It reads, for one env:", "", "| key | shape |", "|---|---|")
    yield from (f"| `{one.name}` | {one.shape} |" for one in header.fields)
    yield from ("", "| origin | |", "|---|---|")
    told = {key: value for key, value in card.items() if key not in ("verdict", "licence", "environment")}
    told |= {"environment": json.dumps(card["environment"])}
    yield from (f"| {key} | {value} |" for key, value in told.items())


def write_repository(policy: PortablePolicy, folder: Path) -> list[Path]:
    """Write what a repository of the hub holds: README.md, policy.safetensors, policy.onnx."""
    files = {"README.md": encoded(model_card(policy))}
    files |= {f"policy.{form}": content(policy, form) for form in FILES}
    for name, data in files.items():
        write_whole(folder / name, data)
    return [folder / name for name in files]


def push(policy: PortablePolicy, repo: str) -> str:
    """Upload a policy and its card to the hub, as the user whom huggingface_hub knows; returns the address.

    Raises:
        UserError: if huggingface_hub is not installed, or the hub refuses.
    """
    try:
        hub: Any = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise UserError(
            "Pushing needs huggingface_hub: `pip install 'wellposed[hub]'`, then `hf auth login`. Without --push the "
            "policy and its card are only written here."
        ) from error
    with TemporaryDirectory() as name:
        write_repository(policy, Path(name))
        try:
            address = str(hub.create_repo(repo, exist_ok=True))
            hub.upload_folder(folder_path=name, repo_id=repo, commit_message=f"{policy.header.card['run']}")
        except Exception as error:  # of huggingface_hub and of the network beneath it
            raise UserError(f"The hub did not take {repo}: {error}") from error
    return address


def summary(policy: PortablePolicy) -> str:
    """The verdict in a line."""
    verdict = policy.header.card["verdict"]
    episodes, ci95 = verdict["episodes"], verdict["success_ci95"]
    return f"{verdict['success_rate']:.1%} of {episodes} held-out episodes, {describe_interval(ci95)}"
