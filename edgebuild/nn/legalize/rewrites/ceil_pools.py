"""Maximum pools whose last window reaches over the end, of which a file keeps no window at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, each, windows
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class CeilPools(Rewrite):
    """`ceil_mode` of a maximum pool: its last row and column are repeated, which changes no maximum."""

    operators: ClassVar[tuple[str, ...]] = ("max_pool2d.default",)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "wrong"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where a window reaches over the end, of pools without borders."""
        if not argument(node, 5, "ceil_mode", False) or any(each(argument(node, 3, "padding", 0), 2)):
            return None
        kernel = each(argument(node, 1, "kernel_size", 1), 2)
        step = each(argument(node, 2, "stride", ()) or kernel, 2)
        sizes = argument(node, 0, "self", None).meta["val"].shape[-2:]
        over = any(_over(*axis) > 0 for axis in zip(sizes, kernel, step, strict=True))
        return _repeated if over and {*each(argument(node, 4, "dilation", 1), 2)} == {1} else None


def _over(size: int, kernel: int, step: int) -> int:
    """How far the last window reaches over the end."""
    return (windows(size, kernel, step, 0, ceil=True) - 1) * step + kernel - size


def _repeated(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = (),
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> Tensor:
    import torch

    kernel = each(kernel_size, 2)
    step = each(stride, 2) if stride else kernel
    for axis, k, s in zip((-2, -1), kernel, step, strict=True):
        size = x.shape[axis]
        if (over := _over(size, k, s)) > 0:
            x = torch.cat([x, *[x.narrow(axis, size - 1, 1)] * over], axis)
    return torch.max_pool2d(x, kernel, step)
