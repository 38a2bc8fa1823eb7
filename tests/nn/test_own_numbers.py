"""What code reads of tensors that no input reaches is a part of its graph; what inputs reach is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn import own_numbers
from edgebuild.nn.exporting import exported
from edgebuild.nn.graph import trace
from edgebuild.nn.legalize.legalize import legal
from edgebuild.nn.prune.trace import parts
from edgebuild.spec.signature import TensorSpec


class Keeps(nn.Module):
    """A function of buffers and rows [N, 4, 6]."""

    mask: Tensor
    repeats: Tensor
    edges: Tensor

    def __init__(self, function: Callable[[Keeps, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("mask", torch.tensor([True, False, True, True, False, True]))
        self.register_buffer("repeats", torch.tensor([1, 2, 0, 3]))
        self.register_buffer("edges", torch.tensor([[0, 1, 2, 3, 3], [1, 1, 0, 2, 0]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def messages(net: Keeps, x: Tensor) -> Tensor:
    """Along the edges between two nodes, of which there are as many as the edges name."""
    edges = net.edges[:, net.edges[0] != net.edges[1]]
    return x.new_zeros(len(x), int(net.edges.max()) + 1, 6).index_add(1, edges[1], x[:, edges[0]])


def walked(net: Keeps, x: Tensor) -> Tensor:
    """Rows by numbers that a tensor gives one by one, as often as it says."""
    rows = [x[:, place] * net.repeats[place] for place in net.edges[1]]
    return torch.stack([*rows, *[x[:, 0]] * net.repeats.unique().numel()], 1)


OWN: dict[str, Callable[[Keeps, Tensor], Tensor]] = {
    "mask": lambda net, x: x[..., net.mask] * 2,
    "repeats": lambda net, x: x.repeat_interleave(net.repeats, 1) + 1,
    "edges": messages,
    "walked": walked,
    "decided": lambda net, x: x * 2 if (net.repeats > 2).any() else x,
}


@pytest.mark.parametrize("name", OWN)
def test_a_graph_has_what_no_input_reaches(name: str) -> None:
    module, x = Keeps(OWN[name]).eval(), torch.randn(2, 4, 6)
    program = exported(module, (x,))
    assert not [node for node in program.graph.nodes if "u0" in str(getattr(node.meta.get("val"), "shape", ""))]
    assert torch.equal(program.module()(x), module(x))
    assert "forward" not in vars(module)


def test_a_mask_in_a_buffer_is_settled_for_a_format_and_followed_by_pruning() -> None:
    module, x = Keeps(OWN["mask"]).eval(), torch.randn(1, 4, 6)
    settled = legal(module, (x,), "tflite")
    assert ["picks by masks" in line for line in settled.lines] == [True]
    assert torch.equal(settled.module(x), module(x))
    assert [part.name for part in parts.exported(module, (x,)).parts] == [""]


REACHED: dict[str, Callable[[Keeps, Tensor], Tensor]] = {
    "input": lambda _, x: x[:, x[0, :, 0] > 0],
    "written": lambda net, x: x[..., net.mask.clone().copy_(x[0, 0] > 0)],
    "a view written": lambda net, x: written(net.mask.clone(), x),
    "drawn": lambda net, x: x[..., torch.rand(6) > 0.5],
    "iterated": lambda net, x: x[:, next(iter(x[0, 0] > 0)).reshape(1).expand(4)],
}


def written(mask: Tensor, x: Tensor) -> Tensor:
    mask[:3] = x[0, 0, :3] > 0
    return x[..., mask]


@pytest.mark.parametrize("name", REACHED)
def test_what_inputs_reach_or_is_drawn_is_not_known(name: str) -> None:
    read = own_numbers.reads(Keeps(REACHED[name]).eval(), (torch.randn(2, 4, 6),), {})
    assert read.values
    assert read.values == [None] * len(read.values)


def test_what_depends_on_the_number_of_examples_is_not_known_where_that_is_open() -> None:
    module = Keeps(lambda _, x: x * (torch.arange(len(x)) > 0).nonzero().sum()).eval()
    first, second = (own_numbers.reads(module, (torch.randn(batch, 4, 6),), {}) for batch in (2, 4))
    assert first.where_equal(first).values == first.values
    assert first.where_equal(second).values == [None]
    traced = trace(Keeps(OWN["mask"]).eval(), (TensorSpec("x", (4, 6)),))
    assert traced(torch.ones(3, 4, 6)).shape == (3, 4, 4)
