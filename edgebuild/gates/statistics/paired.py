"""How much accuracy a candidate lost against its baseline, judged pair by pair on the same test examples.

The drop is `(b − c) / n`: b examples only the baseline gets right, c only the candidate, of n.  Its interval
is the score interval of Tango (1998), which keeps its level for few discordant pairs, where Wald intervals do
not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Bound(NamedTuple):
    """An estimate and its confidence limits, all in the unit of the estimate (a fraction, not per cent)."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Discordant counts: `lost` (b, baseline right and candidate wrong), `won` (c, the reverse), of `n`
    examples.

    Raises ValueError when the counts are impossible (negative, more than n, or n = 0).
    """

    lost: int
    won: int
    n: int

    def __post_init__(self) -> None:
        """Refuse counts that no test set can give."""
        if self.n < 1 or self.lost < 0 or self.won < 0 or self.lost + self.won > self.n:
            raise ValueError(f"impossible counts: b={self.lost}, c={self.won}, n={self.n}")

    @property
    def discordant_rate(self) -> float:
        """Fraction of the examples on which the two models differ in being right, (b + c) / n."""
        return (self.lost + self.won) / self.n


def count_pairs(candidate: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> Pairs:
    """Discordant counts of two hit arrays of shape (n,) over the same examples in the same order.

    Raises ValueError when the arrays are not boolean, not one-dimensional, or differ in length.
    """
    for name, hits in (("candidate", candidate), ("baseline", baseline)):
        if hits.ndim != 1 or hits.dtype != bool:
            raise ValueError(f"{name} hits must be a boolean vector, not {hits.dtype} of shape {hits.shape}")
    if candidate.shape != baseline.shape:
        raise ValueError(f"candidate has {candidate.size} examples, baseline {baseline.size}")
    lost, won = (baseline & ~candidate).sum(), (candidate & ~baseline).sum()
    return Pairs(int(lost), int(won), int(candidate.size))


def drop_bound(b: int, c: int, n: int, confidence: float = 0.95) -> Bound:
    """Drop in accuracy `(b − c) / n` with the two *one-sided* limits, each at `confidence`.

    `high` is what a non-inferiority gate compares with its margin.  Taken together the limits are a two-sided
    interval at `2·confidence − 1`; `drop_interval` gives one at `confidence`.  Limits lie within [−1, 1].

    Raises ValueError for impossible counts or a confidence outside (0.5, 1).
    Source: Tango 1998, Statistics in Medicine 17:891–908.
    """
    Pairs(b, c, n)
    return Bound((b - c) / n, *limits(b, c, n, _quantile(confidence)))


def highest_drop(b: int, c: int, n: int, confidence: float = 0.95) -> float:
    """The upper limit of `drop_bound` alone, in half its time."""
    Pairs(b, c, n)
    return upper(b, c, n, _quantile(confidence))


def limits(b: float, c: float, n: float, z: float) -> tuple[float, float]:
    """Both limits of `drop_bound` at the quantile z, of counts that need not be whole."""
    return -upper(c, b, n, z), upper(b, c, n, z)


def drop_interval(b: int, c: int, n: int, confidence: float = 0.95) -> Bound:
    """Drop in accuracy with its *two-sided* interval at `confidence` (in (0, 1)); otherwise as
    `drop_bound`.
    """
    return drop_bound(b, c, n, (1 + confidence) / 2)


def examples_needed(discordant_rate: float, margin: float, power: float = 0.9, alpha: float = 0.05) -> int:
    """Test examples needed to show, with `power`, that an equally accurate candidate is inside `margin`.

    `discordant_rate` and `margin` are fractions (0.02, 0.01 for 2 %, 1 pp), `alpha` is one-sided.  The normal
    approximation n = (z₁₋α + z_power)²·ψ/δ² at a true drop of 0 (Lu & Bean 1995, Statistics in Medicine
    14:1831–1839), and never fewer than the n at which even *no* discordant pair brings Tango's bound inside
    the margin, n > z²(1 − δ)/δ.

    Raises ValueError when a rate, the margin, the power or alpha is out of range.
    """
    if not 0 <= discordant_rate <= 1 or not 0 < margin < 1:
        raise ValueError(f"discordant rate {discordant_rate} or margin {margin} is not a usable fraction")
    z = _quantile(1 - alpha)
    by_power = (z + _quantile(power)) ** 2 * discordant_rate / margin**2
    if_all_agree = math.floor(z * z * (1 - margin) / margin) + 1
    return max(math.ceil(by_power), if_all_agree)


def score_p(pairs: Pairs, drop: float) -> float:
    """How often pairs at least as good as these come about where the true drop is `drop`: one-sided, by the score test.

    Below 1 − confidence exactly where the upper limit of `drop_bound` is below `drop`. Raises ValueError unless `drop`
    is inside (−1, 1). Source: Tango 1998, Statistics in Medicine 17:891–908.
    """
    if not -1 < drop < 1:
        raise ValueError(f"a drop of {drop} has no variance to test by")
    b, c, n = pairs.lost, pairs.won, pairs.n
    variance = 2 * _restricted_won_rate(drop, b, c, n) + drop * (1 - drop)
    return NormalDist().cdf((b - c - n * drop) / math.sqrt(n * variance))


def examples_to_decide(pairs: Pairs, margin: float, power: float = 0.9, alpha: float = 0.05) -> float:
    """Examples that show, with `power`, on which side of `margin` a drop lies that stays as `pairs` have it.

    n = (z₁₋α + z_power)²·(ψ − d²) / (d − δ)², ψ being the discordant rate; for a pass never fewer than with no
    discordant pair at all (`examples_needed`). Infinite where the drop is the margin.
    """
    drop = (pairs.lost - pairs.won) / pairs.n
    if drop == margin:
        return math.inf
    variance, z = pairs.discordant_rate - drop**2, _quantile(1 - alpha) + _quantile(power)
    by_power = math.ceil(z**2 * variance / (drop - margin) ** 2)
    return max(by_power, examples_needed(0, margin, alpha=alpha)) if drop < margin else by_power


def wilson(hits: int, n: int, confidence: float = 0.95) -> Bound:
    """One model's accuracy `hits / n` with its two-sided interval at `confidence`.

    Raises ValueError for impossible counts or a confidence outside (0, 1).
    Source: Wilson 1927, Journal of the American Statistical Association 22:209–212.
    """
    from scipy.stats import binomtest

    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"impossible counts: {hits} hits of {n}")
    limits = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return Bound(hits / n, float(limits.low), float(limits.high))


def _quantile(confidence: float) -> float:
    """Standard normal quantile of a one-sided confidence in (0.5, 1)."""
    if not 0.5 < confidence < 1:
        raise ValueError(f"one-sided confidence {confidence} is not between 0.5 and 1")
    return NormalDist().inv_cdf(confidence)


def upper(b: float, c: float, n: float, z: float) -> float:
    """Largest drop λ that a score test at quantile z does not reject: the root of `_excess` above the
    estimate. Counts need not be whole.

    The lower limit is the mirror image: b and c change places and the sign turns.
    """
    from scipy.optimize import brentq

    # Where all agree or all disagree one way, the estimate itself is a spurious root (no difference and no
    # variance), and the true one has a closed form.
    if b == c == 0:
        return z * z / (n + z * z)
    if c == n:
        return (z * z - n) / (z * z + n)
    if b == n:
        return 1.0
    return float(brentq(lambda drop: _excess(drop, b, c, n, z), (b - c) / n, 1.0, xtol=1e-14))


def _excess(drop: float, b: float, c: float, n: float, z: float) -> float:
    """Numerator of the score statistic plus z standard errors; 0 where the statistic equals −z.

    Multiplied out rather than divided, so that it stays finite where the variance vanishes (λ → 1).
    Tango's statistic: T(λ) = (b − c − nλ) / √(n(2·q₂₁ + λ(1 − λ))).
    """
    variance = 2 * _restricted_won_rate(drop, b, c, n) + drop * (1 - drop)
    return b - c - n * drop + z * math.sqrt(n * max(variance, 0.0))


def _restricted_won_rate(drop: float, b: float, c: float, n: float) -> float:
    """Maximum-likelihood rate q₂₁ of won pairs when the true drop is `drop` (Tango 1998): the root
    of A·q² + B·q + C = 0 with A = 2n, B = (2n − b + c)λ − b − c, C = −cλ(1 − λ).

    For a negative drop the roles are exchanged, which keeps every product below non-negative: the textbook
    root (√(B² − 4AC) − B) / 2A cancels badly, so its conjugate is taken whenever B > 0.
    """
    if drop < 0:
        return _restricted_won_rate(-drop, c, b, n) - drop
    a_, b_, c_ = 2.0 * n, (2 * n - b + c) * drop - b - c, -c * drop * (1 - drop)
    root = math.sqrt(max(b_ * b_ - 4 * a_ * c_, 0.0))
    return (root - b_) / (2 * a_) if b_ <= 0 else -2 * c_ / (root + b_)


def differing_bound(differing: int, n: int, confidence: float = 0.95) -> float:
    """Most that the share behind `differing` of `n` can be, at a one-sided confidence: the exact binomial limit.

    With none differing it is 1 − (1 − confidence)^(1/n), about 3/n. Raises ValueError for impossible counts.
    Source: Clopper & Pearson 1934, Biometrika 26:404–413.
    """
    from scipy.stats import binomtest

    if n < 1 or not 0 <= differing <= n:
        raise ValueError(f"impossible counts: {differing} of {n}")
    return float(binomtest(differing, n, alternative="less").proportion_ci(confidence, method="exact").high)


def mean_bound(differences: NDArray[np.float64], confidence: float = 0.95) -> Bound:
    """Mean of paired differences (n,) with its two one-sided limits, each at `confidence`.

    Student's t: mean ± t(n − 1)·s/√n (Gosset 1908). Raises ValueError for fewer than two examples.
    """
    import numpy as np
    from scipy.stats import t

    n = len(differences)
    if n < 2:
        raise ValueError(f"{n} example is too few for an interval")
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    half = float(t.ppf(confidence, n - 1)) * deviation / math.sqrt(n)
    return Bound(mean, mean - half, mean + half)
