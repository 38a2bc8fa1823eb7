"""The exporter's table of operators is made once for many exports, and each has it for itself."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from edgebuild.formats import _onnx_table
from edgebuild.formats.onnx import Onnx


def test_it_is_made_once_and_again_only_when_an_operator_was_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    net, example = nn.ReLU(), (torch.zeros(1, 3),)
    gc.collect()  # operators that other tests have declared go now, or never
    Onnx().convert(net, example)  # the first of a process declares some of its own
    made = []
    finish = ONNXRegistry._cleanup_registry_based_on_opset_version

    def finished(table: ONNXRegistry) -> None:
        made.append(table)
        finish(table)

    monkeypatch.setattr(ONNXRegistry, "_cleanup_registry_based_on_opset_version", finished)
    kept = []  # an operator lives as long as what declared it
    for number in range(2):
        kept.append(torch.library.Library("edgebuild_tests", "FRAGMENT"))
        kept[-1].define(f"nothing{number}(Tensor x) -> Tensor")
        files = {Onnx().convert(net, example) for _ in range(2)}
        assert (len(made), len(files)) == (number + 1, 1)


def test_what_one_export_is_told_to_write_otherwise_is_not_told_to_the_next() -> None:
    _onnx_table.keep()
    operator = torch.ops.aten.relu.default
    before = len(ONNXRegistry.from_torchlib(opset_version=20).functions[operator.name()])
    own = ONNXRegistry.from_torchlib(opset_version=20)
    own.register_op(operator, lambda x: x)
    assert len(own.functions[operator.name()]) == before + 1
    assert len(ONNXRegistry.from_torchlib(opset_version=20).functions[operator.name()]) == before
