"""F1: the harmonic mean of precision and recall of each class, averaged over classes, must not fall by the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._agreement import points
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._resampled import Resampled
from edgebuild.gates.statistics.bootstrap import UndefinedError

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class F1(Resampled):
    """Macro F1; the limit is a margin such as "1 pp". Rare classes weigh as much as common ones."""

    tasks: ClassVar[tuple[str, ...] | None] = ("classification",)
    discrete: ClassVar[bool] = True  # only answers that change change it
    show, unit = staticmethod(points), "share"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @staticmethod
    def score(outputs: Any, labels: Any) -> Score:
        """2·TP / (2·TP + FP + FN) of every class that is there or answered, the mean; as scikit-learn's `f1_score`."""
        import numpy as np

        if labels.ndim == 2:
            return _of_several(outputs > 0, labels > 0.5)
        if len(np.unique(labels)) < 2:
            raise UndefinedError("has no meaning: all held-out examples are of one class")
        classes, predicted = outputs.shape[1], outputs.argmax(1)
        right = predicted == labels

        def value(weights: Weights) -> float:
            hits = np.bincount(labels[right], weights[right], classes)
            both = np.bincount(labels, weights, classes) + np.bincount(predicted, weights, classes)
            there = both > 0
            return float(np.mean(2 * hits[there] / both[there]))

        return value


def _of_several(predicted: Any, labels: Any) -> Score:
    """The same where any number of classes [N, C] may be there and answered at once."""
    import numpy as np

    hits, either = (predicted & labels).astype(float), predicted.astype(float) + labels
    if not either.any():
        raise UndefinedError("has no meaning: no held-out example has any class, and none is answered")

    def value(weights: Weights) -> float:
        right, both = weights @ hits, weights @ either
        there = both > 0
        return float(np.mean(2 * right[there] / both[there])) if there.any() else float("nan")

    return value
