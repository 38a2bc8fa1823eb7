"""Channels go through operators that take each by itself, or only add them up, and silent ones are as if gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebuild.nn.prune.channels import inventory
from tests.nn import nets
from tests.nn.nets import lively

Code = Callable[[nets.Forward, Tensor], Tensor]


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


def cut(net: nets.Forward, x: Tensor) -> Tensor:
    return torch.cat([x[:, :3] * 2, x[:, 3:]], 1)


def cut_in_three(net: nets.Forward, x: Tensor) -> Tensor:
    one, two, three = x.chunk(3, 1)
    return torch.cat([two, one, three * 2], 1)


@pytest.mark.parametrize("code", [cut, cut_in_three])
def test_channels_that_code_cuts_at_a_place_of_its_own_stay(code: nets.Callable[..., Tensor]) -> None:
    """One draw of channels may lie behind the place, or leave as many as make the same pieces; others do not."""
    parts = {"first": nn.Conv2d(3, 6, 1), "second": nn.Conv2d(6, 16, 1), "last": nn.Conv2d(16, 5, 1)}
    net = lively(nets.Forward(lambda net, x: net.last(code(net, net.second(net.first(x)))), **parts))
    found = inventory(net, (torch.zeros(1, 3, 4, 4),), [], 1)
    assert [one.name for one in found.units] == ["first"]
    assert {*found.unfollowed} == {"second"}


class Auxiliary(nn.Module):
    """A second head that trains with the first and is in no graph of evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
        self.beside, self.last = nn.Linear(8, 5), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        first = self.first(x).relu()
        answer: Tensor = self.last(self.second(first).mean((2, 3)))
        return (answer, self.beside(first.mean((2, 3)))) if self.training else answer


def test_channels_that_are_read_in_training_alone_stay() -> None:
    found = inventory(lively(Auxiliary()), (torch.zeros(1, 3, 4, 4),), [], 1)
    assert [one.name for one in found.units] == ["second"]
    assert found.unfollowed == {"first": "without some of its channels the model does not run in training mode"}


class Stepwise(nn.Module):
    """A cell that code repeats, from a state of zeros."""

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.first, self.cell, self.last = nn.Linear(5, 6), cell, nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in self.first(x).unbind(1):
            state = self.cell(step, state)
        y: Tensor = self.last(state[0] if isinstance(state, tuple) else state)
        return y


class Decoder(nn.Module):
    """Rows as pictures: how many channels these have is in a layer without weights."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(5, 6 * 4), nn.Unflatten(1, (6, 2, 2)))
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.rows(x[:, 0]))
        return y


class Stream(nn.Module):
    """The last places of a run are kept for the next."""

    kept: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 6), nn.Linear(6, 2)
        self.register_buffer("kept", torch.zeros(1, 2, 6))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.kept.expand(len(x), -1, -1), self.first(x).relu()], 1)
        self.kept.copy_(y[:1, -2:])
        answer: Tensor = self.last(y.amax(1))
        return answer


def translator() -> nn.Module:
    body = nn.Transformer(6, 2, 1, 1, 8, batch_first=True)
    parts = {"first": nn.Linear(5, 6), "body": body, "last": nn.Linear(6, 2)}
    return nets.Forward(lambda net, x: net.last(net.body(net.first(x), net.first(x))), **parts)


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (lambda: Stepwise(nn.GRUCell(6, 8)), ["first", "cell"]),
        (lambda: Stepwise(nn.LSTMCell(6, 8)), ["first", "cell"]),
        (Decoder, ["rows.0"]),
        (Stream, ["first"]),
        (translator, ["first"]),
    ],
    ids=["gru cell", "lstm cell", "unflatten", "kept", "transformer"],
)
def test_channels_that_code_counts_or_keeps_elsewhere_go(build: nets.Callable[[], nn.Module], names: list[str]) -> None:
    """Cells, sizes in layers without weights, and buffers that are written kept their layers whole."""
    torch.manual_seed(0)
    net = lively(build())
    found = inventory(net, (torch.zeros(1, 3, 5),), [], 1)
    units = {one.name: one for one in found.units}
    assert {*names} <= {*units}
    found.remove(net, [(units[name], [0]) for name in names])
    assert net(torch.randn(2, 3, 5)).isfinite().all()


def test_a_layer_that_no_rule_knows_is_named() -> None:
    """It was in no list: neither pruned nor said to stay."""
    parts = {"state": nn.LSTM(5, 8, proj_size=4, batch_first=True), "last": nn.Linear(4, 3)}
    net = lively(nets.Forward(lambda net, x: net.last(net.state(x)[0]), **parts))
    found = inventory(net, (torch.zeros(1, 3, 5),), [], 1)
    assert found.unfollowed["state"].startswith("lstm (")


def test_answers_that_are_truths_are_compared() -> None:
    parts = {"first": nn.Linear(5, 8), "last": nn.Linear(8, 3)}
    net = lively(nets.Forward(lambda net, x: net.last(net.first(x).relu()) > 0, **parts))
    assert [one.name for one in inventory(net, (torch.zeros(1, 5),), [], 1).units] == ["first"]


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (lambda net, x: x * (torch.arange(8).float().view(1, 8) / 8), "what arange ("),
        (lambda net, x: x * torch.tensor([2.0] * 8).view(1, 8), "a constant in the code"),
        (lambda net, x: x * torch.stack([torch.tensor(1.0 + k) for k in range(8)]), "what stack ("),
    ],
)
def test_channels_that_meet_numbers_of_the_code_are_told_which(code: Code, cause: str) -> None:
    """All these were "an axis of places", which says nothing of what to change."""
    net = lively(nn.Sequential(nn.Linear(4, 8), nets.Forward(code), nn.Linear(8, 3)))
    found = inventory(net, (torch.zeros(1, 4),), [], 1)
    assert found.unfollowed["0"].startswith(f"it meets {cause}")
