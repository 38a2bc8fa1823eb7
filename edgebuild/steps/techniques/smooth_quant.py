"""Moves outliers of a transformer's activations into the weights behind them, where a scale a channel holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, records
from edgebuild.nn.graph import trace, walk
from edgebuild.nn.quantize.rescaling import Pair, check_kept, norm_pairs
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique

if TYPE_CHECKING:
    from torch import Tensor, fx


@dataclass(frozen=True, slots=True)
class SmoothQuant(Technique):
    """SmoothQuant (Xiao et al., ICML 2023, equation 4): s = max|X|^α / max|W|^(1−α), X/s by the layer norm, W·s.

    Only layers that alone read a layer norm can take part; the model computes what it did.
    """

    alpha: Annotated[float, Field(ge=0, le=1, description="how much of the difficulty moves into the weights")] = 0.5
    calibration: Annotated[int, Ge(1), Field(description="training examples that show the outliers")] = 128
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Measure, move, check, save; UsageError when no layer norm has readers of its own."""
        import torch

        model = checkpoint.load(io.path("model"))
        data = dataset.calibration(io.path("data"), self.calibration, self.seed)
        examples = tuple(torch.from_numpy(values) for values in data.inputs)
        graph = trace(model.module, model.inputs)
        pairs = norm_pairs(graph)
        if not pairs:
            message = "the model has no layer norm whose output goes to linear layers alone"
            raise UsageError(message, key="smooth_quant", hint="leave the step out, or normalize before each block")
        with torch.no_grad():
            before = model.module(*examples)
            seen = _largest(graph, examples, {pair.node for pair in pairs})
            for pair in pairs:
                self._smooth(graph, pair, seen[pair.node])
            check_kept(before, model.module(*examples))
        checkpoint.save(model, io.output)
        joined = {pair.name: [reader.layer.name for reader in pair.readers] for pair in pairs}
        records.write(io.output, {"smoothed": joined})

    def _smooth(self, graph: fx.GraphModule, pair: Pair, seen: Tensor) -> None:
        pair.move(graph, smooth_scales(seen, pair.most_read(graph), self.alpha))


def _largest(graph: fx.GraphModule, examples: tuple[Tensor, ...], nodes: set[fx.Node]) -> dict[fx.Node, Tensor]:
    """max|X| over examples and positions, for each value of the last axis."""
    largest: dict[Any, Tensor] = {}

    def see(node: fx.Node, value: Any) -> Any:
        if node in nodes:
            largest[node] = value.abs().flatten(0, -2).amax(0)
        return value

    walk(graph, examples, see)
    return largest


def smooth_scales(seen: Tensor, read: Tensor, alpha: float) -> Tensor:
    """The scales s = max|X|^α / max|W|^(1−α) of all channels; 1 where either is zero."""
    import torch

    return torch.where((seen > 0) & (read > 0), seen**alpha / read ** (1 - alpha), 1.0)
