"""Nodes that onnx has no case for, or none that a runtime takes: older opsets above all, and layers' options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.nn.lift.files import Array, one_node

Case = tuple[str, bytes, tuple[Array, ...]]


def floats(*shape: int, seed: int = 0) -> Array:
    """Normal noise."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def numbers(*values: int) -> Array:
    """Whole numbers of 64 bits."""
    return np.asarray(values, np.int64)


X, POSITIVE = floats(2, 3, 6, 7), np.abs(floats(2, 3, 6, 7)) + 0.1
WEIGHT, BIAS = floats(4, 3, 3, 3, seed=1), floats(4, seed=2)
ORT = "com.microsoft"
UP = floats(3, 4, 3, 3, seed=3)


def _plain() -> Iterator[tuple[Any, ...]]:
    """(operator, inputs, opset, attributes), everything but the first input a constant."""
    for kind in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceProd"):
        yield kind, [X], 11, {"axes": [1, -1], "keepdims": 0}
    yield "ReduceLogSum", [POSITIVE], 11, {"axes": [2]}
    yield "ReduceLogSumExp", [X], 11, {}
    yield "ReduceLogSumExp", [X, numbers(1)], 18, {"keepdims": 0}
    yield "ReduceLogSum", [POSITIVE, numbers(-1)], 18, {}
    yield "Clip", [X], 6, {"min": -0.5, "max": 0.25}
    yield "Clip", [X], 6, {"min": 0.0, "max": 6.0}
    yield "Clip", [X, None, np.float32(0.1)], 13, {}
    yield "Slice", [X], 9, {"starts": [0, -3], "ends": [9, -1], "axes": [1, 3]}
    yield "Slice", [X, numbers(-1), numbers(-99), numbers(3), numbers(-2)], 13, {}
    yield "Pad", [X], 9, {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 0.5}
    yield "Pad", [X], 9, {"pads": [0, 0, 1, 2, 0, 0, 3, 1], "mode": "reflect"}
    yield "Pad", [X, numbers(0, 0, -1, 2, 0, 0, 0, -1)], 13, {}
    yield "Squeeze", [X[:, :1]], 11, {"axes": [1]}
    yield "Unsqueeze", [X], 11, {"axes": [0, 2]}
    yield "Softmax", [X], 11, {"axis": 1}
    yield "LogSoftmax", [X], 11, {"axis": 2}
    yield "Hardmax", [X], 11, {"axis": 3}
    yield "Softmax", [X], 13, {"axis": 1}
    yield "Upsample", [X, np.array([1, 1, 2, 3], np.float32)], 9, {"mode": "nearest"}
    yield "Upsample", [X, np.array([1, 1, 2, 2], np.float32)], 9, {"mode": "linear"}
    yield "Resize", [X, np.array([1, 1, 2, 1.5], np.float32)], 10, {"mode": "nearest"}
    for way in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        sizes = [X, None, None, numbers(2, 3, 9, 5)]
        yield "Resize", sizes, 13, {"mode": "linear", "coordinate_transformation_mode": way}
        yield "Resize", sizes, 13, {"mode": "cubic", "coordinate_transformation_mode": way}
        yield "Resize", sizes, 13, {"mode": "nearest", "coordinate_transformation_mode": way, "nearest_mode": "floor"}
    yield "Dropout", [X], 10, {"ratio": 0.5}
    yield "Cast", [X], 13, {"to": 6}
    yield "Cast", [X > 0], 13, {"to": 1}
    yield "CastLike", [X, np.zeros(1, np.int64)], 15, {}
    yield "OneHot", [numbers(0, 2, -1), np.int64(4), np.array([0, 1], np.float32)], 11, {"axis": 0}
    yield "CumSum", [X, np.int64(2)], 14, {"reverse": 1, "exclusive": 1}
    yield "GlobalLpPool", [X], 2, {"p": 3}
    yield "Mean", [X, X[:1] * 2], 13, {}
    yield "Div", [np.float32([7]), X], 14, {}
    yield "Sub", [X, np.float32(2)], 14, {}
    yield "Flatten", [X], 13, {"axis": 2}
    yield "Flatten", [X], 13, {"axis": 0}
    yield "PRelu", [X, floats(3, 1, 1)], 16, {}
    yield "PRelu", [X, floats(1)], 16, {}
    yield "PRelu", [X, floats(7)], 16, {}
    yield "InstanceNormalization", [X, floats(3), floats(3, seed=1)], 6, {}
    yield "LRN", [X], 13, {"size": 3, "alpha": 0.1, "bias": 2.0}
    yield from _windowed()
    yield from _products()
    yield from _sequences()
    yield from _fused()
    yield from _spectra()
    yield from _attention()


