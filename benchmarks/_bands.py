"""How far a prediction may be off, from the errors of predictions that were made without the figure.

The coverage was decided before the figures of the set "test" were compared. Let e be |log(predicted / published)|:

- conformal: of n errors the ⌈(n+1)·coverage⌉-th smallest covers another one of their kind with at least this
  probability, whatever their distribution (Vovk, Gammerman & Shafer 2005). It needs n ≥ coverage / (1 − coverage).
- student: with fewer errors, the larger of the largest one and of the two-sided prediction interval of normal errors
  around zero, t(n, (1 + coverage) / 2) × their root mean square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

COVERAGE = 0.9


def band(errors: Sequence[float], coverage: float = COVERAGE) -> tuple[float, Literal["conformal", "student"]]:
    """The relative error, exp(e) − 1, that covers such a share, and the rule; `errors` are logarithms of ratios."""
    from scipy.stats import t

    ordered = sorted(map(abs, errors))
    rank = math.ceil(round((len(ordered) + 1) * coverage, 9))
    if rank <= len(ordered):
        return math.expm1(ordered[rank - 1]), "conformal"
    spread = math.sqrt(sum(each**2 for each in ordered) / len(ordered))
    widest = max(ordered[-1], float(t.ppf((1 + coverage) / 2, len(ordered))) * spread)
    return math.expm1(widest), "student"
