"""Intervals for metrics that no formula covers: examples are drawn again, each for both models at once.

Drawing an example for candidate and baseline together keeps what they have in common, hard examples, out of their
difference: the paired bootstrap (Efron & Tibshirani 1993, chapters 8 and 14).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebuild.gates.statistics import paired

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = NDArray[np.float64]
    # A metric on given examples: from how often each counts, [N], to its value; NaN where these leave it undefined.
    Score = Callable[[Weights], float]

RESAMPLES = 4999
# The correction leaves out every example in turn: too slow for more, and next to nothing there.
_CORRECTED_UP_TO = 5000


class UndefinedError(ValueError):
    """A metric has no value on these examples; the message says why."""


class Resampled(NamedTuple):
    """A change with its two one-sided limits, its standard error, and how the limits were found."""

    estimate: float
    low: float
    high: float
    error: float
    method: str


def change_bound(
    change: Score,
    n: int,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    discrete: bool = False,
    resamples: int | None = None,
    streams: NDArray[np.int64] | None = None,
) -> Resampled:
    """The change of a metric over `n` examples and its *one-sided* limits, each at `confidence`.

    Bias-corrected and accelerated (BCa, Efron 1987), or plain percentiles where that has no value or there are more
    than 5,000 examples. Resamples hold no kind of example that the sample lacks: where few examples change the metric
    (`discrete`: it depends on answers alone, most of which stay) or none does, losses may be of a kind that was not
    seen, so the limits are widened by those of a share of which none of `n` was seen (Tango's, z² / (n + z²)).
    Examples of one of the `streams` [N] are not independent: then streams are drawn, all of their examples at once,
    what was not seen is a stream, and limits are at the confidence that Student's quantile for so many asks for, since
    few vary less than what they are drawn from (expanded percentiles, Hesterberg 2015, American Statistician 69:371).
    Raises UndefinedError where a resample leaves the metric without a value.
    """
    import numpy as np
    from scipy.stats import bootstrap

    numbers = np.arange(n) if streams is None else np.unique(streams, return_inverse=True)[1]
    drawn = int(numbers.max()) + 1
    if drawn < 2:
        raise UndefinedError("has no interval: the held-out examples are one stream, and two are the least")
    nominal, alone = confidence, n
    if streams is not None:
        confidence, alone = _expanded(confidence, drawn), drawn

    def of_rows(rows: NDArray[np.int64]) -> float:
        return change(np.bincount(rows, minlength=drawn).astype(np.float64)[numbers])

    result: Any = None
    for method in ("BCa", "percentile") if drawn <= _CORRECTED_UP_TO else ("percentile",):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of resamples that are all equal, which the result shows too
            result = bootstrap(
                (np.arange(drawn),),
                of_rows,
                n_resamples=0 if result else min(RESAMPLES, resamples or RESAMPLES),
                vectorized=False,
                confidence_level=2 * confidence - 1,
                method=method,
                rng=np.random.default_rng(seed),
                bootstrap_result=result,
            )
        error = float(result.standard_error)
        estimate, unseen = change(np.ones(n)), paired.drop_bound(0, 0, alone, nominal).high
        if error == 0:
            return Resampled(estimate, estimate - unseen, estimate + unseen, error, "none changed")
        low, high = (float(limit) for limit in result.confidence_interval)
        if math.isfinite(low) and math.isfinite(high):
            more = unseen if discrete else 0.0
            return Resampled(estimate, low - more, high + more, error, method)
    raise UndefinedError("has no value on some resamples of the held-out examples: too few of a kind are among them")


def _expanded(confidence: float, drawn: int) -> float:
    """The level of a percentile with which few draws keep this confidence."""
    from scipy.stats import t

    wider = math.sqrt(drawn / (drawn - 1)) * float(t.ppf(confidence, drawn - 1))
    return min(NormalDist().cdf(wider), 1 - 2 / RESAMPLES)


def tail(distance: float, error: float) -> float:
    """One-sided p of an estimate so far from a limit, normal with this standard error; 0 where that is none."""
    return NormalDist().cdf(-distance / error) if error > 0 else 0.0


def examples_to_decide(distance: float, error: float, n: int, power: float = 0.9, alpha: float = 0.05) -> float:
    """Examples that show, with `power`, on which side of a limit a change lies that stays so far from it.

    `error` is the standard error over `n` examples, which falls with their root: n·((z₁₋α + z_power)·error /
    distance)². Infinite at a distance of 0.
    """
    z = NormalDist().inv_cdf
    return n * ((z(1 - alpha) + z(power)) * error / distance) ** 2 if distance > 0 else math.inf
