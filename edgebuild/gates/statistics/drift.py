"""Says when the machine changed rather than the model: the same file takes longer than it ever did here."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_LEAST = 5  # quartiles of fewer values say nothing
# A smaller change matters to no usual gate: between two releases they allow +3 % of measured time and +1 % of work.
MEASURED, COUNTED = 0.03, 0.01


@dataclass(frozen=True, slots=True)
class Drift:
    """`now` seconds lie above the `fence` of `n` earlier values of the same file on the same device."""

    now: float
    median: float
    fence: float
    n: int


def drift(earlier: Sequence[float], now: float, tolerance: float = MEASURED) -> Drift | None:
    """The alarm, or None where `now` is within the fence or fewer than five earlier values are known.

    The fence is Q3 + 3·IQR, the far-out fence of Tukey 1977, Exploratory Data Analysis, section 2D; quartiles are
    interpolated between order statistics (type 7 of Hyndman & Fan 1996). Where values repeat so well that it lies
    within a `tolerance` (a share) of the median, as those predicted from counted work do, it is median·(1 + tolerance):
    what no gate minds is no drift. Only longer times alarm: a faster machine harms nobody.
    """
    if len(earlier) < _LEAST:
        return None
    first, middle, third = statistics.quantiles(earlier, n=4, method="inclusive")
    fence = max(third + 3 * (third - first), middle * (1 + tolerance))
    return Drift(now, middle, fence, len(earlier)) if now > fence else None
