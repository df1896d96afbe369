"""Evaluations to Weights & Biases, beside the record."""

import importlib
from pathlib import Path
from typing import Any

from wellposed.errors import UserError
from wellposed.runs.record import EvaluationRow
from wellposed.runs.store import RunReader
from wellposed.runs.writer import OnEvaluation
from wellposed.types import Metrics


def log_to(project: str) -> OnEvaluation:
    """Logs to a project, each run under its own name; one that is resumed goes on in the same place.

    Raises:
        UserError: if wandb is not installed.
    """
    try:
        wandb: Any = importlib.import_module("wandb")
    except ImportError as error:
        raise UserError(
            "--wandb needs the package wandb: `pip install 'wellposed[wandb]'`, then `wandb login`."
        ) from error
    begun: dict[Path, Any] = {}

    def tell(run: RunReader, row: EvaluationRow, metrics: Metrics) -> None:
        if run.path not in begun:
            settings = {"project": project, "name": run.path.name, "id": run.path.name, "resume": "allow"}
            begun[run.path] = wandb.init(config=run.config, reinit="create_new", **settings)
        begun[run.path].log({"eval/success_rate": row.success_rate, "updates": row.updates} | metrics, step=row.step)

    return tell
