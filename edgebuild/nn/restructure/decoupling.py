"""Convolutions decoupled into a depthwise one and one by points, the nearest to what they were.

Of each input channel the kernels [out, points] are a matrix, whose leading singular vectors are the nearest of its
rank (Eckart & Young 1936): the right ones become depthwise kernels, the left ones weights by points. With as many
kernels as points nothing is lost (Guo et al. 2018, "Network decoupling", section 3).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def macs(layer: Any, kernels: int, given: int) -> tuple[int, int]:
    """Multiply-accumulates of one example before and after; `given` is at how many places it answers."""
    outputs, inputs, *kernel = layer.weight.shape
    points = math.prod(kernel)
    return given * points * inputs * outputs, given * inputs * kernels * (points + outputs)


def lost(layer: Any, kernels: int) -> float:
    """The share of the squared weights that so many kernels a channel do not hold."""
    import torch

    squares = torch.linalg.svdvals(_by_input(layer)).square()
    return float(squares[:, kernels:].sum() / squares.sum().clamp_min(1e-300))


def fill(part: nn.Module, layer: Any) -> None:
    """Give a part (`parts/separable.py`) what is nearest to a layer's weights, in place."""
    import torch

    space: Any
    points: Any
    space, points = part.children()
    kernels = space.weight.shape[0] // layer.weight.shape[1]
    u, s, v = torch.linalg.svd(_by_input(layer), full_matrices=False)
    root = s[:, :kernels].sqrt()
    depthwise = root[:, :, None] * v[:, :kernels]  # [in, kernels, points]
    across = u[:, :, :kernels] * root[:, None]  # [in, out, kernels]
    with torch.no_grad():
        space.weight.copy_(depthwise.reshape(space.weight.shape))
        points.weight.copy_(across.permute(1, 0, 2).reshape(points.weight.shape))
        if layer.bias is not None:
            points.bias.copy_(layer.bias)


def _by_input(layer: Any) -> Any:
    """[in, out, points], in double precision."""
    return layer.weight.detach().double().transpose(0, 1).flatten(2)