def _windowed() -> Iterator[tuple[Any, ...]]:
    three = {"kernel_shape": [3, 3]}
    for pads in ({"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {"pads": [0, 1, 2, 1]}, {"auto_pad": "VALID"}):
        yield "Conv", [X, WEIGHT, BIAS], 11, {**pads, "strides": [2, 2]}
        yield "MaxPool", [X], 12, {**pads, **three, "strides": [2, 2]}
        yield "MaxPool", [POSITIVE], 12, {**pads, **three, "strides": [2, 1]}
        for counted in (0, 1):
            yield "AveragePool", [X], 11, {**pads, **three, "strides": [2, 2], "count_include_pad": counted}
    for shift in (0, 1):
        ceiled = {**three, "strides": [2, 2], "pads": [shift] * 4, "ceil_mode": 1}
        yield "MaxPool", [X], 12, ceiled
        yield "AveragePool", [X], 19, ceiled
        yield "AveragePool", [X], 19, {**ceiled, "count_include_pad": 1}
    yield "AveragePool", [X], 19, {**three, "dilations": [2, 2]}
    yield "MaxPool", [X], 12, {**three, "dilations": [2, 2]}
    yield "LpPool", [X], 18, {**three, "p": 3, "pads": [1, 1, 0, 0]}
    yield "Conv", [X, floats(6, 1, 3, 3)], 11, {"group": 3, "dilations": [2, 1], "pads": [1, 1, 1, 1]}
    yield "Conv", [X[..., 0], floats(4, 3, 3), BIAS], 11, {"strides": [2]}
    yield "ConvTranspose", [X, UP, BIAS], 11, {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}
    yield "ConvTranspose", [X, UP], 11, {"strides": [2, 2], "pads": [0, 1, 1, 0]}
    yield "ConvTranspose", [X, UP], 11, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}
    yield "ConvTranspose", [X, UP], 11, {"strides": [2, 2], "auto_pad": "SAME_LOWER"}
    yield "ConvTranspose", [X, floats(3, 2, 3, 3)], 11, {"strides": [3, 2], "group": 3, "dilations": [1, 2]}
    statistics = [floats(3), floats(3, seed=1), floats(3, seed=2), np.abs(floats(3, seed=3)) + 0.5]
    yield "BatchNormalization", [X, *statistics], 9, {"epsilon": 1e-3}
    yield "BatchNormalization", [X[:, :, 0, 0], *statistics], 15, {}


def _products() -> Iterator[tuple[Any, ...]]:
    rows, weight = floats(5, 3), floats(3, 4, seed=1)
    yield "MatMul", [rows, weight], 13, {}
    yield "MatMul", [X, floats(7, 2)], 13, {}
    yield "MatMul", [X, floats(2, 3, 7, 2)], 13, {}
    yield "Gemm", [rows, weight, BIAS], 13, {"alpha": 0.5, "beta": 2.0}
    yield "Gemm", [rows.T.copy(), weight.T.copy(), floats(1, 4)], 13, {"transA": 1, "transB": 1}
    yield "Gemm", [rows, weight, floats(5, 4)], 13, {}
    yield "Gemm", [rows, weight, np.float32(3)], 13, {}
    yield "Gemm", [rows, weight.T.copy(), BIAS], 13, {"transB": 1}
    yield "Einsum", [X, floats(7, 5)], 12, {"equation": "nchw,wk->nchk"}
    yield "Gather", [floats(9, 4), numbers(2, 0, 5)], 13, {}


def _sequences() -> Iterator[tuple[Any, ...]]:
    steps, hidden = floats(5, 2, 4), 3
    for kind, gates, more in (("LSTM", 4, {}), ("GRU", 3, {"linear_before_reset": 1}), ("GRU", 3, {}), ("RNN", 1, {})):
        for direction, sides in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            weights = [floats(sides, gates * hidden, 4), floats(sides, gates * hidden, hidden, seed=1)]
            bias = floats(sides, 2 * gates * hidden, seed=2)
            states = [floats(sides, 2, hidden, seed=seed) for seed in (3, 4)][: 2 if kind == "LSTM" else 1]
            options = {"hidden_size": hidden, "direction": direction, **more}
            yield kind, [steps, *weights, bias, None, *states], 14, options
            yield kind, [steps, *weights, None, np.asarray([5, 5], np.int32)], 14, options


def _fused() -> Iterator[tuple[Any, ...]]:
    """What ONNX Runtime's optimizer writes."""
    rows, row, words = floats(2, 5, 6), floats(6, seed=1), np.int32([[1, 0, 3, 2], [0, 4, 4, 1]])
    for kind in ("FastGelu", "BiasGelu"):
        yield f"{ORT}::{kind}", [rows, row], 20, {}
    yield f"{ORT}::Gelu", [rows], 20, {}
    yield f"{ORT}::FastGelu", [rows], 20, {}
    yield f"{ORT}::QuickGelu", [rows], 20, {"alpha": 1.5}
    for kind in ("FusedMatMul", "TransposeMatMul"):
        yield f"{ORT}::{kind}", [rows, floats(6, 3)], 20, {}
        yield f"{ORT}::{kind}", [rows, floats(2, 4, 6)], 20, {"alpha": 0.5, "transB": 1}
    yield f"{ORT}::FusedMatMul", [floats(5, 2, 6), floats(2, 3, 5)], 20, {"transA": 1, "transBatchA": 1, "transB": 1}
    yield (
        f"{ORT}::FusedGemm",
        [rows[0], floats(6, 3), floats(3)],
        20,
        {"activation": "LeakyRelu", "activation_alpha": 0.3},
    )
    for kind, numbers_ in (("Relu", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.5]), ("HardSigmoid", [0.3, 0.4])):
        more = {"activation_params": numbers_} if numbers_ else {}
        yield f"{ORT}::FusedConv", [X, WEIGHT, BIAS], 20, {"activation": kind, **more}
    yield f"{ORT}::FusedConv", [X, WEIGHT, BIAS, floats(2, 4, 4, 5)], 20, {"activation": "Relu"}
    yield f"{ORT}::SkipLayerNormalization", [rows, floats(2, 5, 6, seed=2), row, row * 0.5, row * 2], 20, {}
    yield f"{ORT}::SkipLayerNormalization", [rows, floats(2, 5, 6, seed=2), row], 20, {"epsilon": 1e-3}
    yield f"{ORT}::SkipSimplifiedLayerNormalization", [rows, floats(2, 5, 6, seed=2), row, row * 2], 20, {}
    tables = [floats(5, 6), floats(4, 6, seed=1), floats(5, 6, seed=2)]
    segments = np.int32([[0, 1, 1, 1], [4, 0, 3, 0]])
    yield (
        f"{ORT}::EmbedLayerNormalization",
        [words, segments, *tables, row, row * 0.5, (words > 0).astype("int32")],
        20,
        {},
    )
    yield f"{ORT}::EmbedLayerNormalization", [words, None, *tables[:2], None, row, row * 0.5], 20, {"epsilon": 1e-3}


