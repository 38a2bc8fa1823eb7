"""float16: half the bytes, float32 inputs and outputs, answers within the precision of half floats."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests import runtimes, tiny
from tests.steps.techniques.test_int8 import tflite_tensors

FILES = ("onnx-float16", "tflite-float16")


@pytest.mark.parametrize("artifact", FILES)
def test_the_file_has_half_the_bytes(made: tiny.Made, artifact: str) -> None:
    whole = made.file(tiny.kind(artifact)).stat().st_size
    assert 0.49 < made.file(artifact).stat().st_size / whole < 0.52


@pytest.mark.parametrize("artifact", FILES)
def test_it_answers_as_the_float_model_to_three_digits(made: tiny.Made, artifact: str) -> None:
    wanted, given = runtimes.torch_answers(made), runtimes.file_answers(made, artifact)
    assert 0 < np.abs(given - wanted).max() < 2e-3 * np.abs(wanted).max()
    assert runtimes.accuracy(made, given) == runtimes.accuracy(made, wanted)


def test_every_number_of_the_onnx_file_is_half_and_casts_stand_at_its_edges(made: tiny.Made) -> None:
    graph = onnx.load(made.file("onnx-float16")).graph
    kinds = {tensor.data_type for tensor in graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64}  # int64: the shape that flatten gives
    operators = [node.op_type for node in graph.node]
    assert (operators[0], operators[-1], operators.count("Cast")) == ("Cast", "Cast", 2)


def test_weights_of_the_tflite_file_are_half_and_its_edges_are_float32(made: tiny.Made) -> None:
    tensors = tflite_tensors(made.file("tflite-float16"))
    halves = [item["shape"].tolist() for item in tensors if item["dtype"] == np.float16]
    assert len(halves) == 9
    assert [64, 3, 3, 64] in halves
    edges = [item for item in tensors if item["name"].startswith("serving_default")]
    assert [item["dtype"] for item in edges] == [np.float32, np.float32]
