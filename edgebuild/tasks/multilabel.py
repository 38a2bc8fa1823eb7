"""Multi-label classification: any number of classes at once, each by a score of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from edgebuild.spec.signature import Head, Scores, TensorSpec
from edgebuild.spec.task import Goal, Show, Task
from edgebuild.tasks._outputs import in_logits, single, threshold
from edgebuild.tasks._teachers import only, stacked

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors


@dataclass(frozen=True)
class Multilabel(Task):
    """Answers are logits [N, C], above 0 for what is there, or probabilities of which the head says that they are some,
    above 0.5; labels are 0 or 1 for each class, [N, C].
    """

    scores: Scores = "logits"

    labels: ClassVar[str] = "[N, C] 0 or 1 for each class"
    element: ClassVar[Literal["int64", "float32"]] = "float32"
    missing: ClassVar[float] = float("nan")
    named: ClassVar[bool] = True
    show: ClassVar[Show] = "several"
    metrics: ClassVar[tuple[str, ...]] = ("f1",)

    @classmethod
    def of(cls, head: Head) -> Self:
        """With what its scores are."""
        return cls(head.scores or "logits")

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output with a score for each named class."""
        output = single("multilabel", outputs)
        if not head.labels:
            raise ValueError("a multi-label classification names its classes in labels")
        if output.shape != (len(head.labels),):
            shape = list(output.shape)
            raise ValueError(f"{len(head.labels)} labels are named, and output {output.name!r} has the shape {shape}")

    @classmethod
    def classes_of(cls, output: TensorSpec) -> int | None:
        """As many as there are scores."""
        return output.shape[-1] if output.shape else None

    @classmethod
    def by_itself(cls, output: TensorSpec) -> bool:
        """Always."""
        return True

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Zeros and ones, one for each class."""
        (classes,) = outputs[0].shape
        if labels.shape[1:] != (classes,) or labels.dtype.kind not in "biuf":
            return f"needs 0 or 1 for each class as labels [N, {classes}], got {labels.dtype} {list(labels.shape)}"
        good = ((labels == 0) | (labels == 1)).all(1)
        return None if good.all() else f"has labels other than 0 and 1, first in example {int(good.argmin())}"

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Binary cross-entropy of each class."""
        from torch.nn import functional

        logits = in_logits(answers[0], self.scores)
        return functional.binary_cross_entropy_with_logits(logits, labels)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """T²·KL of each class as a yes or no at temperature T; squared difference; or the teachers' own yes or no."""
        from torch.nn import functional

        student = in_logits(answers[0], self.scores)
        every = stacked(student, [in_logits(each, self.scores) for each in only(teachers)])
        if goal == "logits":
            return functional.mse_loss(student, every.mean(0))
        if goal == "pseudo_labels":
            return functional.binary_cross_entropy_with_logits(student, (every.sigmoid().mean(0) > 0.5).float())
        target, cross = (every / temperature).sigmoid().mean(0), functional.binary_cross_entropy_with_logits
        entropy = functional.binary_cross_entropy(target, target)
        return temperature**2 * (cross(student / temperature, target) - entropy)

    def scored(self, answers: Sequence[Array], inputs: Sequence[Any] = ()) -> Array:
        """Above 0 for what is there, [N, C]."""
        import numpy as np

        above: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = answers[0].astype(np.float64)
        return above - threshold(self.scores)

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """The share of classes that are wrong (Hamming loss) of each example."""
        import numpy as np

        errors: Errors = ((self.scored(answers).astype(np.float64) > 0) != (labels.astype(np.float64) > 0.5)).mean(1)
        return errors
