"""What goes together, found by execution; what stays, with the operator and the line that keep it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebuild.nn.prune.channels import inventory
from edgebuild.nn.prune.dependencies import Group, dependencies
from tests.nn.hard_nets import NETS
from tests.nn.nets import Forward, lively

ROWS = (torch.zeros(1, 6, 8),)


def places(group: Group, parameter: str, axis: int = 0) -> list[tuple[int, ...]]:
    return [*next(one.places for one in group.members if (one.parameter, one.axis) == (parameter, axis))]


def groups(name: str) -> dict[str, Group]:
    make, shape = NETS[name]
    found = dependencies(lively(make()), (torch.zeros(1, *shape),))
    return {group.name: group for group in found.groups}


def test_what_a_padded_shortcut_joins_goes_and_what_is_padded_stays() -> None:
    stem = groups("option A")["stem.0"]
    assert places(stem, "stem.0.weight") == [(k,) for k in range(16)]
    assert places(stem, "blocks.2.conv2.0.weight") == [(8 + k,) for k in range(16)]
    assert places(stem, "head.weight", 1) == [(8 + k,) for k in range(16)]


def test_channels_go_to_wherever_they_were_moved() -> None:
    assert places(groups("subpixel")["wide"], "wide.weight") == [tuple(range(4 * k, 4 * k + 4)) for k in range(8)]
    assert places(groups("doubled")["stem.0"], "twice.0.weight", 1) == [(k, 16 + k) for k in range(16)]
    assert places(groups("doubled")["stem.0"], "dense.0.weight", 1) == [(24 + k,) for k in range(16)]
    assert places(groups("gain")["first"], "places", 1) == [(k,) for k in range(16)]
    assert places(groups("gain")["second"], "head.weight", 1) == [tuple(range(4 * k, 4 * k + 4)) for k in range(32)]


def test_gates_and_states_of_a_recurrent_layer_go_together() -> None:
    lstm = groups("recurrent")["lstm"]
    gates = [tuple(16 * gate + k for gate in range(4)) for k in range(16)]
    assert places(lstm, "lstm.weight_ih_l0") == places(lstm, "lstm.bias_hh_l0") == gates
    assert places(lstm, "lstm.weight_hh_l0", 1) == places(lstm, "inner.weight", 1) == [(k,) for k in range(16)]


MIXED = {
    "cumsum": (lambda x: x.cumsum(-1), "cumsum (nets.py:26) takes all of them together"),
    "softmax": (lambda x: x.softmax(-1), "softmax (nets.py:26) takes all of them together"),
    "own mean": (lambda x: x - x.mean(-1, keepdim=True), "mean (nets.py:26) takes all of them together"),
    "constant": (lambda x: x * torch.arange(12.0), "it meets what arange (nets.py:26) makes in mul (nets.py:26)"),
    "unknown": (lambda x: x.masked_scatter(x > 0, x.exp()), "masked_scatter (nets.py:26) cannot be followed"),
    "data": (lambda x: x.gather(2, x.argsort(2)), "argsort (nets.py:26) takes all of them together"),
}


@pytest.mark.parametrize("kind", MIXED)
def test_what_mixes_channels_keeps_them_and_is_named_with_the_line_of_the_module(kind: str) -> None:
    run, told = MIXED[kind]
    net = Forward(lambda net, x: net.head(run(net.first(x))), first=nn.Linear(8, 12), head=nn.Linear(12, 2))
    found = dependencies(net.eval(), ROWS)
    assert found.groups == ()
    assert found.protected == {"first": told, "head": "it makes an output"}


class Tied(nn.Module):
    """[N, 6] numbers of words -> [N, 6, 20]; what embeds them also tells them."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(20, 12), nn.Parameter(torch.randn(6, 12))
        self.inner, self.outer, self.tell = nn.Linear(12, 16), nn.Linear(16, 12), nn.Linear(12, 20, bias=False)
        self.tell.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.words(x) + self.places
        return self.tell(x + self.outer(torch.relu(self.inner(x))))


def test_embeddings_positions_and_tied_weights_lose_channels_once() -> None:
    net, example = Tied().eval(), (torch.zeros(1, 6, dtype=torch.long),)
    found = inventory(net, example, [], 1)
    assert {one.name: len(one.members) for one in found.units} == {"words": 12, "inner": 16}
    found.remove(net, [(one, range(4)) for one in found.units])
    assert net.tell.weight is net.words.weight
    assert (net.words.weight.shape, net.places.shape, net.words.embedding_dim) == ((20, 8), (6, 8), 8)
    assert net(torch.zeros(3, 6, dtype=torch.long)).shape == (3, 6, 20)


class Sized(nn.Module):
    """[N, 6, 8] -> [N, 2]; heads that are as many as their places, and widths of pieces in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.deep, self.parts = 4, 4, [5, 7]
        self.q, self.k, self.v, self.out = (nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 12))
        self.low, self.high = nn.Linear(5, 2), nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).view(-1, 6, self.heads, self.deep).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = functional.softmax(q @ k.transpose(2, 3) / math.sqrt(self.deep), -1) @ v
        low, high = self.out(y.transpose(1, 2).reshape(-1, 6, self.heads * self.deep).mean(1)).split(self.parts, -1)
        return self.low(low) + self.high(high)


def test_sizes_are_corrected_in_the_attribute_that_holds_them() -> None:
    net = Sized().eval()
    found = inventory(net, ROWS, [], 1)
    (heads,) = (one for one in found.units if one.noun == "heads")
    (out,) = (one for one in found.units if one.name == "out")
    found.remove(net, [(heads, [1]), (out, [0, 5, 6])])
    assert (net.heads, net.deep, net.parts) == (3, 4, [4, 5])
    assert net(torch.randn(3, 6, 8)).shape == (3, 2)


def test_groups_of_a_convolution_go_whole_where_they_are_more_than_their_places() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, groups=16), nn.GroupNorm(16, 32), nn.Flatten(),
        nn.Linear(32 * 4, 2),
    ).eval()  # fmt: skip
    found = inventory(net, (torch.zeros(1, 3, 4, 4),), [], 8)
    ((name, count, multiple),) = [(one.name, len(one.members), one.multiple) for one in found.units]
    assert (name, count, multiple) == ("0", 16, 4)  # two channels a group: four groups are eight channels
    found.remove(net, [(found.units[0], range(4))])
    assert (net[2].groups, net[2].in_channels, net[3].num_groups, net[3].num_channels) == (12, 24, 12, 24)
    assert net(torch.randn(2, 3, 4, 4)).shape == (2, 2)
