"""Agreement: answers that are to be the original's, where nobody has labelled anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from edgebuild.spec import equality
from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.spec.task import Goal, Show, Task
from edgebuild.tasks import _values
from edgebuild.tasks._outputs import learnt, single
from edgebuild.tasks._teachers import of_values, only

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors


class Agreement(Task):
    """The labels that count are what the original answers, which the judge has; the data's are none, NaN."""

    labels: ClassVar[str] = "none: answers are held against those of the original"
    element: ClassVar[Literal["int64", "float32"]] = "float32"
    missing: ClassVar[float] = float("nan")
    original: ClassVar[bool] = True
    show: ClassVar[Show] = "tensor"

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output of any shape and type; classes may be named, nobody asks which is right."""
        single("agreement", outputs, numbers=True)

    def assumed(self, examples: int, outputs: Sequence[TensorSpec]) -> Array | None:
        """None at all: NaN."""
        import numpy as np

        return np.full(examples, np.nan, np.float32)

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Any numbers."""
        known = labels.dtype.kind in "fiu"
        return None if known else f"needs numbers or NaN as labels, got {labels.dtype} {list(labels.shape)}"

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The squared difference from what the original answers."""
        from torch.nn import functional

        return functional.mse_loss(learnt(answers)[0], labels)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """The squared difference from the mean of the teachers, whatever the goal."""
        return of_values(goal, learnt(answers)[0], only(teachers), self.loss)

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """The mean absolute difference of each example, or the share of its whole numbers that are others.

        It is 0 where there is no label to be wrong by.
        """
        import numpy as np

        if equality.names(answers[0].dtype) and equality.names(labels.dtype):
            return equality.unequal(answers[0], labels)

        known = ~np.isnan(_values.rows(labels)).any(1)
        errors: Errors = np.zeros(len(labels))
        if known.any():
            errors[known] = np.abs(_values.rows(answers[0])[known] - _values.rows(labels)[known]).mean(1)
        return errors
