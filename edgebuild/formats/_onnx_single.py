"""Lets an ONNX file whose floats have 16 or 64 bits compute in float32, which is what quantizers read.

Its inputs and outputs keep their types. Half precision loses nothing by it; whether doubles were needed is what the
gates on answers say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.formats import _onnx_files

if TYPE_CHECKING:
    import onnx

_FLOAT, _OTHERS = 1, (10, 11, 16)  # of onnx.TensorProto.DataType: float16, double, bfloat16
KINDS = ("to", "dtype", "output_dtype")  # attributes that name the type of a result


def single(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model (in place), every output of which an operator computes; as it is where all its floats have 32 bits."""
    if _has_others(model.graph):
        _keep_ends(model.graph)
        _narrow(model.graph)
        _onnx_files.forget_types(model.graph)
    return model


def _has_others(graph: onnx.GraphProto) -> bool:
    """Whether a constant, an input, an output or the result of a cast is of another type of floats."""
    kinds = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    kinds += [tensor.data_type for tensor in graph.initializer]
    for attribute in (one for node in graph.node for one in node.attribute):
        kinds += [attribute.i] if attribute.name in KINDS else []
        kinds += [attribute.t.data_type] if attribute.HasField("t") else []
    return any(kind in _OTHERS for kind in kinds) or any(map(_has_others, _onnx_files.subgraphs(graph)))


def _keep_ends(graph: onnx.GraphProto) -> None:
    """Put casts (in place) behind inputs and before outputs of these types."""
    from onnx import helper

    def cast(source: str, result: str, kind: int) -> onnx.NodeProto:
        return helper.make_node("Cast", [source], [result], name=f"{source}.cast", to=kind)

    inputs, outputs = (
        {value.name: value.type.tensor_type.elem_type for value in side if value.type.tensor_type.elem_type in _OTHERS}
        for side in (graph.input, graph.output)
    )
    names = _onnx_files.free(graph, [*inputs, *outputs])
    _onnx_files.rename_within(graph, names)
    _narrow_nodes(graph)  # before these casts are among them
    nodes = [
        *(cast(name, names[name], _FLOAT) for name in inputs),
        *graph.node,
        *(cast(names[name], name, kind) for name, kind in outputs.items()),
    ]
    graph.ClearField("node")
    graph.node.extend(nodes)


def _narrow(graph: onnx.GraphProto) -> None:
    """Constants (in place) in float32, and within the operators' own graphs everything."""
    for tensor in graph.initializer:
        _convert(tensor)
    for inner in _onnx_files.subgraphs(graph):
        for value in (*inner.input, *inner.output):
            if value.type.tensor_type.elem_type in _OTHERS:
                value.type.tensor_type.elem_type = _FLOAT
        _narrow_nodes(inner)
        _narrow(inner)


def _narrow_nodes(graph: onnx.GraphProto) -> None:
    """What operators say (in place) of the types of their results, and their own constants."""
    for attribute in (one for node in graph.node for one in node.attribute):
        if attribute.name in KINDS and attribute.i in _OTHERS:
            attribute.i = _FLOAT
        for tensor in (attribute.t, *attribute.tensors):
            _convert(tensor)


def _convert(tensor: onnx.TensorProto) -> None:
    """Floats (in place) of other types in float32; beyond its range is its end, as masks are written."""
    import numpy as np
    from onnx import numpy_helper

    if tensor.data_type not in _OTHERS:
        return
    values, ends = numpy_helper.to_array(tensor), np.finfo(np.float32)
    finite = np.isfinite(values)
    with np.errstate(over="ignore"):
        narrow = np.where(finite, np.clip(values.astype(np.float64), ends.min, ends.max), values).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(narrow, tensor.name))
