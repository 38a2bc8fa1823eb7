"""Takes trained weights from the user's safetensors file instead of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.nn.source import Source
from edgebuild.spec.artifact import EXCUSED, Determinism, StepIO
from edgebuild.spec.model import TensorSpec


@dataclass(frozen=True, slots=True)
class ImportWeights:
    """The file must hold exactly the tensors of the freshly built model; safetensors runs no code when read."""

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
        """Build, fill, save."""
        source = Source(io.path("source"), self.origin)
        module = source.build(self.builder, self.inputs, self.width)
        (weights,) = io.path("weights").iterdir()
        checkpoint.fill(module, weights, self.shown)
        checkpoint.save(checkpoint.Checkpoint(module, source, self.builder, self.inputs, self.augment), io.output)
