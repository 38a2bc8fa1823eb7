"""Operators that move values about: shapes, joins, cuts, borders, sizes of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edgebuild.formats.tflite_to_onnx.graph import Call

_FAR = 2**31 - 1
_INT32, _INT64 = 6, 7  # onnx.TensorProto.DataType


def _to_output(call: Call) -> str:
    """Whatever axes are added or left out, the file says the shape."""
    return call.shaped(call.inputs[0], call.outputs[0])


def shape(call: Call) -> str:
    """Fixed, as all shapes are here."""
    import numpy as np

    return call.graph.constant(np.array(call.shapes[0], np.int64 if call.options.outType == 4 else np.int32))


def transpose(call: Call) -> str:
    """Axes in another order."""
    return call.node("Transpose", call.inputs[0], perm=call.whole(1))


def concatenation(call: Call) -> str:
    """Along an axis."""
    joined = call.node("Concat", *call.inputs, axis=int(call.options.axis))
    return call.activated(joined, call.options.fusedActivationFunction)


def pad(call: Call) -> str:
    """With zeros, or the value that is given."""
    ends = call.value(1).reshape(-1, 2)
    places = call.graph.whole([*map(int, ends[:, 0]), *map(int, ends[:, 1])])
    value = call.scalar(float(call.value(2).reshape(-1)[0]) if len(call.inputs) > 2 and call.inputs[2] else 0.0)
    return call.node("Pad", call.inputs[0], places, value)


def mirror_pad(call: Call) -> str:
    """Without the border itself; with it is nothing that ONNX has."""
    if call.options.mode != 0:
        call.refuse("it repeats the border itself")
    ends = call.value(1).reshape(-1, 2)
    places = call.graph.whole([*map(int, ends[:, 0]), *map(int, ends[:, 1])])
    return call.node("Pad", call.inputs[0], places, mode="reflect")


def strided_slice(call: Call) -> str:
    """From, to and step of each axis; axes that masks shrink are gone."""
    begins, ends, steps, options = call.whole(1), call.whole(2), call.whole(3), call.options
    if options.ellipsisMask or options.newAxisMask:
        call.refuse("it has an ellipsis, or a new axis")
    starts, stops = [], []
    for axis, step in enumerate(steps):
        size = call.shapes[0][axis]
        begin = (0 if step > 0 else size - 1) if options.beginMask >> axis & 1 else begins[axis]
        end = (_FAR if step > 0 else -_FAR) if options.endMask >> axis & 1 else ends[axis]
        if options.shrinkAxisMask >> axis & 1:
            begin = begins[axis] % size
            end = begin + 1
        starts.append(begin)
        stops.append(end)
    whole = call.graph.whole
    cut = call.node("Slice", call.inputs[0], whole(starts), whole(stops), whole([*range(len(steps))]), whole(steps))
    return call.shaped(cut, call.outputs[0]) if options.shrinkAxisMask else cut


def slice_(call: Call) -> str:
    """From and size of each axis; -1 is all that is left."""
    begins, sizes = call.whole(1), call.whole(2)
    ends = [_FAR if size < 0 else begin + size for begin, size in zip(begins, sizes, strict=True)]
    whole = call.graph.whole
    return call.node("Slice", call.inputs[0], whole(begins), whole(ends), whole([*range(len(begins))]))


def split(call: Call) -> tuple[str, ...]:
    """Into equal parts along an axis, the first input."""
    (axis,) = call.whole(0)
    return _parts(call, 1, axis)


def split_v(call: Call) -> tuple[str, ...]:
    """Into the parts that the outputs say."""
    (axis,) = call.whole(2)
    return _parts(call, 0, axis)


def _parts(call: Call, place: int, axis: int) -> tuple[str, ...]:
    sizes = call.graph.whole([shape[axis] for shape in call.outputs])
    parts = call.graph.node("Split", [call.inputs[place], sizes], len(call.outputs), label=call.label, axis=axis)
    return parts if isinstance(parts, tuple) else (parts,)


def pack(call: Call) -> str:
    """Several side by side along a new axis."""
    axis = call.options.axis % len(call.outputs[0])
    more = [1 if place == axis else size for place, size in enumerate(call.outputs[0])]
    return call.node("Concat", *(call.shaped(name, more) for name in call.inputs), axis=axis)


def unpack(call: Call) -> tuple[str, ...]:
    """And apart again."""
    axis = call.options.axis % len(call.shapes[0])
    sizes = call.graph.whole([1] * len(call.outputs))
    parts = call.graph.node("Split", [call.inputs[0], sizes], len(call.outputs), label=call.label, axis=axis)
    listed = parts if isinstance(parts, tuple) else (parts,)
    return tuple(call.shaped(name, shape) for name, shape in zip(listed, call.outputs, strict=True))


def gather(call: Call) -> str:
    """Rows by their numbers."""
    if call.options.batchDims:
        call.refuse("it gathers in each of a batch")
    return call.node("Gather", call.inputs[0], call.inputs[1], axis=int(call.options.axis))


def embedding_lookup(call: Call) -> str:
    """Rows of a table, by their numbers."""
    return call.node("Gather", call.inputs[1], call.inputs[0], axis=0)


def gather_nd(call: Call) -> str:
    """Values by their places."""
    places = call.node("Cast", call.inputs[1], to=_INT64)
    return call.node("GatherND", call.inputs[0], places)


def reverse(call: Call) -> str:
    """From the end to the beginning of axes."""
    axes = call.whole(1)
    starts, ends = ([end] * len(axes) for end in (-1, -(2**62)))
    return call.node("Slice", call.inputs[0], *map(call.graph.whole, (starts, ends, axes, [-1] * len(axes))))


def top_k(call: Call) -> tuple[str, str]:
    """The largest values along the last axis, and their places."""
    values, places = call.graph.node("TopK", [call.inputs[0], call.graph.whole(call.whole(1))], 2, call.label)
    return values, call.node("Cast", places, to=_INT32)


def _resized(mode: str, call: Call) -> str:
    """A picture of another height and width."""
    options, sizes = call.options, call.outputs[0]
    how = "align_corners" if options.alignCorners else "half_pixel" if options.halfPixelCenters else "asymmetric"
    rounded = "floor" if how == "asymmetric" else "round_prefer_ceil"  # ⌊(x + ½) · scale⌋ from half a pixel before
    extra = {"nearest_mode": rounded} if mode == "nearest" else {}
    target = call.graph.whole([sizes[0], sizes[3], sizes[1], sizes[2]])
    turned = call.first(call.inputs[0])
    resized = call.node("Resize", turned, "", "", target, mode=mode, coordinate_transformation_mode=how, **extra)
    return call.last(resized)


def depth_to_space(call: Call) -> str:
    """Channels become blocks of places, as TensorFlow orders them."""
    size = int(call.options.blockSize)
    return call.last(call.node("DepthToSpace", call.first(call.inputs[0]), blocksize=size, mode="DCR"))


def space_to_depth(call: Call) -> str:
    """And back."""
    size = int(call.options.blockSize)
    return call.last(call.node("SpaceToDepth", call.first(call.inputs[0]), blocksize=size))


def tile(call: Call) -> str:
    """Repeated along axes."""
    return call.node("Tile", call.inputs[0], call.graph.whole(call.whole(1)))


def broadcast_to(call: Call) -> str:
    """Of the output's shape."""
    return call.node("Expand", call.inputs[0], call.graph.whole([*call.outputs[0]]))


