"""Ranks of convolutions and matrices: how much of them so many directions hold, and the factors that hold it.

Matrices and kernels of one point by singular values (Denton et al. 2014); kernels of several points by Tucker-2 over
their inputs and outputs (Kim et al. 2016), each of the two bases from the singular values of its own unfolding (HOSVD).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.restructure import sites, swaps
from edgebuild.nn.restructure.swaps import Swap

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]
    Ranks = Mapping[str, tuple[int, ...]]


def able(module: nn.Module, example: Example, keep: Iterable[nn.Module] = ()) -> dict[str, tuple[Any, tuple[int, int]]]:
    """Convolutions of one group and linear layers by name, with how many places each reads and gives.

    Those that run as modules and once, and have one name.
    """
    from torch import nn

    layers = swaps.candidates(module, (nn.Conv1d, nn.Conv2d, nn.Linear), keep)
    dense = {name: layer for name, layer in layers.items() if getattr(layer, "groups", 1) == 1}
    return {name: (dense[name], places) for name, places in sites.places(module, example, dense).items()}


def split(module: nn.Module, chosen: Ranks) -> tuple[nn.Module, tuple[Swap, ...]]:
    """A copy of the module with these layers in factors of these ranks."""
    parts = {name: Swap(name, "low_rank", of) for name, of in chosen.items()}
    return swaps.exchanged(module, parts, fill), tuple(parts.values())


def least(name: str, layer: Any) -> Swap:
    """A layer in factors of rank 1: what stands there, whatever its ranks."""
    return Swap(name, "low_rank", tuple(1 for _ in full(layer)))


def unfoldings(layer: Any) -> tuple[Tensor, ...]:
    """Matrices whose singular values say what a rank holds: one [out, in], or by inputs and by outputs of a kernel."""
    weight = layer.weight.detach().double()
    if weight.ndim == 2 or math.prod(weight.shape[2:]) == 1:
        return (weight.flatten(1),)
    return weight.transpose(0, 1).flatten(1), weight.flatten(1)


def full(layer: Any) -> tuple[int, ...]:
    """The ranks that lose nothing."""
    return tuple(min(matrix.shape) for matrix in unfoldings(layer))


def by_energy(layer: Any, energy: float, round_to: int) -> tuple[int, ...]:
    """The least ranks, in multiples, that keep this share of the sum of squared singular values."""
    import torch

    ranks = []
    for matrix in unfoldings(layer):
        squares = torch.linalg.svdvals(matrix).square()
        kept = squares.cumsum(0) / squares.sum().clamp_min(1e-300)
        least = 1 + int((kept < energy - 1e-12).sum())
        ranks.append(min(*matrix.shape, -(-least // round_to) * round_to))
    return tuple(ranks)


def by_share(layer: Any, share: float, round_to: int) -> tuple[int, ...]:
    """This share of the full ranks, in multiples, one multiple at least."""
    return tuple(min(most, max(1, math.ceil(share * most / round_to)) * round_to) for most in full(layer))


def macs(layer: Any, ranks: tuple[int, ...], places: tuple[int, int]) -> tuple[int, int]:
    """Multiply-accumulates of one example before and after; `places` are how many it reads and how many it gives."""
    outputs, inputs, *kernel = layer.weight.shape
    read, written = places
    points = math.prod(kernel)
    before = written * points * inputs * outputs
    if len(ranks) == 1:
        return before, written * ranks[0] * (points * inputs + outputs)
    return before, read * inputs * ranks[0] + written * (points * ranks[0] * ranks[1] + ranks[1] * outputs)


def fill(part: nn.Module, layer: Any) -> None:
    """Give the layers of a part (`parts/low_rank.py`) the factors of a layer's weight, in place."""
    import torch

    weight, bias = layer.weight.detach().double(), layer.bias
    layers: list[Any] = list(part.children())
    if len(layers) == 2:
        rank = layers[0].weight.shape[0]
        u, s, v = torch.linalg.svd(weight.flatten(1), full_matrices=False)
        root = s[:rank].sqrt()
        factors = [root[:, None] * v[:rank], u[:, :rank] * root]
    else:
        first, last = layers[0].weight.shape[0], layers[1].weight.shape[0]
        inward, outward = (torch.linalg.svd(matrix, full_matrices=False)[0] for matrix in unfoldings(layer))
        inward, outward = inward[:, :first], outward[:, :last]
        core = torch.einsum("oi...,op,iq->pq...", weight, outward, inward)
        factors = [inward.T, core, outward]
    with torch.no_grad():
        for one, values in zip(layers, factors, strict=True):
            one.weight.copy_(values.reshape(one.weight.shape))
        if bias is not None:
            layers[-1].bias.copy_(bias)
