"""Channels are followed through what keeps them apart, and scales that move along them change nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.graph import trace
from edgebuild.nn.quantize.folding import fold
from edgebuild.nn.quantize.rescaling import check_kept, layer_pairs, norm_pairs
from edgebuild.spec.errors import StepError
from edgebuild.spec.signature import TensorSpec
from tests.nn import nets

ONE = (TensorSpec("x", (3, 8, 8)),)


def pairs_of(module: nn.Module, inputs: tuple[TensorSpec, ...] = ONE) -> dict[str, list[str]]:
    found = layer_pairs(trace(module, inputs), fold(module, inputs))
    return {pair.name: [reader.layer.name for reader in pair.readers] for pair in found}


WAYS: dict[str, tuple[Callable[[nets.Forward, Tensor], Tensor], list[str]]] = {
    "ReLU": (lambda n, x: n.b(torch.relu(n.a(x))), ["b"]),
    "leaky ReLU and pooling": (lambda n, x: n.b(torch.max_pool2d(nn.functional.leaky_relu(n.a(x)), 2)), ["b"]),
    "two readers": (lambda n, x: n.b(y := torch.relu(n.a(x))) + n.c(y), ["b", "c"]),
    "flattened": (lambda n, x: n.long(torch.relu(n.a(x)).flatten(1)), ["long"]),
    "viewed": (lambda n, x: n.long(torch.relu(n.a(x)).view(x.shape[0], -1)), ["long"]),
    "averaged": (lambda n, x: n.short(torch.relu(n.a(x)).mean((2, 3))), ["short"]),
    "averaged, axes kept": (lambda n, x: n.short(torch.relu(n.a(x)).mean((2, 3), keepdim=True).flatten(1)), ["short"]),
    "transposed": (lambda n, x: n.short(torch.relu(n.a(x)).flatten(2).transpose(1, 2)), ["short"]),
    "permuted": (lambda n, x: n.short(torch.relu(n.a(x)).permute(0, 2, 3, 1)), ["short"]),
    "depthwise": (lambda n, x: n.deep(torch.relu(n.a(x))), ["deep"]),
    "sigmoid": (lambda n, x: n.b(torch.sigmoid(n.a(x))), []),
    "ReLU6": (lambda n, x: n.b(nn.functional.relu6(n.a(x))), []),
    "a sum": (lambda n, x: n.b(torch.relu(n.a(x)) + 1), []),
    "read beside": (lambda n, x: n.b(y := torch.relu(n.a(x))).mean() + y, []),
    "the wrong axis": (lambda n, x: n.eight(torch.relu(n.a(x))), []),
    "the output itself": (lambda n, x: n.a(x), []),
}


def net(way: str) -> nn.Module:
    torch.manual_seed(0)
    parts = {
        **{"a": nn.Conv2d(3, 8, 1), "b": nn.Conv2d(8, 4, 3), "c": nn.Conv2d(8, 4, 3), "long": nn.Linear(512, 5)},
        **{"short": nn.Linear(8, 5), "deep": nn.Conv2d(8, 16, 3, groups=8), "eight": nn.Linear(8, 5)},
    }
    return nets.Forward(WAYS[way][0], **parts).eval()


@pytest.mark.parametrize("way", WAYS)
def test_readers_are_found_where_scales_pass_and_nowhere_else(way: str) -> None:
    assert pairs_of(net(way)).get("a", []) == WAYS[way][1]


@pytest.mark.parametrize("way", [way for way, (_, readers) in WAYS.items() if readers])
def test_any_scale_moved_leaves_the_function(way: str) -> None:
    module, x = net(way), torch.randn(4, 3, 8, 8)
    before = module(x)
    graph = trace(module, ONE)
    (pair, *_) = layer_pairs(graph, [])
    with torch.no_grad():
        pair.move(graph, torch.rand(8) * 10 + 0.1)
    assert torch.allclose(module(x), before, atol=1e-4)


def test_channels_that_are_pooled_together_are_not_followed() -> None:
    rows = nets.Forward(
        lambda n, x: n.b(torch.max_pool1d(n.a(x), 2).repeat(1, 1, 2)), a=nn.Linear(16, 8), b=nn.Linear(8, 4)
    )
    straight = nets.Forward(lambda n, x: n.b(torch.max_pool1d(n.a(x), 1)), a=nn.Linear(16, 8), b=nn.Linear(8, 4))
    assert pairs_of(rows, nets.ROWS) == pairs_of(straight, nets.ROWS) == {}


def test_norms_between_layers_are_folded_or_in_the_way() -> None:
    module, inputs, _ = nets.build("convolutions")
    assert pairs_of(module, inputs) == {"0": ["3"], "6": ["9"], "9": ["14"]}  # ReLU6 stands behind 3
    assert layer_pairs(trace(module, inputs), []) == []


def test_grouped_and_transposed_weights_are_scaled_along_their_inputs() -> None:
    module, inputs, (x,) = nets.build("convolutions")
    folded, before = fold(module, inputs), module(x)
    graph = trace(module, inputs)
    with torch.no_grad():
        for pair in layer_pairs(graph, folded):
            pair.move(graph, torch.rand(pair.most_read(graph).shape) * 10 + 0.1)
    assert torch.allclose(module(x), before, atol=1e-4)


def test_the_largest_weight_of_each_channel_is_that_of_every_reader() -> None:
    module = net("two readers")
    graph = trace(module, ONE)
    (pair,) = layer_pairs(graph, [])
    wanted = torch.stack([layer.weight.abs().amax((0, 2, 3)) for layer in (module.b, module.c)]).amax(0)
    assert torch.equal(pair.most_read(graph), wanted)


def test_layer_norms_with_linear_readers_are_found() -> None:
    module, inputs, _ = nets.build("attention")
    found = {pair.name: [reader.layer.name for reader in pair.readers] for pair in norm_pairs(trace(module, inputs))}
    assert found == {"layer.norm1": ["layer.self_attn.in_proj_weight"], "layer.norm2": ["layer.linear1"]}
    after = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)  # normalizes last: the sum reads it too
    assert norm_pairs(trace(nets.Forward(lambda n, x: n.layer(x), layer=after), nets.ROWS)) == []


def test_a_changed_function_is_an_error() -> None:
    with pytest.raises(StepError, match=r"changed what the model computes, by 0\.1 of its range"):
        check_kept(torch.tensor([1.0, -10.0]), torch.tensor([2.0, -10.0]))
    with pytest.raises(StepError):
        check_kept(torch.tensor([1.0]), torch.tensor([float("nan")]))
