"""How many of a finite set can be of a kind, from some of them drawn at random: a bound that holds at every look.

Drawing goes on until a gate is decided, so a bound that is right for one number of draws is not enough: whoever looks
again and again, and stops at what he likes, is wrong far more often. These bounds are a confidence sequence: the
chance that any of them, after any number of draws, is wrong is at most 1 − confidence. When to look, and why to stop,
is then free.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# All fixed before anything is drawn. The weight of "none is of the kind", which is what drawing mostly finds; and the
# share of the error that is kept for the last draw, where a bound for that one number is smaller if some are.
_NONE, _LAST = 0.9, 0.1


@lru_cache(maxsize=4096)
def most_of_kind(seen: int, n: int, total: int, last: int, confidence: float = 0.95) -> int:
    """Most of `total` that can be of a kind of which `seen` were among `n` drawn at random and not put back.

    All bounds for n = 1, 2, … `last` hold together with the probability `confidence`; drawing stops at `last` at the
    latest, which must be fixed in advance. Raises ValueError for impossible counts or confidence.
    """
    _check(seen, n, total, last)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not inside (0, 1)")
    error = 1 - confidence
    always = _at_every_look(seen, n, total, (1 - _LAST) * error)
    return min(always, _at_one_look(seen, n, total, _LAST * error)) if n == last else always


@lru_cache(maxsize=4096)
def p_values(seen: int, n: int, total: int, last: int) -> NDArray[np.float64]:
    """How surely so many more are none, [total − n + 1]: a p-value of "0, 1, 2 … of those not drawn are of the kind".

    Arguments as for `most_of_kind`. The p-value of what is true falls to v or below, after any number of draws, with
    the probability v at most: it is 1 / (mixture likelihood ratio), the share of the last draw apart.
    """
    import numpy as np
    from scipy.stats import hypergeom

    _check(seen, n, total, last)
    possible, ratio = _ratios(seen, n, total)
    values = np.exp(-ratio) / (1 - _LAST)
    if n == last:
        values = np.minimum(values, hypergeom.cdf(seen, total, possible, n) / _LAST)
    return np.minimum(values, 1.0)


def _check(seen: int, n: int, total: int, last: int) -> None:
    if not 0 <= seen <= n <= last <= total or n < 1:
        raise ValueError(f"impossible counts: {seen} of {n} drawn from {total} (at most {last})")


def _at_every_look(seen: int, n: int, total: int, error: float) -> int:
    """The largest D whose mixture likelihood ratio is below 1 / error."""
    import numpy as np

    possible, ratio = _ratios(seen, n, total)
    return int(possible[np.flatnonzero(ratio < -np.log(error))[-1]])


def _ratios(seen: int, n: int, total: int) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Each possible D with the logarithm of Σ w(D′)·P(draws | D′) / P(draws | D).

    P is hypergeometric, w fixed beforehand. Under the true D the ratio is a martingale that starts at 1, so with
    probability `error` at most it ever reaches 1 / error (Ville 1939).
    Source: Waudby-Smith & Ramdas 2020, Confidence sequences for sampling without replacement (prior-posterior ratio).
    """
    import numpy as np
    from scipy.special import gammaln, logsumexp

    def ways(of: float, taken: NDArray[Any]) -> NDArray[np.float64]:
        counted: NDArray[np.float64] = gammaln(of + 1) - gammaln(taken + 1) - gammaln(of - taken + 1)
        return counted

    possible = np.arange(seen, total - n + seen + 1)
    kinds = possible.astype(np.float64)
    likelihood = ways(total - n, kinds - seen) - ways(total, kinds)
    ratio: NDArray[np.float64] = logsumexp(likelihood + np.log(_weights(total)[possible])) - likelihood
    return possible, ratio


def _at_one_look(seen: int, n: int, total: int, error: float) -> int:
    """The largest D under which so few as `seen` among n have a probability above `error` (Clopper & Pearson 1934)."""
    from scipy.stats import hypergeom

    low, high = seen, total - n + seen  # the probability falls with D
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if hypergeom.cdf(seen, total, middle, n) > error else (low, middle - 1)
    return low


@lru_cache(maxsize=8)
def _weights(total: int) -> NDArray[np.float64]:
    """Weight of each D from 0 to `total`, [total + 1]: they sum to 1, and fall with the square of D above 0."""
    import numpy as np

    weights = 1 / ((np.arange(total + 1) + 1.0) * (np.arange(total + 1) + 2.0))
    weights[0] = 0.0
    weights *= (1 - _NONE) / weights.sum()
    weights[0] = _NONE
    return weights
