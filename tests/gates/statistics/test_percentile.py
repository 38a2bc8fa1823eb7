"""Limits in time: the sample floors of MLPerf LoadGen itself, exact bounds against scipy, and simulated behaviour."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import betainc

from edgebuild.gates.statistics.percentile import (
    SlowCounts,
    TimeVerdict,
    judge_median,
    judge_percentile,
    most_over,
    processes_needed,
    samples_needed,
    share_bounds,
    tolerance_bound,
)

# A model of the PyPI package's own: it answers at once, so that only the number of queries matters.
_LOADGEN = """
import sys
import mlperf_loadgen as lg
queries, percentile, folder = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
settings = lg.TestSettings()
settings.scenario, settings.mode = lg.TestScenario.SingleStream, lg.TestMode.PerformanceOnly
settings.single_stream_target_latency_percentile = percentile
settings.min_query_count = settings.max_query_count = queries
settings.min_duration_ms, settings.single_stream_expected_latency_ns = 0, 1000
sut = lg.ConstructSUT(
    lambda asked: lg.QuerySamplesComplete([lg.QuerySampleResponse(each.id, 0, 0) for each in asked]), lambda: None
)
qsl = lg.ConstructQSL(1, 1, lambda _: None, lambda _: None)
output = lg.LogOutputSettings()
output.outdir = folder
logged = lg.LogSettings()
logged.log_output = output
lg.StartTestWithLogSettings(sut, qsl, settings, logged)
lg.DestroyQSL(qsl)
lg.DestroySUT(sut)
"""


def loadgen(queries: int, percentile: float, folder: Path) -> str:
    """What LoadGen's summary says of a run of so many queries."""
    command = [sys.executable, "-c", _LOADGEN, str(queries), str(percentile), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return (folder / "mlperf_log_summary.txt").read_text()


@pytest.mark.parametrize(("percentile", "floor"), [(0.90, 64), (0.95, 130), (0.99, 662)])
def test_floors_are_those_of_loadgen(percentile: float, floor: int, tmp_path: Path) -> None:
    """One query below the floor LoadGen asks for exactly that many, and at the floor for no more."""
    assert samples_needed(percentile) == floor
    short = loadgen(floor - 1, percentile, tmp_path)
    assert f"Need to process at least {floor} queries for early stopping." in short
    enough = loadgen(floor, percentile, tmp_path)
    assert "Would discard 0 highest latency queries." in enough


@pytest.mark.parametrize(("queries", "percentile"), [(200, 0.90), (1000, 0.90), (2000, 0.95), (5000, 0.99)])
def test_counts_over_the_limit_are_those_of_loadgen(queries: int, percentile: float, tmp_path: Path) -> None:
    """LoadGen counts the query that gives its estimate as one of those over it, hence the one between."""
    found = re.search(r"Would discard (\d+) highest", loadgen(queries, percentile, tmp_path))
    assert found
    assert most_over(queries, percentile) == int(found[1]) + 1


@pytest.mark.parametrize("percentile", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("t", [0, 1, 2, 5, 30])
def test_published_formula_evaluated_by_scipy(percentile: float, t: int) -> None:
    """LoadGen: the least h with I(p; h, 1 + t) < 1 − c, I the regularized incomplete beta function; n = h + t."""
    h = next(h for h in range(1, 20000) if betainc(h, 1 + t, percentile) < 0.01)
    assert most_over(h + t, percentile) == t
    assert most_over(h + t - 1, percentile) == t - 1
    assert t != 1 or samples_needed(percentile) == h + 1


@pytest.mark.parametrize(("over", "n"), [(0, 64), (1, 64), (7, 200), (100, 2000), (200, 200)])
def test_bounds_against_scipy(over: int, n: int) -> None:
    """`binomtest` gives two-sided limits; at 0.98 each of them is one-sided at 0.99."""
    expected = stats.binomtest(over, n).proportion_ci(0.98, method="exact")
    found = share_bounds(over, n)
    assert found == pytest.approx((over / n, expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("n", [44, 64, 130, 500, 2000])
def test_the_upper_bound_and_the_count_say_the_same(n: int) -> None:
    k = most_over(n, 0.9)
    assert share_bounds(k, n).high < 0.1 < share_bounds(k + 1, n).high


def test_no_count_at_all_is_enough_for_few_samples() -> None:
    """0.9⁴³ = 0.0108 and 0.9⁴⁴ = 0.0097."""
    assert (most_over(43, 0.9), most_over(44, 0.9)) == (-1, 0)


def test_tolerance_bound_against_tables() -> None:
    """One-sided factors for 95 % of the population at 95 %, in any table: 2.911 for n = 10, 2.396 for 20."""
    values = np.random.default_rng(0).normal(size=20)
    assert tolerance_bound(values.tolist(), 0.95, 0.95) == pytest.approx(
        values.mean() + 2.396 * values.std(ddof=1), abs=1e-3
    )
    ten = values[:10]
    assert tolerance_bound(ten.tolist(), 0.95, 0.95) == pytest.approx(ten.mean() + 2.911 * ten.std(ddof=1), abs=1e-3)
    assert tolerance_bound([1.0], 0.95) == math.inf


def judged(over: list[int], seconds: list[float] | None = None, looks: tuple[int, ...] = (10, 20, 40)) -> TimeVerdict:
    """A limit of 40 ms on p95 with 200 inferences a process."""
    return judge_percentile(SlowCounts(0.95, 0.04, 200, over, seconds or [0.039] * len(over)), looks)


@pytest.mark.parametrize(
    ("over", "seconds", "status", "processes"),
    [
        ([5] * 10, [0.039] * 10, "pass", 10),
        ([25] * 10, [0.041] * 10, "fail", 10),
        ([10] * 40, [0.040] * 40, "inconclusive", 40),
        ([8] * 20, [0.039] * 20, "pass", 20),
        ([8] * 19, [0.039] * 19, "continue", 19),
        ([7] * 4 + [8] * 6, [0.039] * 10, "continue", 10),  # 76: one look alone would allow 77, one of three 74
        ([1] * 10, [0.030, 0.0399] * 5, "continue", 10),  # so different that others may be over the limit
        ([0] * 9 + [200], [0.03] * 9 + [0.09], "continue", 10),  # one process alone is no proof against the model
    ],
)
def test_rule_for_a_percentile(over: list[int], seconds: list[float], status: str, processes: int) -> None:
    verdict = judged(over, seconds)
    assert (verdict.status, verdict.n) == (status, processes)


def test_four_processes_prove_nothing_however_many_samples_they_give() -> None:
    four, five = (SlowCounts(0.9, 0.04, 100_000, [0] * m, [0.03] * m) for m in (4, 5))
    assert judge_percentile(four, (4,)).status == "inconclusive"
    assert judge_percentile(five, (5,)).status == "pass"


def test_samples_below_the_floor_prove_nothing() -> None:
    """125 samples without a slow one would do for the bound (0.95¹²⁵ < 0.01), but LoadGen's floor is 130."""
    short, enough = (SlowCounts(0.95, 0.04, each, [0] * 5, [0.03] * 5) for each in (25, 26))
    assert judge_percentile(short, (5,)).status == "inconclusive"
    assert judge_percentile(enough, (5,)).status == "pass"


def test_median_by_hand() -> None:
    """Twenty processes, error 0.01/3: P(X ≤ 3 | 20, ½) = 0.0013, P(X ≤ 4) = 0.0059: the 4th from either end."""
    values = [float(k) for k in range(1, 21)]
    verdict = judge_median(values, 17.0, (2, 5, 20))
    assert (verdict.status, verdict.low, verdict.high, verdict.estimate) == ("pass", 4.0, 17.0, 10.5)
    assert judge_median(values[::-1], 3.5, (2, 5, 20)).status == "fail"
    assert processes_needed((10, 20, 40)) == 9  # 2⁻⁹ < 0.01/3 < 2⁻⁸
    assert judge_median(values[:8], 17.0, (8,), 0.999).high == math.inf


def test_the_first_decision_is_final() -> None:
    assert judged([25] * 10 + [0] * 30, [0.05] * 10 + [0.01] * 30).status == "fail"
    assert judge_median([1.0] * 10 + [9.0] * 30, 5.0, (10, 20, 40)).status == "pass"


@pytest.mark.parametrize(
    "bad", [{"percentile": 1.0}, {"over": [201] * 10}, {"over": [1]}, {"seconds": [math.nan] * 10}, {"each": 0}]
)
def test_impossible_counts_are_refused(bad: dict[str, Any]) -> None:
    good = {"percentile": 0.95, "limit": 0.04, "each": 200, "over": [1] * 10, "seconds": [0.03] * 10}
    with pytest.raises(ValueError, match=r"percentile|counts"):
        SlowCounts(**(good | bad))


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="increasing"):
        judged([1] * 10, looks=(10, 10))
    with pytest.raises(ValueError, match="confidence"):
        judge_median([1.0], 1.0, (10,), 1.0)
    with pytest.raises(ValueError, match="finite"):
        judge_median([math.nan], 1.0, (10,))


def at_the_limit(trials: int, spread: float) -> float:
    """Share of passes where exactly 5 % of all inferences are over, and processes differ by `spread` (ln)."""
    rng = np.random.default_rng(3)
    limit = 0.04 * math.exp(stats.norm.ppf(0.95) * math.hypot(spread, 0.05))
    passed = 0
    for _ in range(trials):
        seconds = 0.04 * np.exp(rng.normal(0, spread, (40, 1)) + rng.normal(0, 0.05, (40, 200)))
        over, own = (seconds > limit).sum(axis=1).tolist(), np.quantile(seconds, 0.95, axis=1).tolist()
        passed += judge_percentile(SlowCounts(0.95, limit, 200, over, own), (10, 20, 40)).status == "pass"
    return passed / trials


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.05, 0.2])
def test_a_model_exactly_at_the_limit_hardly_ever_passes(spread: float) -> None:
    assert at_the_limit(300, spread) <= 0.05


def test_taking_inferences_for_independent_would_pass_it_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebuild.gates.statistics.percentile.tolerance_bound", lambda *_: -math.inf)
    assert at_the_limit(300, 0.05) > 0.15
