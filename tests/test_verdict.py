"""A verdict says what the policy saw, and what its updates were told, where the two differ."""

import pytest

from tests.agents.data import PICTURES, SPEC
from wellposed.verdict import information

ACTING = "Acting, it sees camera (8 x 8 x 3), own (1), desired_goal (2). "


@pytest.mark.parametrize(
    ("spec", "told", "said"),
    [
        (PICTURES, True, ACTING + "Its updates saw the true observation and achieved_goal as well."),
        (PICTURES, False, ACTING + "Its updates saw the same; hindsight's goals and rewards are of the truth."),
        (SPEC, True, ""),
    ],
)
def test_what_was_seen_and_what_was_told(spec, told, said):
    assert information(spec, told) == said
