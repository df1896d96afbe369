"""Store what rliable computes on stated scores, for tests without it.

It does not import beside pandas 3, so that it has an environment of its own:

python3 -m venv .venv-rliable && .venv-rliable/bin/pip install rliable==1.2.0 "pandas<3" pytz
.venv-rliable/bin/python scripts/make_rliable_reference.py
"""

import json
from pathlib import Path

import numpy as np
from rliable import library, metrics

FILE = Path(__file__).resolve().parent.parent / "tests" / "reference" / "rliable.json"
RESAMPLES = 20_000


def main() -> None:
    """Write the reference file that tests/analysis/test_aggregate.py reads."""
    rng = np.random.default_rng(0)
    x, y = (np.round(rng.beta(a, 1, size=(runs, 4)), 1) for a, runs in ((4, 5), (2, 7)))  # rounded: some are equal
    np.random.seed(0)  # the only seed that its resampling heeds
    measures = {"iqm": metrics.aggregate_iqm, "probability_of_improvement": metrics.probability_of_improvement}
    found = {"x": x.tolist(), "y": y.tolist(), "resamples": RESAMPLES}
    for name, groups in {"iqm": x, "probability_of_improvement": [x, y]}.items():
        value, ends = library.get_interval_estimates(
            {"": groups}, lambda *scores, name=name: np.array([measures[name](*scores)]), reps=RESAMPLES
        )
        found[name] = [value[""].item(), *ends[""].ravel().tolist()]
    FILE.write_text(json.dumps(found, indent=1) + "\n")
    print(FILE.name, found["iqm"], found["probability_of_improvement"])


if __name__ == "__main__":
    main()
