"""Fake quantization against values worked out by hand, and its gradients against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebuild.nn.graph import trace
from edgebuild.nn.quantize import fake_quant
from edgebuild.nn.quantize.points import observe, owners
from edgebuild.spec.signature import TensorSpec
from tests.nn import nets


def test_a_weight_goes_to_its_channels_own_grid() -> None:
    weight = torch.tensor([[1.27, 0.014, -0.016], [-2.54, 0.012, 0.011]])
    given = fake_quant.on_grid(weight, 0)
    assert torch.allclose(given, torch.tensor([[1.27, 0.01, -0.02], [-2.54, 0.02, 0.02]]), atol=1e-6)
    whole = fake_quant.on_grid(weight, None)  # one grid of 0.02
    assert torch.allclose(whole, torch.tensor([[1.28, 0.02, -0.02], [-2.54, 0.02, 0.02]]), atol=1e-6)
    assert fake_quant.step_size(weight, 1).tolist() == pytest.approx([0.02, 0.014 / 127, 0.016 / 127])
    assert fake_quant.step_size(weight, None, 4).item() == pytest.approx(2.54 / 7)


def test_a_channel_of_zeros_stays_zero() -> None:
    assert not fake_quant.on_grid(torch.zeros(2, 3), 0).any()


def test_gradients_of_weights_go_straight_through() -> None:
    weight = torch.randn(4, 5, requires_grad=True)
    (fake_quant.on_grid(weight, 0) * 3).sum().backward()
    assert torch.equal(weight.grad, torch.full((4, 5), 3.0))


def test_a_range_is_widened_to_hold_zero() -> None:
    scale, zero = fake_quant.affine(torch.tensor(1.0), torch.tensor(5.1))
    assert (float(scale), int(zero)) == (pytest.approx(0.02), 0)
    scale, zero = fake_quant.affine(torch.tensor(-1.0), torch.tensor(1.55))
    assert (float(scale), int(zero)) == (pytest.approx(0.01), 100)


def test_a_moving_average_follows_the_batches_in_training_alone() -> None:
    module = fake_quant.moving_average(-1.0, 1.0, 0.25)
    module(torch.tensor([-3.0, 5.0]))
    assert module.ends() == (-1.5, 2.0)
    module.eval()(torch.tensor([-9.0, 9.0]))
    assert module.ends() == (-1.5, 2.0)


def test_a_learnt_scale_has_the_gradient_of_lsq() -> None:
    """Equation 3: round(v) − v inside, the grid's end outside; divided by √(N·Q_P)."""
    module = fake_quant.learnt_scale(-1.0, 1.55)  # scale 0.01, zero point 100
    assert module.ends() == (pytest.approx(-1.0), pytest.approx(1.55))
    x = torch.tensor([0.123, -0.048, 7.0, -7.0], requires_grad=True)
    y = module(x)
    assert torch.allclose(y, torch.tensor([0.12, -0.05, 1.55, -1.0]), atol=1e-6)
    y.sum().backward()
    wanted = ((12 - 12.3) + (-5 + 4.8) + 155 - 100) / (4 * 155) ** 0.5
    assert float(module.scale.grad) == pytest.approx(wanted, rel=1e-3)
    assert x.grad.tolist() == [1, 1, 0, 0]


def test_what_is_computed_together_has_no_range_and_what_moves_shares_one() -> None:
    module, inputs, _ = nets.build("convolutions")
    found = {node.name: owner.name for node, owner in owners(trace(module, inputs)).items()}
    first = next(iter(found))  # the input
    assert found[first] == first
    assert not {"conv2d", "batch_norm", "conv2d_1", "conv_transpose2d"} & found.keys()
    assert found["relu"] == "relu"
    assert found["linear"] == "linear"
    (flat,) = (name for name in found if name.startswith("flatten"))
    assert found[flat].startswith("adaptive_avg_pool2d")


def test_all_rounded_values_are_on_their_grids() -> None:
    module, inputs, (x,) = nets.build("convolutions")
    graph = trace(module, inputs)
    seen = observe(graph, [(x,)])
    plain = graph(x)
    learning = {name: fake_quant.moving_average(*ends, 0.1) for name, ends in seen.items()}
    fake_quant.insert(graph, learning, per_channel=True)
    graph.eval()
    low, high = seen["linear"]
    steps = graph(x) / ((max(high, 0) - min(low, 0)) / 255)
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert 0 < (graph(x) - plain).abs().max() < 0.1 * plain.abs().max()


def test_a_value_that_no_example_makes_anything_but_zero_has_no_range() -> None:
    module = nets.Forward(
        lambda net, x: net.last(torch.relu(net.inner(x))), inner=nn.Linear(4, 4), last=nn.Linear(4, 2)
    )
    with torch.no_grad():
        module.inner.bias.fill_(-100)
    graph = trace(module, (TensorSpec("x", (4,)),))
    assert observe(graph, [(torch.randn(8, 4),)]).keys() == {"x", "linear_1"}


def test_a_learnt_scale_stays_positive_however_large_the_step() -> None:
    module = fake_quant.learnt_scale(0.0, 2.55)
    module.scale.data.fill_(-3.0)  # type: ignore[union-attr, operator]
    low, high = module.ends()  # type: ignore[operator]
    assert (low, high) == (0.0, pytest.approx(0.255))
    assert module(torch.tensor([0.1, 5.0])).tolist() == pytest.approx([0.1, 0.255], abs=1e-3)
    assert module.scale.item() == pytest.approx(0.001)  # type: ignore[union-attr, operator]
