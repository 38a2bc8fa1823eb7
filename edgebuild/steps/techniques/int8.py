"""Makes a model file compute in 8-bit integers: static post-training quantization with calibration data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from edgebuild.spec.artifact import FILE, StepIO
from edgebuild.spec.fields import Seed
from edgebuild.spec.quantization import Activations, Borders, Calibrator, Operators, Quantization
from edgebuild.spec.technique import Technique
from edgebuild.steps.techniques import _files


@dataclass(frozen=True, slots=True)
class Int8(Technique):
    """Weights symmetric by channel, activations affine by tensor with the range that the calibrator finds.

    Ranges learnt in training (`qat`) are taken as they are. Inputs and outputs stay float32, so that a caller need
    not know scales (Jacob et al., CVPR 2018), unless `io` says otherwise.
    """

    calibration: Annotated[int, Ge(1), Field(description="training examples that set the ranges")] = 256
    seed: Seed = 0
    activations: Annotated[Activations, Field(description="ONNX only: TFLite's kernels are int8")] = "uint8"
    symmetric: Annotated[bool, Field(description="activations with zero point 0 (int8) or 128 (uint8)")] = False
    granularity: Annotated[Literal["channel", "tensor"], Field(description="of the weights' scales")] = "channel"
    calibrator: Calibrator = "minmax"
    percentile: Annotated[float, Field(gt=50, le=100, description="of values that the calibrator keeps")] = 99.99
    operators: Annotated[Operators, Field(description="all, only the layers with weights, or what pays")] = "auto"
    keep: Annotated[tuple[str, ...], Field(description="layers that stay float")] = ()
    io: Annotated[Borders, Field(description="what the file takes and gives")] = "float32"

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    numbers: ClassVar[str] = "int8"
    gentler: ClassVar[str] = "`qat` before it, or `mixed_precision` in its place"
    gentler_on_file: ClassVar[str] = "`mixed_precision` in its place"

    def quantization(self) -> Quantization:
        """What the format is asked for."""
        return Quantization(
            "static",
            granularity=self.granularity,
            activations=self.activations,
            symmetric=self.symmetric,
            borders=self.io,
            calibrator=self.calibrator,
            percentile=self.percentile,
            operators=self.operators,
            keep=self.keep,
        )

    def run(self, io: StepIO) -> None:
        """Write the integer model file."""
        from edgebuild.nn.quantize import ranges

        how = _files.apart(io, self.quantization()).with_ranges(ranges.load(io.path("model")))
        _files.quantize(io, how, _files.samples(io, self.calibration, self.seed))
