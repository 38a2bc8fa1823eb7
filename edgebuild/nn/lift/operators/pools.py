"""Pools: the largest or the mean of windows, or of all places."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.windows import Windows, windows, with_ceiling

if TYPE_CHECKING:
    from torch import Tensor


def _windows(call: Call) -> tuple[Windows, bool]:
    """The windows, and whether `ceil_mode` made their borders wider."""
    call.need(call.rank(0) in (3, 4, 5), f"torch pools 1 to 3 axes, not {call.rank(0) - 2}")
    wide = windows(call, call.integers("kernel_shape"))
    if not call.integer("ceil_mode"):
        return wide, False
    ceiling = with_ceiling(wide, call.shape(0)[2:])
    return ceiling, ceiling != wide


def mean_pool(call: Call) -> Any:
    """The mean of windows; borders count where the file says so."""
    wide, widened = _windows(call)
    counted = bool(call.integer("count_include_pad"))
    rank, half = len(wide.kernel), all(2 * p <= k for p, k in zip(wide.before, wide.kernel, strict=True))
    if wide.symmetric and not widened and half and set(wide.dilation) == {1}:
        return call.emit(_average(rank), call.tensor(0), wide.kernel, wide.stride, wide.before, False, counted)
    total = call.emit(window_sums, call.tensor(0), wide)
    return call.emit(_divide, total, call.buffer(f"{call.node.output[0]}_counts", _counts(call, wide, counted)))


def _divide(values: Tensor, counts: Tensor) -> Tensor:
    return values / counts


def _counts(call: Call, wide: Windows, counted: bool) -> Any:
    """How many values each window has: [1, 1, places …]. The border that `ceil_mode` adds never counts."""
    import torch
    from torch.nn import functional

    before = windows(call, wide.kernel)
    ones = torch.ones(1, 1, *call.shape(0)[2:])
    if counted:
        ones = functional.pad(ones, before.padding, value=1.0)
        rest = tuple(a - b for a, b in zip(wide.after, before.after, strict=True))
        none = (0,) * len(rest)
        return window_sums(ones, Windows(wide.kernel, wide.stride, wide.dilation, none, rest)).numpy()
    return window_sums(ones, wide).numpy()


def window_sums(values: Tensor, wide: Windows) -> Tensor:
    """The sum of each window, borders being 0."""
    import torch
    from torch.nn import functional

    values, rank = functional.pad(values, wide.padding), len(wide.kernel)
    if set(wide.dilation) == {1}:
        means: Tensor = _average(rank)(values, wide.kernel, wide.stride)
        return means * math.prod(wide.kernel)
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    ones = torch.ones(1, 1, *wide.kernel, dtype=values.dtype, device=values.device)
    flat = values.reshape(-1, 1, *values.shape[2:])
    sums: Tensor = convolve(flat, ones, None, wide.stride, 0, wide.dilation)
    return sums.reshape(*values.shape[:2], *sums.shape[2:])


def _average(rank: int) -> Callable[..., Any]:
    from torch.nn import functional

    return (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]


def largest_pool(call: Call) -> Any:
    """The largest of windows; torch's own borders reach over half a window at most and are the same on both sides."""
    from torch.nn import functional

    wide, _ = _windows(call)
    rank = len(wide.kernel)
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
    values, padding = call.tensor(0), wide.before
    if not wide.symmetric or any(2 * p > k for p, k in zip(padding, wide.kernel, strict=True)):
        least = 0.0 if _is_positive(values) else -math.inf
        values, padding = call.emit(functional.pad, values, wide.padding, "constant", least), (0,) * rank
    if len(call.node.output) < 2 or not call.node.output[1]:
        return call.emit(pool, values, wide.kernel, wide.stride, padding, wide.dilation)
    call.need(padding == wide.before, "its places are asked for, and its borders differ between the sides")
    call.need(not call.integer("storage_order"), "its places are counted by column")
    pair = call.emit(pool, values, wide.kernel, wide.stride, padding, wide.dilation, return_indices=True)
    result, places = call.unpack(pair, 2)
    return result, call.emit(numbered, places, math.prod(call.shape(0)[2:]))


def numbered(places: Tensor, size: int) -> Tensor:
    """Places within each channel as places in the whole tensor."""
    import torch

    planes = torch.arange(places.shape[0] * places.shape[1], device=places.device)
    return places + planes.reshape(*places.shape[:2], *[1] * (places.ndim - 2)) * size


def _is_positive(node: Any) -> bool:
    """Whether no value is below 0, so that a border of 0 says as little as one of −∞, which no integer can be."""
    import torch
    from torch.nn import functional

    return node.target in (torch.relu, functional.relu6, torch.sigmoid, functional.hardsigmoid)


def power_pool(call: Call) -> Any:
    """The p-norm of windows."""
    wide, _ = _windows(call)
    return call.emit(norms, call.tensor(0), wide, float(call.number("p", 2)))


def norms(values: Tensor, wide: Windows, power: float) -> Tensor:
    """(Σ |x|^p)^(1/p) of each window."""
    return window_sums(values.abs() ** power, wide) ** (1 / power)


def mean_of_all(call: Call) -> Any:
    """The mean of all places."""
    from torch.nn import functional

    rank = call.rank(0) - 2
    call.need(rank > 0, "there are no places")
    if rank == 2:
        return call.emit(functional.adaptive_avg_pool2d, call.tensor(0), 1)
    return call.emit(_mean, call.tensor(0), tuple(range(2, rank + 2)))


def _mean(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    return values.mean(axes, keepdim=True)


def largest_of_all(call: Call) -> Any:
    """The largest of all places."""
    import torch

    return call.emit(torch.amax, call.tensor(0), tuple(range(2, call.rank(0))), True)


def power_of_all(call: Call) -> Any:
    """The p-norm of all places."""
    import torch

    axes = tuple(range(2, call.rank(0)))
    return call.emit(torch.linalg.vector_norm, call.tensor(0), float(call.integer("p", 2)), axes, True)


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "AveragePool": mean_pool,
    "GlobalAveragePool": mean_of_all,
    "GlobalLpPool": power_of_all,
    "GlobalMaxPool": largest_of_all,
    "LpPool": power_pool,
    "MaxPool": largest_pool,
}
