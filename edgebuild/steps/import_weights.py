"""Takes trained weights from the user's file instead of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.nn import checkpoint, state_dict
from edgebuild.nn.source import Source
from edgebuild.spec import notes
from edgebuild.spec.artifact import EXCUSED, Determinism, StepIO
from edgebuild.spec.model import TensorSpec


@dataclass(frozen=True, slots=True)
class ImportWeights:
    """The file must hold the tensors of the freshly built model; what is read runs no code (see `nn.state_dict`)."""

    builder: str
    inputs: tuple[TensorSpec, ...]
    width: int
    augment: str | None = None
    origin: str = field(default="model", metadata=EXCUSED)
    shown: str = field(default="weights", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("source", "weights")
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Build, fill, save, and note what was done to make the tensors fit."""
        source = Source(io.path("source"), self.origin)
        module = source.build(self.builder, self.inputs, self.width)
        (weights,) = io.path("weights").iterdir()
        tensors, found = state_dict.read(weights, self.shown)
        done = [*found, *state_dict.fit(module, tensors, self.shown)]
        checkpoint.save(checkpoint.Checkpoint(module, source, self.builder, self.inputs, self.augment), io.output)
        notes.write(io.output, [f"{self.shown}: {'; '.join(done)}"] if done else [])
