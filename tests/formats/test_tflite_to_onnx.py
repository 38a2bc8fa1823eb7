"""Each TFLite operator, as ONNX and lifted from there, answers what LiteRT answers; others are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.formats import _tflite_adopt
from edgebuild.formats.tflite_to_onnx import translate
from edgebuild.formats.tflite_to_onnx.translate import OPERATORS
from edgebuild.nn.lift import lift, prove
from edgebuild.spec.reader import NoGraphError
from edgebuild.spec.signature import TensorSpec
from edgebuild.travels import load_tflite
from tests.formats import lite
from tests.formats.lite import file

RNG = np.random.default_rng(0)
IMAGE = (1, 6, 7, 4)


def normal(*shape: int) -> Any:
    return RNG.normal(0, 1, shape).astype(np.float32)


def numbers(*shape: int) -> Any:
    return RNG.integers(0, 3, shape).astype(np.int32)


def whole(*values: Any) -> Any:
    return np.array(values[0] if len(values) == 1 and isinstance(values[0], list) else values, np.int32)


STEP: dict[str, Any] = {"strideH": 2, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1}
CONV = {"options": "Conv2DOptions", **STEP}
DEPTH = {"options": "DepthwiseConv2DOptions", **STEP, "depthMultiplier": 2}
DENSE = {"options": "FullyConnectedOptions"}
NEAREST = {"options": "ResizeNearestNeighborOptions"}
TURNED = {"options": "BatchMatMulOptions", "adjY": True}
POOL = {"options": "Pool2DOptions", "strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 3}
BORDERS = whole([[0, 0], [1, 2], [0, 1], [0, 0]])
WEIGHTS, BIAS = normal(5, 3, 3, 4), normal(5)

# Kind, shapes of what goes in, of what comes out, constants by place, options.
CASES: dict[str, tuple[str, list[tuple[int, ...]], Any, dict[int, Any], dict[str, Any]]] = {
    "conv, same": ("CONV_2D", [IMAGE], (1, 3, 4, 5), {1: WEIGHTS, 2: BIAS}, CONV | {"fusedActivationFunction": 1}),
    "conv, valid": ("CONV_2D", [IMAGE], (1, 2, 3, 5), {1: WEIGHTS, 2: BIAS}, CONV | {"padding": 1}),
    "conv, gaps": (
        "CONV_2D",
        [IMAGE],
        (1, 6, 7, 5),
        {1: WEIGHTS, 2: BIAS},
        {"options": "Conv2DOptions", **dict.fromkeys(("strideH", "strideW"), 1)}
        | {"dilationHFactor": 2, "dilationWFactor": 2, "fusedActivationFunction": 3},
    ),
    "conv, groups": ("CONV_2D", [IMAGE], (1, 3, 4, 6), {1: normal(6, 3, 3, 2), 2: normal(6)}, CONV),
    "depthwise": ("DEPTHWISE_CONV_2D", [IMAGE], (1, 3, 4, 8), {1: normal(1, 3, 3, 8), 2: normal(8)}, DEPTH),
    "turned conv": (
        "TRANSPOSE_CONV",
        [IMAGE],
        (1, 12, 14, 3),
        {0: whole(1, 12, 14, 3), 1: normal(3, 3, 3, 4)},
        {"options": "TransposeConvOptions", "strideH": 2, "strideW": 2},
    ),
    "turned conv, valid": (
        "TRANSPOSE_CONV",
        [IMAGE],
        (1, 13, 15, 3),
        {0: whole(1, 13, 15, 3), 1: normal(3, 3, 3, 4)},
        {"options": "TransposeConvOptions", "strideH": 2, "strideW": 2, "padding": 1},
    ),
    "dense": (
        "FULLY_CONNECTED",
        [(1, 8)],
        (1, 3),
        {1: normal(3, 8), 2: normal(3)},
        DENSE,
    ),
    "dense of a map": (
        "FULLY_CONNECTED",
        [(1, 2, 8)],
        (1, 2, 3),
        {1: normal(3, 8), 2: normal(3)},
        DENSE | {"keepNumDims": True, "fusedActivationFunction": 2},
    ),
    "matrices": (
        "BATCH_MATMUL",
        [(1, 2, 8), (1, 3, 8)],
        (1, 2, 3),
        {},
        TURNED,
    ),
    "average": ("AVERAGE_POOL_2D", [IMAGE], (1, 3, 4, 4), {}, POOL),
    "largest": ("MAX_POOL_2D", [IMAGE], (1, 2, 3, 4), {}, POOL | {"padding": 1}),
    "largest, same": ("MAX_POOL_2D", [IMAGE], (1, 3, 4, 4), {}, POOL),
    "mean": ("MEAN", [IMAGE], (1, 4), {1: whole(1, 2)}, {"options": "ReducerOptions"}),
    "sum, kept": ("SUM", [IMAGE], (1, 1, 7, 4), {1: whole(-3)}, {"options": "ReducerOptions", "keepDims": True}),
    "place": ("ARG_MAX", [(1, 9)], (1,), {1: np.array(1, np.int32)}, {"options": "ArgMaxOptions", "outputType": 4}),
    "add": ("ADD", [IMAGE, IMAGE], IMAGE, {}, {"options": "AddOptions", "fusedActivationFunction": 1}),
    "times a channel": ("MUL", [IMAGE], IMAGE, {1: normal(4)}, {"options": "MulOptions"}),
    "less": ("SUB", [IMAGE, (1, 1, 1, 4)], IMAGE, {}, {"options": "SubOptions"}),
    "add, nothing said": ("ADD", [IMAGE, IMAGE], IMAGE, {}, {}),
    "apart": ("SQUARED_DIFFERENCE", [IMAGE, IMAGE], IMAGE, {}, {}),
    "slopes": ("PRELU", [IMAGE], IMAGE, {1: normal(1, 1, 4)}, {}),
    "softmax": ("SOFTMAX", [(1, 9)], (1, 9), {}, {"options": "SoftmaxOptions", "beta": 1.0}),
    "leaky": ("LEAKY_RELU", [IMAGE], IMAGE, {}, {"options": "LeakyReluOptions", "alpha": 0.2}),
    "hard swish": ("HARD_SWISH", [IMAGE], IMAGE, {}, {}),
    "six": ("RELU6", [IMAGE], IMAGE, {}, {}),
    "sigmoid": ("LOGISTIC", [IMAGE], IMAGE, {}, {}),
    "norm": ("L2_NORMALIZATION", [(1, 8)], (1, 8), {}, {"options": "L2NormOptions"}),
    "reshape": ("RESHAPE", [IMAGE], (1, 168), {1: whole(1, 168)}, {"options": "ReshapeOptions", "newShape": [1, 168]}),
    "turn": ("TRANSPOSE", [IMAGE], (1, 7, 4, 6), {1: whole(0, 2, 3, 1)}, {}),
    "join": ("CONCATENATION", [IMAGE, (1, 6, 7, 2)], (1, 6, 7, 6), {}, {"options": "ConcatenationOptions", "axis": 3}),
    "border": ("PAD", [IMAGE], (1, 9, 8, 4), {1: BORDERS}, {}),
    "border of ones": ("PADV2", [IMAGE], (1, 9, 8, 4), {1: BORDERS, 2: np.float32(1)}, {}),
    "mirror": ("MIRROR_PAD", [IMAGE], (1, 9, 8, 4), {1: BORDERS}, {"options": "MirrorPadOptions", "mode": 0}),
    "cut": (
        "STRIDED_SLICE",
        [IMAGE],
        (1, 3, 4),
        {1: whole(0, 1, -2, 0), 2: whole(1, 6, 0, 4), 3: whole(1, 2, 1, 1)},
        {"options": "StridedSliceOptions", "shrinkAxisMask": 4, "endMask": 8},
    ),
    "piece": ("SLICE", [IMAGE], (1, 2, 6, 4), {1: whole(0, 3, 1, 0), 2: whole(1, 2, -1, 4)}, {}),
    "split": (
        "SPLIT",
        [IMAGE],
        [(1, 6, 7, 2), (1, 6, 7, 2)],
        {0: np.array(3, np.int32)},
        {"options": "SplitOptions", "numSplits": 2},
    ),
    "pack": ("PACK", [(1, 3), (1, 3)], (1, 2, 3), {}, {"options": "PackOptions", "axis": 1, "valuesCount": 2}),
    "unpack": ("UNPACK", [(1, 2, 3)], [(1, 3), (1, 3)], {}, {"options": "UnpackOptions", "axis": 1, "num": 2}),
    "larger": (
        "RESIZE_BILINEAR",
        [IMAGE],
        (1, 12, 14, 4),
        {1: whole(12, 14)},
        {"options": "ResizeBilinearOptions", "halfPixelCenters": True},
    ),
    "larger, corners": (
        "RESIZE_BILINEAR",
        [IMAGE],
        (1, 12, 14, 4),
        {1: whole(12, 14)},
        {"options": "ResizeBilinearOptions", "alignCorners": True},
    ),
    "doubled": (
        "RESIZE_NEAREST_NEIGHBOR",
        [IMAGE],
        (1, 12, 14, 4),
        {1: whole(12, 14)},
        NEAREST,
    ),
    "doubled from the middle": (
        "RESIZE_NEAREST_NEIGHBOR",
        [IMAGE],
        (1, 10, 12, 4),
        {1: whole(10, 12)},
        NEAREST | {"halfPixelCenters": True},
    ),
    "reversed": ("REVERSE_V2", [IMAGE], IMAGE, {1: whole(1, 2)}, {"options": "ReverseV2Options"}),
    "largest four": ("TOPK_V2", [(1, 9)], [(1, 4), (1, 4)], {1: np.array(4, np.int32)}, {"types": ["", "int32"]}),
    "rows of a table": (
        "EMBEDDING_LOOKUP",
        [(1,)],
        (1, 5),
        {1: normal(4, 5)},
        {"dtype": "int32", "types": ["float32"]},
    ),
    "values by their places": ("GATHER_ND", [(1, 3, 4)], (1, 4), {1: whole([[0, 2]])}, {}),
    "rest": ("FLOOR_MOD", [IMAGE], IMAGE, {1: normal(4)}, {"options": "FloorModOptions"}),
    "rest of whole numbers": (
        "FLOOR_MOD",
        [(1, 9)],
        (1, 9),
        {1: whole([[-2, -3, 4, -1, 2, 3, -2, -3, 5]])},
        {"options": "FloorModOptions", "dtype": "int32", "types": ["int32"]},
    ),
    "quotient": ("FLOOR_DIV", [IMAGE], IMAGE, {1: normal(4)}, {"options": "FloorDivOptions"}),
    "quotient of whole numbers": (
        "FLOOR_DIV",
        [(1, 9)],
        (1, 9),
        {1: whole([[-2, -3, 4, -1, 2, 3, -2, -3, 5]])},
        {"options": "FloorDivOptions", "dtype": "int32", "types": ["int32"]},
    ),
    "signs": ("SIGN", [IMAGE], IMAGE, {}, {}),
    "other than": ("NOT_EQUAL", [IMAGE], IMAGE, {1: normal(4)}, {"types": ["bool"]}),
    "one of two": ("SELECT", [IMAGE, IMAGE], IMAGE, {0: normal(*IMAGE) > 0}, {"options": "SelectOptions"}),
    "one of two rows": ("SELECT", [(1, 3), (1, 3)], (1, 3), {0: np.array([True])}, {"options": "SelectOptions"}),
    "blocks": ("DEPTH_TO_SPACE", [IMAGE], (1, 12, 14, 1), {}, {"options": "DepthToSpaceOptions", "blockSize": 2}),
    "into blocks": (
        "SPACE_TO_DEPTH",
        [(1, 6, 8, 3)],
        (1, 3, 4, 12),
        {},
        {"options": "SpaceToDepthOptions", "blockSize": 2},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_answers_as_in_litert_in_onnx_and_in_torch(case: str, tmp_path: Path) -> None:
    kind, inputs, outputs, constants, options = CASES[case]
    content = file(kind, inputs, outputs, constants, **options)
    (tmp_path / "net.tflite").write_bytes(content)
    free = [place for place in range(len(inputs) + len(constants)) if place not in constants]
    dtype, draw = options.get("dtype", "float32"), numbers if "dtype" in options else normal
    specs = [TensorSpec(f"in/{place}", shape[1:], dtype) for place, shape in zip(free, inputs, strict=True)]
    samples = [tuple(draw(*shape) for shape in inputs) for _ in range(2)]
    model = load_tflite.Model(content, {})
    answers = [model.answer(sample) for sample in samples]
    graph = translate(_tflite_adopt.adopt(tmp_path / "net.tflite", specs))
    proof = prove(lift(graph), graph, samples, answers=answers)
    assert proof.equal, proof.worst


def test_what_has_no_place_in_onnx_is_refused_by_its_name(tmp_path: Path) -> None:
    content = file("RANK", [(1, 3)], (1,))
    with pytest.raises(NoGraphError, match=r"RANK 'out\.0' has no place in ONNX here"):
        translate(content)
    with pytest.raises(NoGraphError, match=r"RANK 'in\.0' has no place in ONNX here"):
        translate(lite.changed(content, lambda parsed: parsed.subgraphs[0].operators[0].outputs.clear()))
    content = file("ARG_MAX", [(1, 9), (1,)], (1,), options="ArgMaxOptions", outputType=4)
    with pytest.raises(NoGraphError, match=r"ARG_MAX 'out\.0' cannot be written as ONNX: its input 1 is no constant"):
        translate(content)
    assert len(OPERATORS) > 60
