"""Operators that join and cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import parts
from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.operators._torch import torch_function

if TYPE_CHECKING:
    from torch import Tensor


def concat(call: Call) -> Any:
    """Tensors joined; a constant that was written for one example is repeated for all."""
    axis, places = call.axis(), [place for place in range(call.count) if math.prod(call.shape(place))]
    computed = next((place for place in places if not call.is_constant(place)), None)
    parts = []
    for place in places or [0]:
        part = call.tensor(place)
        if axis and call.is_constant(place) and computed is not None and call.shape(place)[0] == 1:
            part = call.emit(for_all, part, call.tensor(computed))
        parts.append(part)
    return parts[0] if len(parts) == 1 else call.emit(torch_function("cat"), parts, axis)


def for_all(constant: Tensor, like: Tensor) -> Tensor:
    """A constant [1, …] as [N, …], with the batch of another tensor."""
    return constant.expand(like.shape[0], *constant.shape[1:])


def split(call: Call) -> Any:
    """A tensor in parts along an axis: equal ones, where the file asks for no others."""
    axis, count = call.axis(), len(call.node.output)
    size, declared = call.shape(0)[axis], call.numbers(1, "split")
    each = -(-size // call.integer("num_outputs", count))
    sizes = declared or tuple(min(each, size - each * number) for number in range(count))
    if len({*sizes}) == 1:
        return call.unpack(
            call.emit(torch_function("chunk"), call.tensor(0), count, _from_end(axis, call.rank(0))), count
        )
    return call.unpack(call.emit(torch_function("split"), call.tensor(0), list(sizes), axis), count)


def cut(call: Call) -> Any:
    """Ranges along axes; torch has no steps backwards, so those flip first."""
    shape = call.shape(0)
    starts, ends = call.numbers(1, "starts") or (), call.numbers(2, "ends") or ()
    axes = call.numbers(3, "axes") or tuple(range(len(starts)))
    steps = call.numbers(4) or (1,) * len(starts)
    result = call.tensor(0)
    for axis, start, end, step in zip((axis % len(shape) for axis in axes), starts, ends, steps, strict=True):
        first, last, stride = _range(start, end, step, shape[axis])
        if step < 0:
            result = call.emit(torch_function("flip"), result, (axis,))
            first, last, stride = shape[axis] - 1 - first, shape[axis] - 1 - last, -stride
        if (first, last, stride) != (0, shape[axis], 1):
            stop = None if last >= shape[axis] else max(first, last)
            result = call.emit(along, result, _from_end(axis, len(shape)), first, stop, stride)
            parts.remember(result, first, last, shape[axis])
    return result


def _range(start: int, end: int, step: int, size: int) -> tuple[int, int, int]:
    """Of a range from `start` to `end` within a size; an end before the first, stepping back, takes the first in."""
    return slice(start, None if step < 0 and end < -size else end, step).indices(size)


def along(values: Tensor, axis: int, first: int, last: int | None, stride: int) -> Tensor:
    """A range along one axis."""
    return values[(slice(None),) * (axis % values.ndim) + (slice(first, last, stride),)]


def _from_end(axis: int, rank: int) -> int:
    """Axes of places and features are counted from the end, as code does."""
    return axis - rank if axis > 1 else axis


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "Concat": concat,
    "Slice": cut,
    "Split": split,
}
