"""Factors of lower rank: exact where nothing is lost, the ranks of matrices whose rank is known, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgebuild.nn.restructure import ranks, swaps
from edgebuild.nn.restructure.swaps import Swap

LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (nn.Linear(12, 8), (3, 12)),
    (nn.Conv2d(6, 10, 1, 2), (1, 6, 9, 9)),
    (nn.Conv2d(6, 10, 3, (2, 1), 2, dilation=2, padding_mode="reflect"), (1, 6, 9, 9)),
    (nn.Conv1d(6, 10, 4, padding="same", bias=False), (1, 6, 9)),
]


def split(layer: Any, of: tuple[int, ...]) -> nn.Module:
    part = swaps.built(layer, Swap("it", "low_rank", of))
    ranks.fill(part, layer)
    return part


@pytest.mark.parametrize(("layer", "size"), LAYERS, ids=[str(layer) for layer, _ in LAYERS])
def test_at_full_rank_the_answers_are_the_same(layer: Any, size: tuple[int, ...]) -> None:
    x = torch.randn(*size, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(split(layer, ranks.full(layer))(x), layer(x), atol=1e-5)


def test_a_matrix_of_rank_two_needs_two_and_a_kernel_as_many_as_its_sides() -> None:
    torch.manual_seed(0)
    matrix, kernel = nn.Linear(16, 12), nn.Conv2d(16, 12, 3)
    matrix.weight.data = torch.randn(12, 2) @ torch.randn(2, 16)
    kernel.weight.data = torch.einsum(
        "op,iq,pqhw->oihw", torch.randn(12, 3), torch.randn(16, 4), torch.randn(3, 4, 3, 3)
    )
    assert ranks.by_energy(matrix, 0.999999, 1) == (2,)
    assert ranks.by_energy(kernel, 0.999999, 1) == (4, 3)  # inwards, outwards
    assert ranks.by_energy(kernel, 0.999999, 8) == (8, 8)
    x = torch.randn(2, 16, 5, 5)
    assert torch.allclose(split(kernel, (4, 3))(x), kernel(x), atol=1e-4)


def test_energy_is_the_share_of_squared_singular_values() -> None:
    layer = nn.Linear(3, 3)
    layer.weight.data = torch.diag(torch.tensor([3.0, 2.0, 1.0]))  # 9, 4 and 1 of 14
    assert [ranks.by_energy(layer, share, 1) for share in (9 / 14, 0.65, 13 / 14, 0.93)] == [(1,), (2,), (2,), (3,)]
    inward, outward = split(layer, (2,)).children()
    lost = outward.get_parameter("weight") @ inward.get_parameter("weight") - layer.weight
    assert float(lost.norm().detach()) == pytest.approx(1)


def test_a_share_of_the_ranks_is_rounded_up_and_never_nothing() -> None:
    assert ranks.by_share(nn.Conv2d(64, 32, 3), 0.3, 8) == (24, 16)
    assert ranks.by_share(nn.Linear(64, 4), 0.01, 8) == (4,)


def test_multiplications_are_counted_where_they_happen() -> None:
    layer = nn.Conv2d(64, 32, 3, stride=2, padding=1)
    assert ranks.macs(layer, (16, 8), (100, 25)) == (25 * 9 * 64 * 32, 100 * 64 * 16 + 25 * (9 * 16 * 8 + 8 * 32))
    assert ranks.macs(nn.Linear(64, 32), (8,), (10, 10)) == (10 * 64 * 32, 10 * 8 * (64 + 32))


def test_a_layer_with_hooks_stays() -> None:
    """What stands in its place would not have them, and the answers were others."""
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[0].register_forward_hook(lambda layer, taken, returned: 2 * returned)
    assert [*swaps.candidates(module, (nn.Linear,), [])] == ["1"]
