"""Transposed convolutions for which there is no operator: over volumes, and with holes in kernels that take steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import apart, argument, cropped, each, transposed_sizes
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class TransposedApart(Rewrite):
    """A transposed convolution with dilation, or in 3-D, becomes a convolution over its input with zeros between.

    Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", section 4.
    """

    operators: ClassVar[tuple[str, ...]] = (
        "conv_transpose1d.default",
        "conv_transpose2d.input",
        "conv_transpose3d.input",
    )
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of volumes, and where kernels have holes."""
        dilation, axes = argument(node, 7, "dilation", 1), node.meta["val"].ndim - 2
        return _spread if axes == 3 or {*each(dilation, 1)} != {1} else None


def _spread(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    import torch

    axes = x.ndim - 2
    step, holes = each(stride, axes), each(dilation, axes)
    border, more, kernel = each(padding, axes), each(output_padding, axes), weight.shape[2:]
    sizes = transposed_sizes(x.shape[2:], kernel, step, border, more, holes)
    for axis, s in enumerate(step, 2):
        x = apart(x, axis, s)
    spatial = tuple(range(2, weight.ndim))
    rows = weight.flip(spatial).reshape(groups, weight.shape[0] // groups, weight.shape[1], -1).transpose(1, 2)
    turned = rows.reshape(-1, weight.shape[0] // groups, *kernel)
    around = [d * (k - 1) for d, k in zip(holes, kernel, strict=True)]
    convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[axes - 1]
    return cropped(convolve(x, turned, bias, padding=around, dilation=holes, groups=groups), border, sizes)
