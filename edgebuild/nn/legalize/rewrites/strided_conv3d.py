"""Convolutions over volumes with steps and a border: at unequal ones TFLite's converter ends with its process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, each
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class StridedConv3d(Rewrite):
    """A 3-D convolution with steps and a border of zeros is given volumes that have the border already."""

    operators: ClassVar[tuple[str, ...]] = ("conv3d.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where there are both."""
        steps, borders = argument(node, 3, "stride", 1), argument(node, 4, "padding", 0)
        return _bordered if max(each(steps, 3)) > 1 and max(each(borders, 3)) > 0 else None


def _bordered(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    import torch
    from torch.nn import functional

    sides = [border for border in reversed(each(padding, 3)) for _ in range(2)]
    return torch.conv3d(functional.pad(x, sides), weight, bias, stride, 0, dilation, groups)
