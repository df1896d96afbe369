"""A trained policy, out of a run or a file, for code that knows nothing of this laboratory."""

from pathlib import Path

from wellposed.errors import UserError
from wellposed.portable import LoadedPolicy, loaded, read_policy


def load_policy(path: str | Path) -> LoadedPolicy:
    """The greedy policy of a run's newest checkpoint, or of a file that `wellposed export` wrote.

    A file needs neither JAX nor the environment. A run is opened with its environment; policies with memory or of
    images act through JAX.

    Args:
        path: a run's directory, or a file of the format npz or safetensors.

    Raises:
        UserError: if there is neither, or what is there is damaged.
    """
    path = Path(path)
    if path.is_dir():
        from wellposed.export import policy_of_run  # only here: it imports JAX

        return policy_of_run(path)
    if not path.is_file():
        raise UserError(f"There is neither a run nor a policy file at {path}. `wellposed runs` lists runs.")
    return loaded(read_policy(path))
