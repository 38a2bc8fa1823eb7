"""The traced graph: computes what the module does, for any batch size, on the module's own parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebuild.nn.graph import layers, parameter, trace, walk
from edgebuild.nn.operators import operator
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec
from tests.nn import nets


@pytest.mark.parametrize("name", nets.NETS)
@pytest.mark.parametrize("batch", [1, 5])
def test_it_computes_what_the_module_does(name: str, batch: int) -> None:
    module, inputs, (x,) = nets.build(name)
    graph = trace(module, inputs)
    assert torch.allclose(graph(x[:batch]), module(x[:batch]), atol=1e-6)
    assert torch.allclose(walk(graph, (x[:batch],), lambda _, value: value), graph(x[:batch]), atol=1e-6)


@pytest.mark.parametrize("name", nets.NETS)
def test_its_parameters_are_the_modules_own(name: str) -> None:
    module, inputs, _ = nets.build(name)
    given = dict(trace(module, inputs).named_parameters())
    assert given
    assert all(module.get_parameter(name) is value for name, value in given.items())


def test_layers_come_in_order_with_names_axes_groups_and_who_adds_to_their_channels() -> None:
    module, inputs, _ = nets.build("convolutions")
    found = [(layer.name, layer.axis, layer.groups, layer.shift) for layer in layers(trace(module, inputs))]
    wanted = [("0", 0, 1, "1.bias"), ("3", 0, 8, "3.bias"), ("6", 0, 4, "7.bias"), ("9", 1, 1, "10.bias")]
    assert found == [*wanted, ("14", 0, 1, "14.bias")]
    module, inputs, _ = nets.build("attention")
    assert next(layer.name for layer in layers(trace(module, inputs))) == "layer.self_attn.in_proj_weight"


def test_a_weight_that_is_used_twice_is_no_layer() -> None:
    twice = nets.Forward(lambda net, x: net.last(net.inner(net.inner(x))), inner=nn.Linear(4, 4), last=nn.Linear(4, 2))
    assert [layer.name for layer in layers(trace(twice, (TensorSpec("x", (4,)),)))] == ["last"]


def test_no_operator_writes_in_place_and_who_read_the_written_value_reads_it_still() -> None:
    def forward(net: nets.Forward, x: torch.Tensor) -> torch.Tensor:
        y = net.inner(x)
        before = y * 1
        torch.relu_(y)
        return y - before

    module = nets.Forward(forward, inner=nn.Linear(4, 4)).eval()
    graph, x = trace(module, (TensorSpec("x", (4,)),)), torch.randn(3, 4)
    assert torch.equal(graph(x), module(x))
    assert not [node for node in graph.graph.nodes if operator(node).endswith("_")]


def test_parameters_are_found_by_their_full_names() -> None:
    module, inputs, _ = nets.build("attention")
    graph = trace(module, inputs)
    assert parameter(graph, "layer.norm1.weight") is module.get_parameter("layer.norm1.weight")


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        (lambda net, x: net.inner(x.reshape(2, 4)), "the model's code fixes the batch size that input 'x' may have"),
        (lambda net, x: x if float(net.inner(x).sum()) > 0 else -x, "the model cannot be traced: "),
    ],
)
def test_what_cannot_be_traced_is_refused(forward: nets.Callable[..., torch.Tensor], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        trace(nets.Forward(forward, inner=nn.Linear(4, 4)), (TensorSpec("x", (4,)),))
    assert caught.value.line.startswith(f"builder: {told}")
