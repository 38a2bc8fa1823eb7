"""Depthwise-separable convolutions and rectifiers: they are in the file, and refused where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch

from edgebuild.nn import checkpoint, records
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.nn.restructure import sites
from edgebuild.spec import notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.rectify import Rectify
from edgebuild.steps.techniques.separable import Separable
from tests import tiny

SWISH = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv1d(2, 3, 3), nn.Hardswish(), nn.Conv1d(3, 3, 3), nn.Hardswish(), nn.SiLU())
"""


def perform(step: Separable, made: tiny.Made, out: Path) -> Path:
    return tiny.perform(step, out, {"model": ("torch", made["float"]), "data": ("data", made["data"])})


def test_as_many_convolutions_change_as_leave_that_share_of_the_work(made: tiny.Made, tmp_path: Path) -> None:
    done = perform(Separable(macs=0.6, examples=48), made, tmp_path / "out")
    record = json.loads((done / records.FILE).read_text())
    before, after = record["macs"]
    assert 0.2 < after / before <= 0.6
    model = checkpoint.load(done)
    assert after == sites.total(model.module, model.example())
    assert {swap.path for swap in model.swaps} == {*record["replaced"]} < {*record["alone"]}
    file = tiny.perform(Convert("onnx"), tmp_path / "file", {"model": ("torch", done)}) / "model.onnx"
    groups = {
        n.name: next(a.i for a in n.attribute if a.name == "group")
        for n in onnx.load(file).graph.node
        if n.op_type == "Conv"
    }
    name = record["replaced"][0]
    assert groups[f"{name}.depthwise"] > groups[f"{name}.pointwise"] == 1
    assert notes.read(done)[0].startswith(f"{len(record['replaced'])} of {len(record['alone'])} convolutions are")


def test_a_share_that_cannot_be_reached_and_a_budget_that_none_keeps_are_refused(
    made: tiny.Made, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"^separable.macs: 0\.\d\d of the multiplications are left when every conv"):
        perform(Separable(macs=0.01, examples=48), made, tmp_path / "a")
    with pytest.raises(UsageError, match=r"^separable: no convolution would take fewer multiplications with 9 kernels"):
        perform(Separable(kernels=9, examples=48), made, tmp_path / "b")


def test_smooth_activations_become_rectifiers_by_their_class(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.py").write_text(SWISH)
    code, inputs = ModelCode(tmp_path / "source", "models/m"), (TensorSpec("x", (2, 9)),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(code.build("build", inputs), code, "build", inputs), tmp_path / "model")
    given = {"model": ("torch", tmp_path / "model")}
    done = checkpoint.load(tiny.perform(Rectify(keep=("3",)), tmp_path / "out", given))
    assert [type(done.module.get_submodule(name)) for name in "134"] == [
        torch.nn.ReLU6,
        torch.nn.Hardswish,
        torch.nn.SiLU,
    ]
    with pytest.raises(
        UsageError, match=r"^rectify.activations: the model has no module nn.GELU or nn.Mish of one name"
    ):
        tiny.perform(Rectify(activations=("GELU", "Mish")), tmp_path / "none", given)
