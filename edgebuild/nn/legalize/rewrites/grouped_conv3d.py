"""Convolutions over volumes with groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class GroupedConv3d(Rewrite):
    """A 3-D convolution with groups becomes one for each group."""

    operators: ClassVar[tuple[str, ...]] = ("conv3d.default", "conv3d.padding")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where there are groups."""
        return _group_by_group if argument(node, 6, "groups", 1) > 1 else None


def _group_by_group(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    import torch

    parts = zip(x.chunk(groups, 1), weight.chunk(groups), strict=True)
    y = torch.cat([torch.conv3d(one, kernel, None, stride, padding, dilation) for one, kernel in parts], 1)
    return y if bias is None else y + bias.view(-1, 1, 1, 1)
