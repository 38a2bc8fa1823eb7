"""Says when the machine changed rather than the model: the same file takes longer than it ever did here."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_LEAST = 5  # quartiles of fewer values say nothing


@dataclass(frozen=True, slots=True)
class Drift:
    """`now` seconds lie above `fence` = Q3 + 3·IQR of `n` earlier values of the same file on the same device."""

    now: float
    median: float
    fence: float
    n: int


def drift(earlier: Sequence[float], now: float) -> Drift | None:
    """The alarm, or None where `now` is within the fence or fewer than five earlier values are known.

    Q3 + 3·IQR is the far-out fence of Tukey 1977, Exploratory Data Analysis, section 2D; quartiles are interpolated
    between order statistics (type 7 of Hyndman & Fan 1996). Only longer times alarm: a faster machine harms nobody.
    """
    if len(earlier) < _LEAST:
        return None
    first, middle, third = statistics.quantiles(earlier, n=4, method="inclusive")
    fence = third + 3 * (third - first)
    return Drift(now, middle, fence, len(earlier)) if now > fence else None
