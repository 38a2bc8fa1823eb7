"""Embedding: vectors that are to point along others."""

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


class Embedding(Task):
    """Answers and labels are vectors [N, D], of which the direction alone counts."""

    labels: ClassVar[str] = "[N, D] vectors to point along"
    element: ClassVar[Literal["int64", "float32"]] = "float32"
    missing: ClassVar[float] = float("nan")

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output that is a vector, and no classes."""
        output = single("embedding", outputs)
        if len(output.shape) != 1:
            raise ValueError(f"an embedding is one vector, and output {output.name!r} has shape {list(output.shape)}")
        _values.no_classes("embedding", head)

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Finite vectors in float32; one of no length points nowhere."""
        return _values.mistake("embedding", labels, outputs[0]) or _values.unreal(labels, directed=True)

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """1 − cosine."""
        from torch.nn import functional

        (vectors,) = answers
        return (1 - functional.cosine_similarity(vectors, labels, 1)).mean()

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """1 − cosine to the mean of the teachers; for `logits` the squared difference."""
        return of_values(goal, answers[0], only(teachers), self.loss)

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """1 − cosine of each example."""
        import numpy as np

        ours, theirs = _values.rows(answers[0]), _values.rows(labels)
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        errors: Errors = 1 - (ours * theirs).sum(1) / np.maximum(lengths, np.finfo(np.float64).tiny)
        return errors
