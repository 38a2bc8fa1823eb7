"""Layers that have only some units of a group, units that have all of a layer, and what a model keeps of weights."""

from __future__ import annotations

import torch
from torch import nn

from edgebuild.nn.prune import units
from edgebuild.nn.prune.channels import inventory
from tests.nn.nets import Forward


def joined(net: Forward, x: torch.Tensor) -> torch.Tensor:
    """All channels of `narrow` meet one another, and four of `first`'s."""
    wide, narrow = net.first(x), net.narrow(x)
    narrow = narrow + narrow.roll(1, 1)
    return net.last(torch.relu(torch.cat([wide[:, :4] + narrow, wide[:, 4:]], 1))).mean((2, 3))


def test_what_would_take_all_of_a_layer_stays_and_the_rest_of_the_group_goes() -> None:
    net = Forward(joined, first=nn.Conv2d(3, 10, 1), narrow=nn.Conv2d(3, 4, 1), last=nn.Conv2d(10, 2, 1))
    stock = inventory(net.eval(), (torch.randn(1, 3, 4, 4),), (), 1)
    (only,) = stock.units
    assert (only.name, only.size) == ("first", 6)
    assert stock.unfollowed == {"narrow": "all of 'narrow.weight' would have to go with it"}


def beside(net: Forward, x: torch.Tensor) -> torch.Tensor:
    """`narrow` has two of the channels alone."""
    joined = torch.cat([net.narrow(x), net.first(x)], 1) + net.wide(x)
    return net.last(torch.relu(joined)).mean((2, 3))


def test_a_layer_with_some_of_the_units_keeps_one_however_unimportant() -> None:
    convolutions = {name: nn.Conv2d(3, width, 1) for name, width in (("first", 5), ("narrow", 2), ("wide", 7))}
    net = Forward(beside, **convolutions, last=nn.Conv2d(7, 2, 1)).eval()
    (one,) = inventory(net, (torch.randn(1, 3, 4, 4),), (), 1).units
    chosen = units.least([one], {one.name: torch.arange(7.0)}, {one.name: 2})
    assert chosen == [(one, [0, 2, 3, 4, 5])]


class Keeping(nn.Module):
    """Keeps what it makes of its weights until it is trained, as timm's LeViT does."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gain, self.last = nn.Linear(6, 8), nn.Parameter(torch.randn(8)), nn.Linear(8, 2)
        self.kept: dict[str, torch.Tensor] = {}

    def train(self, mode: bool = True) -> Keeping:
        if mode:
            self.kept = {}
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training or "gain" not in self.kept:
            self.kept["gain"] = self.gain * 2
        logits: torch.Tensor = self.last(self.first(x) * self.kept["gain"])
        return logits


def test_what_a_model_keeps_of_its_weights_is_made_anew() -> None:
    net, x = Keeping().eval(), torch.randn(3, 6)
    before = net(x)
    stock = inventory(net, (x,), (), 1)
    assert torch.equal(net(x), before)
    (one,) = stock.units
    net.first.train()
    stock.remove(net, [(one, [0, 3])])
    assert net(x).shape == (3, 2)
    assert (net.training, net.first.training) == (False, True)
