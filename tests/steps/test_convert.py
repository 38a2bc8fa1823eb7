"""Conversion: what cannot be converted is told in one line with its cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
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
