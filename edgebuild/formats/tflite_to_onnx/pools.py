"""Windows and axes that become one value: pools, means, sums, extremes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edgebuild.formats.tflite_to_onnx.graph import Call, borders, pads

_SAME = 0  # tflite.Padding


def _pool(kind: str, call: Call) -> str:
    """Zeros of SAME do not count in an average."""
    options = call.options
    kernel, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
    each = zip(call.shapes[0][1:3], kernel, strides, strict=True)
    ends = [borders(size, wide, step, 1, options.padding == _SAME) for size, wide, step in each]
    result = call.node(kind, call.first(call.inputs[0]), kernel_shape=[*kernel], strides=[*strides], pads=pads(ends))
    return call.activated(call.last(result), options.fusedActivationFunction)


def _reduced(kind: str, call: Call) -> str:
    axes = sorted({axis % len(call.shapes[0]) for axis in call.whole(1)})
    return call.node(kind, call.inputs[0], call.graph.whole(axes), keepdims=int(bool(call.options.keepDims)))


def _arg(kind: str, call: Call) -> str:
    """The place of an extreme."""
    (axis,) = call.whole(1)
    place = call.node(kind, call.inputs[0], axis=axis, keepdims=0)
    return place if call.options.outputType == 4 else call.node("Cast", place, to=6)  # int64, else int32


OPERATORS: Mapping[str, Callable[[Call], str]] = {
    "AVERAGE_POOL_2D": partial(_pool, "AveragePool"),
    "MAX_POOL_2D": partial(_pool, "MaxPool"),
    "MEAN": partial(_reduced, "ReduceMean"),
    "SUM": partial(_reduced, "ReduceSum"),
    "REDUCE_MAX": partial(_reduced, "ReduceMax"),
    "REDUCE_MIN": partial(_reduced, "ReduceMin"),
    "REDUCE_PROD": partial(_reduced, "ReduceProd"),
    "ARG_MAX": partial(_arg, "ArgMax"),
    "ARG_MIN": partial(_arg, "ArgMin"),
}
