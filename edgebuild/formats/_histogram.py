"""A tensor's values counted in bins, and searches for the range that loses least when they become 8-bit numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.spec.quantization import Quantization, Range

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

BINS = 2048
# Thresholds that are tried, as fractions of the largest absolute value.
CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in BINS bins of equal width from `low` to `high`, which are at most and at least 0."""

    counts: Array
    low: float
    high: float

    @classmethod
    def empty(cls, extreme: Range) -> Histogram:
        """No values yet; a tensor that is always 0 gets bins around it."""
        import numpy as np

        low, high = extreme if extreme[0] < extreme[1] else (-1.0, 1.0)
        return cls(np.zeros(BINS, np.int64), low, high)

    def add(self, values: Array) -> None:
        """Count more values; those beyond the ends (such as -inf) are left out."""
        import numpy as np

        self.counts[:] += np.histogram(values, BINS, (self.low, self.high))[0]

    @property
    def width(self) -> float:
        """Of one bin."""
        return (self.high - self.low) / BINS

    def centres(self) -> Array:
        """The middle of every bin."""
        import numpy as np

        return self.low + (np.arange(BINS) + 0.5) * self.width

    def outside(self, low: float, high: float) -> float:
        """The share of values below `low` or above `high`, to within a bin."""
        centres = self.centres()
        beyond = (centres < low) | (centres > high)
        return float(self.counts[beyond].sum() / max(1, self.counts.sum()))

    def candidates(self, symmetric: bool) -> Iterator[Range]:
        """Ranges from the widest to the narrowest: what lies within ±t, or all of ±t, for falling thresholds t."""
        widest = max(-self.low, self.high)
        for step in range(CANDIDATES, 0, -1):
            t = widest * step / CANDIDATES
            yield (-t, t) if symmetric else (max(self.low, -t), min(self.high, t))


def percentile(seen: Histogram, how: Quantization) -> Range:
    """The range that keeps `how.percentile` percent of the values, as many cut off below as above."""
    import numpy as np

    share = np.cumsum(seen.counts) / seen.counts.sum()
    cut = (1 - how.percentile / 100) / 2
    first, last = (int(np.searchsorted(share, place)) for place in (cut, 1 - cut))
    low, high = seen.low + first * seen.width, seen.low + (min(last, BINS - 1) + 1) * seen.width
    return min(low, 0.0), max(high, 0.0)


def mse(seen: Histogram, how: Quantization) -> Range:
    """The candidate with the least mean squared error of rounding and clipping to 8 bits."""
    centres = seen.centres()

    def error(candidate: Range) -> float:
        return float(((centres - rounded(centres, candidate)) ** 2 * seen.counts).sum())

    return min(seen.candidates(how.symmetric), key=error)


def rounded(values: Array, within: Range, bits: int = 8) -> Array:
    """The values as an affine quantizer of this range and width gives them back.

    q = round((x − min)/(max − min)·(2^b − 1)), clipped (Jacob et al., CVPR 2018).
    """
    import numpy as np

    low, high = within
    steps = 2**bits - 1
    q = np.clip(np.round((values - low) / (high - low) * steps), 0, steps)
    restored: Array = low + q * (high - low) / steps
    return restored


def entropy(seen: Histogram, how: Quantization) -> Range:
    """The candidate whose 256 levels lose least information: least KL divergence (Migacz, GTC 2017)."""
    return min(seen.candidates(how.symmetric), key=lambda candidate: _divergence(seen, candidate))


def _divergence(seen: Histogram, candidate: Range, levels: int = 256) -> float:
    """KL(P ‖ Q): P has the outliers in its end bins, Q spreads each level's count over its bins that are not empty.

    Infinite where a level would be narrower than a bin: there is nothing left to compare.
    """
    import numpy as np

    low, high = candidate
    first = max(0, round((low - seen.low) / seen.width))
    last = min(BINS, round((high - seen.low) / seen.width))
    if last - first < levels:
        return float("inf")
    inside = seen.counts[first:last].astype(float)
    reference = inside.copy()
    reference[0] += seen.counts[:first].sum()
    reference[-1] += seen.counts[last:].sum()
    level = np.arange(last - first) * levels // (last - first)
    filled = inside > 0
    sums = np.bincount(level, inside, levels)
    bins = np.bincount(level, filled, levels)
    spread = np.where(filled, sums[level] / np.maximum(bins[level], 1), 0.0)
    return _kl(reference, spread)


def _kl(reference: Array, candidate: Array) -> float:
    """KL divergence of two histograms; a bin that only the reference has counts as if it held a millionth."""
    import numpy as np

    if not candidate.sum():
        return float("inf")
    p, q = reference / reference.sum(), np.maximum(candidate / candidate.sum(), 1e-6)
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


SEARCHES: Mapping[str, Callable[[Histogram, Quantization], Range]] = {
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}
