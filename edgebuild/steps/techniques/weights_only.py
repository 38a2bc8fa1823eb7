"""Stores a model file's weights in few bits and computes in float: smaller, not faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgebuild.spec.artifact import FILE, StepIO
from edgebuild.spec.quantization import Granularity, Quantization, Weights
from edgebuild.spec.technique import Technique
from edgebuild.steps.techniques import _files


@dataclass(frozen=True, slots=True)
class WeightsOnly(Technique):
    """Symmetric: q = round(x/Δ), Δ = max|x|/(2^(b−1) − 1) for each channel, tensor or block.

    By channel or tensor the runtime widens them once, when it loads the file: the time is that of the float file.
    """

    weights: Weights = "int8"
    granularity: Granularity = "channel"
    block: Annotated[Literal[32, 64, 128, 256], Field(description='weights that share a scale, with "block"')] = 32
    keep: Annotated[tuple[str, ...], Field(description="layers that stay float")] = ()

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    needs: ClassVar[tuple[str, ...]] = ("model",)
    numbers: ClassVar[str] = "float32"

    def quantization(self) -> Quantization:
        """What the format is asked for."""
        return Quantization(
            "weights_only", weights=self.weights, granularity=self.granularity, block=self.block, keep=self.keep
        )

    def run(self, io: StepIO) -> None:
        """Write the model file; UsageError for a layer without a kernel for blocks."""
        _files.quantize(io, self.quantization())
