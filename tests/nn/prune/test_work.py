"""Layers as what their time depends on: shapes of one example, whatever batch a model is traced with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgebuild.nn.prune.work import LayerWork, layer_work
from edgebuild.spec.evidence import LayerShape


class Mixed(nn.Module):
    """Every kind of layer that is priced."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding="same", groups=8, dilation=2)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.gru = nn.GRU(6, 5, batch_first=True)
        self.bare = nn.Parameter(torch.randn(5, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.up(self.deep(self.wide(x))).flatten(2).transpose(1, 2)
        return self.head(self.gru(rows)[0] @ self.bare).mean(1)


def test_every_layer_has_its_shape_and_its_axes() -> None:
    found = {one.parameter: one for one in layer_work(Mixed().eval(), (torch.zeros(1, 3, 8, 8),))}
    deep = LayerShape("convolution", 8, 8, (4, 4), 8, (3, 3), (1, 1), (2, 2), (2, 2))
    up = LayerShape("transposed", 8, 6, (4, 4), 1, (2, 2), (2, 2), (0, 0), (1, 1))
    wide = LayerShape("convolution", 3, 8, (8, 8), 1, (3, 3), (2, 2), (1, 1), (1, 1))
    assert found == {
        "wide.weight": LayerWork("wide.weight", 0, 1, wide),
        "deep.weight": LayerWork("deep.weight", 0, 1, deep),
        "up.weight": LayerWork("up.weight", 1, 0, up),
        "gru.weight_ih_l0": LayerWork("gru.weight_ih_l0", 0, 1, LayerShape("product", 6, 15, (64,))),
        "gru.weight_hh_l0": LayerWork("gru.weight_hh_l0", 0, 1, LayerShape("product", 5, 15, (64,))),
        "bare": LayerWork("bare", 1, 0, LayerShape("product", 5, 4, (64,))),
        "head.weight": LayerWork("head.weight", 0, 1, LayerShape("product", 4, 2, (64,))),
    }
    assert [wide.macs, deep.macs, up.macs] == [16 * 8 * 27, 16 * 8 * 9, 16 * 8 * 6 * 4]
    assert found["head.weight"].shape.macs == 64 * 8


def test_a_layer_that_runs_twice_counts_twice() -> None:
    layer = nn.Linear(4, 4)
    assert len(layer_work(nn.Sequential(layer, nn.ReLU(), layer).eval(), (torch.zeros(1, 4),))) == 2


def test_shapes_do_not_depend_on_weights() -> None:
    one, other = (layer_work(Mixed().eval(), (torch.zeros(1, 3, 8, 8),)) for _ in range(2))
    assert one == other
