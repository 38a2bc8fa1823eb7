"""Heads of attention are found however a model splits them, and taking some out is as if they said nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.prune.channels import inventory
from edgebuild.nn.prune.dependencies import Group, dependencies
from edgebuild.nn.prune.narrow import narrowed
from tests.steps.techniques import nets

EXAMPLE = (torch.zeros(1, 6, 8),)
BUILDERS: list[Callable[[], nn.Module]] = [nets.apart, nets.by_hand, nets.fused, nets.Transformer]


def built(builder: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return builder().eval()


def heads(module: nn.Module, example: tuple[Tensor, ...] = EXAMPLE) -> list[Group]:
    return [group for group in dependencies(module, example).groups if group.kind == "heads"]


@pytest.mark.parametrize("builder", BUILDERS)
def test_rows_and_columns_of_each_head(builder: Callable[[], nn.Module]) -> None:
    found = heads(built(builder))
    assert [(one.name, len(one.units)) for one in found] == [("blocks.0.attention", 4), ("blocks.1.attention", 4)]
    for attention in found:
        made = [side.places for side in attention.members if side.role == "makes"]
        first = [*range(8)] if len(made) == 3 else [*range(8), *range(32, 40), *range(64, 72)]
        assert [[*places[0]] for places in made] == [first] * len(made)
        (read,) = (side for side in attention.members if side.role == "reads")
        assert read.parameter == f"{attention.name}.out.weight"
        assert [[*places] for places in read.places] == [[*range(8 * k, 8 * k + 8)] for k in range(4)]


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_model_without_heads_answers_as_one_that_does_not_read_them(builder: Callable[[], nn.Module]) -> None:
    deaf, pruned = built(builder), built(builder)
    found = inventory(pruned, EXAMPLE, [], 1)
    gone = {"blocks.0.attention": [1, 3], "blocks.1.attention": [0]}
    for name, numbers in gone.items():
        columns = deaf.get_submodule(f"{name}.out").weight.data
        columns[:, [8 * head + k for head in numbers for k in range(8)]] = 0  # type: ignore[index]
    found.remove(pruned, [(one, gone[one.name]) for one in found.units if one.name in gone])
    x = torch.randn(5, 6, 8)
    assert torch.allclose(deaf(x), pruned(x), atol=1e-6)
    assert [pruned.get_submodule(f"blocks.{k}.attention").heads for k in (0, 1)] == [2, 3]


def test_a_head_count_that_is_written_into_the_code_is_refused() -> None:
    found = inventory(built(nets.Stuck), EXAMPLE, [], 1)
    for k in (0, 1):
        told = found.unfollowed[f"blocks.{k}.attention"]
        assert told.startswith(
            "without some of its heads the model does not run (RuntimeError: shape '[1, 6, 4, 8]' is"
        )


class Shared(nn.Module):
    """Two query heads share one of keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 2
        self.q, self.k, self.v, self.out = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).reshape(len(x), 6, self.heads, 4).transpose(1, 2)
        k, v = (f(x).reshape(len(x), 6, 1, 4).transpose(1, 2).expand(-1, self.heads, -1, -1) for f in (self.k, self.v))
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(2))


