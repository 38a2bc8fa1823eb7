"""Rank interval and sequential rule: tables, scipy, simulated behaviour, and mutations that must be seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from edgebuild.gates.statistics.ratio import (
    RatioVerdict,
    hodges_lehmann,
    judge_ratio,
    processes_needed,
    signed_rank_counts,
    signed_rank_order,
    walsh_averages,
)

LISTS = st.lists(st.floats(-2, 2), min_size=6, max_size=15)


def test_null_distribution_by_enumeration() -> None:
    sums = [sum(r for r, sign in zip(range(1, 9), signs, strict=True) if sign)
            for signs in itertools.product([0, 1], repeat=8)]  # fmt: skip
    assert signed_rank_counts(8) == tuple(np.bincount(sums))


@pytest.mark.parametrize("n", [1, 10, 20, 40])
def test_null_distribution_sums_to_all_sign_patterns(n: int) -> None:
    found = signed_rank_counts(n)
    assert sum(found) == 2**n
    assert found == found[::-1]


@pytest.mark.parametrize(
    ("n", "alpha", "critical"),
    [  # two-sided critical values of T, Wilcoxon & Wilcox 1964 and any textbook since
        (6, 0.05, 0), (7, 0.05, 2), (8, 0.05, 3), (9, 0.05, 5), (10, 0.10, 10), (10, 0.05, 8), (10, 0.02, 5),
        (10, 0.01, 3), (15, 0.05, 25), (20, 0.05, 52), (20, 0.01, 37), (25, 0.05, 89), (40, 0.05, 264),
    ],
)  # fmt: skip
def test_critical_values_of_the_tables(n: int, alpha: float, critical: int) -> None:
    assert signed_rank_order(n, alpha) == critical + 1


@pytest.mark.parametrize("n", [10, 20, 40])
def test_order_at_the_looks_against_scipy(n: int) -> None:
    """Just outside the interval scipy's exact test rejects, just inside it does not."""
    x = np.random.default_rng(n).normal(size=n)
    shift = hodges_lehmann(x.tolist(), 1 - 0.05 / 3)
    for limit, outward in ((shift.low, -1e-9), (shift.high, 1e-9)):
        assert stats.wilcoxon(x - (limit + outward), method="exact").pvalue <= 0.05 / 3
        assert stats.wilcoxon(x - (limit - outward), method="exact").pvalue > 0.05 / 3


def test_depth_of_ten_by_hand() -> None:
    """n = 10, 95 %: the 9th and the 47th of the 55 Walsh averages (Hollander & Wolfe, table A.4)."""
    x = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30, 0.7]
    walsh = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(x, 2))
    shift = hodges_lehmann(x)
    assert (shift.low, shift.high) == pytest.approx((walsh[8], walsh[46]))
    assert shift.estimate == pytest.approx(walsh[27])


def test_published_example() -> None:
    """Hollander & Wolfe, depression scores (table 3.1): estimate −0.46, interval
    (−0.786, −0.010) at 96.1 %."""
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    shift = hodges_lehmann([b - a for a, b in zip(before, after, strict=True)], 0.96)
    assert shift == pytest.approx((-0.46, -0.786, -0.010), abs=1e-9)


@given(LISTS, st.floats(-3, 3))
def test_shifting_the_values_shifts_all(values: list[float], by: float) -> None:
    moved = hodges_lehmann([v + by for v in values])
    assert moved == pytest.approx([v + by for v in hodges_lehmann(values)], abs=1e-9)


@given(LISTS)
def test_turning_the_sign_mirrors(values: list[float]) -> None:
    shift, mirror = hodges_lehmann(values), hodges_lehmann([-v for v in values])
    assert (shift.low, shift.high) == pytest.approx((-mirror.high, -mirror.low))
    assert shift.low <= shift.estimate <= shift.high


def test_too_few_values_have_no_interval() -> None:
    assert hodges_lehmann([0.1] * 5)[1:] == (-math.inf, math.inf)
    assert hodges_lehmann([0.1] * 6).low == pytest.approx(0.1)


