"""Operators with weights: convolutions, and layers that join everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgebuild.formats.tflite_to_onnx.graph import Call, borders, pads

_SAME = 0  # tflite.Padding


def _windows(call: Call, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]) -> list[int]:
    same, sizes = call.options.padding == _SAME, call.shapes[0][1:3]
    each = zip(sizes, kernel, strides, dilations, strict=True)
    return pads([borders(size, wide, step, apart, same) for size, wide, step, apart in each])


def _bias(call: Call, place: int) -> list[str]:
    if len(call.inputs) <= place or not call.inputs[place]:
        return []
    return [call.weight(call.value(place), "bias")]


def conv_2d(call: Call) -> str:
    """Weights [out, h, w, in of a group]."""
    return _convolved(call, call.value(1).transpose(0, 3, 1, 2), call.shapes[0][3] // call.shapes[1][3])


def depthwise_conv_2d(call: Call) -> str:
    """Weights [1, h, w, out], out being a multiple of in."""
    weights = call.value(1).transpose(3, 0, 1, 2)
    return _convolved(call, weights, call.shapes[0][3])


def _convolved(call: Call, weights: object, groups: int) -> str:
    import numpy as np

    values, options = np.asarray(weights), call.options
    kernel, strides = values.shape[2:], (options.strideH, options.strideW)
    dilations = (options.dilationHFactor or 1, options.dilationWFactor or 1)
    inputs = [call.first(call.inputs[0]), call.weight(values, "weight"), *_bias(call, 2)]
    result = call.node(
        "Conv",
        *inputs,
        kernel_shape=[*kernel],
        strides=[*strides],
        dilations=[*dilations],
        group=groups,
        pads=_windows(call, (kernel[0], kernel[1]), strides, dilations),
    )
    return call.activated(call.last(result), options.fusedActivationFunction)


def transpose_conv(call: Call) -> str:
    """Inputs: the shape of the result, weights [out, h, w, in], what is convolved, and perhaps a bias."""
    weights, options = call.value(1).transpose(3, 0, 1, 2), call.options
    strides, sizes, targets = (options.strideH, options.strideW), call.shapes[2][1:3], call.outputs[0][1:3]
    ends, more = [], []
    for size, stride, kernel, target in zip(sizes, strides, weights.shape[2:], targets, strict=True):
        apart = (size - 1) * stride + kernel - target
        same = options.padding == _SAME
        ends.append((apart // 2 if same else 0, apart - apart // 2 if same else max(apart, 0)) if apart > 0 else (0, 0))
        more.append(max(-apart, 0))
    result = call.node(
        "ConvTranspose",
        *(call.first(call.inputs[2]), call.weight(weights, "weight"), *_bias(call, 3)),
        kernel_shape=[*weights.shape[2:]],
        strides=[*strides],
        pads=pads(ends),
        output_padding=more,
    )
    return call.activated(call.last(result), getattr(options, "fusedActivationFunction", 0) or 0)


def fully_connected(call: Call) -> str:
    """Weights [out, in]; what comes is flattened to rows of in."""
    if call.options.weightsFormat:
        call.refuse("its weights are shuffled")
    weights = call.value(1)
    rows = call.inputs[0]
    if len(call.shapes[0]) != 2 or call.shapes[0][1] != weights.shape[1]:
        rows = call.shaped(rows, [-1, weights.shape[1]])
    result = call.node("Gemm", rows, call.weight(weights, "weight"), *_bias(call, 2), transB=1)
    if len(call.outputs[0]) != 2:
        result = call.shaped(result, call.outputs[0])
    return call.activated(result, call.options.fusedActivationFunction)


def batch_matmul(call: Call) -> str:
    """A product of two matrices, either perhaps turned."""
    sides = []
    for name, shape, turned in zip(call.inputs, call.shapes, (call.options.adjX, call.options.adjY), strict=False):
        axes = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        sides.append(call.node("Transpose", name, perm=axes) if turned else name)
    return call.node("MatMul", *sides)


OPERATORS: Mapping[str, Callable[[Call], str]] = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "TRANSPOSE_CONV": transpose_conv,
    "FULLY_CONNECTED": fully_connected,
    "BATCH_MATMUL": batch_matmul,
}
