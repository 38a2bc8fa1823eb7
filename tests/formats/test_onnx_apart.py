"""Weights of an ONNX file out of the way: the graph alone is worked on, and the file is the same byte for byte."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, load_from_string, numpy_helper

from edgebuild.formats import _onnx_apart, _onnx_files

LARGE = {"w": np.arange(4096, dtype=np.float32).reshape(64, 64), "v": np.ones((64, 64), np.float32)}


@pytest.fixture
def model() -> ModelProto:
    """Two products, one with a small constant, another whose weight is where other tools put it."""
    nodes = [
        helper.make_node(kind, [a, b], [y])
        for kind, a, b, y in (("MatMul", "x", "w", "h"), ("MatMul", "h", "v", "k"), ("Add", "k", "b", "y"))
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64])] for name in ("x", "y")]
    small = numpy_helper.from_array(np.ones(64, np.float32), "b")
    weights = [numpy_helper.from_array(value, name) for name, value in LARGE.items()]
    made = helper.make_model(helper.make_graph(nodes, "g", *ends, [small, *weights]))
    made.metadata_props.add(key="behind", value="the graph")
    return made


def test_apart_and_together_it_is_the_same_file(model: ModelProto) -> None:
    content = _onnx_files.to_bytes(model)
    graph, weights = _onnx_apart.apart(content)
    assert [*map(len, weights)] == [64 * 64 * 4] * 2
    assert graph.ByteSize() < 1000
    assert _onnx_apart.together(graph, weights) == content


def test_weights_follow_what_is_renamed_moved_and_left_out(model: ModelProto) -> None:
    graph, weights = _onnx_apart.apart(_onnx_files.to_bytes(model))
    small, first, second = (type(each).FromString(each.SerializeToString()) for each in graph.graph.initializer)
    second.name = "another"
    del graph.graph.initializer[:]
    graph.graph.initializer.extend([second, small, first])
    named = {one.name: numpy_helper.to_array(one) for one in _read(graph, weights)}
    assert [*named] == ["another", "b", "w"]
    assert np.array_equal(named["another"], LARGE["v"])
    assert np.array_equal(named["w"], LARGE["w"])
    del graph.graph.initializer[0]
    assert [one.name for one in _read(graph, weights)] == ["b", "w"]


def _read(model: ModelProto, weights: list[_onnx_apart.Content]) -> list[TensorProto]:
    return [*load_from_string(_onnx_apart.together(model, weights)).graph.initializer]


CONVERTED = """\
import torch
from torch import nn
from edgebuild.formats import _onnx_files
from edgebuild.formats.onnx import OPSET, Onnx
from edgebuild.spec.signature import Signature, TensorSpec

def memory(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

def net(width, layers):
    parts = [part for _ in range(layers) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*parts, nn.Linear(width, 4)).eval(), (torch.zeros(1, width),)

small = net(64, 2)
program = torch.onnx.export(*small, dynamo=True, external_data=False, opset_version=OPSET, verbose=False)
plain = _onnx_files.name_layers(_onnx_files.outputs_computed(program.model_proto))
assert Onnx().convert(*small) == _onnx_files.to_bytes(_onnx_files.clean(plain))
module, example = net(1024, 8)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak counts from here on
before = memory("VmRSS")
content = Onnx().convert(module, example)
exported = memory("VmHWM") - before
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
content = Onnx().named(content, Signature((TensorSpec("x", (1024,)),), (TensorSpec("y", (4,)),)))
print(exported * 1024 / len(content), (memory("VmHWM") - before) * 1024 / len(content))
"""


def test_an_export_is_the_same_file_and_has_the_weights_in_memory_once_beside_the_module() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", CONVERTED], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    exported, named = map(float, done.stdout.splitlines()[-1].split())
    assert exported < 1.6  # times the file, of which one is the file
    assert named < 2.6  # the file before and the one with the names
