"""Maximum pools with holes in their windows, of which a file makes a reduction without a fast or an integer kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, each, windows
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx


class DilatedPools(Rewrite):
    """A maximum pool with `dilation` is the maximum of so many strided slices, along one axis after the other."""

    operators: ClassVar[tuple[str, ...]] = ("max_pool1d.default", "max_pool2d.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "slow"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where there are holes."""
        return _maxima if {*each(argument(node, 4, "dilation", 1), 1)} != {1} else None


def _maxima(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = (),
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> Tensor:
    import torch

    axes = 1 if isinstance(kernel_size, Sequence) and len(kernel_size) == 1 else 2
    kernel, border, holes = each(kernel_size, axes), each(padding, axes), each(dilation, axes)
    step = each(stride, axes) if stride else kernel
    for axis, k, s, p, d in zip(range(-axes, 0), kernel, step, border, holes, strict=True):
        size = x.shape[axis]
        count = windows(size, d * (k - 1) + 1, s, p, ceil=ceil_mode)
        firsts = range(-p, -p + s * count, s)
        inside = [[place for place in range(first, first + d * k, d) if 0 <= place < size] for first in firsts]
        every = [
            [
                place if 0 <= (place := first + d * j) < size else own[0]
                for first, own in zip(firsts, inside, strict=True)
            ]
            for j in range(k)
        ]
        parts = [_at(x, axis, places, s) for places in every]
        x = parts[0]
        for part in parts[1:]:
            x = torch.maximum(x, part)
    return x


def _at(x: Tensor, axis: int, places: list[int], step: int) -> Tensor:
    """The values at these places, in slices as long as they go on so far apart."""
    import torch

    runs = [[places[0]]]
    for place in places[1:]:
        if place == runs[-1][-1] + step:
            runs[-1].append(place)
        else:
            runs.append([place])
    behind: list[Any] = [slice(None)] * (-1 - axis)
    slices = [x[(Ellipsis, slice(run[0], run[-1] + 1, step), *behind)] for run in runs]
    return slices[0] if len(slices) == 1 else torch.cat(slices, axis)
