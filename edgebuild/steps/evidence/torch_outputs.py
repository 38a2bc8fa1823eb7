"""What the torch model answers on examples that nothing has learnt from: the reference that a conversion must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step, StepIO

_BATCH = 64


@dataclass(frozen=True, slots=True)
class TorchOutputs(Step):
    """`outputs.npz` as a device's runner would write it, on the examples of a `split`."""

    split: dataset.Held = "test"

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def run(self, io: StepIO) -> None:
        """Run every held-out example through the module."""
        import numpy as np
        import torch

        module = checkpoint.load(io.path("model")).module
        test = dataset.read(io.path("data"), self.split)
        parts: list[list[torch.Tensor]] = []
        with torch.no_grad():
            for start in range(0, len(test), _BATCH):
                rows = slice(start, start + _BATCH)
                given = module(
                    *(torch.from_numpy(np.require(values[rows], requirements=("W", "C"))) for values in test.inputs)
                )
                parts.append([given] if isinstance(given, torch.Tensor) else list(given))
        stacked = {str(k): torch.cat(values).numpy() for k, values in enumerate(zip(*parts, strict=True))}
        np.savez(io.output / "outputs.npz", **stacked)  # type: ignore[arg-type]
