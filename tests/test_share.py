"""Shares of the tests: each test is in exactly one of them."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_collection_modifyitems


def picked(share: str | None) -> list[str]:
    """The names of the tests in a share, of a hundred."""
    items: list[Any] = [SimpleNamespace(nodeid=f"tests/test_x.py::test_y[{i}]") for i in range(100)]
    gone: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: gone.extend(items))
    config: Any = SimpleNamespace(getoption=lambda _: share, hook=hook)
    pytest_collection_modifyitems(config, items)
    assert len(items) + len(gone) == 100
    return [item.nodeid for item in items]


def test_all_shares_together_are_all_tests_each_once():
    shares = [picked(f"{k}/5") for k in range(1, 6)]
    assert sorted(one for share in shares for one in share) == sorted(picked(None)) == sorted(picked("1/1"))
    assert all(10 <= len(share) <= 30 for share in shares)


@pytest.mark.parametrize("asked", ["0/5", "6/5", "2", "a/b", "-1/5", "1/0"])
def test_what_is_no_share_is_refused(asked):
    with pytest.raises(pytest.UsageError, match="--share takes K/M"):
        picked(asked)
