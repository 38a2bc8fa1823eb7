"""AUC: how well the scores of each class rank its examples above all others; the mean must not fall by the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._agreement import points
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._resampled import Resampled
from edgebuild.gates.statistics.bootstrap import UndefinedError

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class Auc(Resampled):
    """Area under the ROC curve of softmax scores, one class against the rest; the limit is a margin such as "1 pp"."""

    tasks: ClassVar[tuple[str, ...] | None] = ("classification",)
    show, unit = staticmethod(points), "share"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @staticmethod
    def score(outputs: Any, labels: Any) -> Score:
        """The mean over classes of P(score of one of it > score of another), ties half: Mann & Whitney 1947.

        As scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`. A class that a resample leaves without
        examples is left out of that mean; on the whole all must be there.
        """
        import numpy as np
        from scipy.special import softmax

        if outputs.ndim == 1:  # how much an example is of class 1, in any unit: its rank is all that counts
            ranks = np.unique(outputs, return_inverse=True)[1]
            outputs = ranks[:, None] * [0.0, 1.0 / len(outputs)]
        n, classes = outputs.shape
        missing = np.setdiff1d(np.arange(classes), labels)
        if len(missing) or classes < 2:
            raise UndefinedError(f"has no value: no held-out example is of class {int(missing[0])}")
        shares = softmax(outputs.astype(np.float64), axis=1).T
        order = np.argsort(shares, axis=1, kind="stable")
        ranked = np.take_along_axis(shares, order, 1)
        new = np.concatenate([np.ones((classes, 1), bool), np.diff(ranked, axis=1) > 0], 1)
        starts = np.flatnonzero(new)  # of runs of equal scores, of all classes in one row
        first = np.searchsorted(starts, n * np.arange(classes))  # the run with which each class begins
        own = labels[order] == np.arange(classes)[:, None]

        def value(weights: Weights) -> float:
            drawn = weights[order]
            ours = np.add.reduceat((drawn * own).ravel(), starts)
            others = np.add.reduceat((drawn * ~own).ravel(), starts)
            below = np.cumsum(others) - others
            below -= np.repeat(below[first], np.diff([*first, len(starts)]))
            above = np.add.reduceat(ours * (below + others / 2), first)
            pairs = np.add.reduceat(ours, first) * np.add.reduceat(others, first)
            there = pairs > 0
            return float(np.mean(above[there] / pairs[there])) if there.any() else float("nan")

        return value
