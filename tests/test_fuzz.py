"""A few thousand of the mutated inputs of fuzz.py; `python -m tests.fuzz` feeds 200,000."""

import importlib
import subprocess
import sys

import pytest

from tests.fuzz import Watch, run

pytestmark = pytest.mark.slow


def test_strangers_files_give_a_sentence_or_a_load(tmp_path):
    count = run(3000, seed=0, folder=tmp_path)
    assert count.total() == 3000
    assert {name.split(": ")[1] for name in count} == {"loaded", "refused"}
    refused = sum(n for name, n in count.items() if name.endswith("refused"))
    assert 0.5 < refused / 3000 < 0.99  # the mutations are neither harmless nor all caught at the door


@pytest.mark.parametrize(
    "deed",
    [
        lambda folder: (folder / "x").write_text("x"),
        lambda folder: (folder / "y").mkdir(),
        lambda _: exec("1"),
        lambda _: importlib.import_module("this"),
        lambda _: subprocess.run(["true"]),
    ],
)
def test_what_must_not_happen_would_be_seen(tmp_path, deed):
    sys.modules.pop("this", None)
    with pytest.raises(AssertionError, match="reading caused"), Watch().reading():
        deed(tmp_path)
