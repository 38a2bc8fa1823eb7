"""Operators that give the same values another shape, and those that answer a shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import blocks
from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.operators._torch import torch_function

if TYPE_CHECKING:
    from torch import Tensor


def reshape(call: Call) -> Any:
    """Other dimensions for the same values."""
    target = call.numbers(1, "shape") or ()
    source = call.shape(0)
    if not call.integer("allowzero"):
        target = tuple(source[axis] if size == 0 else size for axis, size in enumerate(target))
    if -1 in target:
        rest = math.prod(size for size in target if size != -1)
        target = tuple(math.prod(source) // rest if size == -1 else size for size in target)
    return reshaped(call, target)


def reshaped(call: Call, target: Sequence[int]) -> Any:
    """Input 0 in this shape, by blocks where they match."""
    source = call.shape(0)
    batched = None if call.is_constant(0) else call.grows(0)
    matched = blocks.match(source, target, _splits_heads(call, source, target), batched)
    if matched is None:
        return call.emit(torch_function("reshape"), call.tensor(0), tuple(target))
    return call.emit(blocks.reshape, call.tensor(0), matched)


def _splits_heads(call: Call, source: Sequence[int], target: Sequence[int]) -> bool:
    """Whether features become heads: what comes next moves the heads away from their width, to before the places.

    In a channel shuffle the two stay side by side.
    """
    reader = call.build.only_reader(call.node.output[0])
    if reader is None or reader.op_type != "Transpose" or len(target) < len(source):
        return False
    order = [*reader.attribute[0].ints] if reader.attribute else [*range(len(target))][::-1]
    width = len(target) - 1
    return abs(order.index(width - 1) - order.index(width)) > 1 or order.index(width - 1) == len(target) - 3 > 0


def flatten(call: Call) -> Any:
    """Two dimensions: those before an axis, and those from it on."""
    axis, shape = call.integer("axis", 1), call.shape(0)
    axis += len(shape) if axis < 0 else 0
    if axis == 1 and len(shape) > 1:
        return call.emit(torch_function("flatten"), call.tensor(0), 1)
    return reshaped(call, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def squeeze(call: Call) -> Any:
    """Dimensions of 1 left out."""
    axes, shape = call.numbers(1, "axes"), call.shape(0)
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return call.emit(torch_function("squeeze"), call.tensor(0), tuple(axes)) if axes else call.value(0)


def unsqueeze(call: Call) -> Any:
    """Dimensions of 1 put in; axes count in the result."""
    axes = call.numbers(1, "axes") or ()
    rank = call.rank(0) + len(axes)
    result = call.tensor(0)
    for axis in sorted(axis % rank for axis in axes):
        result = call.emit(torch_function("unsqueeze"), result, axis)
    return result


def transpose(call: Call) -> Any:
    """Another order of dimensions."""
    order = call.integers("perm", tuple(range(call.rank(0)))[::-1])
    return call.emit(torch_function("permute"), call.tensor(0), order)


def expand(call: Call) -> Any:
    """Dimensions of 1 repeated; those that stay keep whatever size they have."""
    target, source = call.numbers(1) or (), call.shape(0)
    rank = max(len(target), len(source))
    target, source = (1,) * (rank - len(target)) + target, (1,) * (rank - len(source)) + source
    new = rank - call.rank(0)
    sizes = tuple(-1 if k >= new and size in (1, source[k]) else size for k, size in enumerate(target))
    return call.value(0) if all(size == -1 for size in sizes) else call.emit(expanded, call.tensor(0), sizes)


def expanded(values: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The values repeated to these sizes; −1 keeps one."""
    return values.expand(sizes)


def tile(call: Call) -> Any:
    """The whole repeated."""
    return call.emit(torch_function("tile"), call.tensor(0), call.numbers(1) or ())


def shape_of(call: Call) -> Any:
    """The dimensions, which are known."""
    import numpy as np

    shape = call.shape(0)
    start, end = call.integer("start"), call.integer("end", len(shape))
    return np.asarray(shape[start:end], np.int64)


def size_of(call: Call) -> Any:
    """How many values there are, which is known."""
    import numpy as np

    return np.asarray(math.prod(call.shape(0)), np.int64)


def constant(call: Call) -> Any:
    """A value that the file holds in a node."""
    import numpy as np
    import onnx

    for item in call.node.attribute:
        if item.name == "value":
            return onnx.numpy_helper.to_array(item.t)
        kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
        if item.name in kinds:
            return np.asarray(call.attribute(item.name), kinds[item.name])
    return call.refuse("its value is no tensor of numbers")


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "Constant": constant,
    "Expand": expand,
    "Flatten": flatten,
    "Reshape": reshape,
    "Shape": shape_of,
    "Size": size_of,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
