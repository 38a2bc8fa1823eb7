"""Convolutions decoupled into a depthwise one and one by points, the nearest to what they were.

Of each input channel the kernels [out, points] are a matrix, whose leading singular vectors are the nearest of its
rank (Eckart & Young 1936): the right ones become depthwise kernels, the left ones weights by points. With as many
kernels as points nothing is lost (Guo et al. 2018, "Network decoupling", section 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.restructure import sites, swaps
from edgebuild.nn.restructure.swaps import Swap

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]


def able(
    module: nn.Module, example: Example, kernels: int, keep: Iterable[nn.Module] = ()
) -> dict[str, tuple[Any, int]]:
    """Convolutions of one group and several points that would take fewer multiplications, and how many fewer.

    Those that run as modules and once, and have one name.
    """
    from torch import nn

    found = swaps.candidates(module, (nn.Conv1d, nn.Conv2d), keep)
    full = {name: layer for name, layer in found.items() if _full(layer)}
    places = sites.places(module, example, full)
    pairs = {name: macs(full[name], kernels, given) for name, (_, given) in places.items()}
    return {name: (full[name], before - after) for name, (before, after) in pairs.items() if after < before}


def separated(module: nn.Module, names: Sequence[str], kernels: int) -> tuple[nn.Module, tuple[Swap, ...]]:
    """A copy of the module with these convolutions in two."""
    parts = {name: Swap(name, "separable", (kernels,)) for name in names}
    return swaps.exchanged(module, parts, fill), tuple(parts.values())


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


def _full(layer: Any) -> bool:
    return bool(layer.groups == 1 and layer.in_channels > 1 and max(layer.kernel_size) > 1)
