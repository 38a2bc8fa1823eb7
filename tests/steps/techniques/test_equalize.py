"""Equalization: the same function, even ranges, and less lost to one scale a tensor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.graph import layers, parameter, trace
from edgebuild.nn.quantize import fake_quant
from edgebuild.spec.errors import UsageError
from edgebuild.steps.techniques.equalize import Equalize, equal_scales
from tests import runtimes, tiny


def uneven(made: tiny.Made, folder: Path) -> Path:
    """The tiny model with the channels between `spread` and `head` scaled apart: the same function."""
    model = checkpoint.load(made["float"])
    scales = torch.logspace(-2, 1, 64)
    with torch.no_grad():
        model.module.spread.weight.mul_(scales[:, None, None, None])
        model.module.spread.bias.mul_(scales)
        model.module.head.weight.div_(scales)
    folder.mkdir()
    checkpoint.save(model, folder)
    return folder


def error(folder: Path, x: torch.Tensor) -> float:
    """Mean squared error of the answers when every weight has one scale for its whole tensor, as a share."""
    model = checkpoint.load(folder)
    with torch.no_grad():
        graph = trace(model.module, model.inputs)
        plain = graph(x)
        for layer in layers(graph):
            weight = parameter(graph, layer.weight)
            weight.copy_(fake_quant.on_grid(weight, None))
        return float((graph(x) - plain).square().mean() / plain.square().mean())


@pytest.fixture
def equalized(made: tiny.Made, tmp_path: Path) -> tuple[Path, Path]:
    """The uneven model before and after."""
    before = uneven(made, tmp_path / "uneven")
    inputs = {"model": ("torch", before), "data": ("data", made["data"])}
    return before, tiny.perform(Equalize(), tmp_path / "out", inputs)


def test_scales_make_both_ranges_their_geometric_mean() -> None:
    made, read = torch.tensor([4.0, 1.0, 0.0, 3.0]), torch.tensor([1.0, 16.0, 2.0, 0.0])
    scales = equal_scales(made, read)
    assert scales.tolist() == [2, 0.25, 1, 1]
    assert (made / scales)[:2].tolist() == (read * scales)[:2].tolist() == [2, 4]


def test_the_function_stays_ranges_meet_and_one_scale_a_tensor_loses_less(equalized: tuple[Path, Path]) -> None:
    before, after = (checkpoint.load(folder) for folder in equalized)
    x = torch.randn(64, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    wanted, given = before.module(x), after.module(x)
    assert float((wanted - given).abs().max()) < 1e-4 * float(wanted.abs().max())
    spread, head = after.module.spread.weight.abs().amax((1, 2, 3)), after.module.head.weight.abs().amax(0)
    assert torch.allclose(spread, head, rtol=1e-2)
    assert error(equalized[1], x) < 0.1 * error(equalized[0], x)


def test_layers_before_a_sum_stay_and_the_record_names_those_that_moved(equalized: tuple[Path, Path]) -> None:
    import json

    record = json.loads((equalized[1] / "record.json").read_text())
    assert record["equalized"] == {
        "stem": ["blocks.0.conv1", "blocks.0.shortcut"],
        "blocks.0.conv1": ["blocks.0.conv2"],
        "blocks.1.conv1": ["blocks.1.conv2"],
        "spread": ["head"],
    }
    assert 1 < record["rounds"] < 20


def test_the_exported_file_has_the_equalized_weights(equalized: tuple[Path, Path], tmp_path: Path) -> None:
    import numpy as np
    import onnx
    from onnx import numpy_helper

    from edgebuild.steps.convert import Convert

    file = tiny.perform(Convert("onnx"), tmp_path / "onnx", {"model": ("torch", equalized[1])}) / "model.onnx"
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer}
    assert np.array_equal(known["head.weight"], checkpoint.load(equalized[1]).module.head.weight.detach().numpy())


def test_a_model_without_such_layers_is_refused(tokens: tiny.Made, tmp_path: Path, made: tiny.Made) -> None:
    from tests.steps.techniques.test_prune_channels import saved

    model = saved(tmp_path, "return torch.sigmoid(self.head(torch.sigmoid(x)))")
    (tmp_path / "data").mkdir()
    _rows(tmp_path / "data")
    inputs = {"model": ("torch", model), "data": ("data", tmp_path / "data")}
    with pytest.raises(UsageError) as caught:
        tiny.perform(Equalize(), tmp_path / "out", inputs)
    told = "equalize: no two layers of the model are joined by ReLU or pooling alone (leave the step out)"
    assert caught.value.line == told


def _rows(folder: Path) -> None:
    import numpy as np

    from edgebuild.spec import dataset
    from edgebuild.spec.rows import Split

    dataset.write(folder, "train", Split((np.ones((8, 16), np.float32),), (np.zeros(8, np.int64),)))


def test_accuracy_stays(made: tiny.Made, equalized: tuple[Path, Path]) -> None:
    root = equalized[0].parent
    (root / "data").symlink_to(made["data"])
    given = runtimes.torch_answers(tiny.Made("tiny", root), "out", 400)
    assert runtimes.accuracy(made, given) == runtimes.accuracy(made, runtimes.torch_answers(made, "float", 400))
