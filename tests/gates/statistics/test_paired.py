"""The paired interval against published values, an independent computation, and its own promises."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import multinomial

from edgebuild.gates.statistics.paired import (
    Pairs,
    count_pairs,
    drop_bound,
    drop_interval,
    examples_needed,
    mean_bound,
    wilson,
)


@st.composite
def counts(draw: st.DrawFn, most: int = 400) -> tuple[int, int, int]:
    """Possible (b, c, n)."""
    n = draw(st.integers(1, most))
    b = draw(st.integers(0, n))
    return b, draw(st.integers(0, n - b)), n


def brute_score(drop: float, b: int, c: int, n: int) -> float:
    """Score statistic with its nuisance parameter found by numeric maximisation of the likelihood."""

    def negative_log_likelihood(q: float) -> float:
        rates = ((b, q + drop), (c, q), (n - b - c, 1 - 2 * q - drop))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in rates if k)

    low, high = max(0.0, -drop), (1 - drop) / 2
    grid = np.linspace(low, high, 400)
    best = int(np.argmin([negative_log_likelihood(q) for q in grid]))
    box = (grid[max(best - 1, 0)], grid[min(best + 1, 399)])
    q = minimize_scalar(negative_log_likelihood, bounds=box, method="bounded", options={"xatol": 1e-13}).x
    return float((b - c - n * drop) / math.sqrt(n * (2 * q + drop - drop * drop)))


@pytest.mark.parametrize(
    ("b", "c", "n", "confidence", "low", "high"),
    [
        (0, 1, 44, 0.90, -0.096, 0.037),  # Tango 1998, contact lenses (Miyanaga), 90 % interval
        (1, 7, 21, 0.95, -0.517, -0.026),  # Fagerland, Lydersen & Laake 2014, airway hyper-responsiveness
        (6, 16, 161, 0.95, -0.1240, -0.0054),  # the same, complete response; R package contingencytables
    ],
)
def test_published_intervals(b: int, c: int, n: int, confidence: float, low: float, high: float) -> None:
    bound = drop_interval(b, c, n, confidence)
    digits = 4 if n == 161 else 3
    assert (round(bound.low, digits), round(bound.high, digits)) == (low, high)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
@pytest.mark.parametrize(
    ("b", "c", "n"),
    [(1, 1, 7), (5, 0, 9), (0, 3, 50), (12, 30, 60), (40, 20, 160), (3, 4, 7), (90, 70, 4000)],
)
def test_agrees_with_brute_force(b: int, c: int, n: int, confidence: float) -> None:
    z, estimate = NormalDist().inv_cdf(confidence), (b - c) / n
    bound = drop_bound(b, c, n, confidence)
    high = brentq(lambda drop: brute_score(drop, b, c, n) + z, estimate, 1 - 1e-9)
    low = brentq(lambda drop: brute_score(drop, b, c, n) - z, -1 + 1e-9, estimate)
    assert bound.high == pytest.approx(high, abs=2e-6)
    assert bound.low == pytest.approx(low, abs=2e-6)


@pytest.mark.parametrize("n", [1, 2, 10, 1000])
def test_all_agree(n: int) -> None:
    z2 = NormalDist().inv_cdf(0.95) ** 2
    assert drop_bound(0, 0, n) == pytest.approx((0, -z2 / (n + z2), z2 / (n + z2)))


@pytest.mark.parametrize("n", [1, 3, 40])
def test_all_differ_one_way(n: int) -> None:
    z = NormalDist().inv_cdf(0.95)
    bound = drop_bound(n, 0, n)
    assert bound.high == 1
    assert brute_score(bound.low, n, 0, n) == pytest.approx(z, abs=1e-3)


@given(counts())
def test_estimate_lies_inside_and_limits_within_one(bcn: tuple[int, int, int]) -> None:
    bound = drop_bound(*bcn)
    assert -1 <= bound.low <= bound.estimate <= bound.high <= 1
    assert bound.low < bound.high


@given(counts())
def test_exchanging_the_models_mirrors_the_interval(bcn: tuple[int, int, int]) -> None:
    b, c, n = bcn
    bound, mirror = drop_bound(b, c, n), drop_bound(c, b, n)
    assert (bound.low, bound.high) == pytest.approx((-mirror.high, -mirror.low), abs=1e-12)


@given(counts())
def test_one_more_loss_raises_both_limits(bcn: tuple[int, int, int]) -> None:
    b, c, n = bcn
    if b + c < n:
        less, more = drop_bound(b, c, n), drop_bound(b + 1, c, n)
        assert more.high >= less.high - 1e-12
        assert more.low >= less.low - 1e-12


@given(counts(), st.floats(0.6, 0.98), st.floats(0.001, 0.019))
def test_more_confidence_widens(bcn: tuple[int, int, int], confidence: float, more: float) -> None:
    wide, narrow = drop_bound(*bcn, confidence + more), drop_bound(*bcn, confidence)
    assert wide.low <= narrow.low
    assert wide.high >= narrow.high


@given(counts(), st.integers(2, 50))
def test_more_examples_narrow(bcn: tuple[int, int, int], times: int) -> None:
    b, c, n = bcn
    few, many = drop_bound(b, c, n), drop_bound(b * times, c * times, n * times)
    assert many.high <= few.high
    assert many.low >= few.low


@settings(max_examples=30)
@given(counts(most=10**7))
def test_limits_solve_the_score_equation_at_any_size(bcn: tuple[int, int, int]) -> None:
    b, c, n = bcn
    high = drop_bound(b, c, n).high
    if high < 1 and 0 < b + c < n:
        assert brute_score(high, b, c, n) == pytest.approx(-1.6448536, abs=1e-3)


def test_bound_keeps_its_level_where_wald_does_not() -> None:
    """Exact error at a true drop of 2 pp, 3 % discordant, n = 200: Wald errs 9–10 %, as GATES.md says."""
    drop, n, tango, wald = 0.02, 200, 0.0, 0.0
    for b, c in itertools.product(range(25), range(12)):
        weight = multinomial.pmf([b, c, n - b - c], n, [0.025, 0.005, 0.97])
        naive = (b - c) / n + 1.6448536 * math.sqrt(b + c - (b - c) ** 2 / n) / n
        tango += weight * (drop_bound(b, c, n).high < drop)
        wald += weight * (naive < drop)
    assert tango < 0.05
    assert 0.09 < wald < 0.10


@pytest.mark.parametrize("rates", [(0.02, 0.01), (0.1, 0.1), (0.3, 0.05), (0.005, 0.001)])
@pytest.mark.parametrize("n", [100, 500])
def test_two_sided_coverage(n: int, rates: tuple[float, float]) -> None:
    rng = np.random.default_rng(2)
    table = rng.multinomial(n, [*rates, 1 - sum(rates)], size=1500)
    inside = [
        drop_interval(int(b), int(c), n).low <= rates[0] - rates[1] <= drop_interval(int(b), int(c), n).high
        for b, c, _ in table
    ]
    assert np.mean(inside) > 0.93


@pytest.mark.parametrize(("rate", "margin", "needed"), [(0.02, 0.01, 1713), (0.05, 0.01, 4282), (0.02, 0.005, 6852)])
def test_examples_needed_as_in_the_protocol(rate: float, margin: float, needed: int) -> None:
    assert examples_needed(rate, margin) == needed


def test_examples_needed_gives_the_power_it_promises() -> None:
    n = examples_needed(0.02, 0.01)
    table = np.random.default_rng(3).multinomial(n, [0.01, 0.01, 0.98], size=2000)
    passed = [drop_bound(int(b), int(c), n).high < 0.01 for b, c, _ in table]
    assert 0.86 < np.mean(passed) < 0.94


def test_even_without_a_discordant_pair_some_examples_are_needed() -> None:
    n = examples_needed(0.0, 0.01)
    assert drop_bound(0, 0, n).high < 0.01 <= drop_bound(0, 0, n - 1).high


def test_counts_from_hits() -> None:
    candidate = np.array([True, False, False, True, True])
    baseline = np.array([True, True, True, False, True])
    pairs = count_pairs(candidate, baseline)
    assert pairs == Pairs(lost=2, won=1, n=5)
    assert pairs.discordant_rate == 0.6


def test_wilson_against_scipy() -> None:
    from scipy.stats import binomtest

    for hits, n in ((0, 10), (3, 10), (10, 10), (873, 1000)):
        expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert wilson(hits, n) == pytest.approx((hits / n, expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("bcn", [(0, 0, 0), (-1, 0, 5), (3, 3, 5)])
def test_impossible_counts_are_refused(bcn: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="impossible counts"):
        drop_bound(*bcn)


@pytest.mark.parametrize("confidence", [0.5, 1.0, 0.0, 1.5, math.nan])
def test_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        drop_bound(1, 1, 10, confidence)


def test_hits_must_be_boolean_and_alike() -> None:
    hits = np.ones(3, dtype=bool)
    with pytest.raises(ValueError, match="boolean"):
        count_pairs(hits.astype(int), hits)
    with pytest.raises(ValueError, match="3 examples, baseline 4"):
        count_pairs(hits, np.ones(4, dtype=bool))


@pytest.mark.parametrize("module", ["gates.statistics.paired", "gates.statistics.ratio", "devices.timing.latency"])
def test_importing_stays_light(module: str) -> None:
    code = f"import sys, edgebuild.{module}; sys.exit('numpy' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_mean_difference_has_students_limits() -> None:
    """By hand: mean 2, s² = 2/3, n = 4; t(0.95, 3) = 2.3534 of the tables."""
    bound = mean_bound(np.array([1.0, 2.0, 2.0, 3.0]))
    half = 2.35336 * math.sqrt(2 / 3) / 2
    assert bound == pytest.approx((2.0, 2.0 - half, 2.0 + half), rel=1e-5)
    with pytest.raises(ValueError, match="too few"):
        mean_bound(np.array([1.0]))
