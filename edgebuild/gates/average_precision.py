"""Average precision: how well scores of each class rank its examples first; the mean must not fall by a margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._agreement import points
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._resampled import Resampled
from edgebuild.gates.statistics.bootstrap import UndefinedError

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class AveragePrecision(Resampled):
    """Area under precision over recall of each class, the mean over classes; the limit is a margin such as "1 pp"."""

    tasks: ClassVar[tuple[str, ...] | None] = ("multilabel",)
    show, unit = staticmethod(points), "share"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @staticmethod
    def score(outputs: Any, labels: Any) -> Score:
        """Σ (Rₖ − Rₖ₋₁)·Pₖ over thresholds; as scikit-learn's `average_precision_score(average="macro")`.

        A class that a resample leaves without examples is left out of that mean; on the whole all must be there.
        """
        import numpy as np

        lacking = np.flatnonzero(~(labels > 0.5).any(0))
        if len(lacking):
            raise UndefinedError(f"has no value: no held-out example has class {int(lacking[0])}")
        classes = [_Ranked.of(outputs[:, k], labels[:, k] > 0.5) for k in range(labels.shape[1])]

        def value(weights: Weights) -> float:
            values = np.array([one.precision(weights) for one in classes])
            there = ~np.isnan(values)
            return float(values[there].mean()) if there.any() else float("nan")

        return value

    @classmethod
    def by_class(cls, outputs: Any, labels: Any) -> Mapping[int, tuple[int, float]]:
        """Average precision of each class, and how many examples have it."""
        import numpy as np

        known, every = labels > 0.5, np.ones(len(labels))
        counts = {k: int(known[:, k].sum()) for k in range(labels.shape[1])}
        return {k: (n, _Ranked.of(outputs[:, k], known[:, k]).precision(every)) for k, n in counts.items() if n}


class _Ranked:
    """Examples of one class, the surest first; equal scores are one threshold."""

    def __init__(self, order: Any, own: Any, last: Any) -> None:
        self._order, self._own, self._last = order, own, last

    @classmethod
    def of(cls, scores: Any, own: Any) -> _Ranked:
        import numpy as np

        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        return cls(order, own[order], np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)))

    def precision(self, weights: Weights) -> float:
        import numpy as np

        drawn = weights[self._order]
        right, all_ = np.cumsum(drawn * self._own)[self._last], np.cumsum(drawn)[self._last]
        if right[-1] == 0:
            return float("nan")
        gained = np.diff(right, prepend=0.0) / right[-1]
        return float((gained * right / np.maximum(all_, np.finfo(np.float64).tiny)).sum())
