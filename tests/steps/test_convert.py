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
from edgebuild.spec.errors import StepError, UsageError
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


PACKING = """
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.LSTM(1, 2, batch_first=True)
    def forward(self, x):
        packed = pack_padded_sequence(x.unsqueeze(-1), torch.full((len(x),), 3), batch_first=True)
        return pad_packed_sequence(self.mix(packed)[0], batch_first=True)[0][:, -1]
def build():
    return N()
"""
REFUSED = """
import torch
from torch import nn
class N(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)
def build():
    return N()
"""


def saved(text: str, source: Callable[[str], Path], folder: Path) -> dict[str, tuple[str, Path]]:
    """The input of a conversion."""
    taken, inputs = ModelCode(source(text), "models/m"), (TensorSpec("x", (3,)),)
    folder.mkdir()
    checkpoint.save(Checkpoint(taken.build("build", inputs), taken, "build", inputs), folder)
    return {"model": ("torch", folder)}


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        (
            STRANGE,
            "its code decides by what tensors hold, or has as many values as they say (model.py:6)",
            "torch.where",
        ),
        (PACKING, "its code packs sequences by their lengths (model.py:11)", "where not self.training"),
    ],
    ids=["decides", "packs"],
)
def test_code_that_no_format_takes_is_told_with_its_line_and_what_to_write(
    text: str, reason: str, hint: str, source: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        tiny.perform(Convert("onnx"), tmp_path / "output", saved(text, source, tmp_path / "model"))
    assert caught.value.line.startswith(f"convert: the model cannot be converted to onnx: {reason} ({hint}")
    assert torch.is_grad_enabled()


def test_what_a_format_alone_refuses_is_told_with_its_cause(source: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        tiny.perform(Convert("tflite"), tmp_path / "output", saved(REFUSED, source, tmp_path / "model"))
    line = caught.value.line
    assert line.startswith("the model cannot be converted to tflite: ")
    assert len(line) < 400


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
