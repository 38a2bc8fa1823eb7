"""What rewrites share about kernels, steps and borders."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, fx


def argument(node: fx.Node, place: int, name: str, default: Any) -> Any:
    """An argument of an operator by its place or its name."""
    return node.args[place] if place < len(node.args) else node.kwargs.get(name, default)


def each(value: int | Sequence[int], count: int) -> tuple[int, ...]:
    """One number an axis, of numbers or one for all."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * count if len(values) == 1 else values


def cropped(values: Tensor, first: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """From `first` on so many places of the last axes; beyond their end there is nothing but zeros."""
    from torch.nn import functional

    axes = range(values.ndim - len(sizes), values.ndim)
    lacking = [max(0, at + size - values.shape[axis]) for axis, at, size in zip(axes, first, sizes, strict=True)]
    if any(lacking):
        values = functional.pad(values, [side for more in reversed(lacking) for side in (0, more)])
    for axis, at, size in zip(axes, first, sizes, strict=True):
        if at or size != values.shape[axis]:
            values = values.narrow(axis, at, size)
    return values


def apart(values: Tensor, axis: int, step: int) -> Tensor:
    """Zeros between neighbours of an axis, and step − 1 of them behind the last, in no more than four axes."""
    from torch.nn import functional

    if step == 1:
        return values
    shape = list(values.shape)
    before, behind = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    spread = functional.pad(values.reshape(before, shape[axis], 1, behind), (0, 0, 0, step - 1))
    shape[axis] *= step
    return spread.reshape(shape)


def windows(size: int, kernel: int, step: int, padding: int, *, ceil: bool) -> int:
    """How many windows a pool has along an axis; none of them begins behind the values and the border in front."""
    reach = size + 2 * padding - kernel
    count = (-(-reach // step) if ceil else reach // step) + 1
    return count - 1 if ceil and (count - 1) * step >= size + padding else count


def transposed_sizes(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    more: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """What a transposed convolution makes of these sizes (`torch.nn.ConvTranspose2d` has the formula)."""
    every = zip(sizes, kernel, stride, padding, more, dilation, strict=True)
    return [(n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, p, o, d in every]


_MOST_COMPARED = 2**22


def comparable(onto: Tensor, axis: int, index: Tensor) -> bool:
    """Whether each number in `index` may be compared with all places of an axis."""
    return onto.shape[axis] * index.numel() <= _MOST_COMPARED


def hits(onto: Tensor, axis: int, index: Tensor) -> Tensor:
    """[…, places of the axis, numbers]: which of the numbers of `index`, whose own axis has moved last, names which."""
    import torch

    places = torch.arange(onto.shape[axis]).unsqueeze(-1)
    moved = index.movedim(axis, -1) if index.ndim > 1 else index
    return moved.unsqueeze(-2) == places


def in_place(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function, which writes into its first argument where the operator of this name does (`add_.default`)."""
    if not name.partition(".")[0].endswith("_"):
        return function

    def writing(onto: Tensor, *arguments: Any, **named: Any) -> Tensor:
        return onto.copy_(function(onto, *arguments, **named))

    return writing
