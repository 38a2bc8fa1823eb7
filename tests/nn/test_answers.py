"""What modules answer: one plain tuple of tensors, however their code puts them together, and to padding as well."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.answers import listed
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec.errors import UsageError
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.convert import Convert
from edgebuild.steps.techniques.prune_channels import PruneChannels
from tests import tiny

CODE = """
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
import torch
from torch import nn

Pair = namedtuple("Pair", "seen also")

@dataclass
class Both:
    seen: torch.Tensor
    nothing: object
    also: torch.Tensor

WAYS = {
    "mapping": lambda a, b: OrderedDict(out=a, aux=b),
    "named": Pair,
    "dataclass": lambda a, b: Both(a, None, b),
    "nested": lambda a, b: (a, {"more": [b], "none": None}),
    "plain": lambda a, b: (a, b),
    "words": lambda a, b: {"out": a, "aux": b, "kind": "words"},
}

class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 8, padding_idx=0)
        self.mix = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.mix(self.words(x), src_key_padding_mask=x == 0)[:, 0])

class Net(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way, self.a, self.b = way, nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return WAYS[self.way](self.a(x), self.b(x))
""" + "".join(
    f"\ndef {way}():\n    return Net('{way}')\n"
    for way in ("mapping", "named", "dataclass", "nested", "plain", "words")
)
INPUTS, OUTPUTS = (TensorSpec("x", (4,)),), (TensorSpec("a", (3,)), TensorSpec("b", (2,)))


@pytest.fixture
def code(tmp_path: Path) -> ModelCode:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.py").write_text(CODE)
    return ModelCode(tmp_path / "source", "models/m")


@pytest.mark.parametrize("way", ["mapping", "named", "dataclass", "nested", "plain"])
def test_answers_come_in_a_plain_tuple_in_their_order(code: ModelCode, way: str) -> None:
    module, x = code.build(way, INPUTS, OUTPUTS), torch.randn(5, 4)
    answer = module(x)
    assert type(answer) is tuple
    for one, layer in zip(answer, (module.get_submodule("a"), module.get_submodule("b")), strict=True):
        torch.testing.assert_close(one, layer(x))


def test_what_is_no_tensor_is_refused(code: ModelCode) -> None:
    with pytest.raises(UsageError, match=r"its model answers dict to 2 examples, not a tensor or a tuple of tensors"):
        code.build("words", INPUTS, OUTPUTS)


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_files_of_them_answer_the_same(code: ModelCode, tmp_path: Path, format: str) -> None:
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(code.build("named", INPUTS), code, "named", INPUTS), tmp_path / "model")
    done = tiny.perform(Convert(format), tmp_path / format, {"model": ("torch", tmp_path / "model")})
    module, x = checkpoint.load(tmp_path / "model").module, torch.randn(1, 4)
    content = (done / FORMATS.get(format).file).read_bytes()
    (answers,) = FORMATS.get(format)().run(content, [(x.numpy(),)])
    for one, other in zip(answers, listed(module(x)), strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other)


def test_examples_that_are_nothing_but_padding_are_answered_and_what_is_padded_is_pruned(
    code: ModelCode, tmp_path: Path
) -> None:
    tokens = (TensorSpec("x", (5,), "int64"),)
    (tmp_path / "model").mkdir()
    checkpoint.save(Checkpoint(code.build("Padded", tokens), code, "Padded", tokens), tmp_path / "model")
    step = PruneChannels(ratio=0.5, round_to=1)
    pruned = checkpoint.load(tiny.perform(step, tmp_path / "pruned", {"model": ("torch", tmp_path / "model")})).module
    assert pruned.get_submodule("mix.layers.0.linear1").weight.shape == (8, 4)
    assert pruned(torch.tensor([[3, 4, 0, 0, 0]]))[0].isfinite().all()
