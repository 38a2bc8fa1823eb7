"""Segmentation: a class for every pixel of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.spec.task import Goal, Show, Task
from edgebuild.tasks._outputs import floats, is_chosen, learnt, single
from edgebuild.tasks._teachers import only, stacked

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors

VOID = 255  # the label of a pixel that counts for nobody, as in PASCAL VOC and Cityscapes


@dataclass(frozen=True)
class Segmentation(Task):
    """Answers are maps of logits [N, C, H, W], labels class numbers [N, H, W], 255 where a pixel does not count.

    Where a model ends in an ArgMax, its whole numbers [N, H, W], or with an axis of 1 more, are the answers.
    """

    classes: int = 0

    labels: ClassVar[str] = "[N, H, W] class numbers, 255: does not count"
    element: ClassVar[Literal["int64", "float32"]] = "int64"
    missing: ClassVar[float] = -1
    named: ClassVar[bool] = True
    smooths: ClassVar[bool] = True
    show: ClassVar[Show] = "areas"

    @classmethod
    def of(cls, head: Head) -> Self:
        """With the number of its classes."""
        return cls(len(head.labels))

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output with a map for each named class, or the class of each pixel."""
        output = single("segmentation", outputs, numbers=True)
        if not head.labels:
            raise ValueError("a segmentation names its classes in labels")
        if is_chosen(output):
            if len(_size(output)) != 2:
                shape = list(output.shape)
                raise ValueError(f"output {output.name!r} has the shape {shape}, and classes of pixels are [H, W]")
            return
        floats("segmentation", outputs)
        if len(output.shape) != 3 or output.shape[0] != len(head.labels):
            mismatch = f"output {output.name!r} has the shape {list(output.shape)}, not [{len(head.labels)}, H, W]"
            raise ValueError(f"{len(head.labels)} labels are named, and {mismatch}")

    @classmethod
    def classes_of(cls, output: TensorSpec) -> int | None:
        """As many as there are maps."""
        return None if is_chosen(output) or len(output.shape) != 3 else output.shape[0]

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Whole numbers below the number of classes, or 255, of the maps' size."""
        whole = is_chosen(outputs[0])
        classes, *size = (self.classes, *_size(outputs[0])) if whole else outputs[0].shape
        if [*labels.shape[1:]] != size or labels.dtype.kind not in "iu":
            received = f"got {labels.dtype} {list(labels.shape)}"
            return f"needs whole-number labels of shape [N, {size[0]}, {size[1]}], {received}"
        counted = labels[labels != VOID]
        if counted.size and (counted.min() < 0 or counted.max() >= classes):
            return f"has labels from {counted.min()} to {counted.max()}; the model declares {classes} classes"
        return None

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy of each pixel that counts."""
        from torch.nn import functional

        (logits,) = learnt(answers)
        if not (labels != VOID).any():
            return 0.0 * logits.sum()
        return functional.cross_entropy(logits, labels, ignore_index=VOID, label_smoothing=smoothing)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """As a classification of every pixel: T²·KL of probabilities, squared difference, or the teachers' choice."""
        from torch.nn import functional

        (student,) = learnt(answers)
        every = stacked(student, only(teachers))
        if goal == "logits":
            return functional.mse_loss(student, every.mean(0))
        if goal == "pseudo_labels":
            return functional.cross_entropy(student, every.softmax(2).mean(0).argmax(1))
        target = (every / temperature).softmax(2).mean(0)
        log_probabilities = functional.log_softmax(student / temperature, 1)
        return temperature**2 * functional.kl_div(log_probabilities, target, reduction="none").sum(1).mean()

    def scored(self, answers: Sequence[Array], inputs: Sequence[Any] = ()) -> Array:
        """The class of each pixel, [N, H, W], in as few bytes as the classes take."""
        import numpy as np

        (logits,) = answers
        if logits.dtype.kind in "iu":
            flat: Array = logits.reshape(len(logits), *_without_1(logits.shape[1:]))
            return flat
        small: Array = logits.argmax(1).astype(np.uint8 if logits.shape[1] <= VOID else np.int32)
        return small

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """The share of each picture's pixels that are wrong, of those that count."""
        import numpy as np

        counted = labels != VOID
        wrong = (self.scored(answers) != labels) & counted
        axes = tuple(range(1, labels.ndim))
        errors: Errors = wrong.sum(axes) / np.maximum(counted.sum(axes), 1).astype(np.float64)
        return errors


def _size(output: TensorSpec) -> tuple[int, ...]:
    """Height and width of a map of classes."""
    return _without_1(output.shape)


def _without_1(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the axis that an ArgMax kept, in front or behind."""
    if len(shape) != 3 or 1 not in (shape[0], shape[2]):
        return shape
    return shape[1:] if shape[0] == 1 else shape[:2]
