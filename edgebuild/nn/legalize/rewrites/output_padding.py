"""Transposed convolutions that are asked for more behind than in front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, cropped, each, transposed_sizes
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class OutputPadding(Rewrite):
    """`output_padding` of a transposed convolution: all of it is computed, and the places asked for are cut out."""

    operators: ClassVar[tuple[str, ...]] = ("conv_transpose1d.default", "conv_transpose2d.input")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of dense kernels: there are other rewrites for groups and dilation."""
        more, groups = argument(node, 5, "output_padding", 0), argument(node, 6, "groups", 1)
        dilation = argument(node, 7, "dilation", 1)
        return _cut if any(each(more, 1)) and groups == 1 and {*each(dilation, 1)} == {1} else None


def _cut(
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
    step, border, more = each(stride, axes), each(padding, axes), each(output_padding, axes)
    sizes = transposed_sizes(x.shape[2:], weight.shape[2:], step, border, more, (1,) * axes)
    whole = (torch.conv_transpose1d if axes == 1 else torch.conv_transpose2d)(x, weight, None, step)
    y = cropped(whole, border, sizes)
    return y if bias is None else y + bias.view(-1, *[1] * axes)
