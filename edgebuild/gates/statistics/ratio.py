"""Is a candidate slower than its baseline by more than a limit?  Rank statistics over per-process log-ratios.

One value per *process* enters: iterations inside a process share its memory layout and clock, so pooling them
would claim far more evidence than there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, pairwise
from statistics import NormalDist, stdev
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Status = Literal["pass", "fail", "continue", "inconclusive"]
FALSE_FAIL = 0.01  # how often an equal candidate may fail


class Shift(NamedTuple):
    """Hodges–Lehmann estimate of a location and its interval, in the unit of the values."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RatioVerdict:
    """Outcome of `judge_ratio`: `estimate`, `low`, `high` are natural logarithms of candidate / baseline.

    `n` is the number of processes that the outcome rests on.  `low` and `high` are infinite where n is too
    small for an interval at the confidence in force.
    """

    status: Status
    estimate: float
    low: float
    high: float
    n: int


def judge_ratio(
    log_ratios: Sequence[float],
    delta: float,
    looks: Sequence[int] = (10, 20, 40),
    alpha: float = 0.05,
) -> RatioVerdict:
    """Three-valued sequential verdict on "the candidate takes less than (1 + delta) times the baseline".

    `log_ratios` holds one ln(candidate / baseline) per process, in the order measured; `delta` is a relative
    change above −1 (0.03: at most 3 % slower; −0.5: at most half the time); `looks` the increasing numbers of
    processes at which a verdict may fall; `alpha` the two-sided error over all looks, split by Bonferroni.

    With L = ln(1 + delta): pass when high < L; fail when low > min(0, L) and estimate ≥ L; otherwise
    "continue", and at the last look "inconclusive".  The first look that decides is final, whatever was
    measured later: this is what rules out retrying until green.  Between looks the answer is "continue".
    For a fail, low is taken one-sided at FALSE_FAIL over all looks where alpha / 2 is larger: where noise is so
    large that only estimates beyond L differ from 0, nothing else would keep equal models from failing in 2.5 %.

    Raises ValueError when delta ≤ −1, the looks do not increase, alpha is outside (0, 1), or values are
    missing or not finite.  Source: GATES.md; Hodges & Lehmann 1963, Annals of Mathematical Statistics
    34:598–611.
    """
    _check(log_ratios, delta, looks, alpha)
    confidence = 1 - split(alpha, looks)
    for look in looks:
        if look > len(log_ratios):
            break
        shift = hodges_lehmann(log_ratios[:look], confidence)
        status = _decide(log_ratios[:look], shift, math.log1p(delta), split(false_fail(alpha), looks))
        if status != "continue":
            return RatioVerdict(status, *shift, n=look)
    n = min(len(log_ratios), looks[-1])
    status = "continue" if n < looks[-1] else "inconclusive"
    return RatioVerdict(status, *hodges_lehmann(log_ratios[:n], confidence), n=n)


def processes_needed(looks: Sequence[int], alpha: float = 0.05) -> int:
    """Least processes of which an interval can be made at all: the least n with 2⁻ⁿ ≤ alpha / 2 / looks."""
    return next(n for n in count(1) if 0.5**n <= split(alpha, looks) / 2)


def split(error: float, looks: Sequence[int]) -> float:
    """The error that one look may make so that all together make at most `error` (Bonferroni)."""
    return error / len(looks)


def false_fail(alpha: float) -> float:
    """The one-sided error of a fail over all looks: that of a pass, and FALSE_FAIL at most."""
    return min(FALSE_FAIL, alpha / 2)


def signed_rank_p(values: Sequence[float]) -> float:
    """One-sided p of a centre above 0: how often so large a T⁺ comes about where the centre is 0 (exact).

    T⁺ is the sum of the ranks, by size, of the values above 0; ties share theirs, and a half is rounded down.
    """
    size = [abs(value) for value in values]
    ranks = [sum(other < one for other in size) + (1 + sum(other == one for other in size)) / 2 for one in size]
    counts = signed_rank_counts(len(values))
    statistic = int(sum(rank for rank, value in zip(ranks, values, strict=True) if value > 0))
    return float(sum(counts[statistic:]) / 2 ** len(values))