class Windowed(nn.Module):
    """Attention that reads its width from a shape and splits it into heads, as torchvision's Swin does, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.heads = nn.Linear(5, 12), nn.Linear(12, 2), 3
        self.qkv, self.out = nn.ModuleList(), nn.ModuleList()
        for _ in range(2):
            self.qkv.append(nn.Linear(12, 36))
            self.out.append(nn.Linear(12, 12))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for qkv, out in zip(self.qkv, self.out, strict=True):
            count, length, width = x.shape
            q, k, v = qkv(x).reshape(count, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
            scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)
            x = x + out((scores.softmax(-1) @ v).transpose(1, 2).reshape(count, length, width))
        return self.last(x.mean(1))


def test_a_width_that_is_split_into_heads_goes_by_heads() -> None:
    net = built(Windowed)
    stock = inventory(net, (torch.randn(1, 4, 5),), (), 1)
    (one,) = stock.units
    assert (one.noun, one.size, stock.unfollowed) == ("heads", 3, {})
    stock.remove(net, [(one, [1])])
    shapes = {name: tuple(held.shape) for name, held in net.named_parameters() if held.ndim == 2}
    assert shapes == {
        "first.weight": (8, 5), "last.weight": (2, 8), "qkv.0.weight": (24, 8), "qkv.1.weight": (24, 8),
        "out.0.weight": (8, 8), "out.1.weight": (8, 8),
    }  # fmt: skip


def test_heads_that_share_keys_go_from_the_queries_alone() -> None:
    module = Shared().eval()
    (found,) = heads(module)
    assert {side.parameter for side in found.members} == {"q.weight", "q.bias", "out.weight"}
    taken = inventory(module, EXAMPLE, [], 1)
    taken.remove(module, [(one, [0]) for one in taken.units if one.noun == "heads"])
    assert (module.heads, module.q.weight.shape, module.k.weight.shape) == (1, (4, 8), (4, 8))
    assert module(torch.randn(3, 6, 8)).shape == (3, 6, 4)


def test_tracing_leaves_a_model_as_it_is() -> None:
    module = built(nets.Transformer)
    before = copy.deepcopy(module.state_dict())
    inventory(module, EXAMPLE, [], 1)
    assert not any(part._forward_hooks for part in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert heads(built(nets.Depthwise), (torch.zeros(1, 1, 8, 8),)) == []


class Library(nn.Module):
    """[N, 6, 16] -> [N, 6, 16]: PyTorch's own attention over another width, with masks."""

    def __init__(self, *, batch_first: bool, weights: bool, width: int) -> None:
        super().__init__()
        self.weights, self.first = weights, batch_first
        self.attention = nn.MultiheadAttention(16, 4, batch_first=batch_first, kdim=width, vdim=width)
        self.beside = nn.Linear(16, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.beside(x)
        given = (x, y, y) if self.first else (x.transpose(0, 1), *[y.transpose(0, 1)] * 2)
        padding = torch.zeros(len(x), 6, dtype=torch.bool, device=x.device)
        padding[:, 4:] = True
        mask = torch.triu(torch.ones(6, 6, dtype=torch.bool), 1)
        found, shares = self.attention(*given, key_padding_mask=padding, need_weights=self.weights, attn_mask=mask)
        found = found if self.first else found.transpose(0, 1)
        return found if shares is None else found + shares.mean(2, keepdim=True)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("width", [16, 12])
def test_the_librarys_attention_answers_the_same_by_the_code_that_lets_it_lose_heads(
    batch_first: bool, weights: bool, width: int
) -> None:
    torch.manual_seed(0)
    whole = Library(batch_first=batch_first, weights=weights, width=width).eval()
    other, x = copy.deepcopy(whole), torch.randn(3, 6, 16)
    other.attention.embed_dim += 1  # as if it had lost width
    narrowed(other)
    assert type(other.attention) is not nn.MultiheadAttention
    assert torch.allclose(whole(x), other(x), atol=1e-6)


class Across(nn.Module):
    """[N, 6, 16] -> [N, 6, 2]: PyTorch's attention as it is called by default, from one sequence to another."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.beside, self.head = nn.MultiheadAttention(16, 4), nn.Linear(16, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.beside(x)
        return self.head(self.attention(x, y, y)[0])


def test_heads_of_attention_between_two_sequences_go() -> None:
    torch.manual_seed(0)
    module = Across().eval()
    taken = inventory(module, (torch.zeros(1, 6, 16),), [], 1)
    (found,) = (one for one in taken.units if one.noun == "heads")
    assert (found.name, len(found.members)) == ("attention", 4)
    taken.remove(module, [(found, [0, 2, 3])])
    assert (module.attention.num_heads, module.attention.in_proj_weight.shape) == (1, (12, 16))


def test_the_librarys_attention_loses_heads_and_width_apart() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 32), nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), nn.Linear(32, 4))
    whole = copy.deepcopy(module.eval())
    taken = inventory(module, EXAMPLE, [], 1)
    assert {one.name: len(one.members) for one in taken.units} == {"0": 32, "1.self_attn": 4, "1.linear1": 64}
    deaf = whole[1].self_attn.out_proj.weight.data
    deaf[:, 8:24] = 0
    left = taken.remove(module, [(one, [1, 2]) for one in taken.units if one.noun == "heads"])
    x = torch.randn(3, 6, 8)
    for grad in (True, False):  # torch takes its fused kernels only without gradients
        with torch.set_grad_enabled(grad):
            assert torch.allclose(whole(x), module(x), atol=1e-5)
    left.remove(module, [(one, range(12)) for one in left.units if one.name == "0"])
    assert module[1].self_attn.in_proj_weight.shape == (48, 20)
    assert module(x).shape == (3, 6, 4)


class ByChance(nn.Module):
    """Attention that keeps three sizes, of which the size of a key is by chance that of the heads."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.key, self.value, self.width = 4, 4, 6, 24
        self.queries, self.rest, self.out = nn.Linear(8, 16), nn.Linear(8, 40), nn.Linear(24, 8)

    def forward(self, x: Tensor) -> Tensor:
        batch, places, _ = x.shape
        q = self.queries(x).view(batch, places, self.heads, self.key).transpose(1, 2)
        k, v = self.rest(x).view(batch, places, self.heads, -1).split([self.key, self.value], 3)
        weights = torch.softmax(q @ k.permute(0, 2, 3, 1), -1)
        said: Tensor = self.out((weights @ v.transpose(1, 2)).transpose(1, 2).reshape(batch, places, self.width))
        return said


def test_a_size_that_is_by_chance_the_number_of_heads_stays_when_heads_go() -> None:
    net = built(ByChance)
    found = inventory(net, EXAMPLE, [], 1)
    assert not found.unfollowed
    (one,) = (units for units in found.units if units.noun == "heads")
    found.remove(net, [(one, [1])])
    assert (net.heads, net.key, net.value, net.width) == (3, 4, 6, 18)
    assert net(torch.randn(2, 6, 8)).shape == (2, 6, 8)


@pytest.mark.parametrize("need_weights", [True, False])
def test_attention_that_lost_heads_drops_as_much_in_training(need_weights: bool) -> None:
    """It dropped nothing: all of it dropped leaves the bias of the last layer."""
    net = nn.MultiheadAttention(8, 4, dropout=1.0, batch_first=True)
    net.num_heads, net.head_dim = 2, 2
    net.in_proj_weight.data, net.in_proj_bias.data = net.in_proj_weight[:12].detach(), net.in_proj_bias[:12].detach()
    net.out_proj.weight.data = net.out_proj.weight[:, :4].detach()
    narrowed(net)
    x = torch.randn(2, 3, 8)
    answer = net.train()(x, x, x, need_weights=need_weights)[0]
    assert torch.allclose(answer, net.out_proj.bias.expand_as(answer))
    assert not torch.allclose(net.eval()(x, x, x, need_weights=need_weights)[0], answer)
