"""What a file of the user's answers as it came: the reference that its import and every later step is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.reader import Reader


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
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Run every held-out example, one at a time."""
        import numpy as np

        held_out = dataset.read(io.path("data"), self.split)
        samples = [tuple(x[k : k + 1] for x in held_out.inputs) for k in range(len(held_out))]
        answers = list(self.reader.answers(io.path("file") / self.name, samples))
        stacked = {str(k): np.concatenate(values) for k, values in enumerate(zip(*answers, strict=True))}
        np.savez(io.output / "outputs.npz", **stacked)  # type: ignore[arg-type]
