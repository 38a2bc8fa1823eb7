"""Agreement: what is asked of a model that nobody has labels for: to answer as it did before anything was changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.spec.task import Goal, Task
from edgebuild.tasks import _values
from edgebuild.tasks._outputs import single
from edgebuild.tasks._teachers import of_values, only

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors


class Agreement(Task):
    """Labels are what the float model itself answers in its own runtime, over streams in order where it has states.

    It says nothing about being right.
    """

    labels: ClassVar[str] = "none: the float model's own answers are"
    element: ClassVar[Literal["int64", "float32"]] = "float32"
    missing: ClassVar[float] = float("nan")

    @property
    def follows(self) -> bool:
        """They are."""
        return True

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output of any shape, and no classes."""
        single("agreement", outputs)
        _values.no_classes("agreement", head)

    def assumed(self, examples: int, outputs: Sequence[TensorSpec]) -> Array | None:
        """Zeros, until the model has answered."""
        import numpy as np

        return np.zeros((examples, *outputs[0].shape), np.float32)

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Finite numbers in float32, of the output's shape."""
        return _values.mistake("agreement", labels, outputs[0]) or _values.unreal(labels)

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The squared difference, its mean over all values."""
        from torch.nn import functional

        return functional.mse_loss(answers[0], labels)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """The squared difference from the mean of the teachers, whatever the goal."""
        return of_values(goal, answers[0], only(teachers), self.loss)

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """The mean absolute difference of each example."""
        import numpy as np

        errors: Errors = np.abs(_values.rows(answers[0]) - _values.rows(labels)).mean(1)
        return errors
