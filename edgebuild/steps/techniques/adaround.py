"""Learns for every weight whether to round it up or down, by what the layer's output loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import Field

from edgebuild.nn import checkpoint, records
from edgebuild.nn.graph import Layer, layers, trace
from edgebuild.nn.quantize import beside
from edgebuild.nn.quantize.folding import fold
from edgebuild.nn.quantize.rounding import Rounding
from edgebuild.nn.train import training
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Adaround(Technique):
    """AdaRound (Nagel et al., ICML 2020): layer after layer, minimise ‖Wx − W̃x̂‖² over the rounding of W.

    x̂ is what the layer reads when all before it are rounded. What is left are weights on the grid of a symmetric
    quantizer with one scale a channel, Δ = max|w|/(2^(b−1) − 1): the largest weight of each channel and zeros stay
    where they are, so that the step behind finds the same grid and rounds nothing anew.
    """

    bits: Annotated[Literal[4, 8], Field(description="of the weights, as in the step behind")] = 8
    steps: Annotated[int, Ge(1), Field(description="of gradient descent for each layer")] = 1000
    learning_rate: Annotated[float, Gt(0)] = 0.01
    strength: Annotated[float, Gt(0), Field(description="λ of the term that drives roundings to 0 or 1")] = 0.01
    calibration: Annotated[int, Ge(1), Field(description="training examples, all in memory at once")] = 64
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Fold, round layer after layer, save; a layer that is given nothing but 0 is rounded to nearest."""
        import torch

        model = checkpoint.load(io.path("model"))
        fold(model.module, model.inputs)
        data = dataset.calibration(io.path("data"), self.calibration, self.seed)
        examples = tuple(torch.from_numpy(values) for values in data.inputs)
        graph = trace(model.module, model.inputs)
        total = len(layers(graph))
        if not total:
            message = "the model has no convolution or linear layer"
            raise UsageError(message, key="adaround", hint="leave the step out")
        generator = training.seeded(self.seed)
        errors: dict[str, dict[str, float]] = {}

        def choose(layer: Layer, plain: Tensor, arguments: tuple[Any, ...]) -> Tensor:
            rounded, errors[layer.name] = self.round(layer, plain, arguments, generator)
            beside.weight(graph, layer).copy_(rounded)
            io.progress(len(errors) / total, layer.name)
            return rounded

        beside.run(graph, examples, choose, lambda _, both: both.rounded)
        checkpoint.save(model, io.output)
        records.write(io.output, {"error": errors})

    def round(
        self, layer: Layer, target: Tensor, arguments: tuple[Any, ...], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The rounded weight, and the mean squared error of the layer's output with it and with nearest rounding."""
        import torch

        x, weight, *rest = arguments
        compute: Any = layer.node.target
        rounding = Rounding(weight, layer.axis, self.bits)
        if not x.any():  # nothing can be learnt, and nothing is lost
            return rounding.nearest(), {"learnt": 0.0, "nearest": 0.0}
        optimiser = torch.optim.Adam([rounding.share], self.learning_rate)
        for step in range(self.steps):
            rows = torch.randint(len(x), (min(_BATCH, len(x)),), generator=generator)
            with torch.enable_grad():
                off = compute(x[rows], rounding.soft(), *rest) - target[rows]
                loss = off.square().sum(beside.channel_axis(layer)).mean()
                loss = loss + self.strength * rounding.undecided(step / self.steps)
                optimiser.zero_grad()
                loss.backward()
            optimiser.step()
        weights = {"learnt": rounding.hard(), "nearest": rounding.nearest()}
        error = {name: float((compute(x, value, *rest) - target).square().mean()) for name, value in weights.items()}
        best = min(weights, key=lambda name: error[name])
        return weights[best], error
