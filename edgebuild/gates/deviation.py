"""Deviation: how far answers are from those of the model before it was changed; it says nothing of being right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._resampled import Resampled
from edgebuild.gates.statistics.bootstrap import UndefinedError
from edgebuild.spec.target import Gate
from edgebuild.spec.units import SHARE, parse

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class Deviation(Resampled):
    """The limit is a share of the answers' own spread, such as "5 %", by which the float file's may grow."""

    tasks: ClassVar[tuple[str, ...] | None] = ("agreement",)
    show, unit = staticmethod("{:.2%}".format), "share"

    @classmethod
    def limit(cls, text: str) -> float:
        """The share, above 0 and below 1; ValueError otherwise."""
        share = parse(text, {"%": SHARE["%"]})
        if not 0 < share < 1:
            raise ValueError(f"answers may deviate by more than 0 and less than 100 % of their spread, not by {text!r}")
        return share

    @classmethod
    def least(cls, gate: Gate) -> int:
        """Two: every example tells how far its answer is, and none is merely right or wrong."""
        return 2

    @staticmethod
    def score(outputs: Any, targets: Any) -> Score:
        """The mean over examples and values of |answer − original| / σ, σ being the standard deviation of the value."""
        import numpy as np

        ours, theirs = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (outputs, targets))
        spread = theirs.std(0)
        moving = spread > 0
        if not moving.any():
            raise UndefinedError("has no value: the model answers the same to every held-out example")
        apart = (np.abs(ours - theirs)[:, moving] / spread[moving]).mean(1)

        def value(weights: Weights) -> float:
            return float(weights @ apart / weights.sum())

        return value

    @staticmethod
    def change(candidate: float, baseline: float) -> float:
        """How much further the candidate is."""
        return candidate - baseline
