"""The certificate: a sound environment is certified, and every broken one fails for its own reason and no other."""

import pytest

from tests.check.broken import BROKEN
from wellposed.check import certify
from wellposed.check.certificate import CONDITIONS


def complaints(name: str) -> dict[str, str]:
    return {f.condition: f"{f.status}: {f.evidence}" for f in certify(name).findings if f.status in ("warns", "fails")}


def test_a_sound_environment_is_certified():
    found = certify("tests.check.point:Point")
    assert [f for f in found.findings if f.status != "holds"] == []
    assert found.verdict == "ready"


@pytest.mark.parametrize(("condition", "env"), [(c, env.__name__) for c, envs in BROKEN.items() for env in envs])
def test_a_broken_environment_fails_for_its_own_reason_and_no_other(condition, env):
    found = complaints(f"tests.check.broken:{env}")
    assert found.keys() == {condition}, found


def test_every_condition_is_broken_by_some_environment():
    assert BROKEN.keys() == {condition.name for condition in CONDITIONS}
    assert sum(map(len, BROKEN.values())) >= 30
