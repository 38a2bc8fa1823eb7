"""What metrics of boxes share: mean average precision at some overlaps, by the paired bootstrap over pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._agreement import points
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._resampled import Resampled
from edgebuild.gates.statistics import detected
from edgebuild.gates.statistics.bootstrap import UndefinedError

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class BoxMetric(Resampled):
    """The limit is a margin such as "1 pp"; `overlaps` are those at which a detection counts as right.

    Each value takes milliseconds for each hundred pictures, so resamples are fewer than usual.
    """

    tasks: ClassVar[tuple[str, ...] | None] = ("detection",)
    requires: ClassVar[tuple[str, ...]] = ("pycocotools",)
    extra: ClassVar[str | None] = "detection"
    resamples: ClassVar[int | None] = 999
    overlaps: ClassVar[Sequence[float]]
    show, unit = staticmethod(points), "share"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @classmethod
    def score(cls, outputs: Any, labels: Any) -> Score:
        """The mean over classes of detections [N, most, 6] against boxes [N, most, 5], as COCOeval has it."""
        classes = detected.matched(outputs, labels, cls.overlaps)
        if not classes:
            raise UndefinedError("has no value: no held-out picture has a box")

        def value(weights: Weights) -> float:
            return detected.mean(classes, weights)

        return value

    @classmethod
    def by_class(cls, outputs: Any, labels: Any) -> Mapping[int, tuple[int, float]]:
        """Average precision of each class, and how many pictures have a box of it."""
        import numpy as np

        every = np.ones(len(labels))
        classes = detected.matched(outputs, labels, cls.overlaps)
        return {k: (int((one.boxes > 0).sum()), one.average_precision(every)) for k, one in classes.items()}
