"""Folding: outputs stay, weights become what an exporter would make of them, and nothing else changes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgebuild.nn.quantize.folding import fold
from edgebuild.spec.signature import TensorSpec
from tests.nn import nets


def test_outputs_stay_what_they_are_whatever_the_convolution() -> None:
    module, inputs, (x,) = nets.build("convolutions")
    before = module(x)
    assert fold(module, inputs) == ["0", "3", "6", "9"]
    assert torch.allclose(module(x), before, atol=1e-5)


def test_weights_are_those_of_torchs_own_fusion() -> None:
    module, inputs, _ = nets.build("convolutions")
    wanted = [fuse_conv_bn_eval(module[k], module[k + 1]) for k in (0, 3, 6)]
    fold(module, inputs)
    for k, fused in zip((0, 3, 6), wanted, strict=True):
        bias = module[k + 1].bias if module[k].bias is None else module[k].bias
        assert torch.allclose(module[k].weight, fused.weight, atol=1e-6)
        assert torch.allclose(bias, fused.bias, atol=1e-5)


def test_a_folded_norm_multiplies_by_one_and_folding_again_changes_nothing() -> None:
    module, inputs, _ = nets.build("convolutions")
    fold(module, inputs)
    scale = module[1].weight * (module[1].running_var + module[1].eps).rsqrt()
    assert torch.equal(scale, torch.ones(8))
    once = {name: value.clone() for name, value in module.state_dict().items()}
    fold(module, inputs)
    assert all(torch.equal(value, once[name]) for name, value in module.state_dict().items())


def test_a_norm_that_is_not_alone_or_has_other_channels_stays() -> None:
    shared = nets.Forward(
        lambda net, x: net.norm(y := net.conv(x)) + y, conv=nn.Conv2d(3, 4, 1), norm=nn.BatchNorm2d(4)
    )
    rows = nets.Forward(lambda net, x: net.norm(net.inner(x)), inner=nn.Linear(16, 6), norm=nn.BatchNorm1d(6))
    bare = nets.Forward(
        lambda net, x: net.norm(net.conv(x)), conv=nn.Conv2d(3, 4, 1, bias=False), norm=nn.BatchNorm2d(4, affine=False)
    )
    assert fold(shared, (TensorSpec("x", (3, 8, 8)),)) == []
    assert fold(rows, (TensorSpec("x", (6, 16)),)) == []
    assert fold(bare, (TensorSpec("x", (3, 8, 8)),)) == []


def test_a_layer_whose_bias_another_reads_too_stays() -> None:
    """Its norm took the bias up and the layer kept it: it was added twice."""
    parts = {"first": nn.Conv2d(3, 3, 1), "norm": nn.BatchNorm2d(3), "last": nn.Conv2d(3, 3, 1)}
    parts["last"].bias = parts["first"].bias
    module = nets.lively(nets.Forward(lambda net, x: net.last(net.norm(net.first(x)).relu()), **parts))
    x = torch.randn(2, 3, 8, 8)
    before = module(x)
    assert fold(module, (TensorSpec("x", (3, 8, 8)),)) == []
    assert torch.equal(module(x), before)
