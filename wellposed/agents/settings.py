"""What the configurations of all algorithms have in common: the check of their settings, and the optimiser."""

from typing import Any, Protocol

import optax

from wellposed.errors import require
from wellposed.nn.inputs import InputConfig


class Settings(Protocol):
    """What every algorithm's configuration holds."""

    @property
    def hidden(self) -> tuple[int, ...]:
        """Width of each hidden layer of actor and critics."""
        ...

    @property
    def learning_rate(self) -> float:
        """Adam step size."""
        ...

    @property
    def anneal(self) -> tuple[int, int] | None:
        """Gradient updates between which the step size falls to a tenth."""
        ...

    @property
    def gamma(self) -> float:
        """Discount per environment step."""
        ...

    @property
    def inputs(self) -> InputConfig:
        """What the networks are shown of an observation."""
        ...


def require_shared(config: Any, *positive: str) -> None:
    """Check the settings that all algorithms have, and that those named in `positive` are finite and above 0.

    Raises:
        UserError: naming the setting as the command line does.
    """
    require(all(width > 0 for width in config.hidden), "agent.hidden", "takes widths greater than 0", config.hidden)
    require(0 <= config.gamma < 1, "agent.gamma", "lies in [0, 1)", config.gamma)
    for name in ("learning_rate", "batch_size", *positive):
        value = getattr(config, name)
        require(0 < value < float("inf"), f"agent.{name}", "must be greater than 0", value)
    begin, end = config.anneal or (0, 1)
    require(0 <= begin < end, "agent.anneal", "takes two numbers of updates, the first smaller", config.anneal)


def optimiser(config: Settings) -> Any:
    """Adam; where `anneal` says so, its step size falls linearly to a tenth, counted in steps of the optimiser."""
    rate: Any = config.learning_rate
    if config.anneal is not None:
        begin, end = config.anneal
        rate = optax.linear_schedule(rate, rate / 10, end - begin, begin)
    return optax.adam(rate)
