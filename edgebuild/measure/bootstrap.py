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

from edgebuild.measure import paired

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


def change_bound(change: Score, n: int, confidence: float = 0.95, seed: int = 0) -> Resampled:
    """The change of a metric over `n` examples and its *one-sided* limits, each at `confidence`.

    Bias-corrected and accelerated (BCa, Efron 1987), or plain percentiles where that has no value or there are more
    than 5,000 examples. Where all resamples are equal, no example changed the metric, and the limits are those of a
    share of which none of `n` was seen (Tango's). Raises UndefinedError where a resample leaves it without a value.
    """
    import numpy as np
    from scipy.stats import bootstrap

    def of_rows(rows: NDArray[np.int64]) -> float:
        return change(np.bincount(rows, minlength=n).astype(np.float64))

    found: Any = None
    for method in ("BCa", "percentile") if n <= _CORRECTED_UP_TO else ("percentile",):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of resamples that are all equal, which the result shows too
            found = bootstrap(
                (np.arange(n),),
                of_rows,
                n_resamples=0 if found else RESAMPLES,
                vectorized=False,
                confidence_level=2 * confidence - 1,
                method=method,
                rng=np.random.default_rng(seed),
                bootstrap_result=found,
            )
        if found.standard_error == 0:
            unseen, same = paired.drop_bound(0, 0, n, confidence), change(np.ones(n))
            return Resampled(same, same + unseen.low, same + unseen.high, 0.0, "none changed")
        low, high = (float(limit) for limit in found.confidence_interval)
        if math.isfinite(low) and math.isfinite(high):
            return Resampled(change(np.ones(n)), low, high, float(found.standard_error), method)
    raise UndefinedError("has no value on some resamples of the held-out examples: too few of a kind are among them")


def examples_needed(error: float, n: int, margin: float, power: float = 0.9, alpha: float = 0.05) -> int:
    """Examples needed to show, with `power`, that a candidate with no true change is inside `margin`.

    `error` is the standard error over `n` examples, which falls with their root: n·((z₁₋α + z_power)·error / margin)².
    """
    z = NormalDist().inv_cdf
    return math.ceil(n * ((z(1 - alpha) + z(power)) * error / margin) ** 2)
