"""Operators that move values about and compute none: reshapes, transposes, joins, cuts, borders."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift import blocks, parts
from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    from torch import Tensor


def reshape(call: Call) -> Any:
    """Other dimensions for the same values."""
    asked = call.numbers(1, "shape") or ()
    given = call.shape(0)
    if not call.integer("allowzero"):
        asked = tuple(given[axis] if size == 0 else size for axis, size in enumerate(asked))
    if -1 in asked:
        rest = math.prod(size for size in asked if size != -1)
        asked = tuple(math.prod(given) // rest if size == -1 else size for size in asked)
    return reshaped(call, asked)


def reshaped(call: Call, asked: Sequence[int]) -> Any:
    """Input 0 in this shape, by blocks where they match."""
    given = call.shape(0)
    batched = None if call.is_constant(0) else call.grows(0)
    matched = blocks.match(given, asked, _splits_heads(call, given, asked), batched)
    if matched is None:
        return call.emit(_torch("reshape"), call.tensor(0), tuple(asked))
    return call.emit(blocks.reshape, call.tensor(0), matched)


def _splits_heads(call: Call, given: Sequence[int], asked: Sequence[int]) -> bool:
    """Whether features become heads: what comes next moves the heads away from their width, to before the places.

    In a channel shuffle the two stay side by side.
    """
    reader = call.build.only_reader(call.node.output[0])
    if reader is None or reader.op_type != "Transpose" or len(asked) < len(given):
        return False
    order = [*reader.attribute[0].ints] if reader.attribute else [*range(len(asked))][::-1]
    width = len(asked) - 1
    return abs(order.index(width - 1) - order.index(width)) > 1 or order.index(width - 1) == len(asked) - 3 > 0


def flatten(call: Call) -> Any:
    """Two dimensions: those before an axis, and those from it on."""
    axis, given = call.integer("axis", 1), call.shape(0)
    axis += len(given) if axis < 0 else 0
    if axis == 1 and len(given) > 1:
        return call.emit(_torch("flatten"), call.tensor(0), 1)
    return reshaped(call, (math.prod(given[:axis]), math.prod(given[axis:])))


def squeeze(call: Call) -> Any:
    """Dimensions of 1 left out."""
    axes, given = call.numbers(1, "axes"), call.shape(0)
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(given) if size == 1)
    return call.emit(_torch("squeeze"), call.tensor(0), tuple(axes)) if axes else call.value(0)


def unsqueeze(call: Call) -> Any:
    """Dimensions of 1 put in; axes count in the result."""
    axes = call.numbers(1, "axes") or ()
    rank = call.rank(0) + len(axes)
    result = call.tensor(0)
    for axis in sorted(axis % rank for axis in axes):
        result = call.emit(_torch("unsqueeze"), result, axis)
    return result


def transpose(call: Call) -> Any:
    """Another order of dimensions."""
    order = call.integers("perm", tuple(range(call.rank(0)))[::-1])
    return call.emit(_torch("permute"), call.tensor(0), order)


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
    return parts[0] if len(parts) == 1 else call.emit(_torch("cat"), parts, axis)


def for_all(constant: Tensor, like: Tensor) -> Tensor:
    """A constant [1, …] as [N, …], with the batch of another tensor."""
    return constant.expand(like.shape[0], *constant.shape[1:])


def split(call: Call) -> Any:
    """A tensor in parts along an axis: equal ones, where the file asks for no others."""
    axis, count = call.axis(), len(call.node.output)
    size, asked = call.shape(0)[axis], call.numbers(1, "split")
    each = -(-size // call.integer("num_outputs", count))
    sizes = asked or tuple(min(each, size - each * number) for number in range(count))
    if len({*sizes}) == 1:
        return call.unpack(call.emit(_torch("chunk"), call.tensor(0), count, _from_end(axis, call.rank(0))), count)
    return call.unpack(call.emit(_torch("split"), call.tensor(0), list(sizes), axis), count)


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
            result = call.emit(_torch("flip"), result, (axis,))
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


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def pad(call: Call) -> Any:
    """Borders put on, or with negative numbers cut off."""
    pads = call.numbers(1, "pads")
    if pads is None:
        pads = call.integers("paddings")
    axes = call.numbers(3) or tuple(range(call.rank(0)))
    value = call.operand(2) if call.has(2) else call.number("value", 0.0)
    both: list[tuple[int, int]] = [(0, 0)] * call.rank(0)
    for place, axis in enumerate(axes):
        both[axis] = (pads[place], pads[place + len(axes)])
    mode = _MODES[call.word("mode", "constant")]
    flat = [size for sides in reversed(both) for size in sides]
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        del flat[-2:]
    if mode == "constant":
        from torch.nn import functional

        call.need(isinstance(value, int | float | bool), "the value of its border is computed")
        return call.emit(functional.pad, call.tensor(0), flat, mode, value)
    return call.emit(bordered, call.tensor(0), tuple(both), mode)


def bordered(values: Tensor, pads: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    """Borders that repeat what is inside, on any axis: each by its own choice of places."""
    import torch

    for axis, (before, after) in enumerate(pads):
        size = values.shape[axis]
        if before or after:
            places = torch.arange(-before, size + after, device=values.device)
            if mode == "replicate":
                places = places.clamp(0, size - 1)
            elif mode == "circular":
                places = places.remainder(size)
            else:
                places = size - 1 - (size - 1 - places.remainder(max(1, 2 * size - 2))).abs()
            values = values.index_select(axis, places)
    return values


def expand(call: Call) -> Any:
    """Dimensions of 1 repeated; those that stay keep whatever size they have."""
    asked, given = call.numbers(1) or (), call.shape(0)
    rank = max(len(asked), len(given))
    asked, given = (1,) * (rank - len(asked)) + asked, (1,) * (rank - len(given)) + given
    new = rank - call.rank(0)
    sizes = tuple(-1 if k >= new and size in (1, given[k]) else size for k, size in enumerate(asked))
    return call.value(0) if all(size == -1 for size in sizes) else call.emit(expanded, call.tensor(0), sizes)


def expanded(values: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The values repeated to these sizes; −1 keeps one."""
    return values.expand(sizes)


