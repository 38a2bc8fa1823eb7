"""int8: integer weights with a scale a channel, float inputs and outputs, a quarter of the bytes, the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgebuild.spec import calibration, dataset
from edgebuild.spec.rows import Split
from edgebuild.steps.techniques.int8 import Int8
from tests import runtimes, tiny

FILES = ("onnx-int8", "tflite-int8")


@pytest.mark.parametrize("artifact", FILES)
def test_the_file_has_about_a_quarter_of_the_bytes(made: tiny.Made, artifact: str) -> None:
    whole = made.file(tiny.kind(artifact)).stat().st_size
    assert 0.24 < made.file(artifact).stat().st_size / whole < 0.30


@pytest.mark.parametrize("artifact", FILES)
def test_it_answers_nearly_as_the_float_model_and_as_accurately(made: tiny.Made, artifact: str) -> None:
    wanted, given = runtimes.torch_answers(made), runtimes.file_answers(made, artifact)
    assert 0 < np.abs(given - wanted).max() < 0.1 * np.abs(wanted).max()
    assert runtimes.accuracy(made, given) >= runtimes.accuracy(made, wanted) - 0.01


def onnx_weights(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(integer weight, scale) of every convolution and linear layer."""
    graph = onnx.load(path).graph
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    found = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            source = made_by[node.input[1]]
            assert source.op_type == "DequantizeLinear"
            found[node.output[0]] = (known[source.input[0]], known[source.input[1]])
            assert not known[source.input[2]].any()  # symmetric
    return found


def test_onnx_weights_are_symmetric_int8_with_a_scale_for_each_channel(made: tiny.Made) -> None:
    weights = onnx_weights(made.file("onnx-int8"))
    assert len(weights) == 9  # stem, two blocks of three, spread, head
    for weight, scale in weights.values():
        assert weight.dtype == np.int8
        assert scale.shape == weight.shape[:1]
        assert len({*scale.tolist()}) > 1
        assert np.abs(weight.reshape(len(weight), -1)).max(1).tolist() == [127] * len(weight)


@pytest.mark.parametrize(("activations", "kind"), [("uint8", np.uint8), ("int8", np.int8)])
def test_onnx_activations_are_of_the_type_that_is_asked_for(
    made: tiny.Made, tmp_path: Path, activations: Any, kind: type
) -> None:
    inputs = {"model": ("onnx", made["onnx"]), "data": ("data", made["data"])}
    step = Int8(calibration=8, activations=activations)
    graph = onnx.load(tiny.perform(step, tmp_path / "out", inputs) / "model.onnx").graph
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zeros = [known[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(zeros) >= 9
    assert {zero.dtype for zero in zeros} == {np.dtype(kind)}


def tflite_tensors(path: Path) -> list[dict[str, Any]]:
    from ai_edge_litert.interpreter import Interpreter

    details: list[dict[str, Any]] = Interpreter(model_path=str(path)).get_tensor_details()
    return details


def test_tflite_weights_are_symmetric_int8_with_a_scale_for_each_channel(made: tiny.Made) -> None:
    tensors = [item for item in tflite_tensors(made.file("tflite-int8")) if item["dtype"] == np.int8]
    weights = [item for item in tensors if len(item["quantization_parameters"]["scales"]) > 1]
    assert len(weights) == 9
    for weight in weights:
        axis = weight["quantization_parameters"]["quantized_dimension"]
        assert len(weight["quantization_parameters"]["scales"]) == weight["shape"][axis]
        assert not weight["quantization_parameters"]["zero_points"].any()
        assert len({*weight["quantization_parameters"]["scales"].tolist()}) > 1


def test_tflite_computes_in_integers_between_float_inputs_and_outputs(made: tiny.Made) -> None:
    tensors = tflite_tensors(made.file("tflite-int8"))
    floats = [item["shape"].tolist() for item in tensors if item["dtype"] == np.float32]
    assert sorted(floats) == [[1, 4], [1, 12, 12, 1]]


@pytest.mark.parametrize("format_name", ["onnx", "tflite"])
def test_ranges_are_the_true_minimum_and_maximum_of_what_was_seen(
    made: tiny.Made, tmp_path: Path, format_name: str
) -> None:
    from edgebuild.spec import dataset

    inputs = {"model": (format_name, made[format_name]), "data": ("data", made["data"])}
    output = tiny.perform(Int8(calibration=64, seed=3), tmp_path / "out", inputs)
    seen = dataset.calibration(made["data"], 64, 3).inputs[0]
    if format_name == "onnx":
        graph = onnx.load(output / "model.onnx").graph
        known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        (entry,) = (node for node in graph.node if graph.input[0].name in node.input)
        scale = float(known[entry.input[1]])
    else:
        details = tflite_tensors(output / "model.tflite")
        scale = next(float(d["quantization"][0]) for d in details if d["dtype"] == np.int8 and len(d["shape"]) == 4
                     and d["shape"].tolist() == [1, 12, 12, 1])  # fmt: skip
    assert scale == pytest.approx((seen.max() - seen.min()) / 255, rel=0.01)


@pytest.mark.parametrize("format_name", ["onnx", "tflite"])
def test_what_ranges_come_from_is_told_and_is_not_noise(made: tiny.Made, tmp_path: Path, format_name: str) -> None:
    inputs = {"model": (format_name, made[format_name]), "data": ("data", made["data"])}
    found = {
        seed: calibration.read(tiny.perform(Int8(calibration=16, seed=seed), tmp_path / str(seed), inputs))
        for seed in (0, 1)
    }
    first = found[0]
    assert first is not None
    assert first.examples == 16
    assert first.by_chance < first.differ <= first.ranges
    assert first.sha256 != found[1].sha256  # type: ignore[union-attr]
    assert first.line.startswith(
        f"ranges come from 16 training examples (SHA-256 {first.sha256[:12]}…); {first.differ} of"
    )


@pytest.mark.parametrize("seed", [0, 7])
def test_ranges_of_noise_are_told(made: tiny.Made, tmp_path: Path, seed: int) -> None:
    """Data of nothing but noise, the very draws that it is held against or others."""
    noise = np.random.default_rng(seed).normal(size=(16, 1, 12, 12)).astype(np.float32)
    dataset.write(tmp_path, "train", Split((noise,), (np.zeros(16, np.int64),)))
    output = tiny.perform(
        Int8(calibration=16), tmp_path / "out", {"model": ("onnx", made["onnx"]), "data": ("data", tmp_path)}
    )
    found = calibration.read(output)
    assert found is not None
    assert found.differ == 0 if seed == 0 else found.differ <= 2 * found.by_chance, found
    assert f"from one noise to another {found.by_chance} are" in found.line
    assert found.line.endswith("is there anything in these examples?") == (found.differ <= found.by_chance)
