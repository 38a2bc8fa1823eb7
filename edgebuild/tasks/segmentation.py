"""Segmentation: a class for every pixel of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from edgebuild.spec.signature import Head, Scores, TensorSpec
from edgebuild.spec.task import Goal, Show, Task
from edgebuild.tasks._outputs import floats, in_logits, is_chosen, learnt, single, threshold
from edgebuild.tasks._teachers import only, stacked

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors

VOID = 255  # the label of a pixel that counts for nobody, as in PASCAL VOC and Cityscapes


@dataclass(frozen=True)
class Segmentation(Task):
    """Answers are maps of logits [N, C, H, W] or [N, H, W, C], labels class numbers [N, H, W], 255 where a pixel does
    not count.

    Where a model ends in an ArgMax, its whole numbers [N, H, W], or with an axis of 1 more, are the answers. Of two
    classes the second's map may be all: logits, or probabilities where the head says so.
    """

    classes: int = 0
    scores: Scores = "logits"

    labels: ClassVar[str] = "[N, H, W] class numbers, 255: does not count"
    element: ClassVar[Literal["int64", "float32"]] = "int64"
    missing: ClassVar[float] = -1
    named: ClassVar[bool] = True
    smooths: ClassVar[bool] = True
    show: ClassVar[Show] = "areas"

    @classmethod
    def of(cls, head: Head) -> Self:
        """With the number of its classes, and what a single map is of."""
        return cls(len(head.labels), head.scores or "logits")

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output with a map for each named class, or the second's of two, or the class of each pixel."""
        output = single("segmentation", outputs, numbers=True)
        if not head.labels:
            raise ValueError("a segmentation names its classes in labels")
        if is_chosen(output):
            if len(_size(output)) != 2:
                shape = list(output.shape)
                raise ValueError(f"output {output.name!r} has the shape {shape}, and classes of pixels are [H, W]")
            return
        floats("segmentation", outputs)
        count = len(head.labels)
        if _axis(output.shape, count) is None:
            mismatch = (
                f"output {output.name!r} has the shape {list(output.shape)}, not [{count}, H, W] or [H, W, {count}]"
            )
            raise ValueError(f"{count} labels are named, and {mismatch}")

    @classmethod
    def classes_of(cls, output: TensorSpec) -> int | None:
        """As many as there are maps, of which pictures have fewer than pixels in a row; two where there is one."""
        if is_chosen(output) or len(output.shape) != 3:
            return None
        first, middle, last = output.shape
        behind = last < first if (first == middle) == (middle == last) else first == middle
        return max(last if behind else first, 2)

    @classmethod
    def by_itself(cls, output: TensorSpec) -> bool:
        """The one map of two classes."""
        return not is_chosen(output) and len(output.shape) == 3 and 1 in output.shape[::2]

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Whole numbers below the number of classes, or 255, of the maps' size."""
        size = [*_size(outputs[0])] if is_chosen(outputs[0]) else [*outputs[0].shape]
        if not is_chosen(outputs[0]):
            del size[_axis(outputs[0].shape, self.classes) or 0]
        if [*labels.shape[1:]] != size or labels.dtype.kind not in "iu":
            received = f"got {labels.dtype} {list(labels.shape)}"
            return f"needs whole-number labels of shape [N, {size[0]}, {size[1]}], {received}"
        counted = labels[labels != VOID]
        if counted.size and (counted.min() < 0 or counted.max() >= self.classes):
            return f"has labels from {counted.min()} to {counted.max()}; the model declares {self.classes} classes"
        return None

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy of each pixel that counts."""
        from torch.nn import functional

        logits = self._logits(learnt(answers)[0])
        if not (labels != VOID).any():
            return 0.0 * logits.sum()
        return functional.cross_entropy(logits, labels, ignore_index=VOID, label_smoothing=smoothing)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """As a classification of every pixel: T²·KL of probabilities, squared difference, or the teachers' choice."""
        from torch.nn import functional

        student = self._logits(learnt(answers)[0])
        every = stacked(student, [self._logits(answer) for answer in only(teachers)])
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
        maps = np.moveaxis(logits, 1 + (_axis(logits.shape[1:], self.classes) or 0), 1)
        if maps.shape[1] == 1:
            second: Array = np.greater(maps[:, 0], threshold(self.scores)).astype(np.uint8)
            return second
        small: Array = maps.argmax(1).astype(np.uint8 if maps.shape[1] <= VOID else np.int32)
        return small

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """The share of each picture's pixels that are wrong, of those that count."""
        import numpy as np

        counted = labels != VOID
        wrong = (self.scored(answers) != labels) & counted
        axes = tuple(range(1, labels.ndim))
        errors: Errors = wrong.sum(axes) / np.maximum(counted.sum(axes), 1).astype(np.float64)
        return errors

    def _logits(self, scores: Tensor) -> Tensor:
        """Maps as logits [N, C, H, W]; one alone is of the second of two classes, and 0 the other's logit."""
        import torch

        maps = scores.movedim(1 + (_axis(tuple(scores.shape[1:]), self.classes) or 0), 1)
        if maps.shape[1] > 1:
            return maps
        second = in_logits(maps, self.scores)
        return torch.cat([torch.zeros_like(second), second], 1)


def _axis(shape: tuple[int, ...], classes: int) -> int | None:
    """The axis of one example's maps that has the classes: in front, as in PyTorch, where it may be that, else behind,
    as in TensorFlow; None where no axis has as many, nor has 1 of two classes.
    """
    if len(shape) != 3:
        return None
    counts = (classes, 1) if classes == 2 else (classes,)
    return next((axis for count in counts for axis in (0, 2) if shape[axis] == count), None)


def _size(output: TensorSpec) -> tuple[int, ...]:
    """Height and width of a map of classes."""
    return _without_1(output.shape)


def _without_1(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the axis that an ArgMax kept, in front or behind."""
    if len(shape) != 3 or 1 not in (shape[0], shape[2]):
        return shape
    return shape[1:] if shape[0] == 1 else shape[:2]
