"""Cosine: how well embeddings point along their targets; the mean must not fall by the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._margin import plain
from edgebuild.gates._resampled import Resampled, brief
from edgebuild.gates.statistics.bootstrap import UndefinedError

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class Cosine(Resampled):
    """The limit is a margin without unit, such as "0.01"."""

    tasks: ClassVar[tuple[str, ...] | None] = ("embedding",)
    show, unit = staticmethod(brief), "1"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a number, above 0 and below 1; ValueError otherwise."""
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
