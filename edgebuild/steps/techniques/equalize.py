"""Evens out the ranges of weights between neighbouring layers, so that one scale a tensor fits all channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from edgebuild.nn import checkpoint, records
from edgebuild.nn.graph import parameter, trace
from edgebuild.nn.quantize.folding import fold
from edgebuild.nn.quantize.rescaling import Pair, check_kept, layer_pairs
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique

if TYPE_CHECKING:
    from torch import Tensor, nn

_PROBE = 16  # examples that show that the model computes what it did
_DONE = 1e-3  # no scale moves by more: equalized


@dataclass(frozen=True, slots=True)
class Equalize(Technique):
    """Cross-layer equalization (Nagel et al., ICCV 2019, section 4.1): s = √(r₁/r₂), W₁/s, b₁/s, W₂·s.

    r₁ and r₂ are the ranges of a channel's weights where it is made and where it is read. Batch norms are folded
    first; layers must be joined by ReLU, pooling or the like alone, and the model computes what it did.
    """

    rounds: Annotated[int, Ge(1)] = 20
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Fold, equalize until nothing moves, check, save; UsageError when no two layers can be equalized."""
        import torch

        model = checkpoint.load(io.path("model"))
        data = dataset.calibration(io.path("data"), _PROBE, self.seed)
        probe = tuple(torch.from_numpy(values) for values in data.inputs)
        with torch.no_grad():
            before = model.module(*probe)
            folded = fold(model.module, model.inputs)
            graph = trace(model.module, model.inputs)
            pairs = layer_pairs(graph, folded)
            if not pairs:
                message = "no two layers of the model are joined by ReLU or pooling alone"
                raise UsageError(message, key="equalize", hint="leave the step out")
            rounds = self._rounds(graph, pairs)
            check_kept(before, model.module(*probe))
        checkpoint.save(model, io.output)
        joined = {pair.name: [reader.layer.name for reader in pair.readers] for pair in pairs}
        records.write(io.output, {"equalized": joined, "rounds": rounds})

    def _rounds(self, graph: nn.Module, pairs: list[Pair]) -> int:
        """How many rounds it took until no scale moved."""
        for number in range(1, self.rounds + 1):
            moved = [_equalize(graph, pair) for pair in pairs]
            if max(moved) < _DONE:
                return number
        return self.rounds


def _equalize(graph: nn.Module, pair: Pair) -> float:
    """Apply s to one pair; how far the scale furthest from one is from it, as |ln s|."""
    scales = equal_scales(_made(parameter(graph, pair.parameters[0]), pair.axis), pair.most_read(graph))
    pair.move(graph, scales)
    return float(scales.log().abs().max())


def _made(weight: Tensor, axis: int) -> Tensor:
    return weight.abs().transpose(0, axis).flatten(1).amax(1)


def equal_scales(written: Tensor, read: Tensor) -> Tensor:
    """The scales s = √(r₁/r₂), equation 11 of the paper: both ranges become √(r₁·r₂); 1 for a dead channel."""
    import torch

    return torch.where((written > 0) & (read > 0), (written / read).sqrt(), 1.0)
