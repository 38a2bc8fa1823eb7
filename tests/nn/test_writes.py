"""Writing into a part of a value, or into what shows it another way, is seen by all that reads the memory later."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.graph import trace
from edgebuild.nn.operators import operator
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec
from tests.nn import nets

Code = Callable[[nets.Forward, Tensor], Tensor]
INPUTS = (TensorSpec("x", (6, 4)),)


def into_slices(net: nets.Forward, x: Tensor) -> Tensor:
    y = net.inner(x)
    y[:, 1:3] = 0.5
    y[..., 0].mul_(3)
    y.narrow(1, 4, 2).add_(x[:, :2])
    return y.cumsum(1)


def into_views(net: nets.Forward, x: Tensor) -> Tensor:
    y = net.inner(x)
    y.transpose(1, 2).flatten(1).mul_(2)  # a copy, which nobody reads
    y.permute(2, 0, 1)[1].sub_(1)
    y.view(-1, 24).unflatten(1, (3, 8))[:, 2].exp_()
    y.unsqueeze(1).squeeze(1).detach().relu_()
    return y * 2


def shown_before(net: nets.Forward, x: Tensor) -> Tensor:
    y = net.inner(x)
    flat, rows, kept = y.flatten(1), y.transpose(1, 2), y * 1
    first = rows[:, 0]
    torch.relu_(y)
    first += 1
    return flat[:, :6] + first + rows[:, 1] + kept[:, :, 0]


def again_and_again(net: nets.Forward, x: Tensor) -> Tensor:
    y = net.inner(x)
    for k in range(3):
        y[:, k + 1] += y[:, k]
    return y


def turned(net: nets.Forward, x: Tensor) -> Tensor:
    y = net.inner(x)
    z = y * 1
    z.transpose_(1, 2)
    z[:, 0] = 2
    rest = z.flatten(1)
    z.unsqueeze_(1).detach_()
    z.relu_()
    return z.squeeze(1) + y.transpose(1, 2) + rest[:, :6].unsqueeze(1)


def into_numbers_of_the_code(net: nets.Forward, x: Tensor) -> Tensor:
    factors = torch.tensor([1.0, 2.0, 3.0, 4.0])
    factors[1] = 5
    return net.inner(x) * factors


@pytest.mark.parametrize(
    "code", [into_slices, into_views, shown_before, again_and_again, turned, into_numbers_of_the_code]
)
def test_who_reads_written_memory_reads_what_was_written(code: Code) -> None:
    module = nets.Forward(code, inner=nn.Linear(4, 4)).eval()
    graph, x = trace(module, INPUTS), torch.randn(3, 6, 4)
    with torch.no_grad():
        assert torch.equal(graph(x), module(x))
    assert not [node for node in graph.graph.nodes if operator(node).endswith("_")]


def test_memory_that_is_shown_in_an_unknown_way_is_refused() -> None:
    def code(net: nets.Forward, x: Tensor) -> Tensor:
        y = net.inner(x)
        y.unfold(1, 2, 2).add_(1)
        return y

    with pytest.raises(UsageError, match="its code writes into what 'unfold' shows of a value"):
        trace(nets.Forward(code, inner=nn.Linear(4, 4)), INPUTS)


def test_what_is_assigned_has_the_gradients_that_code_gives() -> None:
    """Of `copy`, which assignments were, there is none: training such a graph ended in that."""

    def assigned(net: nets.Forward, x: Tensor) -> Tensor:
        y = net.inner(x)
        y[:, 1:3] = y[:, 3:5].double()
        y[:, 0] = y[:, 5].mean(1, keepdim=True)
        return y

    torch.manual_seed(0)
    net = nets.Forward(assigned, inner=nn.Linear(4, 4)).eval()
    x = torch.randn(3, 6, 4)
    graph = trace(net, INPUTS)
    gradients = []
    for run in (net, graph):
        net.inner.weight.grad = None
        (run(x) * torch.arange(24.0).view(6, 4)).sum().backward()
        gradients.append(net.inner.weight.grad)
    assert torch.allclose(*gradients, rtol=1e-4)


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        (lambda net, x: net.inner(x).chunk(2, 1)[0].add_(1), "writes into one of the parts that chunk", ".clone()"),
        (lambda net, x: net.inner(x).unbind(1)[0].relu_(), "writes into one of the parts that chunk", "y[:, :n]"),
        (lambda net, x: torch.add(net.inner(x), 1, out=x), "gives an operator out=, which has no", "y = torch.add"),
    ],
)
def test_writes_without_gradients_are_refused_with_what_to_write(code: Code, reason: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"its code {reason}.*test_writes.py:") as refused:
        trace(nets.Forward(code, inner=nn.Linear(4, 4)), INPUTS)
    assert hint in str(refused.value.hint)


def through_data(net: nets.Forward, x: Tensor) -> Tensor:
    y = net.inner(x)
    y.data.add_(1)
    return y


def by_chance(net: nets.Forward, x: Tensor) -> Tensor:
    return net.inner(x) + torch.empty(4).uniform_() * next(COUNT)


COUNT = iter(range(1000))


def test_a_graph_that_answers_otherwise_than_the_code_is_refused() -> None:
    """No trace sees what is written through `.data`: training went on with a network that computes something else."""
    with pytest.raises(UsageError, match="its graph answers otherwise than its code") as refused:
        trace(nets.Forward(through_data, inner=nn.Linear(4, 4)), INPUTS)
    assert "y.data += 1" in str(refused.value.hint)
    trace(nets.Forward(by_chance, inner=nn.Linear(4, 4)), INPUTS)
