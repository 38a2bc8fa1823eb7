"""Cosine: how well embeddings point along their targets; the mean must not fall by the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates import _margin, _resampled
from edgebuild.gates._margin import plain
from edgebuild.measure.bootstrap import UndefinedError
from edgebuild.spec.evidence import Verdict
from edgebuild.spec.model import Task
from edgebuild.spec.target import Gate

if TYPE_CHECKING:
    from edgebuild.measure.bootstrap import Score, Weights


class Cosine:
    """The limit is a margin without unit, such as "0.01"."""

    tasks: ClassVar[tuple[Task, ...]] = ("embedding",)
    discrete: ClassVar[bool] = False

    @staticmethod
    def limit(text: str) -> float:
        """The margin, above 0 and below 1; ValueError otherwise."""
        return plain(text)

    @staticmethod
    def score(outputs: Any, targets: Any) -> Score:
        """The mean over examples of ⟨output, target⟩ / (|output|·|target|); scikit-learn's `cosine_similarity`."""
        import numpy as np

        x, y = outputs.astype(np.float64), np.asarray(targets, np.float64)
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        if not lengths.all():
            raise UndefinedError(f"has no value: the vector of example {int(np.argmin(lengths))} has no length")
        cosines = (x * y).sum(1) / lengths

        def value(weights: Weights) -> float:
            return float(weights @ cosines / weights.sum())

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
        return _resampled.judge(gate, evidence, self.limit(gate.limit), lambda fall: f"{fall:.2g}", "1")
