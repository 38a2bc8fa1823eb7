"""Does a model keep a limit in time?  Exact binomial bounds, and what processes that differ add to them.

Inferences of one process are *not* independent: they share its memory layout, its threads' placement and the minute in
which it ran.  So the median is judged on one value a process, and a percentile twice: on all inferences, as MLPerf
LoadGen does, and on the processes.  What is assumed of the processes: that they are independent of each other and, for
percentiles, that the logarithms of their times are about normal.  A kind of process that none of the m was cannot be
seen; it may still be 1 − (1 − c)^(1/m) of all, 37 % after ten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist, mean, median, stdev
from typing import NamedTuple

from edgebuild.gates.statistics.ratio import Status, check_looks, split

CONFIDENCE = 0.99  # of MLPerf LoadGen's early stopping
LEAST_PROCESSES = 5
_MEDIAN = 0.5


class Share(NamedTuple):
    """A share of inferences with its lower and upper limit, each one-sided."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SlowCounts:
    """What a limit on a percentile is judged by: one entry a process, of `each` inferences.

    `over` counts those that took longer than `limit` seconds, `seconds` is the process's own percentile.
    """

    percentile: float
    limit: float
    each: int
    over: Sequence[int]
    seconds: Sequence[float]

    def __post_init__(self) -> None:
        """Refuse what no measurement can give."""
        _check(self.percentile)
        wrong = self.each < 1 or any(not 0 <= count <= self.each for count in self.over)
        if wrong or len(self.over) != len(self.seconds) or not all(0 < each < math.inf for each in self.seconds):
            raise ValueError(f"impossible counts: {list(self.over)} of {self.each} each, at {list(self.seconds)} s")


@dataclass(frozen=True, slots=True)
class TimeVerdict:
    """Outcome of a limit in time: estimate and limits in seconds, infinite where n processes are too few.

    `share` is that of the inferences that took longer, where those were judged.
    """

    status: Status
    estimate: float
    low: float
    high: float
    n: int
    share: Share | None = None


def name(percentile: float) -> str:
    """How a percentile is called: p95, p99.9."""
    return f"p{100 * percentile:g}"


def samples_needed(percentile: float, confidence: float = CONFIDENCE) -> int:
    """Least samples of which one may be over the limit and the percentile is still proved.

    The least n with P(X ≤ 1) = qⁿ + n(1 − q)qⁿ⁻¹ < 1 − confidence, X binomial over n with rate 1 − q: 64, 130 and 662
    for q = 0.90, 0.95 and 0.99 at 0.99.  Raises ValueError unless both are inside (0, 1).
    Source: MLPerf LoadGen, `early_stopping.cc`, h + t for t = 1 and d = 0.
    """
    _check(percentile, confidence)
    q = percentile  # no scipy: a plan asks this too
    return _least(lambda n: q**n + n * (1 - q) * q ** (n - 1) < 1 - confidence)


def most_over(n: int, percentile: float, confidence: float = CONFIDENCE) -> int:
    """How many of `n` samples may be over the limit while the percentile is proved; −1 where n is too small even for 0.

    The largest k with P(X ≤ k) < 1 − confidence, X binomial over n with rate 1 − percentile, which is where the upper
    limit of Clopper & Pearson falls below 1 − percentile.
    """
    from scipy.stats import binom

    _check(percentile, confidence)
    k = int(binom.ppf(1 - confidence, n, 1 - percentile))
    while k >= 0 and binom.cdf(k, n, 1 - percentile) >= 1 - confidence:
        k -= 1
    return k


def share_bounds(over: int, n: int, confidence: float = CONFIDENCE) -> Share:
    """Share `over / n` with its exact binomial limits, each one-sided at `confidence`.

    Raises ValueError for impossible counts.  Source: Clopper & Pearson 1934, Biometrika 26:404–413.
    """
    from scipy.stats import binomtest

    if not 0 <= over <= n or n <= 0:
        raise ValueError(f"impossible counts: {over} of {n}")
    limits = binomtest(over, n).proportion_ci(2 * confidence - 1, method="exact")  # both ends at once
    return Share(over / n, float(limits.low), float(limits.high))


def tolerance_bound(values: Sequence[float], content: float, confidence: float = CONFIDENCE) -> float:
    """Upper limit, at `confidence`, of what a share `content` of a normal population lies below.

    mean + k·s with k from the noncentral t distribution; infinite for one value.
    Source: Owen 1968, Technometrics 10:445–478; NIST/SEMATECH Handbook, section 7.2.6.3.
    """
    if len(values) < 2:
        return math.inf
    return mean(values) + _tolerance_factor(len(values), content, confidence) * stdev(values)


