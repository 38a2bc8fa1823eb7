"""Puts a batch axis of 1 in front of inputs and outputs of a TFLite file that have none: numbers, states, sequences.

Examples go in and answers come out one by one here. What has another axis in front is one example as a whole: a Reshape
behind the input, and one before the output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

_INT32, _RESHAPE = 2, 22  # of tflite.TensorType and tflite.BuiltinOperator


def lead(model: Any, graph: Any, inputs: Iterable[int], outputs: Iterable[tuple[int, Sequence[int]]]) -> None:
    """Do so (in place) with these of the graph's inputs, by place, and outputs, by place with an answer's shape."""
    for place in inputs:
        inner = graph.inputs[place]
        outer = _like(graph, inner, [1, *_shape(graph, inner)])
        graph.operators.insert(0, _reshape(model, graph, outer, inner))
        _stands_for(model, graph.inputs, place, outer, "inputs")
    for place, shape in outputs:
        inner = graph.outputs[place]
        outer = _like(graph, inner, [1, *shape])
        graph.operators.append(_reshape(model, graph, inner, outer))
        _stands_for(model, graph.outputs, place, outer, "outputs")


def _shape(graph: Any, tensor: int) -> list[int]:
    sizes = graph.tensors[tensor].shape
    return [] if sizes is None else [int(size) for size in sizes]


def _like(graph: Any, tensor: int, shape: list[int]) -> int:
    """A tensor of another shape that is called as this one was, which gets another name."""
    inner = graph.tensors[tensor]
    outer = copy(inner)
    outer.shape, outer.buffer, outer.shapeSignature = shape, 0, None
    inner.name = bytes(inner.name or b"") + b".whole"
    graph.tensors.append(outer)
    return len(graph.tensors) - 1


def _stands_for(model: Any, ends: Any, place: int, outer: int, side: str) -> None:
    """Let a tensor be the graph's end at this place, also in the signatures that name it."""
    inner, ends[place] = int(ends[place]), outer
    for signature in model.signatureDefs or []:
        for entry in getattr(signature, side) or []:
            entry.tensorIndex = outer if int(entry.tensorIndex) == inner else entry.tensorIndex


def _reshape(model: Any, graph: Any, source: int, result: int) -> Any:
    """The operator, with the result's shape as a constant."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    shape = _shape(graph, result)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.array(shape, np.int32).view(np.uint8)
    sizes = schema.TensorT()
    sizes.name, sizes.shape, sizes.type = b"%s.shape" % graph.tensors[result].name, [len(shape)], _INT32
    sizes.buffer = len(model.buffers) - 1
    graph.tensors.append(sizes)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = _code(model), [source, len(graph.tensors) - 1], [result]
    operator.builtinOptionsType, operator.builtinOptions = (
        schema.BuiltinOptions.ReshapeOptions,
        schema.ReshapeOptionsT(),
    )
    operator.builtinOptions.newShape = shape
    return operator


def _code(model: Any) -> int:
    """The place of the operator's code among those of the file."""
    from ai_edge_litert import schema_py_generated as schema

    for place, code in enumerate(model.operatorCodes):
        if code.builtinCode == _RESHAPE:
            return place
    own = schema.OperatorCodeT()
    own.builtinCode, own.deprecatedBuiltinCode, own.version = _RESHAPE, _RESHAPE, 1
    model.operatorCodes.append(own)
    return len(model.operatorCodes) - 1
