"""Agreement: how near answers are to the original's, where there are no labels; never to be read as accuracy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._margin import plain
from edgebuild.gates._resampled import Resampled, brief
from edgebuild.spec import equality
from edgebuild.spec.evidence import Evidence, Verdict, known
from edgebuild.spec.target import Gate

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class Agreement(Resampled):
    """The limit is the distance that may be lost, such as "0.1": a tenth of the size of the original's answers."""

    tasks: ClassVar[tuple[str, ...] | None] = ("agreement",)
    show, unit = staticmethod(brief), "1"

    @classmethod
    def limit(cls, text: str) -> float:
        """The distance as a number, above 0 and below 1; ValueError otherwise."""
        return plain(text)

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """By the paired bootstrap; the reason says on what, and what it is not."""
        verdict, inputs = super().judge(gate, evidence), known(evidence.scores).inputs
        caveat = f"agreement with the original on {inputs or 'inputs'} without labels, which says nothing of accuracy"
        return replace(verdict, reason=f"{caveat}: {verdict.reason}")

    @staticmethod
    def score(outputs: Any, targets: Any) -> Score:
        """The mean over examples of 1 − |output − original| / |original|, 0 at least, in Euclidean lengths.

        Of whole numbers of 32 and 64 bits and of booleans, which name something, it is the share that is equal.
        """
        import numpy as np

        if equality.names(outputs.dtype) and equality.names(targets.dtype):
            shares = 1 - equality.unequal(outputs, targets)
        else:
            x, y = (np.asarray(values, np.float64).reshape(len(values), -1) for values in (outputs, targets))
            lengths = np.maximum(np.linalg.norm(y, axis=1), np.finfo(np.float64).tiny)
            shares = np.maximum(0, 1 - np.linalg.norm(x - y, axis=1) / lengths)

        def value(weights: Weights) -> float:
            return float(weights @ shares / weights.sum())

        return value
