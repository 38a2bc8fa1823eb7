"""Anomaly: examples are answered with themselves; what is answered worst is unlike all that was learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.spec.task import Goal, Show, Task
from edgebuild.tasks import _values
from edgebuild.tasks._outputs import single
from edgebuild.tasks._teachers import of_values, only

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors


class Anomaly(Task):
    """Answers [N, …] have the shape of the first input and should be like it; labels say which examples are not normal.

    Nothing is learnt from labels: those of training may be left out (None), and examples there should be normal.
    """

    labels: ClassVar[str] = "[N] 0 for normal, 1 for an anomaly; training needs none"
    element: ClassVar[Literal["int64", "float32"]] = "int64"
    missing: ClassVar[float] = -1
    show: ClassVar[Show] = "distance"
    metrics: ClassVar[tuple[str, ...]] = ("auc",)

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output, and no classes."""
        single("anomaly", outputs)
        _values.no_classes("anomaly", head)

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Zeros and ones."""
        if labels.ndim != 1 or labels.dtype.kind not in "biu" or not ((labels == 0) | (labels == 1)).all():
            return f"needs labels [N], 0 for normal and 1 for an anomaly, got {labels.dtype} {list(labels.shape)}"
        return None

    def assumed(self, examples: int, outputs: Sequence[TensorSpec]) -> Array | None:
        """All normal."""
        import numpy as np

        return np.zeros(examples, np.int64)

    def targets(self, labels: Any, inputs: Sequence[Any]) -> Any:
        """The first input."""
        return inputs[0] if inputs else labels

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The squared difference from the input."""
        from torch.nn import functional

        return functional.mse_loss(answers[0], labels)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """The squared difference from the mean of the teachers, whatever the goal."""
        return of_values(goal, answers[0], only(teachers), self.loss)

    def scored(self, answers: Sequence[Array], inputs: Sequence[Any]) -> Array:
        """How far each answer is from its input, [N]: by this examples are ranked."""
        return self.errors(answers, inputs[0])

    def errors(self, answers: Sequence[Array], labels: Any) -> Errors:
        """The mean squared difference of each example."""
        errors: Errors = ((_values.rows(answers[0]) - _values.rows(labels)) ** 2).mean(1)
        return errors
