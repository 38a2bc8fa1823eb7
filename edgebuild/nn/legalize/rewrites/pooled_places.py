"""Where the greatest of each window stood, and putting values back there, as networks that mirror their pools do."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument, each
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_POOL = "aten.max_pool2d_with_indices.default"


class PooledPlaces(Rewrite):
    """Places of the greatest of windows side by side are found, and values put back there, by comparing slices."""

    operators: ClassVar[tuple[str, ...]] = ("max_pool2d_with_indices.default", "max_unpool2d.default")
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "wrong"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """For windows that do not overlap and begin at the border, and where somebody asks for the places."""
        if str(node.target) == _POOL:
            places_read = any(
                user.target is operator.getitem and user.args[1] == 1 and user.users for user in node.users
            )
            window = _window(node) if places_read else None
            return None if window is None else _pooling(window)
        source = argument(node, 1, "indices", None)
        pool = source.args[0] if source.target is operator.getitem else None
        window = _window(pool) if pool is not None and str(pool.target) == _POOL else None
        return None if window is None else _unpooling(window)


def _window(pool: fx.Node) -> tuple[int, ...] | None:
    """Height and width of its windows where they lie side by side; None where they do not."""
    size = each(argument(pool, 1, "kernel_size", 1), 2)
    stride = each(argument(pool, 2, "stride", ()) or size, 2)
    others = [each(argument(pool, *where), 2) for where in ((3, "padding", 0), (4, "dilation", 1))]
    plain = size == stride and others == [(0, 0), (1, 1)] and not argument(pool, 5, "ceil_mode", False)
    return size if plain and pool.args[0].meta["val"].dim() == 4 else None  # type: ignore[union-attr]


def _pooling(window: tuple[int, ...]) -> Callable[..., Any]:
    return lambda x, *_, **__: _pooled(window, x)


def _unpooling(window: tuple[int, ...]) -> Callable[..., Any]:
    return lambda x, places, size: _unpooled(window, x, places, size)


def _pooled(window: tuple[int, ...], x: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    (high, wide), (rows, columns) = window, (x.shape[2] // window[0], x.shape[3] // window[1])
    slices = [x[:, :, i : rows * high : high, j : columns * wide : wide] for i in range(high) for j in range(wide)]
    values, which = torch.stack(slices, -1).max(-1)
    row, column = torch.arange(rows).view(-1, 1) * high, torch.arange(columns) * wide
    within = which.div(wide, rounding_mode="floor")
    return values, (row + within) * x.shape[3] + column + which - within * wide


def _unpooled(window: tuple[int, ...], x: Tensor, places: Tensor, size: list[int]) -> Tensor:
    import torch
    from torch.nn import functional

    def larger(values: Tensor) -> Tensor:
        scaled = functional.interpolate(values, scale_factor=[float(one) for one in window], mode="nearest")
        return functional.pad(scaled, (0, size[1] - scaled.shape[3], 0, size[0] - scaled.shape[2]))

    here = torch.arange(size[0] * size[1]).view(size[0], size[1]).to(x.dtype)
    return torch.where(larger(places.to(x.dtype)) == here, larger(x), torch.zeros((), dtype=x.dtype))
