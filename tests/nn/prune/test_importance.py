"""Criteria for channels, worked out by hand on one small network: two convolutions, batch norm and a linear layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.prune import importance
from edgebuild.nn.prune.channels import inventory
from edgebuild.nn.prune.dependencies import dependencies
from edgebuild.nn.train import losses
from edgebuild.spec.errors import UsageError
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head


class Net(nn.Module):
    """[N, 2, 4, 4] -> [N, 2]; `first` has three channels, of which the head reads four places each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        self.head = nn.Linear(12, 2)
        self.norm.weight.data = torch.tensor([0.5, -2.0, 0.1])
        self.norm.bias.data = torch.tensor([0.1, -0.4, 1.0])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.first(x))).flatten(1))


CLASSES = Head("output", "classification")
DATA = Split((np.random.default_rng(0).normal(size=(96, 2, 4, 4)).astype(np.float32),), (np.arange(96) % 2,))


def score(name: importance.Name, norm: int = 2) -> Tensor:
    net = Net().eval()
    subject = importance.Subject(net, lambda: DATA, lambda: losses.supervised([CLASSES]), norm, 0)
    (units,) = inventory(net, (torch.zeros(1, 2, 4, 4),), [], 1).units
    found = units.scores(importance.criterion(name, subject))
    assert found is not None
    return found.detach()


def activations() -> Tensor:
    net = Net().eval()
    return torch.relu(net.norm(net.first(torch.from_numpy(DATA.inputs[0])))).detach()


def relative(parts: list[Tensor]) -> Tensor:
    found = torch.stack(parts).mean(0)
    return (found / found.mean()).detach()


@pytest.mark.parametrize("norm", [1, 2])
def test_magnitude_is_the_norm_of_what_makes_scales_and_reads_a_channel(norm: int) -> None:
    net = Net()
    parts = [
        net.first.weight.abs().pow(norm).sum((1, 2, 3)),
        net.norm.weight.abs().pow(norm),
        net.head.weight.abs().pow(norm).reshape(2, 3, 4).sum((0, 2)),
    ]
    assert torch.allclose(score("magnitude", norm), relative(parts), rtol=1e-5)


def test_taylor_is_the_sum_of_weights_times_gradients_of_batches() -> None:
    net = Net().eval()
    slopes = []
    for start in (0, 32, 64):
        x, labels = (
            torch.from_numpy(DATA.inputs[0][start : start + 32]),
            torch.from_numpy(DATA.labels[0])[start : start + 32],
        )
        loss = nn.functional.cross_entropy(net(x), labels)
        slopes.append(torch.autograd.grad(loss, [net.first.weight, net.head.weight]))
    conv, head = (
        weight.abs() * torch.stack([slope[k].abs() for slope in slopes]).mean(0)
        for k, weight in enumerate((net.first.weight, net.head.weight))
    )
    parts = [conv.sum((1, 2, 3)), head.reshape(2, 3, 4).sum((0, 2))]  # not of norms
    assert torch.allclose(score("taylor"), relative(parts), rtol=1e-4)


def test_batch_norm_is_the_absolute_scale() -> None:
    assert torch.allclose(score("batch_norm"), torch.tensor([0.5, 2.0, 0.1]))


