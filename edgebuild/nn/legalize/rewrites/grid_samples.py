"""Values at places of a grid, the nearest ones and in three axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_LINEAR, _NEAREST = range(2)
_ZEROS, _BORDER, _REFLECTION = range(3)


class GridSamples(Rewrite):
    """The nearest places of a grid, and its places in three axes, are reckoned and looked up one by one."""

    operators: ClassVar[tuple[str, ...]] = ("grid_sampler.default", "grid_sampler_3d.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Of one example; what lies linearly between the places of two axes a file has."""
        values, mode = argument(node, 0, "input", None).meta["val"], argument(node, 2, "interpolation_mode", _LINEAR)
        if mode not in (_LINEAR, _NEAREST) or len(values) != 1 or (values.ndim == 4 and mode == _LINEAR):
            return None
        return _sampled


def _sampled(x: Tensor, grid: Tensor, mode: int, border: int, align: bool) -> Tensor:
    """[1, channels, …] at the places of `grid` [1, …, axes], whose last number is that of the first axis."""
    import torch
    from torch.nn import functional

    sizes, shape = x.shape[2:], grid.shape[1:-1]
    wanted = [_place(grid[0, ..., axis].reshape(-1), size, border, align) for axis, size in enumerate(reversed(sizes))]
    wanted = wanted[::-1]
    table = x.reshape(x.shape[1], -1).transpose(0, 1)
    lows = [torch.round(place) if mode == _NEAREST else torch.floor(place) for place in wanted]
    result: Tensor | None = None
    for corner in itertools.product((0, 1), repeat=len(sizes) if mode == _LINEAR else 0):
        at = [low + step for low, step in zip(lows, corner, strict=True)] if corner else lows
        number, weight = torch.zeros_like(lows[0]), torch.ones_like(lows[0])
        for place, low, step, each, size in zip(wanted, lows, corner or lows, at, sizes, strict=True):
            if corner:
                weight = weight * (place - low if step else 1 - (place - low))
            if border == _ZEROS:
                weight = weight * ((each >= 0) & (each <= size - 1)).to(x.dtype)
            number = number * size + each.clamp(0, size - 1)
        part = functional.embedding(number.to(torch.int64), table) * weight.unsqueeze(1)
        result = part if result is None else result + part
    assert result is not None
    return result.transpose(0, 1).reshape(1, x.shape[1], *shape)


def _place(where: Tensor, size: int, border: int, align: bool) -> Tensor:
    """From −1 to 1 to places of an axis, as `torch.nn.functional.grid_sample` has them."""
    import torch

    place = (where + 1) / 2 * (size - 1) if align else ((where + 1) * size - 1) / 2
    if border == _REFLECTION:
        first, span = (0.0, size - 1.0) if align else (-0.5, float(size))
        if span == 0:
            return torch.zeros_like(place)
        away = (place - first).abs()
        turns = torch.floor(away / span)
        rest = away - turns * span
        odd = turns - 2 * torch.floor(turns / 2)
        place = first + rest * (1 - odd) + (span - rest) * odd
    return place if border == _ZEROS else place.clamp(0, size - 1)
