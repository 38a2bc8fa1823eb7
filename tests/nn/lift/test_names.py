"""Layers are called as they were before they were exported, by what exporters leave of that."""

from __future__ import annotations

import pytest
from torch import nn

from edgebuild.nn.lift.names import Tree, identifier, is_path, layer_path

# the node, its weight, its bias, and the layer
NAMES = [
    ("", "features.0.weight", "", "features.0"),
    ("/layer1/layer1.0/conv1/Conv", "onnx::Conv_123", "onnx::Conv_124", "layer1.0.conv1"),
    (
        "/encoder/layer.0/query/MatMul",
        "onnx::MatMul_9",
        "encoder.layer.0.attention.query.bias",
        "encoder.layer.0.attention.query",
    ),
    ("Conv_0", "conv2d_0.w_0", "", "conv2d_0.w_0"),
    (
        "",
        "StatefulPartitionedCall/net/conv/Conv2D/ReadVariableOp:0",
        "",
        "StatefulPartitionedCall.net.conv.Conv2D.ReadVariableOp_0",
    ),
    ("", "branch_output/encoder.0.conv.weight", "", "encoder.0.conv"),
    ("", "some/thing/weight", "", "some.thing"),
    ("", "weight", "", "layer"),
]


@pytest.mark.parametrize(("node", "weight", "bias", "layer"), NAMES)
def test_a_layer_has_the_name_that_is_left_of_it(node: str, weight: str, bias: str, layer: str) -> None:
    assert layer_path(node, weight, bias) == layer


def test_a_path_is_free_before_anything_goes_there() -> None:
    root = nn.Module()
    tree = Tree(root)
    assert tree.add("stem.conv", nn.Linear(1, 1)) == "stem.conv"
    assert tree.add("stem.conv", nn.Linear(1, 1)) == "stem.conv_1"
    assert tree.add("stem", nn.Linear(1, 1)) == "stem_1"
    assert tree.add("stem.conv.inner", nn.Linear(1, 1)) == "stem.conv_inner"
    assert tree.add("a.b.c", nn.Linear(1, 1)) == "a.b.c"
    assert tree.add("a.b", nn.Linear(1, 1)) == "a.b_1"
    assert tree.add("half.type", nn.Linear(1, 1)) == "half_.type_"
    assert tree.add("in.q7", nn.Linear(1, 1)) == "in_.q7"


def test_constants_of_exporters_are_no_parameters() -> None:
    assert is_path("block.0.gamma")
    assert not any(map(is_path, ("onnx::Mul_3", "/attn/Constant_output_0", "val_12", "gamma", "a.b:0")))


def test_any_name_becomes_an_argument() -> None:
    assert identifier("input.1") == "input_1"
    assert identifier("1x") == "_1x"
    assert identifier("lambda") == "_lambda"
