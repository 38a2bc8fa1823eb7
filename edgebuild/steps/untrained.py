"""The model as its builder makes it, without training: enough to find out whether the target can run it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.nn.source import Source
from edgebuild.nn.train import training
from edgebuild.spec.artifact import EXCUSED, Determinism, StepIO
from edgebuild.spec.model import TensorSpec


@dataclass(frozen=True, slots=True)
class Untrained:
    """Weights are the builder's own, drawn with a fixed seed."""

    builder: str
    inputs: tuple[TensorSpec, ...]
    width: int
    origin: str = field(default="model", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("source",)
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Build and save."""
        source = Source(io.path("source"), self.origin)
        training.seeded(0)
        module = source.build(self.builder, self.inputs, self.width)
        checkpoint.save(checkpoint.Checkpoint(module, source, self.builder, self.inputs), io.output)
