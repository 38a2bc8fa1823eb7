"""Pools over volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, each
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class Pools3d(Rewrite):
    """A pool over a volume becomes one over its pictures and one over their order; so do local response norms."""

    operators: ClassVar[tuple[str, ...]] = ("max_pool3d.default", "avg_pool3d.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "slow"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """But with a divisor of one's own; a reduction without a fast kernel otherwise."""
        if node.meta["val"].ndim != 5 or argument(node, 6, "divisor_override", None) is not None:
            return None
        return _maximum if "max_pool" in str(node.target) else _mean


def _maximum(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = (),
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> Tensor:
    import torch

    kernel, border, holes = each(kernel_size, 3), each(padding, 3), each(dilation, 3)
    step = each(stride, 3) if stride else kernel
    y = torch.max_pool2d(x.flatten(1, 2), kernel[1:], step[1:], border[1:], holes[1:], ceil_mode)
    ordered = y.reshape(*x.shape[:3], -1)
    z = torch.max_pool2d(ordered, (kernel[0], 1), (step[0], 1), (border[0], 0), (holes[0], 1), ceil_mode)
    return z.reshape(*z.shape[:3], *y.shape[2:])


def _mean(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = (),
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    from torch.nn.functional import avg_pool2d

    kernel, border = each(kernel_size, 3), each(padding, 3)
    step = each(stride, 3) if stride else kernel
    y = x.flatten(1, 2)
    if max(kernel[1:]) > 1:
        y = avg_pool2d(y, kernel[1:], step[1:], border[1:], ceil_mode, count_include_pad)
    ordered = y.reshape(*x.shape[:3], -1)
    z = avg_pool2d(ordered, (kernel[0], 1), (step[0], 1), (border[0], 0), ceil_mode, count_include_pad)
    return z.reshape(*z.shape[:3], *y.shape[2:])
