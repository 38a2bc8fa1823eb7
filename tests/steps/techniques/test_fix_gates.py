"""Gates by channel: found by what they do, fixed at the scale nearest to what they gave, where that saves time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.nn import checkpoint, records
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.nn.restructure.gating import Gated
from edgebuild.spec import dataset, documents, notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import FILE, LayerShape, LayerShapes, Width, WidthCurve, WidthCurves
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.convert import Convert
from edgebuild.steps.evidence.layer_shapes import LayerShapes as LayerShapesOf
from edgebuild.steps.techniques.fix_gates import FixGates
from tests import tiny

NET = """
import torch
from torch import nn


class Gate(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        down, up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Sequential(down, nn.ReLU(), up, nn.Sigmoid())  # of one place: no gate itself

    def forward(self, x):
        return x * self.gate(x.mean((2, 3), keepdim=True))


def build():
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(2, 8, 3), Gate(8, 4), nn.Conv2d(8, 8, 1), nn.ReLU(), Gate(8, 2), nn.Flatten(), nn.Linear(288, 3)
    )
    for part in (net[1], net[4]):
        part.gate[2].weight.data.mul_(8)
    return net
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Path]]:
    """A network with two gates, and pictures."""
    folder = tmp_path_factory.mktemp("gated")
    for name in ("source", "model", "data"):
        (folder / name).mkdir()
    (folder / "source" / "model.py").write_text(NET)
    code, inputs = ModelCode(folder / "source", "models/m"), (TensorSpec("x", (2, 8, 8)),)
    model = Checkpoint(code.build("build", inputs), code, "build", inputs, outputs=(TensorSpec("y", (3,)),))
    checkpoint.save(model, folder / "model")
    rng, counts = np.random.default_rng(0), {"train": 64, "validation": 32, "test": 8}
    for name, count in counts.items():
        x, y = rng.normal(size=(count, 2, 8, 8)).astype(np.float32), rng.integers(0, 3, count)
        dataset.write(folder / "data", name, Split((x,), (y,)))
    dataset.describe(folder / "data", [dataset._ONLY], counts, {})
    return {"model": ("torch", folder / "model"), "data": ("data", folder / "data")}


def counted(
    given: dict[str, tuple[str, Path]], folder: Path, seconds: Callable[[LayerShape], float]
) -> tuple[str, Path]:
    made = tiny.perform(LayerShapesOf(Gated()), folder / "shapes", {"model": given["model"]})
    known = documents.read(LayerShapes, made / FILE).shapes
    (folder / "widths").mkdir()
    curves = tuple(WidthCurve(shape, (Width(shape.outputs, seconds(shape)),), ()) for shape in known)
    documents.write(folder / "widths" / FILE, WidthCurves(curves, 0.2))
    return "evidence", folder / "widths"


def test_gates_are_fixed_that_save_time_at_the_scale_nearest_to_what_they_gave(
    given: dict[str, tuple[str, Path]], tmp_path: Path
) -> None:
    """The second gate takes no longer than a scale does."""

    def seconds(shape: LayerShape) -> float:
        return {("gate", 4): 5e-6, ("gate", 2): 1e-6}.get(
            (shape.kind, shape.outputs if shape.kind == "gate" else 0), 1e-6
        )

    widths = counted(given, tmp_path, seconds)
    done = tiny.perform(FixGates(), tmp_path / "out", given | {"widths/tflite": widths})
    model, before = checkpoint.load(done), checkpoint.load(given["model"][1])
    assert [(swap.path, swap.part, swap.sizes) for swap in model.swaps] == [("1", "scale", (8, 2))]
    assert json.loads((done / records.FILE).read_text())["fixed"] == ["1"]
    lines = notes.read(done)
    assert lines[0] == "1 of 2 gates are fixed scales now"
    assert lines[2] == "exchanged, counted time in tflite: '1' 5 → 1 µs"
    assert lines[3] == "left, counted time in tflite: '4' 1 → 1 µs (it takes no time of its own)"
    x = torch.from_numpy(np.array(dataset.read(given["data"][1], "train").inputs[0]))
    inner = before.module[0](x)  # type: ignore[index]
    gated = before.module[1](inner)  # type: ignore[index]
    scale = (inner * gated).sum((0, 2, 3)) / inner.square().sum((0, 2, 3))
    torch.testing.assert_close(model.module.get_parameter("1.weight").flatten(), scale, rtol=1e-4, atol=1e-5)
    tiny.perform(Convert("onnx"), tmp_path / "onnx", {"model": ("torch", done)})


def test_where_no_gate_pays_and_where_there_is_none_the_step_is_refused(
    given: dict[str, tuple[str, Path]], made: tiny.Made, tmp_path: Path
) -> None:
    widths = counted(given, tmp_path, lambda shape: 1e-6)
    with pytest.raises(
        UsageError, match=r"^fix_gates: no gate would take less time on the target as a fixed scale: left"
    ):
        tiny.perform(FixGates(), tmp_path / "out", given | {"widths/tflite": widths})
    with pytest.raises(UsageError, match=r"^fix_gates: the model has no gate by channel"):
        tiny.perform(FixGates(), tmp_path / "none", {"model": ("torch", made["float"]), "data": ("data", made["data"])})
