"""Operators that pick values by number, or write them at numbered places."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.operators.shapes import reshaped

if TYPE_CHECKING:
    from torch import Tensor


def gather(call: Call) -> Any:
    """Rows by number: an embedding, where they are those of a constant matrix."""
    import torch
    from torch import nn

    axis = call.axis()
    if call.is_constant(0) and not call.is_constant(1) and call.rank(0) == 2 and axis == 0 and call.is_learnable(0):
        layer = nn.Embedding(call.shape(0)[0], call.shape(0)[1], device="meta")
        layer.weight = call.parameter(0)
        return call.layer(layer, 0, "", call.tensor(1))
    if not call.is_constant(1):
        return call.emit(picked, call.tensor(0), call.tensor(1), axis)
    size, numbers = call.shape(0)[axis], call.array(1)
    if numbers.size == size and numbers.ndim > 1 and (numbers.flatten() == range(size)).all():
        return reshaped(call, (*call.shape(0)[:axis], *numbers.shape, *call.shape(0)[axis + 1 :]))
    if numbers.ndim == 0:
        return call.emit(torch.select, call.tensor(0), axis, int(numbers))
    places = [int(number) % size for number in numbers.flatten()]
    if numbers.ndim == 1 and len({b - a for a, b in itertools.pairwise(places)} | {1}) == 1:
        return call.emit(torch.narrow, call.tensor(0), axis, places[0], len(places))
    return call.emit(picked, call.tensor(0), call.tensor(1), axis)


def picked(values: Tensor, numbers: Tensor, axis: int) -> Tensor:
    """`numpy.take`: [… axis …] at numbers [k …] → [… k … …]."""
    import torch

    size = values.shape[axis]
    places = torch.where(numbers < 0, numbers + size, numbers).to(torch.int64)
    flat = values.index_select(axis, places.reshape(-1))
    return flat.reshape(*values.shape[:axis], *numbers.shape, *values.shape[axis + 1 :])


def gather_elements(call: Call) -> Any:
    """One value for each number, along an axis."""
    return call.emit(taken, call.tensor(0), call.tensor(1), call.axis())


def taken(values: Tensor, numbers: Tensor, axis: int) -> Tensor:
    """`torch.gather` with numbers that may count from the end."""
    import torch

    return values.gather(axis, torch.where(numbers < 0, numbers + values.shape[axis], numbers).to(torch.int64))


def gather_nd(call: Call) -> Any:
    """Slices at tuples of numbers."""
    return call.emit(sliced, call.tensor(0), call.tensor(1), call.integer("batch_dims"))


def sliced(values: Tensor, numbers: Tensor, shared: int) -> Tensor:
    """Slices of `values` at the tuples in the last axis of `numbers`; the first `shared` axes go together."""
    depth, batch = numbers.shape[-1], values.shape[:shared]
    inner = values.shape[shared : shared + depth]
    places = _linear(numbers, inner).reshape(*batch, -1)
    flat = values.reshape(math.prod(batch), math.prod(inner), -1)
    chosen = places.reshape(math.prod(batch), -1, 1).expand(-1, -1, flat.shape[-1])
    return flat.gather(1, chosen).reshape(*numbers.shape[:-1], *values.shape[shared + depth :])


def _linear(numbers: Tensor, sizes: Any) -> Tensor:
    """The places in a flat tensor of tuples of numbers, which may count from the end."""
    import torch

    places = torch.zeros(numbers.shape[:-1], dtype=torch.int64, device=numbers.device)
    for axis, size in enumerate(sizes):
        number = numbers[..., axis].to(torch.int64)
        places = places * size + torch.where(number < 0, number + size, number)
    return places


_REDUCTIONS = {"none": "", "add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def scatter_elements(call: Call) -> Any:
    """One value written for each number, along an axis."""
    how = _REDUCTIONS[call.word("reduction", "none")]
    return call.emit(written, call.tensor(0), call.tensor(1), call.tensor(2), call.axis(), how)


def written(values: Tensor, numbers: Tensor, updates: Tensor, axis: int, how: str) -> Tensor:
    """`torch.scatter` or `torch.scatter_reduce` with numbers that may count from the end."""
    import torch

    places = torch.where(numbers < 0, numbers + values.shape[axis], numbers).to(torch.int64)
    if not how:
        return values.scatter(axis, places, updates)
    return values.scatter_reduce(axis, places, updates, how)


def scatter_nd(call: Call) -> Any:
    """Slices written at tuples of numbers."""
    how = _REDUCTIONS[call.word("reduction", "none")]
    return call.emit(put, call.tensor(0), call.tensor(1), call.tensor(2), how)


def put(values: Tensor, numbers: Tensor, updates: Tensor, how: str) -> Tensor:
    """`values` with slices at the tuples in the last axis of `numbers` written, or reduced with what is there."""
    depth = numbers.shape[-1]
    flat = values.reshape(math.prod(values.shape[:depth]), -1)
    places = _linear(numbers, values.shape[:depth]).reshape(-1, 1).expand(-1, flat.shape[1])
    return written(flat, places, updates.reshape(-1, flat.shape[1]), 0, how).reshape(values.shape)


def triangle(call: Call) -> Any:
    """What lies above a diagonal, or below it."""
    import torch

    offset = int(call.array(1)) if call.has(1) else 0
    return call.emit(torch.triu if call.integer("upper", 1) else torch.tril, call.tensor(0), offset)


def one_hot(call: Call) -> Any:
    """`on` where the number is, `off` elsewhere, along a new axis."""
    depth = int(call.array(1).flatten()[0])
    return call.emit(marked, call.tensor(0), depth, call.tensor(2), call.integer("axis", -1))


def marked(numbers: Tensor, depth: int, values: Tensor, axis: int) -> Tensor:
    """[off, on] by comparison of numbers with 0 … depth − 1 along a new axis; of others than these all are off."""
    import torch

    axis = axis % (numbers.ndim + 1)
    places = torch.where(numbers < 0, numbers + depth, numbers).unsqueeze(axis)
    marks = torch.arange(depth, device=numbers.device).reshape([-1 if k == axis else 1 for k in range(places.ndim)])
    return torch.where(places == marks, values[1], values[0])


def eye_like(call: Call) -> Any:
    """Ones on a diagonal, in the shape of a tensor: known."""
    import numpy as np
    import onnx

    kind = call.attribute("dtype")
    dtype = call.trial(0).numpy().dtype if kind is None else onnx.helper.tensor_dtype_to_np_dtype(kind)
    rows, columns = call.shape(0)
    return np.eye(rows, columns, k=call.integer("k"), dtype=dtype)


def top(call: Call) -> Any:
    """The largest or smallest values along an axis, and their numbers."""
    import torch

    count = (call.numbers(1, "k") or ())[0] if call.has(1) else call.integer("k")
    largest, ordered = bool(call.integer("largest", 1)), bool(call.integer("sorted", 1))
    axis = call.axis(-1)
    return call.unpack(call.emit(torch.topk, call.tensor(0), count, axis, largest, ordered), 2)


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "EyeLike": eye_like,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "OneHot": one_hot,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "TopK": top,
    "Trilu": triangle,
}
