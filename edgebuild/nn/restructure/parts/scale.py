"""A number for each channel, in the place of a gate; `sizes` are channels and axes of places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def build(old: Any, sizes: tuple[int, ...]) -> nn.Module:
    """A depthwise convolution of one point, which every runtime has a kernel for."""
    from torch import nn

    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[sizes[1] - 1]
    part: nn.Module = kind(sizes[0], sizes[0], 1, groups=sizes[0], bias=False)
    return part
