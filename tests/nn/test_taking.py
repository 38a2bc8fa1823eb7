"""Inputs reach the arguments that they are declared for, however a network's forward takes them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint, graph
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec

CODE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k = nn.Linear(5, 8), nn.Linear(5, 8)

    def add(self, query, key):
        return self.q(query) - 3 * self.k(key)

class Plain(Net):
    def forward(self, query, key): return self.add(query, key)

class Swapped(Net):
    def forward(self, key, query): return self.add(query, key)

class Skipping(Net):
    def forward(self, query, mask=None, key=None):
        return self.add(query if mask is None else query * mask, query if key is None else key)

class Named(Net):
    def forward(self, *, key, query): return self.add(query, key)

class Gathered(Net):
    def forward(self, query, **others): return self.add(query, others["key"])

class All(Net):
    def forward(self, **batch): return self.add(batch["query"], batch["key"])

class Mapping(Net):
    def forward(self, batch, mask=None): return self.add(batch["query"], batch["key"])

class Pair(Net):
    def forward(self, inputs):
        query, key = inputs
        return self.add(query, key)

class Star(Net):
    def forward(self, *inputs): return self.add(*inputs)

class Other(Net):
    def forward(self, a, b): return self.add(a, b)

class Wrapped(Net):
    def forward(self, query, key): return self.add(query, key)

def wrapped():
    return nn.DataParallel(Wrapped())

class One(Net):
    def forward(self, batch): return self.add(batch["query"], batch["query"])

class Words(Net):
    def forward(self, words):
        assert words.min() > 0, "words begin at 1"
        return self.add(words.float(), words.float())

def half():
    return Plain().half()

class Three(Net):
    def forward(self, query, key, mask): return self.add(query, key) * mask
"""
QUERY, KEY = TensorSpec("query", (5,)), TensorSpec("key", (5,))
WAYS = "Plain Swapped Skipping Named Gathered All Mapping Pair Star Other wrapped".split()


@pytest.fixture
def code(tmp_path: Path) -> ModelCode:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "model.py").write_text(CODE)
    return ModelCode(tmp_path / "code", "models/m")


@pytest.mark.parametrize("way", WAYS)
def test_inputs_reach_the_arguments_of_their_names(code: ModelCode, tmp_path: Path, way: str) -> None:
    torch.manual_seed(0)
    module = code.build(way, (QUERY, KEY))
    query, key = torch.randn(2, 5), torch.randn(2, 5)
    right = module.q(query) - 3 * module.k(key)
    assert torch.equal(module(query, key), right)
    (tmp_path / "saved").mkdir()
    checkpoint.save(Checkpoint(module, code, way, (QUERY, KEY)), tmp_path / "saved")
    assert torch.equal(checkpoint.load(tmp_path / "saved").module(query, key), right)
    answer = graph.trace(module, (QUERY, KEY))(query, key)
    assert torch.allclose(answer, right)
    other = copy.deepcopy(module)
    module.k.weight.data.zero_()
    assert torch.equal(other(query, key), right)


@pytest.mark.parametrize("way", ["Plain", "Swapped", "Named", "All"])
def test_the_order_in_which_names_are_declared_is_that_of_the_tensors(code: ModelCode, way: str) -> None:
    module = code.build(way, (KEY, QUERY))
    query, key = torch.randn(2, 5), torch.randn(2, 5)
    assert torch.equal(module(key, query), module.q(query) - 3 * module.k(key))


def test_one_input_that_is_read_from_a_mapping_goes_in_as_one(code: ModelCode) -> None:
    module = code.build("One", (QUERY,))
    query = torch.randn(2, 5)
    assert torch.equal(module(query), module.q(query) - 3 * module.k(query))


def test_names_that_are_no_words_of_python_are_taken(code: ModelCode) -> None:
    inputs = (TensorSpec("in.1", (5,)), TensorSpec("in.2", (5,)))
    assert graph.trace(code.build("Star", inputs), inputs)(torch.ones(2, 5), torch.ones(2, 5)).shape == (2, 8)


def test_what_takes_them_in_no_way_says_what_it_misses(code: ModelCode) -> None:
    with pytest.raises(UsageError, match=r"does not accept the declared inputs .*argument: 'mask'"):
        code.build("Three", (QUERY, KEY))


def test_what_zeros_or_other_floats_may_be_to_blame_for_is_said(code: ModelCode) -> None:
    with pytest.raises(UsageError, match=r"begin at 1 \(it is tried and exported with zeros, also for words: clamp"):
        code.build("Words", (TensorSpec("words", (5,), "int64"),))
    with pytest.raises(UsageError, match=r"it has parameters of torch.float16: .float\(\) makes them float32"):
        code.build("half", (QUERY, KEY))
