"""F1: the harmonic mean of precision and recall of each class, averaged over classes, must not fall by the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates import _margin, _resampled
from edgebuild.gates._agreement import points
from edgebuild.gates._margin import points_of_a_share
from edgebuild.measure.bootstrap import UndefinedError
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.model import Task
from edgebuild.spec.target import Gate

if TYPE_CHECKING:
    from edgebuild.measure.bootstrap import Score, Weights


class F1:
    """Macro F1; the limit is a margin such as "1 pp". Rare classes weigh as much as common ones."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    discrete: ClassVar[bool] = True  # only answers that change change it

    @staticmethod
    def limit(text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return points_of_a_share(text)

    @staticmethod
    def score(outputs: Any, labels: Any) -> Score:
        """2·TP / (2·TP + FP + FN) of every class that is there or answered, the mean; as scikit-learn's `f1_score`."""
        import numpy as np

        if len(np.unique(labels)) < 2:
            raise UndefinedError("has no meaning: all held-out examples are of one class")
        classes, said = outputs.shape[1], outputs.argmax(1)
        right = said == labels

        def value(weights: Weights) -> float:
            hits = np.bincount(labels[right], weights[right], classes)
            both = np.bincount(labels, weights, classes) + np.bincount(said, weights, classes)
            there = both > 0
            return float(np.mean(2 * hits[there] / both[there]))

        return value

    @staticmethod
    def change(candidate: float, baseline: float) -> float:
        """How much worse."""
        return baseline - candidate

    @classmethod
    def least(cls, gate: Gate) -> int:
        """Held-out examples below which it can never pass."""
        return _margin.least(cls.limit(gate.limit), gate)

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """By the paired bootstrap."""
        return _resampled.judge(gate, evidence, self.limit(gate.limit), points, "share")
