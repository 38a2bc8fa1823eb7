"""Where an ONNX file can be cut in two: tensors that alone carry all that is known on from one operator to the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgebuild.formats import _onnx_apart

if TYPE_CHECKING:
    import onnx

Half = Literal["edge", "server"]
TYPES = ("float32", "uint8", "int8", "int32", "int64")


@dataclass(frozen=True, slots=True)
class Point:
    """A tensor that everything behind it is made of, with the shape of one example's."""

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int


def points(model: bytes) -> list[Point]:
    """Every place to cut, in the order of the graph: where one tensor of static shape is all that later operators need.

    Neither the file's own inputs nor its outputs are places: a half without an operator is none.
    """
    import numpy as np
    import onnx

    graph = onnx.shape_inference.infer_shapes(_onnx_apart.apart(model)[0], data_prop=True).graph
    known = {value.name: value.type.tensor_type for value in graph.value_info}
    places = []
    for name in _single(graph):
        kind = known.get(name)
        if kind is None or not kind.HasField("shape") or any(not axis.HasField("dim_value") for axis in kind.shape.dim):
            continue
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        if dtype.name in TYPES:
            shape = tuple(axis.dim_value for axis in kind.shape.dim)
            places.append(Point(name, shape, dtype.name, int(np.prod(shape)) * dtype.itemsize))
    return places


def halves(model: bytes, tensor: str) -> tuple[bytes, bytes]:
    """The operators before a tensor and those behind it, each as a file of its own; ValueError for no place to cut."""
    return half(model, tensor, "edge"), half(model, tensor, "server")


def half(model: bytes, tensor: str, which: Half) -> bytes:
    """One of them, without a copy of what the other one has: weights stay out of the way until it is known whose they
    are. ValueError for no place to cut.
    """
    import onnx

    whole, weights = _onnx_apart.apart(model)
    whole = onnx.shape_inference.infer_shapes(whole)
    if tensor not in _single(whole.graph):
        raise ValueError(f"{tensor!r} does not carry all that is behind it")
    constants = {each.name for each in whole.graph.initializer}
    inputs = [each.name for each in whole.graph.input if each.name not in constants]
    ends = (inputs, [tensor]) if which == "edge" else ([tensor], [each.name for each in whole.graph.output])
    taken = onnx.utils.Extractor(whole).extract_model(*ends)
    return _onnx_apart.together(taken, weights)


def rejoined(edge: bytes, server: bytes) -> bytes:
    """Two halves as the one file that they were cut from, but for what no answer depends on.

    Both have the constants that they need, under the names of the file that was cut: those in both are one.
    """
    whole, rest = _read(edge), _read(server).graph
    graph = whole.graph
    computed = {name for node in graph.node for name in node.output}
    graph.node.extend(node for node in rest.node if not computed.issuperset(node.output))
    for ours, theirs in ((graph.initializer, rest.initializer), (graph.value_info, rest.value_info)):
        known = {each.name for each in ours}
        ours.extend(each for each in theirs if each.name not in known)
    del graph.output[:]
    graph.output.extend(rest.output)
    content: bytes = whole.SerializeToString()
    return content


def crossing(server: bytes) -> str:
    """The tensor that goes into the second half."""
    graph = _onnx_apart.apart(server)[0].graph
    constants = {each.name for each in graph.initializer}
    tensor: str
    (tensor,) = (each.name for each in graph.input if each.name not in constants)
    return tensor


def _read(model: bytes) -> onnx.ModelProto:
    import onnx

    return onnx.load_model_from_string(model)


def _single(graph: onnx.GraphProto) -> list[str]:
    """Tensors that are all there is between an operator and those after it, in order.

    Operators stand in the order of the graph. What nothing but constants is made of travels with who needs it, so it
    does not count; an output of the file that is ready before the cut would have to cross as well, so it does.
    """
    constants = {each.name for each in graph.initializer} | {each.name for each in graph.sparse_initializer}
    inputs = {each.name for each in graph.input} - constants
    outputs = {each.name for each in graph.output}
    last: dict[str, int] = {}
    fixed = set(constants)
    for place, node in enumerate(graph.node):
        if all(not name or name in fixed for name in node.input):
            fixed |= {*node.output}
            continue
        last |= {name: place for name in node.input if name and name not in fixed}
    last |= {name: len(graph.node) for name in outputs if name not in fixed}
    alive = {name for name in inputs if name in last}
    singles = []
    for place, node in enumerate(graph.node):
        if all(not name or name in fixed for name in node.input):
            continue
        alive |= {name for name in node.output if last.get(name, -1) > place}
        alive = {name for name in alive if last[name] > place}
        if len(alive) == 1 and not alive & (outputs | inputs):
            (only,) = alive
            if only not in singles:
                singles.append(only)
    return singles
