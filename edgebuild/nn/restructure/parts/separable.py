"""A convolution as a depthwise one and one by points; `sizes` is how many kernels each channel has."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def build(old: Any, sizes: tuple[int, ...]) -> nn.Module:
    """Channel by channel over space, then across channels."""
    from torch import nn

    kind: Any = type(old)
    inner = old.in_channels * sizes[0]
    settings = {name: getattr(old, name) for name in ("stride", "padding", "dilation", "padding_mode")}
    space = kind(old.in_channels, inner, old.kernel_size, groups=old.in_channels, bias=False, **settings)
    points = kind(inner, old.out_channels, 1, bias=old.bias is not None)
    return nn.Sequential(OrderedDict(depthwise=space, pointwise=points))
