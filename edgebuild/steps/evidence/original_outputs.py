"""What a file of the user's answers as it came: the reference that its import and every later step is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.steps.import_file import Reader


@dataclass(frozen=True, slots=True)
class OriginalOutputs(Step):
    """`outputs.npz` as a device's runner would write it, on the examples of a `split`; `name` is the file in `file`."""

    reader: Reader
    name: str
    split: dataset.Held = "test"

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("file", "data")
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Run every held-out example, one at a time."""
        import numpy as np

        held_out = dataset.read(io.path("data"), self.split)
        answers = list(self.reader.answers(io.path("file") / self.name, held_out.singly()))
        stacked = {str(k): np.concatenate(values) for k, values in enumerate(zip(*answers, strict=True))}
        np.savez(io.output / "outputs.npz", **stacked)  # type: ignore[arg-type]
