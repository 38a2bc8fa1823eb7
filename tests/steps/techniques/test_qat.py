"""QAT: a float model whose weights were trained on the grid, and ranges that reach the files of both formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from onnx import numpy_helper

from edgebuild.nn import checkpoint
from edgebuild.nn.quantize import ranges
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.steps.techniques.qat import Qat
from tests import runtimes, tiny

FORMATS = ("onnx", "tflite")


def train(made: tiny.Made, step: Qat, output: Path) -> Path:
    inputs = {"model": ("torch", made["float"]), "teacher": ("torch", made["float"]), "data": ("data", made["data"])}
    return tiny.perform(step, output, inputs)


@pytest.fixture(scope="module")
def root(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model after one epoch with learnt scales, as a model and as a file of both formats."""
    folder = tmp_path_factory.mktemp("qat")
    train(made, Qat(ranges="learnt", epochs=1, learning_rate=0.02), folder / "torch")
    for name in FORMATS:
        tiny.perform(Convert(name), folder / name, {"model": ("torch", folder / "torch")})
    return folder


def test_what_is_left_is_a_plain_float_model_that_answers_as_before(made: tiny.Made, root: Path) -> None:
    before, after = (checkpoint.load(folder).module for folder in (made["float"], root / "torch"))
    assert before.state_dict().keys() == after.state_dict().keys()
    assert not torch.equal(before.stem.weight, after.stem.weight)
    (root / "data").symlink_to(made["data"])
    assert runtimes.accuracy(made, runtimes.torch_answers(tiny.Made("tiny", root), "torch")) > 0.97


def test_learnt_ranges_differ_from_the_first_ones(made: tiny.Made, root: Path, tmp_path: Path) -> None:
    first = ranges.load(train(made, Qat(ranges="learnt", epochs=1, learning_rate=1e-9), tmp_path / "out"))
    learnt = ranges.load(root / "torch")
    assert first.keys() == learnt.keys()
    assert all(learnt[name] != ends for name, ends in first.items())
    assert all(low <= 0 < high for low, high in learnt.values())


@pytest.mark.parametrize("name", FORMATS)
def test_every_learnt_range_finds_its_tensor_in_the_file(root: Path, name: str) -> None:
    given = json.loads((root / name / ranges.FILE).read_text())
    wanted = ranges.load(root / "torch")
    assert {tuple(ends) for ends in given.values()} == set(wanted.values())


def test_a_model_without_ranges_is_converted_without(made: tiny.Made) -> None:
    assert not (made["onnx"] / ranges.FILE).exists()


def test_zeros_of_pruned_weights_and_folded_norms_hold(made: tiny.Made, tmp_path: Path) -> None:
    from dataclasses import replace

    model = checkpoint.load(made["float"])
    with torch.no_grad():
        model.module.spread.weight[::2] = 0
    (tmp_path / "sparse").mkdir()
    checkpoint.save(replace(model, sparse=("spread.weight",)), tmp_path / "sparse")
    inputs = {"model": ("torch", tmp_path / "sparse"), "teacher": ("torch", made["float"])}
    output = tiny.perform(Qat(epochs=1), tmp_path / "out", inputs | {"data": ("data", made["data"])})
    after = checkpoint.load(output)
    assert after.sparse == ("spread.weight",)
    assert not after.module.spread.weight[::2].any()
    norm = after.module.blocks[0].norm1
    assert torch.equal(norm.weight * (norm.running_var + norm.eps).rsqrt(), torch.ones(32))


def scales(folder: Path) -> set[float]:
    """The scales of all activations of an integer file, to six digits."""
    if (folder / "model.onnx").is_file():
        graph = onnx.load(folder / "model.onnx").graph
        known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        found = [known[node.input[1]] for node in graph.node if node.op_type == "QuantizeLinear"]
    else:
        details = Interpreter(model_path=str(folder / "model.tflite")).get_tensor_details()
        found = [d["quantization_parameters"]["scales"] for d in details if d["dtype"] == np.int8]
    return {float(f"{float(scale.item()):.6g}") for scale in found if scale.size == 1}


@pytest.mark.parametrize("name", FORMATS)
def test_the_integer_file_has_the_learnt_ranges_whatever_calibration_would_say(
    made: tiny.Made, root: Path, tmp_path: Path, name: str
) -> None:
    inputs = {"model": (name, root / name), "data": ("data", made["data"])}
    output = tiny.perform(Int8(calibration=1), tmp_path / "out", inputs)
    learnt = {float(f"{np.float32((high - low) / 255):.6g}") for low, high in ranges.load(root / "torch").values()}
    given = scales(output)
    assert len(given) > 9
    assert all(min(abs(scale / other - 1) for other in learnt) < 1e-5 for scale in given)


@pytest.mark.parametrize("name", FORMATS)
def test_with_one_calibration_example_it_answers_better_than_quantization_after_training(
    made: tiny.Made, root: Path, tmp_path: Path, name: str
) -> None:
    for how, model in (("ptq", made[name]), ("qat", root / name)):
        inputs = {"model": (name, model), "data": ("data", made["data"])}
        tiny.perform(Int8(calibration=1), tmp_path / f"{name}-{how}", inputs)
    (tmp_path / "data").symlink_to(made["data"])
    wanted, place = runtimes.torch_answers(made), tiny.Made("tiny", tmp_path)
    after, trained = (runtimes.file_answers(place, f"{name}-{how}") for how in ("ptq", "qat"))
    assert runtimes.accuracy(made, trained) >= runtimes.accuracy(made, after)
    assert np.abs(trained - wanted).mean() < 0.5 * np.abs(after - wanted).mean()
