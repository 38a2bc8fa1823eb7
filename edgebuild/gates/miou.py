"""mIoU: how well areas of each class lie on those of the labels; the mean over classes must not fall by the margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._agreement import points
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._resampled import Resampled
from edgebuild.gates.statistics.bootstrap import UndefinedError

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights

_VOID = 255  # of labels: a pixel that does not count


class Miou(Resampled):
    """Mean intersection over union of class maps [N, H, W] with labels, pixels of all pictures together; the limit is a
    margin such as "1 pp". Pictures are what is drawn again: pixels of one are not independent.
    """

    tasks: ClassVar[tuple[str, ...] | None] = ("segmentation",)
    show, unit = staticmethod(points), "share"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @staticmethod
    def score(outputs: Any, labels: Any) -> Score:
        """The mean over classes of TP / (TP + FP + FN) of their pixels; scikit-learn's macro `jaccard_score`.

        A class that neither labels nor answers have is left out.
        """
        import numpy as np

        both, either = _areas(outputs, labels)
        if not either.any():
            raise UndefinedError("has no value: no pixel of the held-out pictures counts")

        def value(weights: Weights) -> float:
            shared, whole = weights @ both, weights @ either
            there = whole > 0
            return float(np.mean(shared[there] / whole[there])) if there.any() else float("nan")

        return value

    @classmethod
    def by_class(cls, outputs: Any, labels: Any) -> Mapping[int, tuple[int, float]]:
        """IoU of each class that labels have, and how many pictures show it."""
        both, either = _areas(outputs, labels)
        known = {int(k): int((labels == k).any((1, 2)).sum()) for k in range(both.shape[1])}
        return {k: (n, float(both[:, k].sum() / either[:, k].sum())) for k, n in known.items() if n}


def _areas(outputs: Any, labels: Any) -> tuple[Any, Any]:
    """Pixels of each picture and class, [N, C], that both have, and that either has."""
    import numpy as np

    counted = (labels != _VOID) & (labels >= 0)
    classes = int(max(outputs.max(), labels[counted].max(initial=0))) + 1
    both, ours, theirs = (np.zeros((len(labels), classes)) for _ in range(3))
    for place, (predicted, known, counts) in enumerate(zip(outputs, labels, counted, strict=True)):
        mine, right = predicted[counts].astype(int), known[counts].astype(int)
        both[place] = np.bincount(right[mine == right], minlength=classes)
        ours[place], theirs[place] = (np.bincount(each, minlength=classes) for each in (mine, right))
    return both, ours + theirs - both
