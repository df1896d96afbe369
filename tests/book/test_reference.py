"""The reference of the Python interface holds every public name, from its docstring."""

import importlib
import re

import wellposed
from course.book.build import REFERENCE

NAMED = re.findall(r"^::: ([\w.]+)$", REFERENCE.read_text(), re.MULTILINE)


def test_every_public_name_is_there_once():
    assert len(NAMED) == len(set(NAMED))
    assert set(wellposed.__all__) <= {name.rpartition(".")[2] for name in NAMED}


def test_everything_that_is_there_exists_where_it_is_written_and_says_what_it_is():
    for name in NAMED:
        module, _, last = name.rpartition(".")
        found = getattr(importlib.import_module(module), last)
        assert found.__module__ == module, name
        assert found.__doc__, name
