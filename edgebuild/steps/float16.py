"""Keeps a model's weights, and where the format computes so its arithmetic, in 16-bit floating point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.registry import FORMATS


@dataclass(frozen=True, slots=True)
class Float16:
    """Inputs and outputs stay float32. ONNX computes in float16; TFLite widens to float32 where the CPU lacks it."""

    consumes: ClassVar[tuple[str, ...]] = ("onnx", "tflite")
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False
    numbers: ClassVar[str] = "float16"

    def run(self, io: StepIO) -> None:
        """Write the half-precision model file."""
        target_format = FORMATS.get(io.kind("model"))()
        model = (io.path("model") / target_format.file).read_bytes()
        (io.output / target_format.file).write_bytes(target_format.float16(model))
