"""Patches of a picture put into columns, and columns put back into a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, cropped, each
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Patches(Rewrite):
    """`Unfold` and `Fold` become a convolution and a transposed one, channel by channel, with ones for weights."""

    operators: ClassVar[tuple[str, ...]] = ("im2col.default", "col2im.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of pictures in batches."""
        unfolds = "im2col" in str(node.target)
        taken = argument(node, 0, "self", None).meta["val"].ndim
        return None if taken != (4 if unfolds else 3) else _unfolded if unfolds else _folded


def _unfolded(
    x: Tensor,
    kernel_size: Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    import torch

    channels, kernel = x.shape[1], each(kernel_size, 2)
    ones = _ones(channels, kernel, x)
    y = torch.conv2d(x, ones, None, each(stride, 2), each(padding, 2), each(dilation, 2), channels)
    return y.flatten(2)


def _folded(
    x: Tensor,
    output_size: Sequence[int],
    kernel_size: Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    import torch

    kernel, step, border = each(kernel_size, 2), each(stride, 2), each(padding, 2)
    holes, sizes = each(dilation, 2), each(output_size, 2)
    channels = x.shape[1] // math.prod(kernel)
    every = zip(sizes, kernel, step, border, holes, strict=True)
    places = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in every]
    columns = x.reshape(*x.shape[:2], *places)
    y = torch.conv_transpose2d(columns, _ones(channels, kernel, x), None, step, 0, 0, channels, holes)
    return cropped(y, border, sizes)


def _ones(channels: int, kernel: Sequence[int], like: Tensor) -> Tensor:
    """[channels · points, 1, …]: of each channel one point after another."""
    import torch

    points = math.prod(kernel)
    rows = [[float(row == column) for column in range(points)] for row in range(points)] * channels
    return torch.tensor(rows, dtype=like.dtype).reshape(-1, 1, *kernel)
