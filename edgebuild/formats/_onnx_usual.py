"""Writes what an ONNX file may say in a rare way as nearly all files say it: tools know that one alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgebuild.formats import _onnx_files

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]

_LEARNT = (1, 10, 11)  # TensorProto's float, half and double
_SIZES = 8  # the most numbers that are a size or a scale, which converters of opsets look for in an operator
_ONE_AXIS = 13  # from this opset on a Hardmax has the axis alone that it names
_CENTRED = 11  # from this opset on a Resize takes the centres of pixels where nothing else is said


def usual(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model (in place): constants as whole tensors, weights where weights are, no names of nothing at the end of
    lists of inputs or outputs, operators behind those whose results they read.
    """
    _everywhere(model.graph, _whole)
    _everywhere(model.graph, _stored)
    _everywhere(model.graph, _trimmed)
    _onnx_files.in_order(model.graph)
    return model


def raised(model: onnx.ModelProto, before: int, opset: int) -> onnx.ModelProto:
    """The model of opset `before` in a later one; what its pictures are resized to is the same.

    onnx's converter leaves out from where Upsample, and Resize of opset 10, take pixels: from their corners. And that
    Hardmax had an axis and all behind it as one before opset 13.
    """
    import onnx

    if before < _ONE_AXIS:
        _everywhere(model.graph, _flat)
    model = onnx.version_converter.convert_version(model, opset)
    if before < _CENTRED:
        _everywhere(model.graph, _by_corners)
    return model


def _everywhere(graph: onnx.GraphProto, change: Callable[[onnx.GraphProto], None]) -> None:
    """Make a change (in place) in a graph and in those within its operators."""
    change(graph)
    for inner in _onnx_files.subgraphs(graph):
        _everywhere(inner, change)


def _whole(graph: onnx.GraphProto) -> None:
    from onnx import helper, numpy_helper

    for sparse in graph.sparse_initializer:
        graph.initializer.append(numpy_helper.from_array(_dense(sparse), sparse.values.name))
    graph.ClearField("sparse_initializer")
    for node in graph.node:
        values = _written(node.attribute[0]) if node.op_type == "Constant" and node.attribute else None
        if values is not None:
            node.ClearField("attribute")
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(values)))


def _stored(graph: onnx.GraphProto) -> None:
    """Some exporters give weights by Constant operators, or number by number: nothing counts, shares or codes these."""
    from onnx import numpy_helper

    results = {value.name for value in graph.output}
    nodes = [*graph.node]
    graph.ClearField("node")
    for node in nodes:
        weights = node.attribute[0].t if node.op_type == "Constant" and node.attribute else None
        learnt = weights is not None and weights.data_type in _LEARNT and math.prod(weights.dims) > _SIZES
        if weights is None or not learnt or node.output[0] in results:
            graph.node.append(node)
        else:
            graph.initializer.add().CopyFrom(weights)
            graph.initializer[-1].name = node.output[0]
    for tensor in graph.initializer:
        if tensor.data_type in _LEARNT and not tensor.raw_data:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))


def _written(attribute: onnx.AttributeProto) -> Array | None:
    """What a constant is that is not written as a tensor of numbers; None where it is, or is text."""
    import numpy as np

    if attribute.name == "sparse_value":
        return _dense(attribute.sparse_tensor)
    if attribute.name in ("value_float", "value_floats"):
        return np.array(attribute.f if attribute.name == "value_float" else attribute.floats, np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.array(attribute.i if attribute.name == "value_int" else attribute.ints, np.int64)
    return None


def _dense(sparse: onnx.SparseTensorProto) -> Array:
    """With zeros wherever nothing is stored; places are counted through, or given by axis."""
    import numpy as np
    from onnx import numpy_helper

    values, places = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if places.ndim == 1:
        dense.reshape(-1)[places] = values
    else:
        dense[tuple(places.T)] = values
    return dense


def _trimmed(graph: onnx.GraphProto) -> None:
    """ONNX Runtime's quantizers take an empty name for that of a value, its integer kernels for one that is read."""
    for node in graph.node:
        for names in (node.input, node.output):
            while len(names) > 1 and not names[-1]:
                names.pop()


def _flat(graph: onnx.GraphProto) -> None:
    from onnx import helper

    nodes = [*graph.node]
    graph.ClearField("node")
    for node in nodes:
        if node.op_type == "Hardmax":
            (name,), (result,) = node.input, node.output
            flat, picked, sizes = (f"{result}.{word}" for word in ("flat", "picked", "sizes"))
            axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
            graph.node.append(helper.make_node("Flatten", [name], [flat], axis=axis))
            graph.node.append(helper.make_node("Hardmax", [flat], [picked], node.name, axis=1))
            graph.node.append(helper.make_node("Shape", [name], [sizes]))
            graph.node.append(helper.make_node("Reshape", [picked, sizes], [result]))
        else:
            graph.node.append(node)


def _by_corners(graph: onnx.GraphProto) -> None:
    from onnx import helper, numpy_helper

    known = {tensor.name: tensor for tensor in graph.initializer}
    known |= {node.output[0]: one.t for node in graph.node for one in node.attribute if one.name == "value"}
    for node in graph.node:
        if node.op_type == "Resize":
            scales = numpy_helper.to_array(known[node.input[2]]) if node.input[2] in known else None
            smaller = scales is not None and (scales < 1).any() and (scales <= 1).all()
            # what ONNX Runtime does with such files: nothing else says which of two pixels is the nearest
            attributes = {
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "ceil" if smaller else "floor",
            }
            node.attribute.extend(helper.make_attribute(name, word) for name, word in attributes.items())