@pytest.mark.parametrize(("looks", "alpha"), [((6,), 0.05), ((10, 20, 40), 0.05), ((5, 9), 0.2), ((40,), 0.001)])
def test_the_fewest_processes_that_have_an_interval(looks: tuple[int, ...], alpha: float) -> None:
    needed = processes_needed(looks, alpha)
    assert signed_rank_order(needed, alpha / len(looks)) > 0
    assert signed_rank_order(needed - 1, alpha / len(looks)) == 0


def test_walsh_averages() -> None:
    assert walsh_averages([4.0, 0.0, 1.0]).tolist() == [0.0, 0.5, 1.0, 2.0, 2.5, 4.0]


@pytest.mark.parametrize(("law", "n"), [("normal", 10), ("laplace", 10), ("standard_cauchy", 20), ("logistic", 20)])
def test_coverage(law: str, n: int) -> None:
    rng = np.random.default_rng(5)
    shifts = [hodges_lehmann(getattr(rng, law)(size=n).tolist(), 0.95) for _ in range(2000)]
    below = sum(signed_rank_counts(n)[: signed_rank_order(n, 0.05)]) / 2**n
    assert np.mean([s.low <= 0 <= s.high for s in shifts]) == pytest.approx(1 - 2 * below, abs=0.018)


def spread(centre: float, n: int, width: float = 0.001) -> list[float]:
    """Values evenly around a centre, in mixed order."""
    steps = np.random.default_rng(0).permutation(np.linspace(-width, width, n))
    return (centre + steps).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("centre", "delta", "status"),
    [
        (0.0, 0.03, "pass"),
        (-0.2, 0.03, "pass"),
        (0.06, 0.03, "fail"),
        (math.log(0.4), -0.5, "pass"),
        (math.log(0.6), -0.5, "fail"),  # faster than the baseline, but not by half
        (0.1, -0.5, "fail"),
        (math.log(1.9), 1.0, "pass"),
        (-0.01, 0.0, "pass"),
        (0.01, 0.0, "fail"),
    ],
)
def test_clear_cases_end_at_the_first_look(centre: float, delta: float, status: str) -> None:
    verdict = judge_ratio(spread(centre, 10), delta)
    assert (verdict.status, verdict.n) == (status, 10)
    assert verdict.low <= verdict.estimate <= verdict.high
    assert verdict.estimate == pytest.approx(centre, abs=1e-3)


def test_a_sure_slowdown_below_the_limit_neither_fails_nor_needs_to() -> None:
    """+2.9 % at a limit of 3 %: proved slower, but not proved within: go on, then inconclusive."""
    near = spread(math.log(1.029), 40, 0.02)
    statuses = [judge_ratio(near[:n], 0.03).status for n in (9, 10, 20, 39)]
    assert statuses == ["continue"] * 4
    assert judge_ratio(near, 0.03).status == "inconclusive"


def test_a_fail_needs_proof_of_a_slowdown_not_of_the_whole_limit() -> None:
    verdict = judge_ratio(spread(0.035, 10, 0.03), 0.03)
    assert 0 < verdict.low < math.log(1.03) < verdict.estimate
    assert verdict.status == "fail"


def test_no_verdict_between_looks() -> None:
    assert judge_ratio(spread(0.0, 9), 0.03).status == "continue"
    straddling = [*spread(0.02, 10, 0.2), *spread(-1.0, 9)]
    assert judge_ratio(straddling, 0.03).status == "continue"


def test_the_first_decision_is_final() -> None:
    """What comes after a fail cannot turn it green, whatever is appended."""
    failed = spread(0.06, 10)
    assert judge_ratio(failed + spread(-1.0, 30), 0.03) == judge_ratio(failed, 0.03)


def test_values_beyond_the_last_look_do_not_count() -> None:
    undecided = spread(0.0, 40, 0.2)
    verdict = judge_ratio(undecided + spread(-1.0, 100), 0.03)
    assert (verdict.status, verdict.n) == ("inconclusive", 40)


