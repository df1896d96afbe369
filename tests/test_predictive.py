"""How well an order of policies in simulation predicts that in a reality."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.test_reality import TOML, sealed
from wellposed import predictive
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.predictive import Pair, predict, rank_correlation, table


def pairs(simulated: list[float], real: list[float]) -> list[Pair]:
    return [Pair(f"R{i}", *both) for i, both in enumerate(zip(simulated, real, strict=True))]


def test_a_perfect_order_and_its_reverse_have_intervals_with_a_width():
    up = np.arange(10.0)
    for sign in (1, -1):
        found = rank_correlation(up, sign * up)
        assert found.estimate == pytest.approx(sign)
        assert 0.05 < found.high - found.low < 0.1
        assert max(found.low * sign, found.high * sign) == pytest.approx(1)


def test_the_interval_covers_the_correlation_of_normal_pairs_about_as_often_as_it_says():
    rng, rho, n = np.random.default_rng(0), 0.7, 15
    true = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's of a bivariate normal distribution
    draws = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=(1000, n))
    found = [rank_correlation(*draw.T) for draw in draws]
    assert np.mean([low <= true <= high for _, low, high in found]) == pytest.approx(0.95, abs=0.025)


def test_policies_that_are_alike_in_simulation_are_correlated_apart():
    simulated = [0.1, 0.2, 0.3, 0.90, 0.91, 0.92, 0.93, 0.94, 0.95]
    found = predict(pairs(simulated, [0.0, 0.1, 0.2, 0.80, 0.79, 0.78, 0.77, 0.76, 0.75]))
    assert found.close == ["R8", "R7", "R6", "R5", "R4", "R3"]
    assert found.among_close is not None
    assert found.among_close.estimate == pytest.approx(-1)
    assert found.everywhere.estimate == pytest.approx(1 - 6 * 70 / (9 * 80))  # of the squared differences of ranks
    assert table(found)[1].split()[:4] == ["1", "95.0%", "6", "75.0%"]


def test_too_few_policies_and_those_without_an_order_are_refused():
    with pytest.raises(UserError, match="at least five policies, got 4"):
        predict(pairs([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]))
    with pytest.raises(UserError, match="no order"):
        predict(pairs([0.1, 0.2, 0.3, 0.4, 0.5], [1.0] * 5))
    found = predict(pairs([0.1, 0.4, 0.6, 0.8, 1.0], [0.1, 0.2, 0.3, 0.4, 0.5]))
    assert found.among_close is None
    assert "it needs 6 that differ" in table(found)[-1]


def test_the_command_reads_what_is_on_the_ledger_of_evaluations_alone(tmp_path, monkeypatch, capsys):
    record, runs = sealed(tmp_path, TOML.replace("10", "100", 1)), [tmp_path / f"R{i}" for i in range(5)]
    for i in range(5):
        runs[i].mkdir()
        for purpose, outcomes in (("evaluation", [True, i > 2]), ("identification", [False])):
            told = {"purpose": purpose, "policy": f"{i}", "run": "R", "first": record.spent, "episodes": len(outcomes)}
            record = record.append(kind="begun", **told).append(kind="ended", success=outcomes, **told)

    def verdict(run: Path, _: int) -> Any:
        row = SimpleNamespace(success_rate=0.1 * int(run.name[1]), success_at_limit=None)
        return SimpleNamespace(checkpoint=run.name[1], trained=row)

    monkeypatch.setattr(predictive, "stored_verdict", verdict)
    command = ["reality", "predicts", str(record.folder)]
    assert main([*command, *map(str, runs), "--json", str(tmp_path / "told.json")]) == 0
    told = json.loads((tmp_path / "told.json").read_text())
    assert [pair["real"] for pair in told["pairs"]] == [1.0, 1.0, 0.5, 0.5, 0.5]
    assert main([*command, *map(str, runs), str(runs[0])]) == 1
    assert "R0 is named twice" in capsys.readouterr().err
    (tmp_path / "R9").mkdir()
    assert main([*command, *map(str, runs), str(tmp_path / "R9")]) == 1
    assert "R9 was not evaluated there" in capsys.readouterr().err


def test_finitely_many_episodes_lower_a_correlation_as_chapter_10_says():
    close, wide = np.linspace(0.75, 0.95, 10), np.linspace(0.05, 0.95, 10)
    assert predictive.attenuation(close, 100, 100) == pytest.approx(0.77, abs=0.005)
    assert predictive.attenuation(close, 1000, 1000) == pytest.approx(0.97, abs=0.005)
    assert predictive.attenuation(wide, 100, 100) == pytest.approx(0.98, abs=0.005)
    rng = np.random.default_rng(0)
    seen = [rng.binomial(100, close, (4000, 10)) / 100 for _ in range(2)]
    one, other = (side - close.mean() for side in seen)
    drawn = (one * other).mean() / np.sqrt((one**2).mean() * (other**2).mean())
    assert drawn == pytest.approx(predictive.attenuation(close, 100, 100), abs=0.01)
    assert np.std(close) == pytest.approx(0.064, abs=5e-4)
    assert np.sqrt(np.mean(close * (1 - close)) / 100) == pytest.approx(0.035, abs=5e-4)
