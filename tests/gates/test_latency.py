"""Latency: timed ratios by the sequential rule, predictions by their whole band, estimates never."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgebuild.gates._timed import tell
from edgebuild.gates.latency import Latency
from edgebuild.spec import evidence as kinds
from edgebuild.spec.evidence import Evidence, Slow, Verdict
from edgebuild.spec.target import Fidelity, Gate, Timing
from tests import measured


def judge(limit: str, latency: kinds.Latency, wanted: Fidelity = "emulated") -> Verdict:
    return Latency().judge(Gate("latency", limit, fidelity=wanted), Evidence(latency=latency))


def timed(
    limit: str,
    change: float,
    *,
    noise: float = 0.001,
    processes: int = 10,
    fidelity: Fidelity = "hardware",
    wanted: Fidelity = "host",
) -> Verdict:
    """Processes whose ratios lie around `change`, in turn above and below."""
    spread = [noise * (k // 2 + 1) * (-1) ** k for k in range(processes)]
    return judge(limit, measured.timed([math.log1p(change) + each for each in spread], fidelity=fidelity), wanted)


def predicted(limit: str, ours: float, wanted: Fidelity = "emulated") -> Verdict:
    """30 % either way for a time, 20 % for a ratio."""
    return judge(limit, measured.predicted(ours), wanted)


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


def limited(limit: str, seconds: list[float], over: list[int] | None = None, each: int = 200) -> Verdict:
    """Processes with these medians and percentiles, in which so many inferences took longer than the 40 ms."""
    share = float(limit[1:3]) / 100 if limit[0] == "p" else 0.5
    slow = (Slow(share, 0.04, each, tuple(over), tuple(seconds)),) if over else ()
    return judge(limit, replace(measured.timed(seconds=seconds), slow=slow), "hardware")


def test_a_median_is_judged_by_the_processes_medians() -> None:
    """Ten processes at 99 % over three looks: all ten must be within, since 11/1024 > 0.01/3."""
    good = [0.030 + 0.001 * k for k in range(10)]
    verdict = limited("40 ms", good)
    assert (verdict.status, verdict.unit, verdict.n) == ("pass", "s", 10)
    assert (verdict.estimate, verdict.low, verdict.high) == pytest.approx((0.0345, 0.030, 0.039))
    assert verdict.reason == "34.5 ms, at most 39 ms over 10 processes"
    assert limited("40 ms", [*good[:9], 0.041]).status == "inconclusive"
    assert limited("40 ms", [each + 0.0101 for each in good]).status == "fail"


def test_too_few_processes_for_a_median_say_how_many_are_needed() -> None:
    verdict = limited("40 ms", [0.01] * 8)
    assert (verdict.status, verdict.low, verdict.high) == ("inconclusive", None, None)
    assert verdict.reason == (
        "8 processes are too few for any verdict: 9 or more are needed; the median so far, 10 ms, is inside the limit"
    )


def test_a_percentile_is_judged_by_the_inferences_that_took_longer_and_by_how_processes_differ() -> None:
    near = [0.035, 0.036] * 5
    passed = limited("p95 40 ms", near, [2] * 10)
    assert (passed.status, passed.unit, passed.n, passed.estimate) == ("pass", "s", 10, pytest.approx(0.0355))
    assert passed.high is not None
    assert 0.036 < passed.high < 0.04
    assert passed.reason.startswith("35.5 ms, at most 37.9 ms over 10 processes; 1.00% of 2000 inferences took longer")
    assert limited("p95 40 ms", [0.030, 0.041] * 5, [2] * 10).status == "inconclusive"  # processes differ too much
    assert limited("p95 40 ms", near, [9] * 10).status == "inconclusive"
    assert limited("p95 40 ms", [0.045] * 10, [25] * 10).status == "fail"
    assert limited("p95 40 ms", [0.035] * 9 + [0.09], [25] * 10).status == "inconclusive"
    assert limited("p99 40 ms", near, [2] * 10).status == "inconclusive"


def test_too_few_samples_for_a_percentile_say_how_many_are_needed() -> None:
    verdict = limited("p99 40 ms", [0.03] * 40, [0] * 40, each=16)  # 640 in all
    assert verdict.status == "inconclusive"
    assert "662 inferences in 5 processes are needed" in verdict.reason


def test_a_percentile_needs_counts_for_its_own_limit() -> None:
    verdict = limited("p95 41 ms", [0.03] * 10, [1] * 10)
    assert (verdict.status, verdict.reason) == ("inconclusive", "inferences over this limit were not counted")


def test_a_prediction_has_no_percentiles() -> None:
    verdict = predicted("p95 40 ms", 0.001)
    assert (verdict.status, verdict.fidelity) == ("inconclusive", "emulated")
    assert "only a device's own run has percentiles" in verdict.reason


def test_void_evidence_proves_nothing() -> None:
    void = replace(measured.timed([0.5] * 10, looks=(10,)), void="11 blocks were void")
    verdict = judge("+3 %", void, "hardware")
    assert verdict.status == "inconclusive"
    assert verdict.reason.startswith("11 blocks were void")


def test_the_gates_own_confidence_stops_the_measurement() -> None:
    """At 0.95 the ten ratios decide, at 0.9999 not even ten equal ones do: (2/1024) > 0.0001/3."""
    evidence = Evidence(latency=measured.timed([0.0] * 10))
    gates = [Gate("latency", "+3 %", confidence=c) for c in (0.95, 0.9999)]
    assert [Latency().settled(gate, evidence) for gate in gates] == [True, False]


@pytest.mark.parametrize(
    ("strong", "weak", "implied"),
    [
        ("40 ms", "50 ms", True),
        ("50 ms", "40 ms", False),
        ("p95 40 ms", "40 ms", True),
        ("p95 40 ms", "p90 45 ms", True),
        ("p95 40 ms", "p90 35 ms", False),
        ("p90 40 ms", "p99 40 ms", False),
        ("40 ms", "+3 %", False),
        ("-50 %", "+3 %", True),
        ("p95 -50 %", "+3 %", False),
        ("p95 +5 %", "p95 +10 %", True),
    ],
)
def test_which_limit_makes_another_needless(strong: str, weak: str, implied: bool) -> None:
    assert Latency.limit(strong).implies(Latency.limit(weak)) is implied


@pytest.mark.parametrize(
    ("limit", "timing", "told"),
    [
        ("p99 40 ms", Timing(looks=(5,), iterations=100), "needs 662 inferences, and [timing] allows 500"),
        ("p95 40 ms", Timing(looks=(2, 4)), "needs 5 processes, and [timing] allows 4"),
        ("p99 +10 %", Timing(), "needs 662 inferences, and [timing] allows 200 in a process"),
        ("p99 40 ms", Timing(), None),
        ("p95 +10 %", Timing(), None),
        ("p95 40 ms", Timing(looks=(5,)), None),
        ("40 ms", Timing(looks=(6,), iterations=1), "needs 7 processes, and [timing] allows 6"),
        ("40 ms", Timing(looks=(7,), iterations=1), None),
        ("+3 %", Timing(looks=(2, 6)), "needs 7 processes, and [timing] allows 6"),
        ("+3 %", Timing(looks=(6,)), None),
    ],
)
def test_what_can_never_be_decided_is_foreseen(limit: str, timing: Timing, told: str | None) -> None:
    reason = Latency.unmeasurable(Gate("latency", limit), timing)
    assert reason is None if told is None else told in (reason or "")


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
    assert time.reason == "predicted 20 ms ± 30% from counted work (not calibrated)"
    assert change.reason == "80.0% less time by counted work (not calibrated), ratio ± 20%"


def test_a_predicted_change_on_a_runtime_that_is_calibrated_goes_without_a_word_on_that() -> None:
    known = measured.predicted(0.02)
    verdict = judge("-50 %", replace(known, band=replace(known.band, figures=9)))
    assert verdict.reason == "80.0% less time by counted work, ratio ± 20%"


@pytest.mark.parametrize("ours", [0.0, 1e-6, 0.02, 1.0])
@pytest.mark.parametrize("limit", ["+3 %", "-50 %", "40 ms"])
@pytest.mark.parametrize("wanted", ["host", "hardware", "estimated"])
def test_an_estimate_is_never_evidence(limit: str, ours: float, wanted: Fidelity) -> None:
    verdict = judge(limit, measured.estimated(ours), wanted)
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


@pytest.mark.parametrize(
    "text",
    ["40", "3", "-100 %", "0 ms", "-1 ms", "1 pp", "40 kB", "p95 40", "p95", "p50 40 ms", "p100 40 ms", "p95 -100 %"],
)
def test_a_limit_without_unit_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|time|percentile"):
        Latency.limit(text)


def test_a_limit_is_a_change_or_seconds() -> None:
    assert Latency.limit("+3 %") == (None, 0.03, None, None)
    assert Latency.limit("40 ms") == (None, None, 0.04, None)
    assert Latency.limit("p99.9 40 ms") == (pytest.approx(0.999), None, 0.04, None)
    assert Latency.limit(" p95  +10 %") == (0.95, 0.1, None, None)
    assert Latency.limit("+3 %, predicted +35 %") == (None, 0.03, None, pytest.approx(0.35))


@pytest.mark.parametrize("text", ["40 ms, predicted +35 %", "+3 %, predicted 40 ms", "+3 %, predicted +2 %",
                                  "p95 +3 %, predicted +35 %", "+3 %, predicted ", "+3 %, predicted +35"])  # fmt: skip
def test_what_a_predictions_band_may_reach_is_a_change_no_smaller_than_that_of_the_median(text: str) -> None:
    with pytest.raises(ValueError, match=r"prediction|quantity|unit"):
        Latency.limit(text)


NOT_SLOWER = "+3 %, predicted +35 %"


@pytest.mark.parametrize(
    ("ours", "status"),
    [
        (0.03, "pass"),  # far faster
        (0.095, "pass"),  # an honest improvement, though smaller than the band
        (0.1, "pass"),  # an equal file
        (0.1029, "pass"),
        (0.105, "inconclusive"),  # slower as predicted, and perhaps not in truth
        (0.124, "inconclusive"),
        (0.126, "fail"),  # 1.26 · 0.8 > 1: slower for certain
        (0.3, "fail"),
    ],
)
def test_no_slower_by_prediction_means_the_prediction_itself_and_a_band_that_ends_in_time(
    ours: float, status: str
) -> None:
    verdict = predicted(NOT_SLOWER, ours)
    assert verdict.status == status
    assert verdict.high is not None
    assert verdict.reason.endswith(f": at most {tell(verdict.high, 'time')}")


def test_a_wide_band_proves_nothing_of_an_equal_file() -> None:
    wide, narrower = (measured.predicted(0.1, ratio_limits=limits) for limits in ((0.6, 1.4), (0.66, 1.34)))
    assert judge(NOT_SLOWER, wide).status == "inconclusive"  # up to 40 % slower
    assert judge(NOT_SLOWER, narrower).status == "pass"


def test_without_a_word_on_predictions_the_whole_band_must_be_inside_and_a_proved_slowdown_fails() -> None:
    statuses = [predicted("+3 %", ours).status for ours in (0.085, 0.095, 0.1, 0.124, 0.126)]
    assert statuses == ["pass", "inconclusive", "inconclusive", "inconclusive", "fail"]


@pytest.mark.parametrize("change", [-0.4, 0.0, 0.2])
def test_a_measurement_is_judged_by_the_first_limit_alone(change: float) -> None:
    assert timed(NOT_SLOWER, change).status == timed("+3 %", change).status


def test_a_limit_for_predictions_is_the_weaker_one() -> None:
    assert Latency.limit("+3 %").implies(Latency.limit(NOT_SLOWER))
    assert not Latency.limit(NOT_SLOWER).implies(Latency.limit("+3 %"))


def test_what_is_predicted_of_files_that_share_most_of_their_work_can_be_told_apart_by_little() -> None:
    verdict = judge("+3 %", measured.predicted(0.1, ratio_limits=(0.99, 1.01)))
    assert (verdict.status, verdict.reason) == ("pass", "0.0% more time by counted work (not calibrated), ratio ± 1%")
    uneven = judge("+3 %", measured.predicted(0.1, ratio_limits=(0.9, 1.05)))
    assert (uneven.status, uneven.reason.partition("ratio ")[2]) == ("inconclusive", "−10% +5%")