def processes_to_decide(values: Sequence[float], distance: float, error: float, power: float = 0.9) -> float:
    """Processes that show, with `power`, on which side of a limit a centre lies that stays so far from it.

    About ((z₁₋error + z_power)·s / distance)²·π/3, by the efficiency of the signed-rank test where values are normal.
    Infinite at a distance of 0.
    """
    z = NormalDist().inv_cdf
    spread = stdev(values) if len(values) > 1 else 0.0
    return ((z(1 - error) + z(power)) * spread / distance) ** 2 * math.pi / 3 if distance > 0 else math.inf


def hodges_lehmann(values: Sequence[float], confidence: float = 0.95) -> Shift:
    """Median of the Walsh averages of `values` and its two-sided Wilcoxon signed-rank interval.

    Exact (coverage at least `confidence`) for independent values symmetric about a common centre, and with
    ties conservative.  The limits are infinite where n is too small for the confidence.

    Raises ValueError for no values or a confidence outside (0, 1).
    Source: Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3rd ed., sections 3.2 and 3.3.
    """
    import numpy as np

    if not values or not 0 < confidence < 1:
        raise ValueError(f"{len(values)} values at confidence {confidence}")
    walsh = walsh_averages(values)
    rank = signed_rank_order(len(values), 1 - confidence)
    if rank == 0:
        return Shift(float(np.median(walsh)), -math.inf, math.inf)
    return Shift(float(np.median(walsh)), float(walsh[rank - 1]), float(walsh[-rank]))


def walsh_averages(values: Sequence[float]) -> NDArray[np.float64]:
    """Sorted means of every pair, each value with itself included: shape (n(n + 1)/2,)."""
    import numpy as np

    x = np.asarray(values, dtype=np.float64)
    first, second = np.triu_indices(x.size)
    return np.sort((x[first] + x[second]) / 2)


@lru_cache(maxsize=256)
def signed_rank_order(n: int, alpha: float) -> int:
    """Rank k such that the k-th smallest and k-th largest Walsh average bound the centre at level 1 − alpha.

    It is the largest k with P(T⁺ ≤ k − 1) ≤ alpha / 2, T⁺ being the signed-rank statistic of n values; 0
    where no k will do.
    """
    allowed, total = alpha / 2 * 2**n, 0
    for k, ways in enumerate(signed_rank_counts(n)):
        total += ways
        if total > allowed:
            return k
    raise ValueError(f"alpha {alpha} leaves no interval")


@lru_cache(maxsize=256)
def signed_rank_counts(n: int) -> tuple[int, ...]:
    """How many of the 2ⁿ sign patterns give T⁺ = 0, 1, … n(n + 1)/2: the exact null distribution.

    Dynamic programme over the ranks: rank r either counts (shifting the sums by r) or does not.
    """
    counts = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        for total in range(rank * (rank + 1) // 2, rank - 1, -1):
            counts[total] += counts[total - rank]
    return tuple(counts)


def _decide(values: Sequence[float], shift: Shift, limit: float, error: float) -> Status:
    """One look: the rule of GATES.md, with `limit` = ln(1 + delta) and the one-sided `error` of a fail."""
    if shift.high < limit:
        return "pass"
    # With a limit above 0 a fail also needs proof of *some* slowdown; below 0 "not fast enough" must be
    # proved.
    proved = min(0.0, limit)
    if shift.estimate >= limit and hodges_lehmann(values, 1 - 2 * error).low > proved:
        return "fail"
    return "continue"


def check_looks(looks: Sequence[int]) -> None:
    """Raise ValueError unless `looks` are numbers of processes that increase."""
    if not looks or looks[0] < 1 or any(a >= b for a, b in pairwise(looks)):
        raise ValueError(f"looks {tuple(looks)} must be positive and increasing")


def _check(log_ratios: Sequence[float], delta: float, looks: Sequence[int], alpha: float) -> None:
    """Raise ValueError for arguments that no measurement plan can mean."""
    if not delta > -1:
        raise ValueError(f"delta {delta}: a duration cannot shrink by 100 % or more")
    check_looks(looks)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
    if not log_ratios or not all(map(math.isfinite, log_ratios)):
        raise ValueError("log-ratios are missing or not finite")
