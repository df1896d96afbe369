"""Settings chosen by Optuna's TPE; its journal lies in the folder of the launch.

The journal says which settings were asked for, the run directories what came of them. Each trial enters the journal
with its settings in one line, so there is no half of a trial after a kill. Outcomes are told in the order of numbers
and each choice is drawn with a seed of its own: what is chosen depends on neither the order in which runs end nor on
who was killed.

Source: Bergstra, Bardenet, Bengio & Kégl (2011), "Algorithms for hyper-parameter optimization"; Akiba et al. (2019),
"Optuna".
"""

import fcntl
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wellposed.analysis.search import Trial
from wellposed.analysis.space import Range, label
from wellposed.errors import UserError
from wellposed.launch.search import Search

optuna: Any = importlib.import_module("optuna")
STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}  # Optuna's names
Names = Callable[[int, dict[str, Any]], list[str]]  # of the runs of a trial, from its number and settings


class Lock:
    """A lock that the system releases when its process dies; Optuna's own is a file that stays."""

    def __init__(self, path: Path):
        self.path, self.handle = path, -1

    def acquire(self) -> bool:
        """Take it, waiting for whoever has it."""
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Give it back."""
        os.close(self.handle)


class Journal:
    """The trials that were asked for. One process at a time may write it."""

    def __init__(self, path: Path, search: Search, names: Names):
        """Open the journal of a search, or begin it.

        Args:
            path: of its file.
            search: whose settings are chosen.
            names: of the runs of a trial, which the journal keeps beside it.

        Raises:
            UserError: if the journal is damaged.
        """
        self.path, self.search, self.names = path, search, names
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if path.exists():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)  # a line that was being written at a kill
        backend = optuna.storages.journal.JournalFileBackend(str(path), Lock(path.with_name(f"{path.name}.lock")))
        try:
            self.storage = optuna.storages.JournalStorage(backend)
            self.study = optuna.create_study(
                storage=self.storage, study_name="search", direction=search.towards, load_if_exists=True
            )
        except (ValueError, KeyError) as error:
            raise UserError(f"{path} is damaged ({error}). Launch the manifest into another folder.") from error
        self.places = {name: _distribution(one) for name, one in search.space.items()}

    def settings(self, number: int, known: Sequence[Trial]) -> dict[str, Any]:
        """The settings of a trial, chosen from the outcomes of `known` if it was not asked for before.

        Raises:
            UserError: if the journal is that of another search.
        """
        asked = self.study.get_trials(deepcopy=False)
        if number < len(asked):
            found, trial = self._read(asked[number]), asked[number]
            if trial.user_attrs["runs"] != self.names(number, found):
                raise UserError(
                    f"{self.path} is the journal of another search. Launch the manifest into another folder."
                )
            return found
        self.tell(known)
        chosen = self._choose(number)
        runs = self.names(number, self._read(chosen))
        self.study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=chosen.params,
                distributions=chosen.distributions,
                user_attrs={"runs": runs},
            )
        )
        return self._read(chosen)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Write the outcomes of trials that have ended, in the order of their numbers, each once."""
        told = self.study.get_trials(deepcopy=False)
        study = self.storage.get_study_id_from_name("search")
        for trial in trials:
            if told[trial.number].state.is_finished():
                continue
            place = self.storage.get_trial_id_from_study_id_trial_number(study, trial.number)
            for look in trial.looks:
                self.storage.set_trial_intermediate_value(place, look.step, look.score)
            value = trial.score if trial.outcome == "complete" else None
            self.study.tell(trial.number, value, optuna.trial.TrialState[STATES[trial.outcome]])

    def _choose(self, number: int) -> Any:
        """A trial as TPE chooses it from the journal; the journal is left as it is."""
        seed = int(np.random.SeedSequence([self.search.seed, number]).generate_state(1)[0])
        scratch = optuna.create_study(direction=self.search.towards, sampler=optuna.samplers.TPESampler(seed=seed))
        scratch.add_trials(self.study.get_trials())
        return scratch.ask(self.places)

    def _read(self, trial: Any) -> dict[str, Any]:
        """A trial's settings; of a choice the journal has the label."""
        found: dict[str, Any] = {}
        for name, one in self.search.space.items():
            value = trial.params[name]
            found[name] = value if one.choice is None else next(v for v in one.choice if label(v) == value)
        return found


def _distribution(one: Range) -> Any:
    """A setting's values as Optuna names them."""
    if one.choice is not None:
        return optuna.distributions.CategoricalDistribution([label(value) for value in one.choice])
    assert one.low is not None
    assert one.high is not None
    if one.integer:
        return optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)