@lru_cache(maxsize=256)
def _tolerance_factor(m: int, content: float, confidence: float) -> float:
    from scipy.stats import nct

    z = NormalDist().inv_cdf(content)
    return float(nct.ppf(confidence, m - 1, z * math.sqrt(m))) / math.sqrt(m)


def judge_percentile(counts: SlowCounts, looks: Sequence[int], confidence: float = CONFIDENCE) -> TimeVerdict:
    """Sequential verdict on "this percentile of an inference's time is within the limit".

    At each look, with the error 1 − confidence split over the looks, pass when all of
    - at least 5 processes and `samples_needed` inferences ran,
    - the upper limit of Clopper & Pearson for the share of inferences over the limit is at most 1 − percentile,
    - `tolerance_bound` of the processes' own percentiles is within the limit: where process and inference add up, the
      percentile of all inferences is no larger than that percentile of the processes' percentiles, since
      √(a² + b²) ≤ a + b;
    fail when the lower limit of the share is above 1 − percentile and so is, above the limit, that of the median of the
    processes' own percentiles; else go on, and at the last look "inconclusive".  The first look that decides is final.

    Raises ValueError for looks that do not increase or a confidence outside (0, 1).
    """
    check_looks(looks)
    _check(confidence)
    at_look = 1 - split(1 - confidence, looks)
    allowed, floor = 1 - counts.percentile, samples_needed(counts.percentile, confidence)

    def at(m: int) -> TimeVerdict:
        n, own = m * counts.each, counts.seconds[:m]
        share = share_bounds(sum(counts.over[:m]), n, at_look)
        low, _ = _median_limits(sorted(own), at_look)
        high = math.exp(tolerance_bound([math.log(each) for each in own], counts.percentile, at_look))
        status: Status = "continue"
        if share.high <= allowed and high <= counts.limit and m >= LEAST_PROCESSES and n >= floor:
            status = "pass"
        elif share.low > allowed and low > counts.limit:
            status = "fail"
        return TimeVerdict(status, median(own), low, high, m, share)

    return _first(at, len(counts.over), looks)


def judge_median(
    values: Sequence[float], limit: float, looks: Sequence[int], confidence: float = CONFIDENCE
) -> TimeVerdict:
    """Sequential verdict on "the median over processes is within `limit`"; one value a process, in the limit's unit.

    Exact for independent processes, whatever their distribution: the limits of the median are order statistics by the
    binomial with rate ½, their error 1 − confidence split over the looks.  Pass when the upper one is at most `limit`,
    fail when the lower one is above it; at the last look "inconclusive".

    Raises ValueError for no values, looks that do not increase, or a confidence outside (0, 1).
    """
    _check(confidence)
    check_looks(looks)
    if not values or not all(map(math.isfinite, values)):
        raise ValueError("values are missing or not finite")
    at_look = 1 - split(1 - confidence, looks)

    def at(m: int) -> TimeVerdict:
        low, high = _median_limits(sorted(values[:m]), at_look)
        status: Status = "pass" if high <= limit else "fail" if low > limit else "continue"
        return TimeVerdict(status, median(values[:m]), low, high, m)

    return _first(at, len(values), looks)


def processes_needed(looks: Sequence[int], confidence: float = CONFIDENCE) -> int:
    """Least processes at which `judge_median` can decide with this many looks: the least n with 2⁻ⁿ below the error."""
    return _least(lambda n: _MEDIAN**n < split(1 - confidence, looks))


def _median_limits(ordered: Sequence[float], confidence: float) -> tuple[float, float]:
    rank = most_over(len(ordered), _MEDIAN, confidence)
    return (ordered[rank], ordered[-rank - 1]) if rank >= 0 else (-math.inf, math.inf)


def _first(at: Callable[[int], TimeVerdict], done: int, looks: Sequence[int]) -> TimeVerdict:
    """The first look that decides; else how it stands after all processes that are done."""
    for look in looks:
        if look <= done and (verdict := at(look)).status != "continue":
            return verdict
    m = min(done, looks[-1])
    return replace(at(m), status="continue" if m < looks[-1] else "inconclusive")


def _least(enough: Callable[[int], bool]) -> int:
    """The least n that is enough, for a condition that, once true, stays true."""
    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(*shares: float) -> None:
    if not all(0 < share < 1 for share in shares):
        raise ValueError(f"{', '.join(map(str, shares))}: a percentile or confidence is not inside (0, 1)")