def space_to_batch_nd(call: Call) -> str:
    """Every block's places become examples, as convolutions with gaps were once written."""
    blocks, ends = call.whole(1), call.value(2).reshape(-1, 2)
    if len(blocks) != 2 or len(call.shapes[0]) != 4:
        call.refuse("it is of no picture")
    n, h, w, c = call.shapes[0]
    high, wide = h + int(ends[0].sum()), w + int(ends[1].sum())
    zeros = [0, int(ends[0, 0]), int(ends[1, 0]), 0, 0, int(ends[0, 1]), int(ends[1, 1]), 0]
    padded = call.node("Pad", call.inputs[0], call.graph.whole(zeros), call.scalar(0))
    cut = call.shaped(padded, [n, high // blocks[0], blocks[0], wide // blocks[1], blocks[1], c])
    return call.shaped(call.node("Transpose", cut, perm=(2, 4, 0, 1, 3, 5)), call.outputs[0])


def batch_to_space_nd(call: Call) -> str:
    """And back, less what was put around."""
    blocks, ends = call.whole(1), call.value(2).reshape(-1, 2)
    if len(blocks) != 2 or len(call.shapes[0]) != 4:
        call.refuse("it is of no picture")
    (n, h, w, c), (down, right) = call.shapes[0], blocks
    own = n // (down * right)
    parts = call.shaped(call.inputs[0], [down, right, own, h, w, c])
    joined = call.shaped(call.node("Transpose", parts, perm=(2, 3, 0, 4, 1, 5)), [own, h * down, w * right, c])
    whole, stops = call.graph.whole, [h * down - int(ends[0, 1]), w * right - int(ends[1, 1])]
    return call.node("Slice", joined, whole([int(ends[0, 0]), int(ends[1, 0])]), whole(stops), whole([1, 2]))


OPERATORS: Mapping[str, Callable[[Call], str | tuple[str, ...]]] = {
    "RESHAPE": _to_output,
    "SQUEEZE": _to_output,
    "EXPAND_DIMS": _to_output,
    "SHAPE": shape,
    "TRANSPOSE": transpose,
    "CONCATENATION": concatenation,
    "PAD": pad,
    "PADV2": pad,
    "MIRROR_PAD": mirror_pad,
    "STRIDED_SLICE": strided_slice,
    "SLICE": slice_,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "PACK": pack,
    "UNPACK": unpack,
    "GATHER": gather,
    "EMBEDDING_LOOKUP": embedding_lookup,
    "GATHER_ND": gather_nd,
    "REVERSE_V2": reverse,
    "TOPK_V2": top_k,
    "RESIZE_BILINEAR": partial(_resized, "linear"),
    "RESIZE_NEAREST_NEIGHBOR": partial(_resized, "nearest"),
    "DEPTH_TO_SPACE": depth_to_space,
    "SPACE_TO_DEPTH": space_to_depth,
    "SPACE_TO_BATCH_ND": space_to_batch_nd,
    "BATCH_TO_SPACE_ND": batch_to_space_nd,
    "TILE": tile,
    "BROADCAST_TO": broadcast_to,
}
