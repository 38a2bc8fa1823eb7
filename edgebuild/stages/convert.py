"""Exports a torch model into a runtime's file format, in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.registry import FORMATS


@dataclass(frozen=True, slots=True)
class Convert:
    """The format's own exporter; static shapes, batch 1."""

    format: str

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write the model file."""
        target_format = FORMATS.get(self.format)()
        model = checkpoint.load(io.path("model"))
        (io.output / target_format.file).write_bytes(target_format.convert(model.module, model.example()))
