"""What a file of the user's answers as it came: the reference that its import and every later step is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import dataset, loop
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.signature import Loop
from edgebuild.steps.import_file import Reader


@dataclass(frozen=True, slots=True)
class OriginalOutputs(Step):
    """`outputs.npz` as a device's runner would write it, on the examples of a `split`; `name` is the file in `file`.

    `loops`: go through streams in order, with the states that the file itself has left.
    """

    reader: Reader
    name: str
    split: dataset.SplitName = "test"
    loops: tuple[Loop, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("file", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Run every held-out example, one at a time."""
        import numpy as np

        held_out = dataset.read(io.path("data"), self.split)
        file, streams = io.path("file") / self.name, dataset.streams(io.path("data"), self.split)
        answers = list(
            loop.through(lambda samples: self.reader.answers(file, samples), held_out.singly(), streams, self.loops)
            if self.loops
            else self.reader.answers(file, held_out.singly())
        )
        stacked = {str(k): np.concatenate(values) for k, values in enumerate(zip(*answers, strict=True))}
        np.savez(io.output / "outputs.npz", **stacked)  # type: ignore[arg-type]
