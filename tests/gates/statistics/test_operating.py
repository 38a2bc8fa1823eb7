"""Operating characteristics of the latency rules, and that they break when a rule is broken (GATES.md).

The simulation is that of `python -m benchmarks gates`, with fewer trials; seeds are fixed, so nothing here is luck.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import gates
from benchmarks._noise import NOISES, RECORDED, Noise, Ratios
from edgebuild.devices.timing.latency import Timings
from edgebuild.devices.timing.process import UnitProcess
from edgebuild.gates.statistics import ratio

TRIALS, ROUNDS = 400, 20
BY_NAME = {noise.name: noise for noise in NOISES}


def broken(noise: str, trials: int = TRIALS) -> list[str]:
    """The limits that do not hold for this noise, by effect."""
    cells = gates.simulate(BY_NAME[noise], gates.EFFECTS, trials, ROUNDS)
    return [f"{cell.effect}: {told}" for cell in cells for told in cell.broken()]


@pytest.mark.parametrize("noise", [noise for noise in BY_NAME if noise != "lognormal, noisy"])
def test_the_limits_hold(noise: str) -> None:
    assert broken(noise) == []


def test_the_limits_hold_where_only_the_split_keeps_them() -> None:
    assert broken("lognormal, noisy", 2000) == []


def test_pooled_iterations_break_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty iterations of two processes are not forty observations."""

    def pooled(ratios: Ratios) -> Ratios:
        return ratios.reshape(len(ratios), -1)[:, : gates.LOOKS[-1]]

    monkeypatch.setattr(gates, "units", pooled)
    told = broken("lognormal, noisy")
    assert any(each.startswith("0: fail") for each in told) or any("δ: pass" in each for each in told)


def test_looks_without_the_split_break_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratio, "split", lambda error, looks: error)
    assert any(each.startswith("δ: pass") for each in broken("lognormal, noisy", 2000))


def test_a_point_estimate_instead_of_a_bound_breaks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def point(values: list[float], confidence: float = 0.95) -> ratio.Shift:
        middle = float(np.median(ratio.walsh_averages(values)))
        return ratio.Shift(middle, middle, middle)

    monkeypatch.setattr(ratio, "hodges_lehmann", point)
    told = broken("lognormal, noisy")
    assert any(each.startswith("δ: pass") for each in told)
    assert any(each.startswith("0: fail") for each in told)


def test_a_stored_baseline_would_break_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tools do: a single run against a number from another day, on a machine that drifts by ± 10 %."""

    def elsewhen(rng: np.random.Generator, trials: int, processes: int, rounds: int) -> Ratios:
        day = rng.normal(0, 0.1, (trials, 1, 1))
        return day + rng.normal(0, 0.01, (trials, processes, rounds))

    cells = gates.simulate(Noise("stored", elsewhen), {"0": 0.0}, TRIALS, ROUNDS)
    assert cells[0].share("fail") > 0.2


def test_the_unit_of_the_simulation_is_the_products() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(900, 1100, (2, 6, 21))
    processes = tuple(
        UnitProcess({"a": tuple(a.tolist()), "b": tuple(b.tolist())}, {}, {}, None, None, {}, {})
        for a, b in zip(ours, theirs, strict=True)
    )
    expected = gates.units(np.log(ours / theirs))
    assert Timings(processes).log_ratios("a", "b") == pytest.approx(expected.tolist())


def test_the_recorded_noise_is_of_one_file_against_itself() -> None:
    found = json.loads(RECORDED.read_text())
    ours, theirs = np.asarray(found["ours_us"]), np.asarray(found["theirs_us"])
    assert ours.shape == theirs.shape
    assert ours.size >= 300
    assert (ours > 0).all()
    assert abs(np.median(np.log(ours / theirs))) < 0.03


def test_a_cell_tells_which_limits_are_broken() -> None:
    calm = Noise("calm", BY_NAME["drift"].law, quiet=True)
    good = gates.Cell(calm, "2δ", {"fail": 95, "inconclusive": 5})
    assert good.broken() == []
    assert replace(good, counts={"fail": 80, "pass": 6, "inconclusive": 14}).broken() == [
        "pass 6.0% > 5.0%",
        "fail 80.0% < 90%",
    ]
    assert replace(good, effect="0", counts={"fail": 2, "pass": 92, "inconclusive": 6}).broken() == [
        "fail 2.0% > 1.0%",
        "inconclusive 6.0% > 5.0%",
    ]