def _spectra() -> Iterator[tuple[Any, ...]]:
    """Halves and pairs, and back."""
    signal, pairs = floats(2, 16, 1), floats(2, 16, 2)
    yield "DFT", [signal], 17, {"axis": 1, "onesided": 1}
    yield "DFT", [pairs, np.int64(12)], 17, {"axis": 1, "inverse": 1}
    yield "DFT", [pairs], 20, {}
    yield "STFT", [signal, np.int64(3), np.hanning(8).astype("float32"), np.int64(8)], 17, {}
    yield "STFT", [signal, np.int64(4), None, np.int64(6)], 17, {"onesided": 0}


def _attention() -> Iterator[tuple[Any, ...]]:
    """Ours of ONNX Runtime's own; of ONNX's it has cases."""
    rows, two = floats(2, 5, 6), {"num_heads": 2}
    weights, bias, added = floats(6, 18, seed=1) * 0.5, floats(18, seed=2), floats(1, 2, 5, 5, seed=3)
    kept, counts = np.int32([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]), np.int32([3, 5])
    yield f"{ORT}::Attention", [rows, weights, bias], 20, two
    yield f"{ORT}::Attention", [rows, weights, bias, kept, None, added], 20, {**two, "unidirectional": 1}
    yield f"{ORT}::Attention", [rows, weights, bias, counts], 20, {**two, "scale": 0.3, "mask_filter_value": -3.0}
    yield f"{ORT}::Attention", [rows, weights[:, :16], bias[:16]], 20, {**two, "qkv_hidden_sizes": [6, 6, 4]}
    sides = [floats(2, 5, 6, seed=4), floats(2, 7, 6, seed=5), floats(2, 7, 8, seed=6)]
    yield f"{ORT}::MultiHeadAttention", sides, 20, two
    yield f"{ORT}::MultiHeadAttention", [*sides, floats(20, seed=2)], 20, {**two, "scale": 0.3}
    many = np.int32([[1, 1, 0, 1, 1, 1, 0], [1] * 7])
    yield f"{ORT}::MultiHeadAttention", [*sides, None, many, floats(1, 2, 5, 7)], 20, two
    yield f"{ORT}::MultiHeadAttention", [rows, rows, sides[0]], 20, {**two, "unidirectional": 1}
    apart = [value.reshape(2, 7, 2, -1).transpose(0, 2, 1, 3).copy() for value in (sides[1], sides[1] * 2)]
    yield f"{ORT}::MultiHeadAttention", [sides[0], *apart, floats(18, seed=2)], 20, two
    angles = floats(9, 4)
    turned = [np.cos(angles), np.sin(angles)]
    for options in ({}, {"interleaved": 1}):
        yield f"{ORT}::RotaryEmbedding", [floats(2, 5, 16), np.array([[0, 2, 1, 4, 3]] * 2), *turned], 20, options
        yield f"{ORT}::RotaryEmbedding", [floats(2, 3, 5, 8), numbers(2), *turned], 20, options


OUTPUTS = {"LSTM": 3, "GRU": 2, "RNN": 2, f"{ORT}::EmbedLayerNormalization": 2}


def own_cases() -> list[Case]:
    """(operator, file, inputs) of every one."""
    cases = []
    for kind, inputs, opset, attributes in _plain():
        swapped = kind in ("Gather",) or (kind == "Div" and inputs[0].size == 1)
        constant = [0] if swapped else [*range(1, len(inputs))]
        cases.append((kind, *one_node(kind, inputs, opset, OUTPUTS.get(kind, 1), constant, **attributes)))
    return cases
