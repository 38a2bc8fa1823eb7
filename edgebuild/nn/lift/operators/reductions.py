"""Operators that make one value of many along axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    from torch import Tensor

    Axes = tuple[int, ...]


def largest(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The largest value."""
    return values.amax(axes, keep)


def smallest(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The smallest value."""
    return values.amin(axes, keep)


def mean(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The mean."""
    return values.mean(axes, keep)


def total(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The sum, in the type of the values."""
    return values.sum(axes, keep, dtype=values.dtype)


def product(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The product; torch has it for one axis at a time."""
    for axis in sorted(axes, reverse=True):
        values = values.prod(axis, keep, dtype=values.dtype)
    return values


def absolute(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The sum of absolute values."""
    return total(values.abs(), axes, keep)


def squares(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The sum of squares."""
    return total(values * values, axes, keep)


def length(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The Euclidean length."""
    return squares(values, axes, keep).sqrt()


def log_total(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The logarithm of the sum."""
    return total(values, axes, keep).log()


def log_exp(values: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The logarithm of the sum of exponentials."""
    return values.logsumexp(axes, keep)


_REDUCED: Mapping[str, Callable[[Tensor, Axes, bool], Tensor]] = {
    "ReduceL1": absolute,
    "ReduceL2": length,
    "ReduceLogSum": log_total,
    "ReduceLogSumExp": log_exp,
    "ReduceMax": largest,
    "ReduceMean": mean,
    "ReduceMin": smallest,
    "ReduceProd": product,
    "ReduceSum": total,
    "ReduceSumSquare": squares,
}


def reduced(call: Call) -> Any:
    """A reduction over axes, which are an attribute in older opsets; over all where none are named."""
    import torch

    axes, rank = call.numbers(1, "axes"), call.rank(0)
    if not axes and call.integer("noop_with_empty_axes"):
        axes = ()
    elif not axes:
        axes = tuple(range(rank))
    if not axes:
        alone = _POINTWISE.get(call.kind)
        return call.emit(alone, call.tensor(0)) if alone else call.value(0)
    axes, keep = tuple(axis % rank for axis in axes), bool(call.integer("keepdims", 1))
    if call.trial(0).dtype == torch.bool:
        return call.emit(torch.any if call.kind == "ReduceMax" else torch.all, call.tensor(0), axes, keep)
    return call.emit(_REDUCED[call.kind], call.tensor(0), axes, keep)


def _absolute(values: Tensor) -> Tensor:
    return values.abs()


def _square(values: Tensor) -> Tensor:
    return values * values


def _log(values: Tensor) -> Tensor:
    return values.log()


# What a reduction over no axis leaves of each value, where that is not the value.
_POINTWISE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "ReduceL1": _absolute,
    "ReduceL2": _absolute,
    "ReduceLogSum": _log,
    "ReduceSumSquare": _square,
}


def position(call: Call) -> Any:
    """The number of the largest or smallest value along an axis, the first or the last of equal ones."""
    axis, keep = call.axis(0), bool(call.integer("keepdims", 1))
    import torch

    function = torch.argmax if call.kind == "ArgMax" else torch.argmin
    if not call.integer("select_last_index"):
        return call.emit(function, call.tensor(0), axis, keep)
    flipped = call.emit(torch.flip, call.tensor(0), (axis,))
    return call.emit(from_end, call.emit(function, flipped, axis, keep), call.shape(0)[axis])


def from_end(numbers: Tensor, size: int) -> Tensor:
    """Numbers counted from the other end."""
    return size - 1 - numbers


def cumulated(call: Call) -> Any:
    """Sums or products of all values so far, along an axis."""
    axis = int(call.array(1).flatten()[0]) % call.rank(0)
    backward, before = bool(call.integer("reverse")), bool(call.integer("exclusive"))
    return call.emit(running, call.tensor(0), axis, backward, before, call.kind == "CumProd")


def running(values: Tensor, axis: int, backward: bool, before: bool, multiplied: bool) -> Tensor:
    """Sums (or products) up to each place, from the end with `backward`, without the place itself with `before`."""
    import torch

    values = values.flip(axis) if backward else values
    if before:
        first = torch.full_like(values.narrow(axis, 0, 1), 1 if multiplied else 0)
        values = torch.cat([first, values.narrow(axis, 0, values.shape[axis] - 1)], axis)
    result = values.cumprod(axis, dtype=values.dtype) if multiplied else values.cumsum(axis, dtype=values.dtype)
    return result.flip(axis) if backward else result


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    **dict.fromkeys(_REDUCED, reduced),
    "ArgMax": position,
    "ArgMin": position,
    "CumProd": cumulated,
    "CumSum": cumulated,
}
