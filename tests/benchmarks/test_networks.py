"""The networks that published figures are of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks._networks import MAKERS, shape


def multiply_accumulates(net: nn.Module, size: tuple[int, ...]) -> int:
    """Of its convolutions and linear layers, for one input of this size; nothing is computed."""
    counts = list[int]()

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        counts.append(output.numel() * layer.weight[0].numel())

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    net.to("meta").eval()(torch.empty(1, *size, device="meta"))
    return sum(counts)


@pytest.mark.parametrize(
    ("name", "macs"),
    [  # of the files in ncnn's benchmark, by their kernels and shapes; the last two as the papers have them
        ("v1", 568_740_352),
        ("v2-expanded", 313_619_328),
        ("v3-large-first", 245_564_768),
        ("v2", 300_774_272),
        ("v3-large", 216_589_760),
    ],
)
def test_a_network_has_the_multiply_accumulates_of_the_one_that_was_measured(name: str, macs: int) -> None:
    assert multiply_accumulates(MAKERS[name](), shape(name)) == macs
