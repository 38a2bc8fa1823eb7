"""What modules answer: one plain tuple of tensors, however their code puts them together, and to padding as well."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgebuild.nn import checkpoint
from edgebuild.nn.answers import listed, names
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.nn.plain import plain
from edgebuild.nn.usable import usable
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


@pytest.mark.parametrize(
    ("answer", "called"),
    [
        ({"out": 1, "aux": {"low res": 2, "more": [3, 4]}}, ["out", "aux_low_res", "aux_more_0", "aux_more_1"]),
        ((1, None, [2, {"é": 3}]), ["output_0", "output_2_0", "output_2_1"]),
        ({0: 1, "a.b": 2, "a_b": 3}, ["output_0", "a_b", "a_b_2"]),
        (1, ["output"]),
        ([1, None], ["output"]),
        ({"logits": 1}, ["logits"]),
    ],
)
def test_outputs_are_called_by_what_leads_to_them(answer: object, called: list[str]) -> None:
    assert names(answer) == called


def test_names_are_those_of_the_tensors_in_order(code: ModelCode) -> None:
    for way, called in (("named", ["seen", "also"]), ("dataclass", ["seen", "also"]), ("mapping", ["out", "aux"])):
        seen: list[str] = []
        module = code.build(way, INPUTS, OUTPUTS)
        module.register_forward_hook(lambda _, __, answer, seen=seen: seen.extend(names(answer)), prepend=True)
        module(torch.randn(1, 4))
        assert seen == called


def test_keys_that_are_declared_in_another_order_are_refused(code: ModelCode) -> None:
    swapped = (TensorSpec("aux", (3,)), TensorSpec("out", (2,)))
    with pytest.raises(
        UsageError, match=r"its model answers out, aux, in this order, not aux, out, which outputs decl"
    ):
        code.build("mapping", INPUTS, swapped)
    assert code.build("mapping", INPUTS, (TensorSpec("out", (3,)), TensorSpec("aux", (2,))))


def test_what_is_no_tensor_is_refused(code: ModelCode) -> None:
    with pytest.raises(UsageError, match=r"answers dict, whose kind is str, to 2 examples, not a tensor or"):
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


SCRIPTED = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))

    def forward(self, x):
        return self.inner(x)

def parts():
    return Net()

def whole():
    return torch.jit.trace(nn.Linear(4, 3), torch.zeros(1, 4))

def loaded():
    torch.jit._state._enabled.enabled = True  # as in what torch.jit.load gives
    return nn.Sequential(torch.jit.script(nn.Linear(4, 3)))
"""


def test_what_code_scripts_itself_stays_what_it_is_and_what_was_scripted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(SCRIPTED)
    code = ModelCode(tmp_path, "models/m")
    for builder in ("parts", "whole"):
        module = code.build(builder, INPUTS)
        assert not any(isinstance(part, torch.jit.ScriptModule) for part in module.modules())
    assert torch.jit._state._enabled
    with pytest.raises(UsageError, match=r"loaded\(\): '0' is a program of TorchScript \(build it from its class"):
        code.build("loaded", INPUTS)


DRAWING = """
import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.inner, self.own = nn.Linear(4, 3), forward

    def forward(self, x):
        return self.own(self.inner, x)

def forgotten():
    return Net(lambda inner, x: inner(functional.dropout(x)))

def sampled():
    return Net(lambda inner, x: inner(x) + torch.randn_like(inner(x)))

def unread():
    return Net(lambda inner, x: inner(x) + 0 * torch.rand(3))

def made_late():
    return nn.Sequential(nn.LazyLinear(5), nn.Dropout(), nn.Linear(5, 3))
"""


def test_a_model_that_draws_its_answers_is_refused_with_the_line_that_draws(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(DRAWING)
    code, outputs = ModelCode(tmp_path, "models/m"), (TensorSpec("y", (3,)),)
    for builder in ("unread", "made_late"):
        drawn = []
        for asked in (outputs, None):
            torch.manual_seed(1)
            code.build(builder, INPUTS, asked)
            drawn.append(torch.rand(3))
        assert drawn[0].equal(drawn[1])  # whether it was asked does not change what is drawn next
    for builder, place in (("forgotten", "bernoulli_ (model.py:15)"), ("sampled", "randn_like (model.py:18)")):
        with pytest.raises(UsageError, match="let it draw where self.training alone") as caught:
            code.build(builder, INPUTS, outputs)
        assert caught.value.line.startswith(f"models/m/model.py: {builder}(): its model draws random numbers")
        assert place in caught.value.line


ASIDE = """
import random
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, kept, use):
        super().__init__()
        self.a, self.kept, self.use = nn.Linear(4, 4), kept, use

    def forward(self, x):
        return self.use(self.kept, self.a(x))

def layers():
    return Net([nn.Linear(4, 3), nn.Linear(3, 3)], lambda kept, x: kept[1](kept[0](x)))

def buffer():
    net = Net(None, lambda kept, x: x @ net.drawn)
    net.register_buffer("drawn", torch.randn(4, 3), persistent=False)
    return net

def by_numpy():
    return Net({"w": torch.from_numpy(np.random.randn(4, 3)).float()}, lambda kept, x: x @ kept["w"])

def seeded():
    drawn = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    return Net([nn.Identity(), drawn], lambda kept, x: x @ kept[1])

def unread():
    return Net([torch.randn(3)], lambda kept, x: x[:, :3])

def saved():
    net = Net([nn.Linear(4, 3)], lambda kept, x: kept[0](x))
    net.more = nn.ModuleList(net.kept)
    return net
"""


def test_a_model_that_is_built_otherwise_every_time_is_refused_with_what_no_state_dict_has(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(ASIDE)
    code, output = ModelCode(tmp_path, "models/m"), (TensorSpec("output", (3,)),)
    for builder, aside in {
        "layers": "kept.0.weight, kept.0.bias, kept.1.weight and 1 more",
        "buffer": "drawn",
        "by_numpy": "kept.w",
    }.items():
        with pytest.raises(UsageError, match=rf"{builder}\(\): .* in no state dict: {aside} \(register_buffer or"):
            code.build(builder, INPUTS, output)
    for builder in ("seeded", "unread", "saved"):
        torch.manual_seed(5)
        code.build(builder, INPUTS, output)
        after = torch.rand(1)
        torch.manual_seed(5)
        code.build(builder, INPUTS)
        assert after == torch.rand(1), "as if nobody had asked"


def test_a_mask_that_a_caller_makes_is_not_looked_at() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.mix(x, nn.Transformer.generate_square_subsequent_mask(x.shape[1]))

    module, x = Net().eval(), torch.randn(1, 5, 8)
    wanted = module(x)
    torch.testing.assert_close(torch.export.export(usable(module), (x,)).module()(x)[0], wanted[0])


def test_rows_that_may_not_be_long_are_shortened_once() -> None:
    net = nn.Sequential(nn.Embedding(9, 4, max_norm=0.5), nn.Flatten(), nn.EmbeddingBag(3, 2, max_norm=1.0))
    words = torch.arange(9).reshape(1, 9)
    with torch.no_grad():
        wanted = nn.functional.embedding(words, net[0].weight.clone(), max_norm=0.5)
    plain(net)
    assert net[0].max_norm is None
    assert net[2].max_norm is None
    torch.testing.assert_close(net[0](words), wanted)
    assert float(net[0].weight.norm(dim=1).max()) <= 0.5 + 1e-6
    assert float(net[2].weight.norm(dim=1).max()) <= 1.0 + 1e-6


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
