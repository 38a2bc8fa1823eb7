"""Depthwise-separable convolutions: exact with all kernels, the nearest with fewer; and which are chosen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebuild.nn.prune.sensitivity import Quality
from edgebuild.nn.restructure import choice, decoupling, swaps
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import LayerShape


def decoupled(layer: nn.Module, kernels: int) -> nn.Module:
    part = swaps.built(layer, Swap("it", "separable", (kernels,)))
    decoupling.fill(part, layer)
    return part


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 12, 3, 2, 1), nn.Conv2d(4, 12, (1, 5), padding="same", bias=False)], ids=str
)
def test_with_as_many_kernels_as_points_nothing_is_lost(layer: nn.Conv2d) -> None:
    x = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    points = layer.weight[0, 0].numel()
    assert torch.allclose(decoupled(layer, points)(x), layer(x), atol=1e-5)
    assert decoupling.lost(layer, points) == pytest.approx(0, abs=1e-12)


def test_a_separable_kernel_needs_one_and_what_is_lost_is_the_rest_of_the_squares() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 5, 3)
    layer.weight.data = torch.einsum("oc,chw->ochw", torch.randn(5, 3), torch.randn(3, 3, 3))
    x = torch.randn(1, 3, 6, 6)
    assert torch.allclose(decoupled(layer, 1)(x), layer(x), atol=1e-5)
    layer.weight.data = torch.randn(5, 3, 3, 3)
    space, points = (part.get_parameter("weight").detach() for part in decoupled(layer, 1).children())
    near = torch.einsum("oc,chw->ochw", points[:, :, 0, 0], space[:, 0])
    lost = float((near - layer.weight.detach()).square().sum() / layer.weight.detach().square().sum())
    assert decoupling.lost(layer, 1) == pytest.approx(lost, rel=1e-5)


def test_multiplications_are_those_of_both_parts() -> None:
    whole = LayerShape("convolution", 16, 32, (12, 12), 1, (3, 3), (1, 1), (0, 0), (1, 1))
    assert whole.macs == 100 * 9 * 16 * 32
    assert sum(one.macs for one in decoupling.form(whole, 1)) == 100 * 16 * (9 + 32)
    assert sum(one.macs for one in decoupling.form(whole, 2)) == 2 * 100 * 16 * (9 + 32)


def test_the_least_harm_for_what_is_saved_goes_first_and_what_is_not_needed_comes_back() -> None:
    saved, harm = {"a": 10, "b": 40, "c": 30}, {"a": 0.1, "b": 0.8, "c": 0.9}
    assert choice.for_share(saved, harm, 100, 0.95) == ["a"]
    assert choice.for_share(saved, harm, 100, 0.6) == ["b"]  # a first, then b, and with b alone it is enough
    assert choice.for_share(saved, harm, 100, 0.1) == ["a", "b", "c"]


def test_a_budget_takes_each_that_still_fits_and_is_refused_where_none_does() -> None:
    cost = {"a": 0.02, "b": 0.2, "c": 0.01}

    def trial(names: object) -> Quality:
        return Quality(0.9 - sum(cost[name] for name in names), 1.0)  # type: ignore[attr-defined]

    assert choice.within(["a", "b", "c"], 0.035, trial)[0] == ["a", "c"]
    with pytest.raises(UsageError, match=r"nothing can change within 0.5 pp: what costs least costs 1 pp"):
        choice.within(["a", "b", "c"], 0.005, trial)
