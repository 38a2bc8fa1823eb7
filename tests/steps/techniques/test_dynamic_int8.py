"""dynamic_int8 on a trained model: integer weights in the file, no calibration, the same answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgebuild.spec import notes
from edgebuild.steps.techniques.dynamic_int8 import DynamicInt8
from tests import runtimes, tiny

formats = pytest.mark.parametrize("format_name", ["onnx", "tflite"])


def perform(made: tiny.Made, name: str, step: DynamicInt8) -> str:
    """Make the artifact `name` of a model where `Made` finds it."""
    format_name = tiny.kind(name)
    if not (made.root / name).is_dir():
        tiny.perform(step, made.root / name, {"model": (format_name, made[format_name])})
    return name


@formats
def test_a_trained_model_of_words_answers_as_before(tokens: tiny.Made, format_name: str) -> None:
    name = perform(tokens, f"{format_name}-dynamic", DynamicInt8())
    wanted, given = runtimes.torch_answers(tokens, count=40), runtimes.file_answers(tokens, name, count=40)
    assert 0 < np.abs(given - wanted).mean() < 0.02 * np.abs(wanted).max()
    assert runtimes.accuracy(tokens, given) == runtimes.accuracy(tokens, wanted)


def test_a_trained_convolutional_net_loses_three_quarters_of_its_bytes_in_tflite(made: tiny.Made) -> None:
    name = perform(made, "tflite-dynamic", DynamicInt8())
    # The stem reads one channel, so it is exported as a depthwise convolution and stays float.
    assert 0.24 < made.file(name).stat().st_size / made.file("tflite").stat().st_size < 0.32
    given = runtimes.file_answers(made, name)
    assert runtimes.accuracy(made, given) >= runtimes.accuracy(made, runtimes.torch_answers(made)) - 0.01


def test_the_onnx_file_multiplies_matrices_of_integers(tokens: tiny.Made) -> None:
    name = perform(tokens, "onnx-dynamic", DynamicInt8())
    operators = Counter(node.op_type for node in onnx.load(tokens.file(name)).graph.node)
    assert (operators["MatMulInteger"], operators["DynamicQuantizeLinear"], operators["Gemm"]) == (2, 2, 0)


def test_a_kept_layer_stays_float(tokens: tiny.Made, tmp_path: Path) -> None:
    output = tiny.perform(DynamicInt8(keep=("head",)), tmp_path / "out", {"model": ("onnx", tokens["onnx"])})
    operators = Counter(node.op_type for node in onnx.load(output / "model.onnx").graph.node)
    assert (operators["MatMulInteger"], operators["Gemm"] + operators["MatMul"]) == (1, 1)


def test_a_file_without_anything_to_quantize_is_said_to_be_as_before(made: tiny.Made, tmp_path: Path) -> None:
    ends = [[onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4])] for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", *ends)
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "model.onnx")
    for name, folder, said in (("none", tmp_path, 1), ("some", made["onnx"], 0)):
        output = tiny.perform(DynamicInt8(), tmp_path / name, {"model": ("onnx", folder)})
        assert sum("no operator of a kind that is quantized" in note for note in notes.read(output)) == said
