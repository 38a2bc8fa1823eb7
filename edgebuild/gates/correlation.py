"""Correlation: Pearson's, of a regression's values with their targets, must not fall by the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._margin import plain
from edgebuild.gates._resampled import Resampled, brief
from edgebuild.gates.statistics.bootstrap import UndefinedError

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class Correlation(Resampled):
    """The limit is a margin without unit, such as "0.01"."""

    tasks: ClassVar[tuple[str, ...] | None] = ("regression",)
    by_value: ClassVar[bool] = True
    show, unit = staticmethod(brief), "1"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a number, above 0 and below 1; ValueError otherwise."""
        return plain(text)

    @staticmethod
    def score(outputs: Any, targets: Any) -> Score:
        """cov(output, target) / (σ·σ) of each value, the mean over values; Pearson 1895."""
        import numpy as np

        x, y = (np.asarray(values, np.float64).reshape(len(values), -1) for values in (outputs, targets))
        for values, whose in ((x, "the model answers"), (y, "the targets have")):
            if (np.ptp(values, 0) == 0).any():
                raise UndefinedError(f"has no value: {whose} the same value {int(np.argmin(np.ptp(values, 0)))} always")
        x, y = x - x.mean(0), y - y.mean(0)

        def value(weights: Weights) -> float:
            share = weights / weights.sum()
            mean_x, mean_y = share @ x, share @ y
            together = share @ (x * y) - mean_x * mean_y
            apart = (share @ x**2 - mean_x**2) * (share @ y**2 - mean_y**2)
            return float(np.mean(together / np.sqrt(apart))) if (apart > 0).all() else float("nan")

        return value
