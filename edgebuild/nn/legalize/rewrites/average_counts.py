"""Means over windows that count other values than a full window has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, each, windows
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class AverageCounts(Rewrite):
    """A mean without its borders (`count_include_pad=False`, `divisor_override`) is a full one times a constant."""

    operators: ClassVar[tuple[str, ...]] = ("avg_pool1d.default", "avg_pool2d.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "slow"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where borders are left out, or another divisor is asked for: a reduction without a fast kernel otherwise.

        But where it is TensorFlow's own pool that keeps the size, for which there is one.
        """
        if argument(node, 6, "divisor_override", None) is not None:
            return _corrected
        if argument(node, 5, "count_include_pad", True):
            return None
        sizes = argument(node, 0, "self", None).meta["val"].shape[2:]
        kernel = each(argument(node, 1, "kernel_size", 1), len(sizes))
        step = each(argument(node, 2, "stride", ()) or kernel, len(sizes))
        border, ceil = each(argument(node, 3, "padding", 0), len(sizes)), bool(argument(node, 4, "ceil_mode", False))
        axes = [*zip(sizes, kernel, step, border, strict=True)]
        own = all(_same(*axis, ceil=ceil) for axis in axes) and not (ceil and any(border))
        return _corrected if (any(border) or ceil) and not own else None


def _same(size: int, kernel: int, step: int, border: int, *, ceil: bool) -> bool:
    """Whether an axis keeps its size but for the step, with the odd border behind."""
    count = -(-size // step)
    both = max(0, (count - 1) * step + kernel - size)
    return windows(size, kernel, step, border, ceil=ceil) == count and both // 2 == border


def _corrected(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = (),
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    import torch
    from torch.nn import functional

    axes = x.ndim - 2
    kernel, border = each(kernel_size, axes), each(padding, axes)
    step = each(stride, axes) if stride else kernel
    sides: list[int] = []
    factor = torch.ones((), dtype=x.dtype)
    for n, k, s, p in zip(x.shape[2:], kernel, step, border, strict=True):
        count = windows(n, k, s, p, ceil=ceil_mode)
        sides = [p, max(0, (count - 1) * s + k - n - p), *sides]
        low, high = (-p, n + p) if count_include_pad else (0, n)
        inside = [min(j * s - p + k, high) - max(j * s - p, low) for j in range(count)]
        full = [float(k) if divisor_override is not None else k / each for each in inside]
        factor = factor[..., None] * torch.tensor(full, dtype=x.dtype)
    y = (torch.avg_pool1d if axes == 1 else torch._C._nn.avg_pool2d)(functional.pad(x, sides), kernel, step)
    return y * (factor if divisor_override is None else factor / divisor_override)
