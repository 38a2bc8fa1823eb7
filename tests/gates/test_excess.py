"""By which share of its limit a gate is missed, by which a search ranks recipes: beyond 0 where it stops one."""

from __future__ import annotations

import pytest

from edgebuild.gates.accuracy import Accuracy
from edgebuild.gates.cold_start import ColdStart
from edgebuild.gates.latency import Latency
from edgebuild.gates.size import Size
from edgebuild.spec.evidence import Evidence, Verdict
from edgebuild.spec.metric import Metric
from edgebuild.spec.target import Gate
from tests import measured


def excess(metric: Metric[object], limit: str, evidence: Evidence, name: str = "x") -> float:
    gate = Gate(name, limit)
    return metric.excess(gate, metric.judge(gate, evidence), evidence)


@pytest.mark.parametrize(("limit", "ours", "share"), [("100 kB", 110_000, 0.1), ("-50 %", 400_000, -0.2)])
def test_of_what_is_counted_it_is_the_share_of_the_count(limit: str, ours: int, share: float) -> None:
    evidence = measured.footprint(measured.weight(ours), measured.weight(1_000_000))
    assert excess(Size(), limit, evidence) == pytest.approx(share)


@pytest.mark.parametrize(("lost", "share"), [(6, 1.0), (3, 0.0), (0, -1.0)])
def test_of_answers_it_is_that_of_the_estimate_whatever_the_examples_prove(lost: int, share: float) -> None:
    """Three of 300 are one point, which no 300 examples can show to be inside a margin of one."""
    assert excess(Accuracy(), "1 pp", measured.accuracy(lost, 0, 300)) == pytest.approx(share)


def test_of_a_prediction_the_far_end_of_its_band_must_be_inside_too() -> None:
    """20 % either way: half the time is at most 0.6 of it, and 0.45 at most 0.54."""

    def of(limit: str, ours: float) -> float:
        return excess(Latency(), limit, Evidence(latency=measured.predicted(ours)))

    half, less = 0.05, 0.045
    assert of("-50 %", half) == pytest.approx(0.2, abs=0.06)
    assert of("-50 %", less) > 0 > of("-50 %", 0.03)
    assert of("+3 %, predicted +35 %", half) < 0


def test_of_measured_times_it_is_that_of_the_estimate() -> None:
    evidence = Evidence(latency=measured.timed([0.1] * 10))
    assert excess(Latency(), "+3 %", evidence) > 0
    assert excess(Latency(), "+30 %", evidence) < 0


def test_what_says_nothing_of_its_limit_is_missed_wholly_or_not_at_all() -> None:
    def of(status: str) -> float:
        verdict = Verdict("cold_start", "1 s", "s", status, "", "host", 1)  # type: ignore[arg-type]
        return ColdStart().excess(Gate("cold_start", "1 s"), verdict, Evidence())

    assert (of("fail"), of("pass"), of("inconclusive")) == (1.0, 0.0, 0.0)
