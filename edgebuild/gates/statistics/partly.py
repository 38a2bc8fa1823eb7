"""The drop of a device that ran some of the examples: what is known of all, and of the rest from those that ran.

Two things are uncertain, and independently so: whether the examples stand for all there could be, and how many of those
that did not run the device answers otherwise than this machine. Two bounds added up would allow for both being as wrong
as they may at once. Their p-values are combined instead, for every number that may differ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from edgebuild.gates.statistics import clustered, sampling
from edgebuild.spec.evidence import Clusters

# Fixed before anything is drawn: how much the device's p-value counts beside that of the examples. With 1 it would be
# Fisher's product; below, less is asked of the examples where the device differs nowhere.
_WEIGHT = 0.6
_COARSE = 20  # numbers above it are taken in blocks, each as bad as its worst: a twentieth more work is not worth it


class Draws(NamedTuple):
    """`seen` of a kind among the first `n` of `total` examples in random order; at most `last` are drawn."""

    seen: int
    n: int
    total: int
    last: int


@lru_cache(maxsize=65536)
def highest_drop(
    lost: int, won: int, n: int, unrun: int, draws: Draws, confidence: float, together: Clusters | None = None
) -> float:
    """Upper limit of the drop (lost − won) / n, one-sided at `confidence`, whatever was drawn and whenever it stopped.

    `draws` count the examples that this machine gets right and the device gets wrong; `unrun` of the n did not run
    there. For each number D of these that may be of that kind, p₁ is the score test's p-value of the drop with D more
    losses, and p₂ that of D by the draws. p₁ is fixed by the examples, and p₂ is valid whatever these are, so the
    product p₁·p₂^w of the true D is below `critical(error)` with probability `error` at most: no drop is excluded
    that all D together do not exclude. Sources: Fisher 1925; Good 1955 (weights); Tango 1998.

    `together` says how examples count that are of groups.

    Losses are laid on answers that both models get right, then on those that the candidate alone does.
    """
    if draws.n == draws.total or not unrun:
        return clustered.highest_drop(lost, won, n, confidence, together)
    product, values = critical(1 - confidence), sampling.p_values(*draws)
    highest, more = -1.0, 0
    while more < len(values):
        last = min(more + more // _COARSE, len(values) - 1)
        error = product / float(values[more : last + 1].max()) ** _WEIGHT
        if error < 1:
            worse = min(last, unrun)
            lose = min(worse, n - lost - won)
            # Beyond one half the limit would be below the estimate, which is always allowed to be the drop.
            left = max(0, won - (worse - lose))
            bound = clustered.highest_drop(lost + lose, left, n, 1 - min(error, 0.499), together)
            highest = max(highest, bound)
        elif values[more] < values[0] or more > draws.seen * draws.total / draws.n:
            break  # from here on D only becomes less likely
        more = last + 1
    return highest


@lru_cache(maxsize=256)
def critical(error: float) -> float:
    """What the product p₁·p₂^w of two independent p-values falls below with probability `error`.

    P(U₁·U₂^w ≤ q) = E[min(1, q·U^(−w))] = (q − w·q^(1/w)) / (1 − w) for uniform U, solved for q.
    """
    from scipy.optimize import brentq

    return float(brentq(lambda q: (q - _WEIGHT * q ** (1 / _WEIGHT)) / (1 - _WEIGHT) - error, 0.0, 1.0, xtol=1e-15))
