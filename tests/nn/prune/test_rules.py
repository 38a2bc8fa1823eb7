"""Channels go through operators that take each by itself, or only add them up, and silent ones are as if gone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebuild.nn.prune.channels import inventory
from tests.nn import nets
from tests.nn.nets import lively


def rows_written(net: nets.Forward, x: Tensor) -> Tensor:
    y = x.clone()
    y[:, :, 0] = 0
    y[:, :, 1:3, 1:3] = x[:, :, :2, :2]
    y[:, :, 3].zero_()
    return y


def places_added(net: nets.Forward, x: Tensor) -> Tensor:
    where = torch.tensor([0, 3, 3])
    return x.index_add(2, where, x[:, :, 1:4]).index_copy(3, where[:2], x[..., 1:3]).index_fill(2, where[:1], 0.0)


def places_apart(net: nets.Forward, x: Tensor) -> Tensor:
    y = torch.diff(x, dim=3, prepend=x[..., :1]) * torch.trapezoid(x, dim=2).unsqueeze(2)
    return y - x.flatten(2).quantile(0.5, dim=2)[:, :, None, None]


def waves(net: nets.Forward, x: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(x) * 2, s=x.shape[-2:])


def sampled(net: nets.Forward, x: Tensor) -> Tensor:
    grid = functional.affine_grid(torch.eye(2, 3)[None].expand(x.shape[0], -1, -1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def added_up(net: nets.Forward, x: Tensor) -> Tensor:
    like = functional.cosine_similarity(x, x.roll(1, 3), dim=1).unsqueeze(1)
    return functional.normalize(x, dim=1) * (x * x).sum(1, keepdim=True) * like


def in_buckets(net: nets.Forward, x: Tensor) -> Tensor:
    return x * torch.bucketize(x, torch.tensor([0.0, 1.0])).to(x.dtype)


@pytest.mark.parametrize(
    "code",
    [rows_written, places_added, places_apart, waves, sampled, added_up, in_buckets],
    ids=lambda code: code.__name__,
)
def test_channels_go_through(code: nets.Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    parts = {"first": nn.Conv2d(3, 8, 3, padding=1), "second": nn.Conv2d(8, 8, 1), "last": nn.Linear(8, 5)}
    net = lively(nets.Forward(lambda net, x: net.last(net.second(code(net, net.first(x))).mean((2, 3))), **parts))
    found = inventory(net, (torch.zeros(1, 3, 6, 6),), [], 1)
    assert [(one.name, len(one.members)) for one in found.units] == [("first", 8), ("second", 8)]
    found.remove(net, [(one, [0, 2, 5]) for one in found.units])
    assert net(torch.randn(2, 3, 6, 6)).isfinite().all()


class Paths(nn.Module):
    """Halves of a width that the code reckons from what it keeps, as selective kernels do."""

    def __init__(self) -> None:
        super().__init__()
        self.width = 8
        self.first, self.last = nn.Conv2d(3, 8, 1), nn.Linear(5, 2)
        self.paths = nn.ModuleList([nn.Conv2d(4, 5, 3), nn.Conv2d(4, 5, 1, padding=0)])

    def forward(self, x: Tensor) -> Tensor:
        halves = torch.split(self.first(x), self.width // len(self.paths), 1)
        y: Tensor = self.last(sum(path(half).mean((2, 3)) for path, half in zip(self.paths, halves, strict=True)))
        return y


def test_a_width_from_which_code_reckons_its_pieces_is_told_what_is_left() -> None:
    net = lively(Paths())
    found = inventory(net, (torch.zeros(1, 3, 6, 6),), [], 1)
    assert not found.unfollowed
    found.remove(net, [(one, [0]) for one in found.units if one.name == "first"])
    assert (net.width, net.paths[0].weight.shape[1]) == (6, 3)
    assert net(torch.randn(2, 3, 6, 6)).shape == (2, 2)


class Standardized(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        rows = self.weight.reshape(1, self.out_channels, -1)
        weight = functional.batch_norm(rows, None, None, training=True, momentum=0.0)
        return functional.conv2d(x, weight.reshape_as(self.weight), self.bias)


class Normalized(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, functional.normalize(self.weight, dim=1), self.bias)


def test_layers_whose_weights_are_computed_by_code_lose_channels_or_are_told() -> None:
    """They were in no list: what standardizes a weight takes all of its inputs, its outputs are free."""
    parts = [Standardized(8, 8, 1), Standardized(8, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Normalized(8, 8)]
    net = lively(nn.Sequential(nn.Conv2d(3, 8, 1), *parts, nn.ReLU(), nn.Linear(8, 5)))
    found = inventory(net, (torch.zeros(1, 3, 4, 4),), [], 1)
    assert [(one.name, len(one.members)) for one in found.units] == [("2", 8), ("5", 8)]
    assert {*found.unfollowed} == {"0", "1"}
    assert found.unfollowed["1"].startswith("it meets an axis of places in conv2d (test_rules.py:")
    found.remove(net, [(one, [0, 2]) for one in found.units])
    assert net(torch.randn(2, 3, 4, 4)).isfinite().all()
