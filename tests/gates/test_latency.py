"""Latency: timed ratios by the sequential rule, predictions by their whole band, estimates never."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgebuild.gates.latency import Latency
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.target import Fidelity, Gate


def judge(limit: str, found: dict[str, Any], fidelity: Fidelity, wanted: Fidelity = "emulated") -> Verdict:
    evidence = {"latency": {"fidelity": fidelity, "device": "that", **found}}
    return Latency().judge(Gate("latency", limit, fidelity=wanted), evidence)


def timed(limit: str, change: float, *, noise: float = 0.001, processes: int = 10, **more: Any) -> Verdict:
    """Processes whose ratios lie around `change`, in turn above and below."""
    spread = [noise * (k // 2 + 1) * (-1) ** k for k in range(processes)]
    found = {"log_ratios": [math.log1p(change) + each for each in spread], "looks": [10, 20, 40]}
    return judge(limit, found, more.get("fidelity", "hardware"), more.get("wanted", "host"))


def predicted(limit: str, ours: float, theirs: float = 0.1, **more: Any) -> Verdict:
    """30 % either way for a time, 20 % for a ratio."""
    found = {"candidate_seconds": [ours], "baseline_seconds": [theirs], "band": 0.3, "ratio_band": 0.2}
    return judge(limit, found, more.get("fidelity", "emulated"), more.get("wanted", "emulated"))


@pytest.mark.parametrize(
    ("limit", "change", "status"),
    [
        ("+3 %", 0.0, "pass"),
        ("+3 %", -0.4, "pass"),
        ("+3 %", 0.2, "fail"),
        ("-50 %", -0.8, "pass"),
        ("-50 %", -0.3, "fail"),
        ("-50 %", 0.1, "fail"),
    ],
)
def test_timed_ratios_far_from_the_limit_decide_at_the_first_look(limit: str, change: float, status: str) -> None:
    verdict = timed(limit, change)
    assert (verdict.status, verdict.n, verdict.unit) == (status, 10, "change")
    assert verdict.estimate == pytest.approx(change, abs=1e-9)
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < change < verdict.high


def test_timed_ratios_just_below_the_limit_stay_open_to_the_last_look() -> None:
    verdict = timed("+3 %", 0.029, noise=0.002, processes=40)
    assert (verdict.status, verdict.n) == ("inconclusive", 40)
    assert timed("+3 %", 0.031, noise=0.002, processes=40).status == "fail"  # slower for certain, and by too much


def test_a_measurement_that_ended_early_is_open() -> None:
    verdict = timed("+3 %", 0.0, processes=4)
    assert verdict.status == "inconclusive"
    assert (verdict.low, verdict.high) == (None, None)  # four processes bound nothing


def test_the_reason_tells_the_change_in_words() -> None:
    assert timed("+3 %", -0.4).reason == "40.0% less time over 10 processes"
    assert timed("+3 %", 0.2).reason == "20.0% more time over 10 processes"


def test_a_limit_in_time_is_open_where_only_ratios_were_measured() -> None:
    verdict = timed("40 ms", 0.0)
    assert verdict.status == "inconclusive"
    assert "a limit in time needs" in verdict.reason


@pytest.mark.parametrize(
    ("limit", "ours", "status"),
    [
        ("-50 %", 0.0416, "pass"),  # 0.416 · 1.2 < 0.5
        ("-50 %", 0.0418, "inconclusive"),  # 0.418 · 1.2 > 0.5
        ("-50 %", 0.0624, "inconclusive"),  # 0.624 · 0.8 < 0.5
        ("-50 %", 0.0626, "fail"),  # 0.626 · 0.8 > 0.5
        ("40 ms", 0.0307, "pass"),  # 30.7 · 1.3 < 40
        ("40 ms", 0.0308, "inconclusive"),
        ("40 ms", 0.0571, "inconclusive"),
        ("40 ms", 0.0572, "fail"),  # 57.2 · 0.7 > 40
    ],
)
def test_a_prediction_decides_only_with_its_whole_band(limit: str, ours: float, status: str) -> None:
    assert predicted(limit, ours).status == status


def test_a_prediction_shows_its_band_in_the_unit_of_the_limit() -> None:
    time, change = predicted("40 ms", 0.02), predicted("-50 %", 0.02)
    assert (time.unit, change.unit) == ("s", "change")
    assert (time.estimate, time.low, time.high) == pytest.approx((0.02, 0.014, 0.026))
    assert (change.estimate, change.low, change.high) == pytest.approx((-0.8, -0.84, -0.76))
    assert time.reason == "predicted 20 ms ± 30% from counted work"
    assert change.reason == "80.0% less time by counted work, ratio ± 20%"


@pytest.mark.parametrize("ours", [0.0, 1e-6, 0.02, 1.0])
@pytest.mark.parametrize("limit", ["+3 %", "-50 %", "40 ms"])
@pytest.mark.parametrize("wanted", ["host", "hardware", "estimated"])
def test_an_estimate_is_never_evidence(limit: str, ours: float, wanted: Fidelity) -> None:
    verdict = judge(limit, {"candidate_seconds": [ours], "baseline_seconds": [0.1]}, "estimated", wanted)
    assert verdict.status == "inconclusive"
    assert verdict.n == 0
    assert "proves nothing" in verdict.reason


def test_too_low_a_fidelity_proves_nothing_either_way() -> None:
    for change in (-0.8, 0.5):
        verdict = timed("-50 %", change, fidelity="host", wanted="emulated")
        assert verdict.status == "inconclusive"
        assert verdict.reason.endswith("but only host; the gate asks for emulated")
    for ours in (0.001, 1.0):
        assert predicted("-50 %", ours, wanted="hardware").status == "inconclusive"
        assert predicted("40 ms", ours, wanted="hardware").status == "inconclusive"
        assert predicted("40 ms", ours, wanted="host").status != "inconclusive"


@pytest.mark.parametrize("text", ["40", "3", "-100 %", "0 ms", "-1 ms", "1 pp", "40 kB"])
def test_a_limit_without_unit_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|time"):
        Latency.limit(text)


def test_a_limit_is_a_change_or_seconds() -> None:
    assert (Latency.change("+3 %"), Latency.change("40 ms"), Latency.limit("40 ms")) == (0.03, None, 0.04)
