"""A model that torch.export refuses is pruned inside of the parts that it takes."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn

from edgebuild.nn.prune.channels import inventory, remarks
from edgebuild.nn.prune.work import layer_work
from tests.nn.nets import lively


class Branching(nn.Module):
    """What becomes of the features depends on what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 6, 1),
            nn.ReLU(),
            nn.Conv2d(6, 4, 1),
        )
        self.heads = nn.ModuleList([nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2)) for _ in range(2)])
        self.last = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.backbone(x).mean((2, 3))
        if y.sum() > 0:
            y = -y
        for head in self.heads:
            last: Tensor = self.last(head(y))
        return last


def test_the_largest_parts_that_can_be_exported_lose_channels_inside() -> None:
    net, example = lively(Branching()).eval(), (torch.randn(1, 3, 6, 6),)
    stock = inventory(net, example, (), 1)
    assert {(one.name, one.size) for one in stock.units} == {
        ("backbone.0", 8), ("backbone.3", 6), ("heads.0.0", 5), ("heads.1.0", 5),
    }  # fmt: skip
    stock.remove(net, [(one, [0, 2]) for one in stock.units])
    shapes = [net.get_parameter(f"{name}.weight").shape[:2] for name in ("backbone.0", "backbone.3", "heads.1.1")]
    assert shapes == [(6, 3), (4, 6), (2, 3)]
    assert net(torch.randn(3, 3, 6, 6)).shape == (3, 2)


def test_the_rest_is_named_with_the_line_that_is_in_the_way() -> None:
    stock = inventory(Branching(), (torch.randn(1, 3, 6, 6),), (), 1)
    line = inspect.getsourcelines(Branching.forward)[1] + 2
    outside, *others = remarks(stock.unfollowed)
    assert outside.startswith("'all but backbone, heads.0, heads.1' stays whole: it cannot be exported: ")
    assert outside.endswith(f"(test_inexportable.py:{line})")
    assert others == [
        f"{name!r} stays whole: it leaves {part!r}, around which nothing can be exported"
        for name, part in (("backbone.5", "backbone"), ("heads.0.1", "heads.0"), ("heads.1.1", "heads.1"))
    ]


def test_work_is_that_of_the_parts() -> None:
    work = layer_work(Branching(), (torch.randn(1, 3, 6, 6),))
    assert [one.parameter for one in work] == [
        f"{name}.weight"
        for name in ("backbone.0", "backbone.3", "backbone.5", "heads.0.0", "heads.0.1", "heads.1.0", "heads.1.1")
    ]
    assert [one.shape.places for one in work] == [(6, 6)] * 3 + [(1,)] * 4
