"""What examples of groups tell: those of one person or recording are alike, and count as fewer independent ones.

A drop's variance is larger than that of independent pairs by the design effect D (Kish 1965). Counts divided by it are
judged as independent ones are (Rao & Scott 1992, Biometrics 48:577–585), with Student's quantile for as many groups as
there are in the place of the normal one. D is what groups show of it (the variance between their drops, Obuchowski
1998, Statistics in Medicine 17:1495–1507), as if three more had shown the worst, where all examples of a group change
together: groups that show no change, or few that do, do not say how alike their examples would be.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from edgebuild.gates.statistics import paired
from edgebuild.gates.statistics.paired import Bound, Pairs
from edgebuild.spec.evidence import Clusters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PRIOR = 3  # groups; by simulation the fewest with which at most 5 % of drops at the margin are passed


def clusters(candidate: NDArray[np.bool_], baseline: NDArray[np.bool_], groups: NDArray[Any]) -> Clusters:
    """How pairs of hits (n,) count whose examples are of these groups (n,); n above 0."""
    import numpy as np

    numbers = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(numbers)
    changes = baseline.astype(np.int64) - candidate
    n, count, worst = len(changes), len(sizes), float((sizes**2).sum() / len(changes))
    own = np.bincount(numbers, changes)
    drop, rate = changes.mean(), np.abs(changes).mean()
    alone = n * (rate - drop**2)  # the variance of the sum, were examples independent
    if count < 2 or alone <= 0:
        return Clusters(count, worst)
    shown = count / (count - 1) * float(((own - drop * sizes) ** 2).sum()) / alone
    changed = int((np.bincount(numbers, np.abs(changes)) > 0).sum())
    effect = (min(max(shown, 1.0), worst) * changed + worst * _PRIOR) / (changed + _PRIOR)
    return Clusters(count, effect)


def drop_bound(lost: int, won: int, n: int, confidence: float = 0.95, together: Clusters | None = None) -> Bound:
    """As `paired.drop_bound`, of examples that are of groups where `together` says how these count."""
    if together is None:
        return paired.drop_bound(lost, won, n, confidence)
    if together.groups < 2:
        return Bound((lost - won) / n, -1.0, 1.0)
    b, c, size = _counted(Pairs(lost, won, n), together)
    low, high = paired.limits(b, c, size, _normal(confidence, together))
    return Bound((lost - won) / n, low, high)


def highest_drop(lost: int, won: int, n: int, confidence: float = 0.95, together: Clusters | None = None) -> float:
    """The upper limit of `drop_bound` alone, in half its time."""
    if together is None:
        return paired.highest_drop(lost, won, n, confidence)
    if together.groups < 2:
        return 1.0
    return paired.upper(*_counted(Pairs(lost, won, n), together), _normal(confidence, together))


def score_p(pairs: Pairs, drop: float, together: Clusters | None = None) -> float:
    """As `paired.score_p`: below 1 − confidence where the upper limit of `drop_bound` is below `drop`."""
    from scipy.stats import t

    p = paired.score_p(pairs, drop)
    if together is None:
        return p
    if together.groups < 2:
        return 0.5
    return float(
        t.cdf(NormalDist().inv_cdf(min(max(p, 1e-300), 1 - 1e-16)) / together.effect**0.5, together.groups - 1)
    )


def _counted(pairs: Pairs, together: Clusters) -> tuple[float, float, float]:
    """Counts of independent examples that tell as much."""
    n, lost = pairs.n / together.effect, pairs.lost / together.effect
    return lost, min(pairs.won / together.effect, n - lost), n


def _normal(confidence: float, together: Clusters) -> float:
    """Student's quantile for so many groups."""
    from scipy.stats import t

    return float(t.ppf(confidence, together.groups - 1))
