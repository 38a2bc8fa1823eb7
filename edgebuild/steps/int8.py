"""Makes a model file compute in 8-bit integers: static post-training quantization with calibration data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import ranges
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.fields import Seed
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS


@dataclass(frozen=True, slots=True)
class Int8:
    """Weights symmetric per channel, activations affine per tensor from the true minimum and maximum seen.

    Ranges learnt in training (`qat`) are taken as they are. Inputs and outputs stay float32, so that a caller need
    not know scales (Jacob et al., CVPR 2018).
    """

    calibration: Annotated[int, Ge(1), Field(description="training examples that set the ranges")] = 256
    seed: Seed = 0
    activations: Annotated[Literal["uint8", "int8"], Field(description="ONNX only: TFLite's kernels are int8")] = (
        "uint8"
    )

    consumes: ClassVar[tuple[str, ...]] = ("onnx", "tflite")
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False
    numbers: ClassVar[str] = "int8"

    def run(self, io: StepIO) -> None:
        """Write the integer model file."""
        target_format = FORMATS.get(io.kind("model"))()
        examples = dataset.calibration(io.path("data"), self.calibration, self.seed)
        samples = [tuple(x[i : i + 1] for x in examples.inputs) for i in range(len(examples))]
        model = (io.path("model") / target_format.file).read_bytes()
        learnt = ranges.load(io.path("model"))
        how = Quantization("static", activations=self.activations, ranges=learnt)
        quantized = target_format.quantize(model, how, samples)
        (io.output / target_format.file).write_bytes(quantized)
