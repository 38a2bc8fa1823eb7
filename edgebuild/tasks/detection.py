"""Detection: boxes of several classes in a picture, any number of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from edgebuild.spec import boxes
from edgebuild.spec.decoder import Decoder
from edgebuild.spec.errors import StepError
from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.spec.task import Goal, Show, Task
from edgebuild.tasks import _boxes
from edgebuild.tasks._outputs import floats, learnt
from edgebuild.tasks._teachers import stacked
from edgebuild.travels import boxes as decoding

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors

_OVERLAP = 0.5  # at which a detection is counted as right among the mistakes of a picture


@dataclass(frozen=True)
class Detection(Task):
    """Answers are a detector's raw outputs, which `decoder` makes boxes of; labels are rows as `spec/boxes.py` says."""

    decoder: Decoder | None = None
    classes: int = 0

    labels: ClassVar[str] = "[N, most, 5] class and corners of each box, as shares of the picture; class -1: no box"
    element: ClassVar[Literal["int64", "float32"]] = "float32"
    missing: ClassVar[float] = float("nan")
    named: ClassVar[bool] = True
    show: ClassVar[Show] = "boxes"

    @classmethod
    def of(cls, head: Head) -> Self:
        """With the head's decoder, and the number of its classes."""
        return cls(head.decoder, len(head.labels))

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """Outputs that the decoder reads, and a name for each class."""
        if not head.labels:
            raise ValueError("a detection names its classes in labels")
        if head.decoder is None:
            raise ValueError("a detection needs a [decoder], which says how its outputs become boxes")
        floats("detection", [outputs[place] for place in head.decoder.real(len(outputs)) if place < len(outputs)])
        wrong = head.decoder.mistake(tuple(output.shape for output in outputs), len(head.labels))
        if wrong:
            raise ValueError(wrong)

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Boxes inside the picture, of classes that the outputs have scores for."""
        return boxes.mistake(labels, self._classes(outputs))

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """What the boxes that answer to labels miss, and the scores that are too high or too low (see `_boxes`)."""
        return _boxes.loss(*self._candidates(learnt(answers)), labels)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """How far boxes and scores are from those of the teachers' mean; for `logits` the outputs as they are."""
        import torch
        from torch.nn import functional

        means = [stacked(own, [teacher[k] for teacher in teachers]).mean(0) for k, own in enumerate(answers)]
        if goal == "logits":
            apart = [functional.mse_loss(own, mean) for own, mean in zip(answers, means, strict=True)]
            return torch.stack(apart).mean()
        return _boxes.distance(*self._candidates(answers), *self._candidates(means))

    def scored(self, answers: Sequence[Array], inputs: Sequence[Any] = ()) -> Array:
        """Detections [N, most, 6]: class, score, corners; the best first, behind the last rows of class -1."""
        detections: Array = decoding.decoded(self._how(), answers)
        return detections

    def mixed(self) -> str | None:
        """Boxes and scores, but where these are outputs of their own."""
        return None if self.decoder is None or self.decoder.apart else "boxes and scores"

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """1 − F1 of each picture: detections that are shown, against its boxes, at an overlap of a half."""
        import numpy as np

        detected = self.scored(answers)
        sure = detected[..., 1] >= self._how()["show"]
        pairs = (
            (rows[keep & (rows[:, 0] >= 0)], boxes.of_picture(known))
            for rows, keep, known in zip(detected, sure, labels.astype(np.float32), strict=True)
        )
        return np.array([_boxes.missed(rows, known, _OVERLAP) for rows, known in pairs])

    def _candidates(self, answers: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        import torch

        candidates: tuple[Tensor, Tensor] = decoding.candidates(self._how(), answers, torch)
        return candidates

    def _how(self) -> Mapping[str, Any]:
        if self.decoder is None:
            raise StepError("a detection without a decoder has no boxes")
        return asdict(self.decoder)

    def _classes(self, outputs: Sequence[TensorSpec]) -> int:
        """How many classes the outputs have scores for, or numbers of."""
        import numpy as np

        if self.classes:
            return self.classes

        shapes = [np.zeros((1, *output.shape), np.float32) for output in outputs]
        return int(decoding.candidates(self._how(), shapes, np)[1].shape[2])
