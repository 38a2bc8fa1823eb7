"""Regression: values that are to come near to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.spec.task import Goal, Task
from edgebuild.tasks import _values
from edgebuild.tasks._outputs import learnt, single
from edgebuild.tasks._teachers import of_values, only

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors


class Regression(Task):
    """Answers and labels are values [N, …] of the output's shape, a vector or a map."""

    labels: ClassVar[str] = "[N, …] values of the output's shape"
    element: ClassVar[Literal["int64", "float32"]] = "float32"
    missing: ClassVar[float] = float("nan")

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output of any shape, whole numbers as well, and no classes."""
        single("regression", outputs, numbers=True)
        _values.no_classes("regression", head)

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Finite numbers in float32, of the output's shape."""
        return _values.mistake("regression", labels, outputs[0]) or _values.unreal(labels)

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The squared difference, its mean over all values."""
        from torch.nn import functional

        (values,) = learnt(answers)
        return functional.mse_loss(values, labels)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """The squared difference from the mean of the teachers, whatever the goal (Ba & Caruana 2014)."""
        return of_values(goal, learnt(answers)[0], only(teachers), self.loss)

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """The mean absolute difference of each example."""
        import numpy as np

        values, targets = _values.rows(answers[0]), _values.rows(labels)
        errors: Errors = np.abs(values - targets).mean(1)
        return errors
