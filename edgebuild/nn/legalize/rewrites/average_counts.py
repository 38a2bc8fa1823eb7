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
        """Where there are borders to leave out or another divisor; a reduction without a fast kernel otherwise."""
        padding, ceil = argument(node, 3, "padding", 0), argument(node, 4, "ceil_mode", False)
        bordered = (any(each(padding, 1)) or ceil) and not argument(node, 5, "count_include_pad", True)
        return _corrected if bordered or argument(node, 6, "divisor_override", None) is not None else None


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
