"""Widths by what they cost and harm: curves are read as they were measured, and what saves nothing is not taken."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.prune import knapsack
from edgebuild.nn.prune.channels import inventory
from edgebuild.nn.prune.cost import Cost, Curve, widths
from edgebuild.nn.prune.work import layer_work
from edgebuild.spec.evidence import LayerShape, Width, WidthCurve

MULTIPLE = 8


class Chain(nn.Module):
    """Three layers of which two are groups of 32 and 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 32), nn.Linear(32, 64), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.second(self.first(x).relu()).relu())
        return result


def cost(curves: Mapping[LayerShape, Curve] | None = None) -> Cost:
    net, example = Chain().eval(), (torch.zeros(1, 4),)
    work = layer_work(net, example)
    lengths = {name: tuple(value.shape) for name, value in net.named_parameters()}
    stock = inventory(net, example, (), MULTIPLE)
    known = curves or {one.shape: Curve.of_operations(one.shape) for one in work}
    return Cost(work, stock.units, lengths, [known])


def test_operations_fall_with_outputs_and_inputs() -> None:
    whole = 4 * 32 + 32 * 64 + 64 * 3
    assert cost().share({}) == pytest.approx(1)
    assert cost().share({"first": 16, "second": 8}) == pytest.approx((4 * 16 + 16 * 8 + 8 * 3) / whole)
    assert cost().saved({"first": 16}, "second", 32) == pytest.approx((16 * 32 + 32 * 3) / whole)


def test_a_curve_is_read_as_it_was_measured_and_by_straight_lines_between() -> None:
    shape = LayerShape("product", 32, 64, (1,))
    outputs = (Width(8, 1e-6), Width(16, 4e-6), Width(64, 8e-6))
    curve = Curve.measured(WidthCurve(shape, outputs, (Width(16, 6e-6), Width(32, 8e-6))))
    assert [curve.at(width / 64, 1) for width in (8, 16, 40, 64)] == pytest.approx([1e-6, 4e-6, 6e-6, 8e-6])
    assert curve.at(16 / 64, 0.5) == pytest.approx(4e-6 * 6 / 8)


def test_a_narrow_layer_is_measured_at_every_multiple_and_a_wide_one_at_eight_widths() -> None:
    assert widths(32, 8) == (8, 16, 24, 32)
    assert widths(10, 8) == (8, 10)
    assert widths(3, 8) == (3,)
    assert widths(64, 8) == (8, 16, 24, 32, 40, 48, 56, 64)
    assert len(widths(512, 8)) <= 8
    assert all(width % 8 == 0 for width in widths(520, 8))


def flat(harm: float) -> dict[int, float]:
    return {width: harm * (32 - width) / 8 for width in (8, 16, 24, 32)}


def test_a_step_that_does_not_change_the_time_is_not_taken() -> None:
    """A kernel that takes sixteen at a time: 24 cost what 32 do, and 8 what 16 do, however little they would harm."""
    stairs = tuple(Width(width, seconds) for width, seconds in ((8, 5e-6), (16, 5e-6), (24, 9e-6), (32, 9e-6)))
    nothing = Curve(0.0, ((0.0, 0.0), (1.0, 1.0)), ((0.0, 0.0), (1.0, 1.0)))
    first = LayerShape("product", 4, 32, (1,))
    curves = {one.shape: nothing for one in layer_work(Chain().eval(), (torch.zeros(1, 4),))}
    curves[first] = Curve.measured(WidthCurve(first, stairs, ()))
    harm = {"first": flat(1.0), "second": {8: 0.0, 64: 0.0}}
    assert knapsack.choose(cost(curves), harm, 0.9) == {"first": 16, "second": 64}
    assert knapsack.least(cost(curves), harm) == pytest.approx(5 / 9)


def test_the_layer_that_harms_least_for_what_it_saves_goes_first() -> None:
    harm = {"first": flat(10.0), "second": {width: (64 - width) / 64 for width in range(8, 72, 8)}}
    stay = knapsack.choose(cost(), harm, 0.6)
    assert stay["first"] == 32
    assert cost().share(stay) <= 0.6 < cost().share(stay | {"second": stay["second"] + 8})


@pytest.mark.parametrize("seed", range(6))
def test_the_choice_is_nearly_the_best_of_all(seed: int) -> None:
    draw = random.Random(seed)
    harm = {
        name: knapsack.convex({width: draw.random() * (size - width) / size for width in range(8, size + 8, 8)})
        for name, size in (("first", 32), ("second", 64))
    }
    known, share = cost(), draw.uniform(0.3, 0.8)
    every = [dict(zip(harm, pair, strict=True)) for pair in itertools.product(*harm.values())]

    def total(stay: Mapping[str, int]) -> float:
        return sum(harm[name][width] for name, width in stay.items())

    best = min(total(stay) for stay in every if known.share(stay) <= share)
    chosen = knapsack.choose(known, harm, share)
    assert known.share(chosen) <= share
    assert total(chosen) <= 1.25 * best


def test_what_a_model_that_answers_by_chance_loses_is_not_free() -> None:
    """Measured harm levels off at chance, so that the last channels would go first."""
    bent = knapsack.convex({32: 0.0, 24: 0.5, 16: 2.5, 8: 2.5})
    assert bent == pytest.approx({32: 0.0, 24: 0.5, 16: 2.5, 8: 4.5})


def test_harm_between_measured_widths_is_read_by_straight_lines_and_never_below_none() -> None:
    between = knapsack.interpolated({0.25: -0.1, 0.75: 1.0}, 32, [8, 16, 24, 32])
    assert between == pytest.approx({32: 0.0, 24: 0.0, 16: 0.5, 8: 1.0})
