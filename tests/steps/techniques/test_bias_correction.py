"""Bias correction: with rounded weights, every layer's mean output is again what it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgebuild.nn import checkpoint
from edgebuild.nn.graph import layers, parameter, trace
from edgebuild.nn.quantize import fake_quant
from edgebuild.spec import dataset
from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.techniques.bias_correction import BiasCorrection
from tests import tiny
from tests.nn import nets
from tests.steps.techniques.test_prune_channels import saved


def test_one_layer_by_hand() -> None:
    """Weights 1 and 0.3 on a grid of 1/3 (3 bits) become 1 and 1/3; inputs have means 2 and 3: 0.1 too much."""
    module = nets.Forward(lambda net, x: net.inner(x), inner=nn.Linear(2, 1))
    with torch.no_grad():
        module.inner.weight.copy_(torch.tensor([[1.0, 0.3]]))
        module.inner.bias.fill_(5)
    graph = trace(module, (TensorSpec("x", (2,)),))
    moved, skipped = BiasCorrection(bits=3).correct(graph, (torch.tensor([[1.0, 4.0], [3.0, 2.0]]),))
    assert float(module.inner.bias) == pytest.approx(5 - 0.1)
    assert moved == {"inner": pytest.approx(0.1, rel=1e-5)}
    assert skipped == []


def rounded(folder: Path, bits: int, x: torch.Tensor) -> torch.Tensor:
    """The model's answers with every weight rounded, one grid a channel."""
    model = checkpoint.load(folder)
    graph = trace(model.module, model.inputs)
    with torch.no_grad():
        for layer in layers(graph):
            weight = parameter(graph, layer.weight)
            weight.copy_(fake_quant.on_grid(weight, layer.axis, bits))
        return graph(x)


def test_mean_answers_of_the_rounded_model_are_those_of_the_float_model(made: tiny.Made, tmp_path: Path) -> None:
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    output = tiny.perform(BiasCorrection(bits=3, calibration=256), tmp_path / "out", inputs)
    seen = torch.from_numpy(dataset.calibration(made["data"], 256, 0).inputs[0])
    wanted = checkpoint.load(made["float"]).module(seen).detach()
    before, after = rounded(made["float"], 3, seen), rounded(output, 3, seen)
    assert torch.allclose(after.mean(0), wanted.mean(0), atol=1e-3)
    assert (before.mean(0) - wanted.mean(0)).abs().max() > 0.05
    other = torch.from_numpy(np.array(dataset.read(made["data"], "test").inputs[0]))
    truth = checkpoint.load(made["float"]).module(other).detach()
    error = [(given - truth).square().mean() for given in (rounded(f, 3, other) for f in (made["float"], output))]
    assert error[1] < error[0]


def test_layers_without_a_bias_are_named_and_a_model_without_any_is_refused(tmp_path: Path) -> None:
    model = saved(tmp_path, "return self.head(x)")
    source = tmp_path / "source" / "model.py"
    data = tmp_path / "data"
    data.mkdir()
    x = np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32)
    dataset.write(data, "train", Split((x,), (np.zeros(32, np.int64),)))

    def correct(old: str, new: str, name: str) -> Path:
        from edgebuild.nn.model_code import ModelCode

        source.write_text(source.read_text().replace(old, new))
        taken, specs = ModelCode(tmp_path / "source", "models/m"), (TensorSpec("x", (16,)),)
        (tmp_path / name).mkdir()
        checkpoint.save(checkpoint.Checkpoint(taken.build("build", specs), taken, "build", specs), tmp_path / name)
        inputs = {"model": ("torch", tmp_path / name), "data": ("data", data)}
        return tiny.perform(BiasCorrection(), tmp_path / f"{name}-out", inputs)

    assert model.is_dir()
    output = correct("nn.Linear(16, 32)", "nn.Linear(16, 32, bias=False)", "one")
    assert json.loads((output / "record.json").read_text())["without bias"] == ["first"]
    with pytest.raises(UsageError) as caught:
        correct("nn.Linear(32, 4)", "nn.Linear(32, 4, bias=False)", "none")
    assert caught.value.line.startswith("bias_correction: no convolution or linear layer of the model has a bias (")


@pytest.mark.parametrize("bits", [1, 9, 0, -3])
def test_bits_out_of_range_are_refused(bits: int) -> None:
    with pytest.raises(UsageError, match="x.toml: bits"):
        check(BiasCorrection, {"bits": bits}, file="x.toml")
