"""Keeps a model's weights, and where the format computes so its arithmetic, in 16-bit floating point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec.artifact import FILE, Determinism, StepIO
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.technique import Technique
from edgebuild.steps.techniques import _files


@dataclass(frozen=True, slots=True)
class Float16(Technique):
    """Inputs and outputs stay float32. ONNX computes in float16; TFLite widens to float32 where the CPU lacks it.

    For small weights and float32 arithmetic in both formats take `weights_only` with `weights = "float16"`.
    """

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    needs: ClassVar[tuple[str, ...]] = ("model",)
    deterministic: ClassVar[Determinism] = "everywhere"
    numbers: ClassVar[str] = "float16"

    def quantization(self) -> Quantization:
        """What the format is asked for."""
        return Quantization("float16", weights="float16")

    def run(self, io: StepIO) -> None:
        """Write the half-precision model file."""
        _files.quantize(io, self.quantization())
