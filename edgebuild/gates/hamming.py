"""Hamming: the share of yes-or-no answers that are right, over all classes, must not fall by the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._agreement import points
from edgebuild.gates._margin import points_of_a_share
from edgebuild.gates._resampled import Resampled

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class Hamming(Resampled):
    """1 − Hamming loss; the limit is a margin such as "1 pp"."""

    tasks: ClassVar[tuple[str, ...] | None] = ("multilabel",)
    discrete: ClassVar[bool] = True
    show, unit = staticmethod(points), "share"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @staticmethod
    def score(outputs: Any, labels: Any) -> Score:
        """The mean over examples and classes; one less scikit-learn's `hamming_loss`."""
        right = ((outputs > 0) == (labels > 0.5)).mean(1)

        def value(weights: Weights) -> float:
            return float(weights @ right / weights.sum())

        return value