@pytest.mark.parametrize(
    ("values", "options", "reason"),
    [
        ([], {"delta": 0.03}, "missing"),
        ([math.nan], {"delta": 0.03}, "finite"),
        ([0.0], {"delta": -1.0}, "shrink"),
        ([0.0], {"delta": math.nan}, "shrink"),
        ([0.0], {"delta": 0.03, "looks": (10, 10)}, "increasing"),
        ([0.0], {"delta": 0.03, "looks": ()}, "increasing"),
        ([0.0], {"delta": 0.03, "alpha": 1.0}, "alpha"),
    ],
)
def test_nonsense_is_refused(values: list[float], options: dict[str, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        judge_ratio(values, **options)  # type: ignore[arg-type]


# ---- how the protocol itself is tested (GATES.md): 2,000 trials a cell at effects 0, δ/2, δ, 2δ

Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]
DELTA, TRIALS = 0.03, 2000


def quiet(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return rng.normal(0, 0.008, n)


def noisy(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return rng.normal(0, 0.05, n)


def bimodal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return rng.choice([-0.02, 0.02], n) + rng.normal(0, 0.004, n)


def spikes(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return np.asarray(0.006 * rng.standard_t(1.5, n))


def rates(noise: Noise, effect: float, judge: Callable[[list[float]], RatioVerdict]) -> dict[str, float]:
    """How often each status is reached."""
    rng = np.random.default_rng(7)
    statuses = [judge((math.log1p(effect) + noise(rng, 40)).tolist()).status for _ in range(TRIALS)]
    return {status: statuses.count(status) / TRIALS for status in ("pass", "fail", "inconclusive")}


def protocol(values: Sequence[float]) -> RatioVerdict:
    return judge_ratio(values, DELTA)


@pytest.mark.parametrize("noise", [quiet, noisy, bimodal, spikes])
def test_an_equal_candidate_hardly_ever_fails(noise: Noise) -> None:
    assert rates(noise, 0.0, protocol)["fail"] <= 0.01


@pytest.mark.parametrize("noise", [quiet, noisy, bimodal, spikes])
@pytest.mark.parametrize("effect", [DELTA, 2 * DELTA])
def test_a_slow_candidate_hardly_ever_passes(noise: Noise, effect: float) -> None:
    assert rates(noise, effect, protocol)["pass"] <= 0.05


def test_a_quiet_device_decides() -> None:
    assert rates(quiet, 2 * DELTA, protocol)["fail"] >= 0.9
    assert rates(quiet, 0.0, protocol)["inconclusive"] <= 0.05
    assert rates(quiet, DELTA / 2, protocol)["pass"] >= 0.9


def test_error_at_the_limit_is_what_the_split_promises() -> None:
    """Three looks at one-sided 0.05/6 each; without the split the rate is visibly higher."""
    promised = rates(noisy, DELTA, protocol)["pass"]
    unsplit = rates(noisy, DELTA, lambda values: judge_ratio(values, DELTA, alpha=0.15))["pass"]
    assert promised <= 0.025
    assert unsplit > 0.035


def test_pooled_iterations_would_mislead() -> None:
    """Ten processes of twenty iterations are not two hundred values: pooling passes a slow candidate."""

    def pooled(processes: list[float]) -> RatioVerdict:
        jitter = np.random.default_rng(11).normal(0, 0.01, (10, 20))
        values = (np.asarray(processes[:10])[:, None] + jitter).ravel()
        return judge_ratio(values.tolist(), DELTA, looks=(200,))

    rng = np.random.default_rng(7)
    trials = [(math.log1p(DELTA) + quiet(rng, 40)).tolist() for _ in range(400)]
    assert np.mean([pooled(values).status == "pass" for values in trials]) > 0.1
    assert np.mean([protocol(values).status == "pass" for values in trials]) <= 0.05
