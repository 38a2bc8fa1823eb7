"""A convolution or linear layer as two or three of lower rank; `sizes` are the ranks inwards and outwards."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def build(old: Any, sizes: tuple[int, ...]) -> nn.Module:
    """Of one rank r: in → r → out. Of two: in → r₁ by points, the kernel between, r₂ → out by points."""
    from torch import nn

    if isinstance(old, nn.Linear):
        (rank,) = sizes
        ends = nn.Linear(rank, old.out_features, bias=old.bias is not None)
        return _named(nn.Linear(old.in_features, rank, bias=False), ends)
    kind: Any = type(old)
    first, last = sizes[0], sizes[-1]
    settings = {name: getattr(old, name) for name in ("stride", "padding", "dilation", "padding_mode")}
    ends = kind(last, old.out_channels, 1, bias=old.bias is not None)
    if len(sizes) == 1:
        return _named(kind(old.in_channels, first, old.kernel_size, bias=False, **settings), ends)
    inner = kind(first, last, old.kernel_size, bias=False, **settings)
    return _named(kind(old.in_channels, first, 1, bias=False), inner, ends)


def _named(*layers: nn.Module) -> nn.Module:
    from torch import nn

    names = ("inward", "outward") if len(layers) == 2 else ("inward", "kernel", "outward")
    return nn.Sequential(OrderedDict(zip(names, layers, strict=True)))
