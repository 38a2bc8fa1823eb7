"""Makes a model file compute in 8-bit integers whose activations are quantized at run time: no calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgebuild.spec.artifact import FILE, StepIO
from edgebuild.spec.quantization import Granularity, Quantization
from edgebuild.spec.technique import Technique
from edgebuild.steps.techniques import _files


@dataclass(frozen=True, slots=True)
class DynamicInt8(Technique):
    """Weights symmetric, in 8 or 4 bits; each activation gets its range when it is computed.

    For matrices, so for transformers and recurrent nets. Layers without a fast kernel of the kind stay float
    (`operators = "auto"`): in TFLite depthwise convolutions, in ONNX all convolutions.
    """

    weights: Literal["int8", "int4"] = "int8"
    granularity: Granularity = "channel"
    block: Annotated[Literal[32, 64, 128, 256], Field(description='weights that share a scale, with "block"')] = 32
    operators: Literal["auto", "all"] = "auto"
    keep: Annotated[tuple[str, ...], Field(description="layers that stay float")] = ()

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    needs: ClassVar[tuple[str, ...]] = ("model",)
    numbers: ClassVar[str] = "int8"

    def quantization(self) -> Quantization:
        """What the format is asked for."""
        return Quantization(
            "dynamic",
            weights=self.weights,
            granularity=self.granularity,
            block=self.block,
            operators=self.operators,
            keep=self.keep,
        )

    def run(self, io: StepIO) -> None:
        """Write the model file; UsageError for a layer without a kernel that int4 weights need."""
        _files.quantize(io, self.quantization())
