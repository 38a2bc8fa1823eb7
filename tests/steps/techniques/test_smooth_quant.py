"""SmoothQuant: the same function, outliers gone from activations, less lost in the integer file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.graph import trace, walk
from edgebuild.nn.operators import operator
from edgebuild.spec import dataset
from edgebuild.spec.errors import UsageError
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.steps.techniques.smooth_quant import SmoothQuant, smooth_scales
from tests import tiny
from tests.steps.techniques import attentive


@pytest.fixture(scope="module")
def smoothed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The model before and after, and the data."""
    folder = tmp_path_factory.mktemp("smooth")
    model, data = attentive.write(folder)
    inputs = {"model": ("torch", model), "data": ("data", data)}
    return model, tiny.perform(SmoothQuant(), folder / "out", inputs), data


def rows(data: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(dataset.read(data, "test").inputs[0]))


def test_scales_are_those_of_the_paper() -> None:
    scales = smooth_scales(torch.tensor([16.0, 1.0, 0.0]), torch.tensor([4.0, 4.0, 1.0]), 0.5)
    assert scales.tolist() == [2, 0.5, 1]
    assert smooth_scales(torch.tensor([16.0]), torch.tensor([4.0]), 1.0).tolist() == [16]


def test_the_function_stays_and_norms_and_weights_meet_half_way(smoothed: tuple[Path, Path, Path]) -> None:
    before, after = (checkpoint.load(folder) for folder in smoothed[:2])
    x = rows(smoothed[2])
    assert torch.allclose(before.module(x), after.module(x), atol=1e-4)
    seen = {}

    def see(node: object, value: object) -> object:
        if operator(node) == "layer_norm":
            seen[node.name] = value.abs().flatten(0, 1).amax(0)
        return value

    walk(trace(after.module, after.inputs), (x,), see)
    weight = after.module.layer.linear1.weight.abs().amax(0)
    assert torch.allclose(seen["layer_norm_1"], weight, rtol=1e-3)  # alpha 0.5: both √(max|X|·max|W|)


def answers(folder: Path, data: Path) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": row[None]})[0] for row in rows(data).numpy()])


def test_the_integer_file_loses_less(smoothed: tuple[Path, Path, Path], tmp_path: Path) -> None:
    *models, data = smoothed
    wanted = checkpoint.load(models[0]).module(rows(data)).detach().numpy()
    lost = []
    for name, model in zip(("plain", "smooth"), models, strict=True):
        file = tiny.perform(Convert("onnx"), tmp_path / f"{name}-float", {"model": ("torch", model)})
        inputs = {"model": ("onnx", file), "data": ("data", data)}
        lost.append(np.square(answers(tiny.perform(Int8(), tmp_path / name, inputs), data) - wanted).mean())
    assert lost[1] < 0.5 * lost[0]


def test_a_model_that_normalizes_last_is_refused(tmp_path: Path) -> None:
    model, data = attentive.write(tmp_path, first=False, end="self.layer(x).mean(1)")
    with pytest.raises(UsageError) as caught:
        tiny.perform(SmoothQuant(), tmp_path / "out", {"model": ("torch", model), "data": ("data", data)})
    told = "smooth_quant: the model has no layer norm whose output goes to linear layers alone"
    assert caught.value.line == f"{told} (leave the step out, or normalize before each block)"


def test_a_norm_that_gives_nothing_but_0_is_left_as_it_is(tmp_path: Path) -> None:
    model, data = attentive.write(tmp_path)
    dead = checkpoint.load(model)
    with torch.no_grad():
        dead.module.layer.norm2.weight.zero_()
        dead.module.layer.norm2.bias.zero_()
    (tmp_path / "dead").mkdir()
    checkpoint.save(dead, tmp_path / "dead")
    given = {"model": ("torch", tmp_path / "dead"), "data": ("data", data)}
    after = checkpoint.load(tiny.perform(SmoothQuant(), tmp_path / "out", given))
    assert torch.equal(after.module.layer.linear1.weight, dead.module.layer.linear1.weight)
