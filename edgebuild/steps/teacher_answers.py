"""What a file answers to all that a model learns from: lessons of a black box, written down once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.train.teachers import KIND
from edgebuild.spec import dataset
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.layout import Layout, axes
from edgebuild.spec.reader import Reader
from edgebuild.spec.rows import singly
from edgebuild.spec.signature import Signature

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.rows import Rows

    Sample = tuple[np.ndarray[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class TeacherAnswers(Step):
    """`<split>.<position>.npy` of the outputs to the splits that are learnt from, in the file's own runtime.

    It is for examples that every epoch sees alike; those that an augmentation changes are answered as they come.
    `layout` is that of the pictures which the file takes, where it is another than the model's.
    """

    reader: Reader
    name: str
    signature: Signature
    layout: Layout | None = None
    shown: str = field(default="teacher", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = KIND
    needs: ClassVar[tuple[str, ...]] = ("file", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Ask it about one example after another; UsageError where it answers otherwise than the model declares."""
        try:
            for split, inputs in dataset.learnt_from(io.path("data")).items():
                self._answer(split, inputs, io)
        except UsageError as error:
            raise UsageError(error.reason, file=self.shown, hint=error.hint) from None

    def _answer(self, split: str, inputs: tuple[Rows, ...], io: StepIO) -> None:
        count = len(inputs[0])
        places = [
            dataset.room(io.output, split, place, (count, *spec.shape), "float32")
            for place, spec in enumerate(self.signature.outputs)
        ]
        answers = self.reader.answers(io.path("file") / self.name, self._samples(inputs))
        for row, answer in enumerate(answers):
            shapes, declared = [list(one.shape) for one in answer], [[1, *place.shape[1:]] for place in places]
            if shapes != declared:
                raise UsageError(f"the teacher answers {shapes} to an example, and the model {declared}")
            for place, values in zip(places, answer, strict=True):
                place[row] = values[0]
            io.progress((row + 1) / count, f"{row + 1} of {count} examples of {split}")

    def _samples(self, inputs: tuple[Rows, ...]) -> Iterator[Sample]:
        for sample in singly(inputs):
            yield tuple(self._turned(sample))

    def _turned(self, sample: Sample) -> Iterable[np.ndarray[Any, Any]]:
        for values in sample:
            yield values.transpose(axes(self.layout)) if self.layout and values.ndim == 4 else values
