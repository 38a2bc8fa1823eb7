"""Heads of attention are found however a model splits them, and taking some out is as if they said nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgebuild.nn.prune.channels import inventory
from edgebuild.nn.prune.heads import attentions
from edgebuild.nn.prune.units import remove
from edgebuild.spec.errors import UsageError
from tests.steps.techniques import nets

EXAMPLE = (torch.zeros(1, 6, 8),)
BUILDERS: list[Callable[[], nn.Module]] = [nets.apart, nets.by_hand, nets.fused, nets.Transformer]


def built(builder: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return builder().eval()


def take_out(module: nn.Module, number: int, gone: list[int]) -> None:
    """Remove heads of the attention of this number."""
    owner = attentions(module, EXAMPLE)[number].owner
    (found,) = (one for one in inventory(module, EXAMPLE, [], 1).units if one.name == owner)
    remove(module, EXAMPLE, [(found, gone)])


@pytest.mark.parametrize("builder", BUILDERS)
def test_rows_and_columns_of_each_head(builder: Callable[[], nn.Module]) -> None:
    found = attentions(built(builder), EXAMPLE)
    assert [(attention.owner, attention.count) for attention in found] == [
        ("blocks.0.attention", 4),
        ("blocks.1.attention", 4),
    ]
    for attention in found:
        made = [rows for features in attention.made.values() for rows in features[:1]]
        first = [*range(8)] if len(made) == 3 else [*range(8), *range(32, 40), *range(64, 72)]
        assert made == [first] * len(made)
        assert [*attention.read.values()] == [[[*range(8 * head, 8 * head + 8)] for head in range(4)]]


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_model_without_heads_answers_as_one_that_does_not_read_them(builder: Callable[[], nn.Module]) -> None:
    whole, pruned = built(builder), built(builder)
    for number, gone in enumerate(([1, 3], [0])):
        deaf = attentions(whole, EXAMPLE)[number]
        for layer, columns in deaf.read.items():
            layer.weight.data[:, [column for head in gone for column in columns[head]]] = 0
        take_out(pruned, number, gone)
    x = torch.randn(5, 6, 8)
    assert torch.allclose(whole(x), pruned(x), atol=1e-6)
    assert [pruned.get_submodule(f"blocks.{k}.attention").heads for k in (0, 1)] == [2, 3]


def test_a_head_count_that_is_written_into_the_code_is_refused() -> None:
    module = built(nets.Stuck)
    with pytest.raises(
        UsageError, match="attention 'blocks.0.attention' cannot lose heads: with 3 of 4 it does not run"
    ):
        attentions(module, EXAMPLE)[0].recount(module, EXAMPLE, 3)


class Shared(nn.Module):
    """Two query heads share one of keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 2
        self.q, self.k, self.v, self.out = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.q(x).reshape(len(x), 6, 2, 4).transpose(1, 2)
        k, v = (f(x).reshape(len(x), 6, 1, 4).transpose(1, 2).expand(-1, 2, -1, -1) for f in (self.k, self.v))
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(2))


def test_heads_that_share_keys_count_as_one() -> None:
    (found,) = attentions(Shared().eval(), EXAMPLE)
    assert found.count == 1
    assert len(found.layers()) == 3


def test_models_without_attention_have_none_and_keep_no_hooks() -> None:
    module = built(nets.Depthwise)
    assert attentions(module, (torch.zeros(1, 1, 8, 8),)) == []
    module = built(nets.Transformer)
    before = copy.deepcopy(module.state_dict())
    attentions(module, EXAMPLE)
    assert not any(part._forward_hooks for part in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
