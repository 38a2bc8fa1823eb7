"""Takes the mean error that rounded weights make in each layer's output back out of the biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import Field

from edgebuild.nn import checkpoint, records
from edgebuild.nn.graph import parameter, trace
from edgebuild.nn.quantize import beside, fake_quant
from edgebuild.nn.quantize.folding import fold
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique

if TYPE_CHECKING:
    from torch import Tensor, fx

    from edgebuild.nn.graph import Layer


@dataclass(frozen=True, slots=True)
class BiasCorrection(Technique):
    """b ← b − E[ỹ − y] on calibration data, layer after layer (Nagel et al., ICCV 2019, section 4.2, appendix D).

    y is the float model's output, ỹ that with this layer's and all earlier weights rounded and corrected. Weights stay
    as they are: the step behind rounds them, so `bits` and `granularity` must be its own.
    """

    bits: Annotated[int, Ge(2), Le(8)] = 8
    granularity: Annotated[Literal["channel", "tensor"], Field(description="one scale a channel, or a tensor")] = (
        "channel"
    )
    calibration: Annotated[int, Ge(1), Field(description="training examples, all in memory at once")] = 64
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Fold, correct, save; UsageError when no layer has a bias. The record names layers without one."""
        import torch

        model = checkpoint.load(io.path("model"))
        fold(model.module, model.inputs)
        data = dataset.calibration(io.path("data"), self.calibration, self.seed)
        examples = tuple(torch.from_numpy(values) for values in data.inputs)
        moved, skipped = self.correct(trace(model.module, model.inputs), examples)
        if not moved:
            message = "no convolution or linear layer of the model has a bias"
            raise UsageError(
                message, key="bias_correction", hint="build the layers with bias=True, or leave the step out"
            )
        checkpoint.save(model, io.output)
        records.write(io.output, {"moved": moved, "without bias": skipped})

    def correct(self, graph: fx.GraphModule, examples: tuple[Tensor, ...]) -> tuple[dict[str, float], list[str]]:
        """({layer: largest change of its biases}, layers without a bias); changes the biases in place."""
        moved: dict[str, float] = {}
        skipped: list[str] = []

        def choose(layer: Layer, _plain: Tensor, _given: object) -> Tensor:
            weight = beside.weight(graph, layer)
            return fake_quant.on_grid(weight, layer.axis if self.granularity == "channel" else None, self.bits)

        def mend(layer: Layer, both: beside.Both) -> Tensor:
            rounded: Tensor = both.rounded
            if layer.shift is None:
                skipped.append(layer.name)
                return rounded
            error = (rounded - both.plain).transpose(0, beside.channel_axis(layer)).flatten(1).mean(1)
            parameter(graph, layer.shift).sub_(error)
            moved[layer.name] = float(error.abs().max())
            shape = [1] * rounded.ndim
            shape[beside.channel_axis(layer)] = -1
            mended: Tensor = rounded - error.view(shape)
            return mended

        beside.run(graph, examples, choose, mend)
        return moved, skipped
