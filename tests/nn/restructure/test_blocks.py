"""Residual blocks are found by what they do, whoever wrote them; how near they are to nothing is measured."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.restructure import blocks
from tests.nn.nets import Forward


def basic(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    parts = {"a": nn.Conv2d(inputs, outputs, 3, stride, 1), "n": nn.BatchNorm2d(outputs)}
    if stride > 1:
        return Forward(lambda m, x: torch.relu(m.n(m.a(x)) + m.s(x)), s=nn.Conv2d(inputs, outputs, 1, stride), **parts)
    return Forward(lambda m, x: torch.relu(m.n(m.a(x)) + x), **parts)


def inverted(width: int) -> nn.Module:
    """As torchvision writes it: the sum is in the block, what it adds in a sequence."""
    return Forward(
        lambda m, x: x + m.conv(x),
        conv=nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.ReLU6(), nn.Conv2d(2 * width, width, 1)),
    )


def attentive(width: int) -> nn.Module:
    def forward(m: Forward, x: Tensor) -> Tensor:
        y = m.norm1(x)
        x = x + m.attention(y, y, y, need_weights=False)[0]
        return x + m.outer(nn.functional.gelu(m.inner(m.norm2(x))))

    return Forward(
        forward, norm1=nn.LayerNorm(width), norm2=nn.LayerNorm(width), inner=nn.Linear(width, width),
        outer=nn.Linear(width, width), attention=nn.MultiheadAttention(width, 2, batch_first=True),
    )  # fmt: skip


PICTURE = (torch.zeros(1, 3, 8, 8),)


def test_blocks_that_keep_the_size_are_found_in_order_and_others_are_not() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1), basic(8, 8), basic(8, 16, 2), nn.Sequential(inverted(16), basic(16, 16))
    )
    assert blocks.residual(net, PICTURE) == ["1", "3.0", "3.1"]
    assert blocks.residual(net, PICTURE, net[3].modules()) == ["1"]


def test_a_transformers_blocks_are_found_through_both_of_their_sums() -> None:
    net = nn.Sequential(nn.Linear(4, 8), attentive(8), attentive(8))
    assert blocks.residual(net, (torch.zeros(1, 5, 4),)) == ["1", "2"]


def test_what_adds_nothing_or_is_used_twice_is_no_block() -> None:
    shared = basic(3, 3)
    twice = Forward(lambda m, x: m.a(m.b(x)), a=shared, b=shared)
    plain = nn.Sequential(nn.Conv2d(3, 3, 3, 1, 1), nn.ReLU())
    scaled = Forward(lambda m, x: m.c(x) + 2 * x, c=nn.Conv2d(3, 3, 1))
    for net in (twice, nn.Sequential(plain), nn.Sequential(scaled)):
        assert blocks.residual(net, PICTURE) == []


def test_a_block_that_does_nothing_agrees_wholly_and_one_that_turns_its_input_does_not() -> None:
    torch.manual_seed(0)
    still, turning = inverted(4), inverted(4)
    for value in still.parameters():
        value.data.zero_()
    turning.get_parameter("conv.2.weight").data *= 30
    x = [(torch.rand(16, 4, 5, 5) + 0.1,) for _ in range(2)]
    found = blocks.agreements(nn.Sequential(still, turning), ["0", "1"], x)
    assert found["0"].cosine == pytest.approx(1)
    assert found["0"].cka == pytest.approx(1)
    assert max(found["1"].cosine, found["1"].cka) < 0.95


def test_cka_is_that_of_all_rows_at_once() -> None:
    torch.manual_seed(1)
    layer = Forward(lambda m, x: x + m.a(x), a=nn.Linear(6, 6))
    x = torch.randn(20, 3, 6)
    found = blocks.agreements(nn.Sequential(layer), ["0"], [(x[:8],), (x[8:],)])["0"]
    a, b = (rows - rows.mean(0) for rows in (x.reshape(-1, 6).double(), layer(x).detach().reshape(-1, 6).double()))
    wanted = (a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
    assert found.cka == pytest.approx(float(wanted), rel=1e-6)