class Fixed(nn.Module):
    """[N, 2, 4, 4] -> [N, 2], by way of a filter that is a buffer, as wavelets are."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(2, 3, 3), nn.Linear(6, 2)
        self.register_buffer("filter", torch.tensor([1.0, -0.5]).repeat(3).view(6, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.conv2d(self.first(x), self.get_buffer("filter"), groups=3)
        return self.head(y.amax((2, 3)))


@pytest.mark.parametrize("name", ["magnitude", "taylor"])
def test_weights_that_nobody_learns_are_no_parameters(name: importance.Name) -> None:
    net = Fixed().eval()
    subject = importance.Subject(net, lambda: DATA, lambda: losses.supervised([CLASSES]), 2, 0)
    (units,) = inventory(net, (torch.zeros(1, 2, 4, 4),), [], 1).units
    assert units.scores(importance.criterion(name, subject)) is not None


def test_apoz_is_one_minus_the_share_of_zeros() -> None:
    zeros = (activations() == 0).float().mean((0, 2, 3))
    assert zeros.max() > 0.5
    assert torch.allclose(score("apoz"), 1 - zeros, atol=1e-6)


def test_mean_activation_is_relative_to_the_groups_mean() -> None:
    means = activations().abs().mean((0, 2, 3))
    assert torch.allclose(score("mean_activation"), means / means.mean(), rtol=1e-5)


def test_random_is_between_zero_and_one_and_follows_the_seed() -> None:
    torch.manual_seed(1)
    found = score("random")
    assert len({*found.tolist()}) == 3
    assert 0 <= found.min() < found.max() < 1


def group(strength: Tensor) -> Tensor | None:
    """The stability of channels whose strength on each example is given: a network of one layer that reads them."""
    net = nn.Sequential(nn.Linear(2, strength.shape[1]), nn.Linear(strength.shape[1], 2))
    (units,) = inventory(net, (torch.zeros(1, 2),), [], 1).units

    def seen(module: nn.Module, data: Split) -> importance.Activations:
        return importance.Activations({net[1]: strength}, {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "observe", seen)
        subject = importance.Subject(net, lambda: DATA, lambda: losses.supervised([CLASSES]), 2, 0)
        return importance.stability(subject)(units.group)


def test_a_channel_whose_rank_depends_on_the_draw_is_the_first_to_go() -> None:
    torch.manual_seed(0)
    steady = [torch.full((50,), level) for level in (1.0, 2.0, 3.0, 4.0, 5.0)]
    fickle = torch.zeros(50)
    fickle[:3] = 48.0  # 2.9 on average, by three examples alone
    found = group(torch.stack([*steady, fickle], 1))
    assert found is not None
    assert found.argmin() == 5
    assert found[4] > found[2]  # nothing comes near the strongest


def test_what_a_group_does_not_have_gives_no_score() -> None:
    net = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 2))
    data = Split((np.ones((8, 4), np.float32),), (np.zeros(8, np.int64),))
    subject = importance.Subject(net, lambda: data, lambda: losses.supervised([CLASSES]), 2, 0)
    (units,) = inventory(net, (torch.zeros(1, 4),), [], 1).units
    for name in ("batch_norm", "apoz"):
        assert units.scores(importance.criterion(name, subject)) is None  # type: ignore[arg-type]
    assert units.scores(importance.criterion("mean_activation", subject)) is not None


def test_layers_that_no_gradient_reaches_are_refused() -> None:
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    net[0].bias.data[:] = -100  # no unit ever fires
    data = Split((np.ones((8, 4), np.float32),), (np.zeros(8, np.int64),))
    subject = importance.Subject(net, lambda: data, lambda: losses.supervised([CLASSES]), 2, 0)
    (units,) = inventory(net, (torch.zeros(1, 4),), [], 1).units
    with pytest.raises(UsageError, match="criterion: the loss does not depend on '0'"):
        units.scores(importance.criterion("taylor", subject))


class Halves(nn.Module):
    """[N, 4] -> [N, 2]; each half of `first` is read by a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.first, self.low, self.high = nn.Linear(4, 6), nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        low, high = torch.relu(self.first(x)).chunk(2, 1)
        return self.low(low) + self.high(high)


@pytest.mark.parametrize("name", ["magnitude", "taylor", "apoz", "mean_activation", "stability"])
def test_readers_of_a_part_count_for_the_channels_that_they_read(name: importance.Name) -> None:
    net, x = Halves().eval(), np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    data = Split((x,), (np.arange(64) % 2,))
    subject = importance.Subject(net, lambda: data, lambda: losses.supervised([CLASSES]), 1, 0)
    (units,) = inventory(net, (torch.zeros(1, 4),), [], 1).units
    assert [*units.members] == [(0, 3), (1, 4), (2, 5)]  # so that both halves stay of one size
    found = units.scores(importance.criterion(name, subject))
    assert found is not None
    assert bool(found.isfinite().all())
    values = torch.relu(net.first(torch.from_numpy(x))).detach()
    read = torch.cat([layer.weight.detach().abs().sum(0) for layer in (net.low, net.high)])
    wanted = {
        "magnitude": (net.first.weight.detach().abs().sum(1) + read) / 2,
        "mean_activation": values.mean(0),
        "apoz": 1 - (values == 0).float().mean(0),
    }.get(name)
    if wanted is not None:
        wanted = wanted.view(2, 3).mean(0)
        given = found if name == "apoz" else found * wanted.mean() / found.mean()
        assert torch.allclose(given, wanted, rtol=1e-4)


class Passed(nn.Module):
    """[N, 4] -> [N, 2]; of what `first` makes, `low` reads four channels and nothing the other two."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.low = nn.Linear(4, 6), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.low(self.first(x)[:, :4])


def test_channels_that_no_layer_reads_are_left_unsaid() -> None:
    net = Passed().eval()
    (group,) = dependencies(net, (torch.zeros(1, 4),)).groups
    assert importance._by_unit(net, group, {net.low: torch.rand(8, 4)}) is None


def test_an_importance_that_is_no_number_is_refused_with_the_layer() -> None:
    net = Halves().eval()
    (units,) = inventory(net, (torch.zeros(1, 4),), [], 1).units
    with pytest.raises(UsageError, match="criterion: the importance of 1 channels of 'first' is not finite"):
        units.scores(lambda group: torch.tensor([1, float("nan"), 3]))
