"""Limits on counted work: exact to the last one, but for instructions, whose counts nearly repeat."""

from __future__ import annotations

import pytest

from edgebuild.spec.evidence import Evidence, Verdict
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Fidelity, Gate
from tests import measured

BASELINE = 10_000_000


def evidence(metric: str, ours: int) -> Evidence:
    """A candidate's count beside a baseline of ten million."""
    if metric == "instructions":
        return Evidence(latency=measured.predicted(0.1, work=(ours, BASELINE)))
    if metric == "arena":
        return Evidence(arena=measured.arena(ours, BASELINE))
    kind = {"size": "bytes"}.get(metric, metric)
    return measured.footprint(measured.weight(**{kind: ours}), measured.weight(**{kind: BASELINE}))


def judge(metric: str, limit: str, ours: int, wanted: Fidelity = "host") -> Verdict:
    return GATES.get(metric)().judge(Gate(metric, limit, fidelity=wanted), evidence(metric, ours))


@pytest.mark.parametrize(
    ("metric", "limit", "most"),
    [
        ("macs", "2.7 M", 2_700_000),
        ("macs", "-73 %", 2_700_000),
        ("parameters", "80 k", 80_000),
        ("parameters", "+1 %", 10_100_000),
        ("arena", "64 KiB", 65536),
        ("arena", "-75 %", 2_500_000),
        ("size", "1 MB", 1_000_000),
    ],
)
def test_a_count_of_exactly_the_limit_passes_and_one_more_fails(metric: str, limit: str, most: int) -> None:
    assert judge(metric, limit, most).status == "pass"
    verdict = judge(metric, limit, most + 1)
    assert (verdict.status, verdict.estimate, verdict.low, verdict.high) == ("fail", most + 1, most + 1, most + 1)
    assert verdict.fidelity == "hardware"  # a property of the file, the same wherever it lies


@pytest.mark.parametrize(
    ("limit", "ours", "status"),
    [
        ("9.1 M", 9_097_000, "pass"),  # 0.033 % below
        ("9.1 M", 9_099_000, "inconclusive"),  # 0.011 % below, and counts repeat within 0.03 %
        ("9.1 M", 9_100_000, "inconclusive"),
        ("9.1 M", 9_102_000, "inconclusive"),
        ("9.1 M", 9_103_000, "fail"),
        ("-50 %", 4_996_000, "pass"),  # both counts vary, so the doubt is twice as wide
        ("-50 %", 4_998_000, "inconclusive"),
        ("-50 %", 5_004_000, "fail"),
    ],
)
def test_instructions_nearer_to_the_limit_than_counts_repeat_prove_nothing(limit: str, ours: int, status: str) -> None:
    verdict = judge("instructions", limit, ours)
    assert (verdict.status, verdict.fidelity, verdict.estimate) == (status, "emulated", ours)
    assert ("counts repeat within 0.03% only" in verdict.reason) == (status == "inconclusive")


def test_the_reason_tells_count_limit_and_the_float_files() -> None:
    verdict = judge("instructions", "-50 %", 3_000_000)
    assert verdict.reason == "3.00 M of at most 5.00 M; the float file has 10.00 M"


def test_instructions_of_an_emulator_do_not_pass_for_hardware() -> None:
    verdict = judge("instructions", "-50 %", 3_000_000, "hardware")
    assert verdict.status == "inconclusive"
    assert verdict.reason.endswith("but only emulated; the gate asks for hardware")
    assert judge("instructions", "-50 %", 9_000_000, "hardware").status == "fail"


def test_without_a_device_that_counts_the_way_to_mend_it_is_told() -> None:
    gate = Gate("instructions", "-50 %")
    verdict = GATES.get("instructions")().judge(gate, Evidence(latency=measured.timed([0.1], [1.0])))
    assert (verdict.status, verdict.n) == ("inconclusive", 0)
    assert 'name transport "qemu" first in [[devices]]' in verdict.reason
    assert "edgebuild devices setup" in verdict.reason


@pytest.mark.parametrize("metric", ["instructions", "macs", "parameters", "arena", "size"])
@pytest.mark.parametrize("text", ["9.1", "9100000", "0 k", "0 KiB", "-1 M", "-100 %", "9.1 m", "40 ms", "1 pp"])
def test_a_count_without_unit_or_sense_is_refused(metric: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|above zero|shrink"):
        GATES.get(metric).limit(text)
