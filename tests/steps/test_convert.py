"""Conversion: what cannot be converted is told in one line with its cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgebuild.formats.tflite import Tflite
from edgebuild.nn import checkpoint
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec import notes
from edgebuild.spec.errors import StepError
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.convert import Convert
from tests import tiny

STRANGE = """
import torch
from torch import nn
class N(nn.Module):
    def forward(self, x):
        return x * 2 if float(x.sum()) > 0 else x
def build():
    return N()
"""


def test_a_model_that_cannot_be_converted_is_told_with_format_and_cause(
    source: Callable[[str], Path], tmp_path: Path
) -> None:
    taken, inputs = ModelCode(source(STRANGE), "models/m"), (TensorSpec("x", (3,)),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(taken.build("build", inputs), taken, "build", inputs), tmp_path / "model")
    with pytest.raises(StepError) as caught:
        tiny.perform(Convert("onnx"), tmp_path / "output", {"model": ("torch", tmp_path / "model")})
    line = caught.value.line
    assert line.startswith("the model cannot be converted to onnx: ")
    assert len(line) < 400
    assert torch.is_grad_enabled()


SAME = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv1d(2, 3, 4, padding="same"), nn.Flatten())
"""


def test_what_a_format_refuses_is_rewritten_and_noted(source: Callable[[str], Path], tmp_path: Path) -> None:
    taken, inputs = ModelCode(source(SAME), "models/m"), (TensorSpec("x", (2, 8)),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(taken.build("build", inputs), taken, "build", inputs), tmp_path / "model")
    done = tiny.perform(Convert("tflite"), tmp_path / "output", {"model": ("torch", tmp_path / "model")})
    (line,) = notes.read(done)
    assert line.startswith('rewritten for tflite (refused otherwise): `padding="same"` of a 1-D convolution becomes ')
    assert line.endswith("in '0'")
    x = torch.randn(1, 2, 8)
    ((answer,),) = Tflite().run((done / "model.tflite").read_bytes(), [(x.numpy(),)])
    with torch.no_grad():
        wanted = checkpoint.load(tmp_path / "model").module(x)
    assert torch.allclose(torch.from_numpy(answer), wanted, atol=1e-6)
