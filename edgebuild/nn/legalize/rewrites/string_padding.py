"""Convolutions over time whose borders are said in a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import each
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class StringPadding(Rewrite):
    """`padding="same"` of a 1-D convolution becomes numbers, with the odd zero behind, as PyTorch has it."""

    operators: ClassVar[tuple[str, ...]] = ("conv1d.padding",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Always."""
        return _numbered


def _numbered(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str = "valid",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    import torch
    from torch.nn import functional

    step = each(dilation, 1)
    both = step[0] * (weight.shape[2] - 1) if padding == "same" else 0
    if both % 2:
        x = functional.pad(x, (both // 2, both - both // 2))
    return torch.conv1d(x, weight, bias, each(stride, 1), 0 if both % 2 else both // 2, step, groups)
