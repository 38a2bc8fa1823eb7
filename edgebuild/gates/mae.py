"""MAE: the mean absolute error of a regression may grow by at most a share of the float baseline's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.gates._resampled import Resampled
from edgebuild.gates.statistics.bootstrap import UndefinedError
from edgebuild.spec.units import SHARE, parse

if TYPE_CHECKING:
    from edgebuild.gates.statistics.bootstrap import Score, Weights


class Mae(Resampled):
    """The limit is the growth that is allowed, such as "5 %", whatever the unit of the targets.

    It holds for each value of a vector, whose errors are compared with its own alone: one that runs from 0 to 640 would
    hide in a mean that another from 0 to 1 is lost.
    """

    tasks: ClassVar[tuple[str, ...] | None] = ("regression",)
    by_value: ClassVar[bool] = True
    show, unit = staticmethod("{:.2%}".format), "change"

    @classmethod
    def limit(cls, text: str) -> float:
        """The growth as a share, above 0 and below 1; ValueError otherwise."""
        growth = parse(text, {"%": SHARE["%"]})
        if not 0 < growth < 1:
            raise ValueError(f"an error may grow by more than 0 and less than 100 %, not by {text!r}")
        return growth

    @staticmethod
    def score(outputs: Any, targets: Any) -> Score:
        """The mean over examples and values of |output − target|; as scikit-learn's `mean_absolute_error`."""
        import numpy as np

        errors = np.abs(outputs.astype(np.float64) - targets).reshape(len(outputs), -1).mean(1)

        def value(weights: Weights) -> float:
            return float(weights @ errors / weights.sum())

        return value

    @staticmethod
    def change(candidate: float, baseline: float) -> float:
        """The growth, as a share of the baseline's."""
        if baseline == 0 == candidate:
            return 0.0
        if baseline == 0:
            raise UndefinedError("cannot be compared: the baseline makes no error on the examples")
        return candidate / baseline - 1
