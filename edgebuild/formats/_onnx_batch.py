"""Puts a batch axis of 1 in front of inputs and outputs of an ONNX file that have none, such as the states of an LSTM.

Examples go in and answers come out one by one here. What has another axis in front (layers, time) is taken for one
example as a whole: a Squeeze behind the input, an Unsqueeze before the output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.formats import _onnx_files
from edgebuild.formats._whole import lacks

if TYPE_CHECKING:
    import onnx

_AXIS = "leading axis"


def lead(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model (in place), whose shapes are known, with the axis everywhere."""
    import onnx
    from onnx import helper

    graph = model.graph
    lacking = [value for value in graph.input if lacks(_sizes(value))]
    computed = {name for node in graph.node for name in node.output}
    shapes = dict(zip([value.name for value in graph.output], _answered(model), strict=True))
    for value in graph.output:
        value.CopyFrom(_said(value, shapes[value.name]))
    answered = [value for value in graph.output if lacks(shapes[value.name]) and value.name in computed]
    if not lacking and not answered:
        return model
    inner = {value.name: f"{value.name} without batch" for value in (*lacking, *answered)}
    _onnx_files.rename_within(graph, inner)
    before = [helper.make_node("Squeeze", [one.name, _AXIS], [inner[one.name]], name=one.name) for one in lacking]
    behind = [helper.make_node("Unsqueeze", [inner[one.name], _AXIS], [one.name], name=one.name) for one in answered]
    nodes = [*before, *graph.node, *behind]
    graph.ClearField("node")
    graph.node.extend(nodes)
    graph.initializer.append(helper.make_tensor(_AXIS, onnx.TensorProto.INT64, [1], [0]))
    for value in (*lacking, *answered):
        value.CopyFrom(_said(value, (1, *_sizes(value))))
    return model


def _said(value: onnx.ValueInfoProto, sizes: tuple[int, ...]) -> onnx.ValueInfoProto:
    """The same with this shape."""
    from onnx import helper

    return helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, sizes)


def _sizes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Of a value whose axes are all known; those that are not are 0."""
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _answered(model: onnx.ModelProto) -> list[tuple[int, ...]]:
    """The shapes of its outputs, which are those of its answer to zeros where nobody can tell them without."""
    import numpy as np
    import onnx

    from edgebuild.travels import load_onnx

    declared = [_sizes(value) for value in model.graph.output]
    if all(sizes and all(sizes) for sizes in declared):
        return declared
    kinds = [onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in model.graph.input]
    zeros = tuple(np.zeros(_sizes(value), kind) for value, kind in zip(model.graph.input, kinds, strict=True))
    return [tuple(values.shape) for values in load_onnx.Model(_onnx_files.to_bytes(model), {}).answer(zeros)]
