"""Certificates that are kept: valid for their source only, and what they refuse is refused with the reason."""

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import pytest

from tests.check.broken import FallsOff
from tests.check.point import Point
from wellposed import envs
from wellposed.check import certify, stored
from wellposed.envs.make import installed
from wellposed.errors import UserError
from wellposed.source import Source, source_of


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def examined(monkeypatch):
    """The names that are examined, in order."""
    names = []
    monkeypatch.setattr(stored, "certify", lambda name, **more: names.append(name) or certify(name, **more))
    return names


def certificate_for(name, kwargs=None, **more):
    return stored.certificate_for(stored.origin_of(name, kwargs or {}), gamma=0.95, **more)


@pytest.mark.slow
def test_the_certificates_of_registered_environments_are_of_their_source_today():
    """If this fails, their code has changed: run `python -m scripts.certificates`, with their names if need be."""
    shipped, known = stored.shipped_certificates(), {entry.id: entry for entry in envs.registered()}
    assert {name for name, entry in known.items() if not entry.extra} <= shipped.keys() <= known.keys()
    for name, kept in shipped.items():
        if not installed(known[name]):
            continue
        assert kept.origin.source == stored.origin_of(name, {}).source, name
        assert kept.certificate.posed


@pytest.mark.slow
def test_a_certificate_that_comes_with_the_package_is_what_an_examination_finds():
    found, kept = certify("FetchPush-v4", gamma=0.95), stored.shipped_certificates()["FetchPush-v4"]
    assert kept.certificate.verdict == found.verdict
    assert [(f.name, f.evidence) for f in kept.certificate.findings] == [
        (f.name, f.evidence) for f in found.findings if f.status != "holds"
    ]


def test_registered_environments_are_not_examined_and_others_once(examined):
    certificate_for("FetchReach-v4")
    assert examined == []
    name = "tests.check.point:Point"
    first, second = (certificate_for(name) for _ in range(2))
    assert examined == [name]
    assert (first.verdict, second.verdict, second.findings) == ("ready", "ready", [])


@pytest.mark.parametrize("what", ["source", "arguments", "version"])
def test_another_source_other_arguments_or_versions_are_examined_anew(what, examined, monkeypatch):
    certificate_for("FetchReach-v4", {"max_episode_steps": 30}, seconds=0)
    assert examined == ["FetchReach-v4"]
    kwargs = {"max_episode_steps": 40 if what == "arguments" else 30}
    if what == "source":
        monkeypatch.setattr(stored, "source_of", lambda _: Source("another", {}))
    elif what == "version":
        monkeypatch.setattr(metadata, "version", lambda _: "9.9")
    certificate_for("FetchReach-v4", kwargs, seconds=0)
    assert len(examined) == 2


def test_a_cache_that_is_broken_is_made_anew(examined, tmp_path):
    certificate_for("tests.check.point:Point", seconds=0)
    (path,) = tmp_path.rglob("*.json")
    path.write_text("{")
    certificate_for("tests.check.point:Point", seconds=0)
    assert len(examined) == 2


def test_what_is_not_posed_is_refused_with_condition_evidence_and_advice():
    found = certificate_for("tests.check.broken:FallsOff")
    with pytest.raises(UserError) as refused:
        stored.require_posed(found)
    told = str(refused.value)
    assert all(part in told for part in ("can be said of any goal", "steps terminated", "Add compute_terminated"))
    assert f"wellposed check tests.check.broken:{FallsOff.__name__}" in told
    stored.require_posed(certificate_for("FetchPush-v4"))  # a warning is no refusal


class Slow(Point):
    def move(self, action):
        time.sleep(2e-3)
        super().move(action)


def test_an_examination_that_runs_out_of_time_says_what_it_did_not_come_to():
    found = certify(f"{__name__}:Slow", gamma=0.95, seconds=0.5)
    unseen = {f.name for f in found.findings if f.evidence == "not examined within 0.5 s"}
    assert "Markov" in unseen
    assert "goals apart" not in unseen
    assert found.posed


def test_the_digest_is_of_code_and_of_all_code_that_the_package_imports(tmp_path, monkeypatch):
    package = tmp_path / "robot_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "physics.py").write_text("MASS = 1.0\n")
    (package / "env.py").write_text('"""An arm."""\nimport math\nfrom .physics import MASS\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    first = source_of(["robot_of_a_test.env"]).digest
    (package / "env.py").write_text('"""A better arm."""\nimport math  # for pi\nfrom .physics import MASS\n')
    assert source_of(["robot_of_a_test.env"]).digest == first
    (package / "physics.py").write_text("MASS = 2.0\n")
    assert source_of(["robot_of_a_test.env"]).digest != first


def test_two_runs_may_ask_at_once():
    """CPython 3.11 fails where two threads parse at once, and the garbage collector lets another thread go on."""
    give_way = lambda *_: time.sleep(1e-4)  # noqa: E731
    expected = source_of(["wellposed.envs.gym"])
    gc.callbacks.append(give_way)
    try:
        with ThreadPoolExecutor(2) as threads:
            assert list(threads.map(source_of, [["wellposed.envs.gym"]] * 4)) == [expected] * 4
    finally:
        gc.callbacks.remove(give_way)
