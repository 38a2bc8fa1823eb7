"""Rounds values to the grid of an 8-bit type in the forward pass and lets gradients straight through.

The grids are those of the formats' quantizers: weights symmetric, q = round(w/Δ) with Δ = max|w|/(2^(b−1) − 1);
activations affine, q = round(x/s) + z within 0 … 255 (Jacob et al., CVPR 2018; Krishnamoorthi 2018, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgebuild.nn import shared_batch
from edgebuild.nn.graph import OUTPUT_AXIS
from edgebuild.nn.operators import operator
from edgebuild.nn.quantize.points import from_input

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

LEVELS = 255  # of an 8-bit activation: from 0 to 255


def step_size(weight: Tensor, axis: int | None, bits: int = 8) -> Tensor:
    """Δ = max|w|/(2^(b−1) − 1): [channels along `axis`], or [] for the whole tensor where `axis` is None."""
    import torch

    most: Tensor = weight.abs().amax() if axis is None else weight.abs().transpose(0, axis).flatten(1).amax(1)
    size: Tensor = (most / (2 ** (bits - 1) - 1)).clamp_min(torch.finfo(torch.float32).tiny)
    return size


def on_grid(weight: Tensor, axis: int | None, bits: int = 8) -> Tensor:
    """The weight rounded to its grid; the gradient is one within the grid's ends (straight-through)."""
    import torch

    if weight.is_meta:  # a shape alone, for which torch has no such operator: the values are in another process
        return weight
    size, most = step_size(weight.detach(), axis, bits), 2 ** (bits - 1) - 1
    zero = torch.zeros_like(size, dtype=torch.int32)
    if axis is None:
        return torch.fake_quantize_per_tensor_affine(weight, size, zero, -most, most)
    return torch.fake_quantize_per_channel_affine(weight, size, zero, axis, -most, most)


def affine(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and zero point of the range from `low` to `high`, widened to hold zero: s = (high − low)/255."""
    import torch

    low, high = low.clamp_max(0), high.clamp_min(0)
    scale = ((high - low) / LEVELS).clamp_min(torch.finfo(torch.float32).tiny)
    return scale, (-low / scale).round().to(torch.int32)


def moving_average(low: float, high: float, momentum: float) -> nn.Module:
    """Fake quantization to a range that follows the batches' minimum and maximum: m ← m + momentum·(seen − m)."""
    import torch
    from torch import nn

    class MovingAverage(nn.Module):
        low: Tensor
        high: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("low", torch.tensor(low))
            self.register_buffer("high", torch.tensor(high))

        def forward(self, x: Tensor) -> Tensor:
            if x.is_meta:  # a shape alone, for which torch has no such operator: the values are in another process
                return x
            if self.training:
                least, most = shared_batch.extremes(x.detach().amin(), x.detach().amax())
                for kept, seen in ((self.low, least), (self.high, most)):
                    kept.add_(momentum * (seen - kept))
            scale, zero = affine(self.low, self.high)
            return torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, LEVELS)

        def ends(self) -> tuple[float, float]:
            return min(float(self.low), 0.0), max(float(self.high), 0.0)

    return MovingAverage()


def learnt_scale(low: float, high: float) -> nn.Module:
    """Fake quantization whose scale is a parameter: LSQ (Esser et al., ICLR 2020) with Q_N = z and Q_P = 255 − z.

    The zero point stays that of the first range. Where x/s lies within the grid ∂x̂/∂s = round(x/s) − x/s, else it
    is the grid's end (equation 3); the gradient is divided by √(N·Q_P) for N values (section 2.2). The scale is kept
    above a tenth of the first one: a large step could take it below zero, where it means nothing.
    """
    import torch
    from torch import nn

    first, zero = affine(torch.tensor(low), torch.tensor(high))
    least, most = -int(zero), LEVELS - int(zero)

    class LearntScale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(first.clone())

        def forward(self, x: Tensor) -> Tensor:
            self.scale.data.clamp_min_(0.1 * first)
            share = 1 / (shared_batch.of_all(x.numel()) * max(most, 1)) ** 0.5
            scale = self.scale.detach() + share * (self.scale - self.scale.detach())
            steps = (x / scale).clamp(least, most)
            rounded = steps + (steps.round() - steps).detach()
            result: Tensor = rounded * scale
            return result

        def ends(self) -> tuple[float, float]:
            scale = max(float(self.scale.detach()), 0.1 * float(first))
            return least * scale, most * scale

    return LearntScale()


def insert(graph: fx.GraphModule, ranges: Mapping[str, nn.Module], per_channel: bool) -> None:
    """Round every weight of a convolution or linear layer, and the values of every node named in `ranges`."""
    varying = from_input(graph)
    nodes = {node.name: node for node in graph.graph.nodes}
    for node in nodes.values():
        if operator(node) in OUTPUT_AXIS and node.args[1] not in varying:
            _round_weight(graph, node, OUTPUT_AXIS[operator(node)] if per_channel else None)
    for name, module in ranges.items():
        graph.add_submodule(f"range_of_{name}", module)
        _round_values(graph, nodes[name])
    graph.recompile()


def _round_weight(graph: fx.GraphModule, node: fx.Node, axis: int | None) -> None:
    with graph.graph.inserting_before(node):
        node.update_arg(1, graph.graph.call_function(on_grid, (node.args[1], axis)))


def _round_values(graph: fx.GraphModule, node: fx.Node) -> None:
    with graph.graph.inserting_after(node):
        rounded = graph.graph.call_module(f"range_of_{node.name}", (node,))
    node.replace_all_uses_with(rounded, delete_user_cb=lambda user: user is not rounded)
