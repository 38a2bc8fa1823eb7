"""AdaRound: the integers in the exported file are those that were chosen, and the outputs are nearer for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter

from edgebuild.nn import checkpoint
from edgebuild.nn.quantize import fake_quant
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.adaround import Adaround
from edgebuild.steps.techniques.int8 import Int8
from tests import tiny
from tests.steps.techniques.test_int8 import onnx_weights

LAYERS = ("stem", "blocks.0.conv1", "blocks.1.conv2", "spread", "head")


@pytest.fixture(scope="module")
def chosen(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with half of one layer pruned, rounded to 8 bits."""
    folder = tmp_path_factory.mktemp("adaround")
    model = checkpoint.load(made["float"])
    with torch.no_grad():
        model.module.spread.weight[:, ::2] = 0
    (folder / "model").mkdir()
    checkpoint.save(replace(model, sparse=("spread.weight",)), folder / "model")
    inputs = {"model": ("torch", folder / "model"), "data": ("data", made["data"])}
    return tiny.perform(Adaround(steps=60, strength=1e-4), folder / "out", inputs)


def integers(folder: Path, name: str) -> np.ndarray:
    """The grid's integers of a layer's weight in a torch artifact."""
    weight = checkpoint.load(folder).module.get_parameter(f"{name}.weight").detach()
    size = fake_quant.step_size(weight, 0)
    steps = weight / size.view(-1, *[1] * (weight.ndim - 1))
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    return steps.round().numpy().astype(np.int8)


def files(folder: Path) -> list[np.ndarray]:
    """Every integer weight in a file."""
    if (folder / "model.onnx").is_file():
        return [weight for weight, _ in onnx_weights(folder / "model.onnx").values()]
    run = Interpreter(model_path=str(folder / "model.tflite"), experimental_preserve_all_tensors=True)
    run.allocate_tensors()
    details = [d for d in run.get_tensor_details() if d["dtype"] == np.int8]
    return [run.get_tensor(d["index"]) for d in details if len(d["quantization_parameters"]["scales"]) > 1]


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_the_integers_in_the_file_are_the_chosen_ones(made: tiny.Made, chosen: Path, tmp_path: Path, name: str) -> None:
    converted = tiny.perform(Convert(name), tmp_path / "float", {"model": ("torch", chosen)})
    inputs = {"model": (name, converted), "data": ("data", made["data"])}
    given = [
        np.sort(weight, axis=None) for weight in files(tiny.perform(Int8(calibration=8), tmp_path / "out", inputs))
    ]
    for layer in LAYERS:
        wanted = np.sort(integers(chosen, layer), axis=None)
        assert any(np.array_equal(wanted, other) for other in given), layer


def test_some_weights_are_rounded_away_from_the_nearest_and_zeros_stay(made: tiny.Made, chosen: Path) -> None:
    before = chosen.parent / "model"
    weight = checkpoint.load(before).module.spread.weight.detach()
    nearest = (weight / fake_quant.step_size(weight, 0).view(-1, 1, 1, 1)).round().numpy()
    off = np.abs(integers(chosen, "spread") - nearest)
    assert off.max() == 1
    assert not checkpoint.load(chosen).module.spread.weight[:, ::2].any()
    assert checkpoint.load(chosen).sparse == ("spread.weight",)


def test_no_layer_is_worse_than_rounded_to_nearest_and_four_bits_gain_most(made: tiny.Made, tmp_path: Path) -> None:
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    output = tiny.perform(Adaround(bits=4, steps=100, learning_rate=0.03), tmp_path / "out", inputs)
    errors = json.loads((output / "record.json").read_text())["error"]
    assert errors.keys() >= {*LAYERS}
    gains = [error["nearest"] / min(error.values()) for error in errors.values()]
    assert sorted(gains)[len(gains) // 2] > 1.2


def test_a_layer_that_is_given_nothing_but_0_is_rounded_to_nearest(made: tiny.Made, tmp_path: Path) -> None:
    model = checkpoint.load(made["float"])
    with torch.no_grad():
        model.module.spread.bias.fill_(-1e4)
    (tmp_path / "dead").mkdir()
    checkpoint.save(model, tmp_path / "dead")
    inputs = {"model": ("torch", tmp_path / "dead"), "data": ("data", made["data"])}
    output = tiny.perform(Adaround(steps=1), tmp_path / "out", inputs)
    assert json.loads((output / "record.json").read_text())["error"]["head"] == {"learnt": 0.0, "nearest": 0.0}