def tile(call: Call) -> Any:
    """The whole repeated."""
    return call.emit(_torch("tile"), call.tensor(0), call.numbers(1) or ())


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


def depth_to_space(call: Call) -> Any:
    """Channels become places: the block's number before the channel's (DCR) or after it (CRD, a pixel shuffle)."""
    from torch.nn import functional

    size = call.integer("blocksize")
    if call.word("mode", "DCR") == "CRD":
        return call.emit(functional.pixel_shuffle, call.tensor(0), size)
    return call.emit(deep_to_wide, call.tensor(0), size)


def deep_to_wide(values: Tensor, size: int) -> Tensor:
    """[N, size² C, H, W] → [N, C, size H, size W]."""
    batch, channels, height, width = values.shape
    parts = values.reshape(batch, size, size, channels // size**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, channels // size**2, height * size, width * size)


def space_to_depth(call: Call) -> Any:
    """Places become channels: the block's number before the channel's (DCR) or after it (CRD, a pixel unshuffle)."""
    from torch.nn import functional

    if call.word("mode", "DCR") == "CRD":
        return call.emit(functional.pixel_unshuffle, call.tensor(0), call.integer("blocksize"))
    return call.emit(wide_to_deep, call.tensor(0), call.integer("blocksize"))


def wide_to_deep(values: Tensor, size: int) -> Tensor:
    """[N, C, size H, size W] → [N, size² C, H, W]."""
    batch, channels, height, width = values.shape
    parts = values.reshape(batch, channels, height // size, size, width // size, size).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(batch, channels * size**2, height // size, width // size)


def columns_to_image(call: Call) -> Any:
    """Overlapping columns added up to a picture."""
    from torch.nn import functional

    size, block = call.numbers(1) or (), call.numbers(2) or ()
    call.need(len(size) == 2, "torch folds pictures of two dimensions alone")
    strides, dilations = call.integers("strides", (1, 1)), call.integers("dilations", (1, 1))
    pads = call.integers("pads", (0,) * 4)
    call.need(pads[:2] == pads[2:], "its borders differ between the two sides")
    return call.emit(functional.fold, call.tensor(0), size, block, dilations, pads[:2], strides)


def center_crop_pad(call: Call) -> Any:
    """The middle cut out, or put into the middle of zeros."""
    from torch.nn import functional

    asked = call.numbers(1) or ()
    axes = call.integers("axes", tuple(range(call.rank(0))))
    sides = [0] * (2 * call.rank(0))
    for axis, size in zip((axis % call.rank(0) for axis in axes), asked, strict=True):
        more, last = size - call.shape(0)[axis], 2 * (call.rank(0) - 1 - axis)
        before = more // 2 if more > 0 else -(-more // 2)
        sides[last : last + 2] = [before, more - before]
    return call.emit(functional.pad, call.tensor(0), sides)


def reverse_sequence(call: Call) -> Any:
    """The first places of each sequence turned about."""
    return call.emit(
        reversed_to, call.tensor(0), call.tensor(1), call.integer("time_axis"), call.integer("batch_axis", 1)
    )


def reversed_to(values: Tensor, lengths: Tensor, time: int, batch: int) -> Tensor:
    """`values` with places 0 … length − 1 along `time` in backward order, by length of each row along `batch`."""
    import torch

    moved = values.movedim((batch, time), (0, 1))
    places, ends = torch.arange(moved.shape[1], device=values.device)[None], lengths[:, None]
    order = torch.where(places < ends, ends - 1 - places, places)
    order = order.reshape(*order.shape, *[1] * (moved.ndim - 2)).expand(moved.shape)
    return moved.gather(1, order).movedim((0, 1), (batch, time))


def _torch(name: str) -> Callable[..., Any]:
    import torch

    function: Callable[..., Any] = getattr(torch, name)
    return function


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "CenterCropPad": center_crop_pad,
    "Col2Im": columns_to_image,
    "Concat": concat,
    "Constant": constant,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Pad": pad,
    "Reshape": reshape,
    "ReverseSequence": reverse_sequence,
    "Shape": shape_of,
    "Size": size_of,
    "Slice": cut,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
