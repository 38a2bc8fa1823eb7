"""Gates on what a process has only once: start, memory, and the tail of its times."""

from __future__ import annotations

from typing import Any

import pytest

from edgebuild.gates.cold_start import ColdStart
from edgebuild.gates.latency import Latency
from edgebuild.gates.memory import Memory
from edgebuild.spec.evidence import Evidence, Verdict
from edgebuild.spec.target import Gate, Timing
from tests.measured import processes

KINDS: dict[str, Any] = {"cold_start": ColdStart, "memory": Memory, "latency": Latency}


def judge(metric: str, limit: str, ours: list[float], theirs: list[float], void: str | None = None) -> Verdict:
    """Pairs of processes with these values."""
    verdict: Verdict = KINDS[metric]().judge(Gate(metric, limit), processes(ours, theirs, void=void))
    return verdict


BASE = [1.00, 1.02, 0.99, 1.01, 1.00, 0.98, 1.03, 1.00, 0.97, 1.01]


@pytest.mark.parametrize(("metric", "limit"), [("cold_start", "+10 %"), ("memory", "+10 %"), ("latency", "p95 +10 %")])
@pytest.mark.parametrize(("times", "status"), [(1.0, "pass"), (0.5, "pass"), (1.3, "fail"), (1.09, "inconclusive")])
def test_a_change_is_judged_by_pairs(metric: str, limit: str, times: float, status: str) -> None:
    verdict = judge(metric, limit, [times * value for value in BASE[::-1]], BASE)
    assert (verdict.metric, verdict.status, verdict.n, verdict.unit) == (metric, status, 10, "change")
    assert verdict.estimate == pytest.approx(times - 1, abs=0.02)
    assert "over 10 pairs of processes" in verdict.reason
    assert ("is inside the limit, but not surely" in verdict.reason) == (status == "inconclusive")


def test_a_limit_is_judged_by_the_candidates_processes() -> None:
    start = judge("cold_start", "1100 ms", BASE, [])
    assert start.status == "inconclusive"  # a baseline is missing, so something went wrong
    start = judge("cold_start", "1100 ms", BASE, BASE)
    assert (start.status, start.unit, start.high) == ("pass", "s", 1.03)
    assert start.reason == "1 s, at most 1.03 s over 10 processes"
    memory = judge("memory", "64 MiB", [70 * 2**20] * 10, [70 * 2**20] * 10)
    assert (memory.status, memory.unit, memory.estimate) == ("fail", "B", 70 * 2**20)


def test_what_a_device_does_not_tell_is_inconclusive_and_not_waited_for() -> None:
    evidence = processes([], [], "host")
    verdict = Memory().judge(Gate("memory", "64 MiB"), evidence)
    assert (verdict.status, verdict.reason) == ("inconclusive", "the device does not tell its memory")
    assert Memory().settled(Gate("memory", "64 MiB"), evidence)


@pytest.mark.parametrize(("metric", "limit"), [("cold_start", "1 s"), ("memory", "1 MiB"), ("latency", "p95 +10 %")])
def test_where_nothing_was_measured_nothing_is_proved(metric: str, limit: str) -> None:
    verdict = KINDS[metric]().judge(Gate(metric, limit), Evidence())
    assert (verdict.status, verdict.reason) == ("inconclusive", "no device measured processes of one model each")


def test_void_blocks_and_low_fidelity_prove_nothing() -> None:
    assert judge("memory", "+10 %", BASE, BASE, void="11 blocks were void").status == "inconclusive"
    gate = Gate("memory", "+10 %", fidelity="hardware")
    assert "but only host" in Memory().judge(gate, processes(BASE, BASE, "host")).reason


@pytest.mark.parametrize(("kind", "text"), [(ColdStart, "40"), (ColdStart, "p95 40 ms"), (Memory, "64"),
                                            (Memory, "64 ms"), (Memory, "-100 %"), (ColdStart, "0 s")])  # fmt: skip
def test_a_limit_without_unit_or_sense_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|percentiles|cannot fall|above zero"):
        kind.limit(text)


def test_which_limit_makes_another_needless() -> None:
    assert Memory.limit("32 MiB").implies(Memory.limit("64 MiB"))
    assert not Memory.limit("32 MiB").implies(Memory.limit("+10 %"))
    assert ColdStart.limit("-5 %").implies(ColdStart.limit("+10 %"))


@pytest.mark.parametrize("kind", [ColdStart, Memory])
def test_too_few_processes_are_foreseen(kind: Any) -> None:
    gate = Gate("x", "+10 %")
    assert kind.unmeasurable(gate, Timing(looks=(5,))) == "'+10 %' needs 6 processes, and [timing] allows 5"
    assert kind.unmeasurable(gate, Timing()) is None
