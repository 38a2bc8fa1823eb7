"""Whatever a network is made of: what it loses is as if it had been silent, and what cannot go stays; no crash."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from edgebuild.nn import comparison
from edgebuild.nn.prune.dependencies import dependencies, numbers_of
from edgebuild.nn.prune.proof import proven
from edgebuild.nn.prune.slicing import silenced
from tests.nn.nets import Forward

SIDE = 4
Part = tuple[nn.Module, int]  # what takes [N, C, 4, 4], and how many channels it gives


def conv(count: int, draw: random.Random) -> Part:
    groups = draw.choice([k for k in (1, 1, 2, 4, count) if count % k == 0])
    more = groups * draw.randint(1, 3)
    return nn.Conv2d(count, more, 3, 1, 1, groups=groups, bias=draw.random() < 0.5), more


def up(count: int, draw: random.Random) -> Part:
    groups = 2 if count % 2 == 0 and draw.random() < 0.5 else 1
    return nn.ConvTranspose2d(count, 3 * groups, 3, 1, 1, groups=groups), 3 * groups


def norm(count: int, draw: random.Random) -> Part:
    kinds = [nn.BatchNorm2d(count), nn.InstanceNorm2d(count, affine=True), nn.GroupNorm(1, count)]
    kinds += [nn.GroupNorm(2, count)] if count % 2 == 0 else []
    return draw.choice(kinds), count


def bend(count: int, draw: random.Random) -> Part:
    return draw.choice([nn.ReLU(inplace=True), nn.Hardswish(), nn.PReLU(count), nn.Sigmoid(), nn.Dropout()]), count


class Gain(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.gain, self.places = nn.Parameter(torch.rand(count, 1, 1)), nn.Parameter(torch.randn(1, count, SIDE, SIDE))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain + self.places


def gain(count: int, _: random.Random) -> Part:
    return Gain(count), count


def residual(count: int, draw: random.Random) -> Part:
    inner, more = conv(count, draw)
    outer = nn.Conv2d(more, count, 1)
    return Forward(lambda net, x: x + net.outer(torch.relu(net.inner(x))), inner=inner, outer=outer), count


def squeeze(count: int, _: random.Random) -> Part:
    down, back = nn.Conv2d(count, 3, 1), nn.Conv2d(3, count, 1)
    return Forward(
        lambda net, x: x * net.back(net.down(x.mean((2, 3), keepdim=True))).sigmoid(), down=down, back=back
    ), count


def linear(count: int, draw: random.Random) -> Part:
    more = draw.randint(2, 6)
    return Forward(lambda net, x: net.layer(x.movedim(1, -1)).movedim(-1, 1), layer=nn.Linear(count, more)), more


class Attention(nn.Module):
    def __init__(self, count: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(count, 12 * heads), nn.Linear(4 * heads, count)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(rows).reshape(len(x), SIDE**2, 3, self.heads, 4).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(y).transpose(1, 2).reshape(x.shape)


def attention(count: int, draw: random.Random) -> Part:
    return Attention(count, draw.randint(2, 4)), count


class State(nn.Module):
    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(2).transpose(1, 2))[0].transpose(1, 2).unflatten(2, (SIDE, SIDE))


def recurrent(count: int, draw: random.Random) -> Part:
    both = draw.random() < 0.5
    kind = draw.choice([nn.GRU, nn.LSTM, nn.RNN])
    return State(kind(count, 3, draw.randint(1, 2), batch_first=True, bidirectional=both)), 3 * (1 + both)


def halves(x: Tensor) -> Tensor:
    one, other = x.chunk(2, 1)
    return torch.cat([other, one * other.sigmoid()], 1)


def shuffled(x: Tensor) -> Tensor:
    return x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


# Functions of channels that move, repeat or mix them, and how many channels come of how many.
BARE: list[tuple[Callable[[Tensor], Tensor], Callable[[int], int], int]] = [
    (halves, lambda n: n, 2),
    (shuffled, lambda n: n, 2),
    (lambda x: functional.glu(x, 1), lambda n: n // 2, 2),
    (lambda x: torch.cat([x, x.flip(3)], 1), lambda n: 2 * n, 1),
    (lambda x: functional.pad(x, (0, 0, 0, 0, 1, 2)), lambda n: n + 3, 1),
    (lambda x: x.flip(1), lambda n: n, 1),
    (lambda x: x[:, 1:] - x[:, :-1], lambda n: n - 1, 3),
    (lambda x: x - x.mean(1, keepdim=True), lambda n: n, 1),
    (lambda x: x.cumsum(1), lambda n: n, 1),
    (lambda x: functional.avg_pool2d(functional.pixel_shuffle(x, 2), 2), lambda n: n // 4, 4),
    (lambda x: functional.interpolate(functional.max_pool2d(x, 2), scale_factor=2.0), lambda n: n, 1),
    (lambda x: x.repeat(1, 2, 1, 1), lambda n: 2 * n, 1),
    (lambda x: x[:, torch.arange(x.shape[1]).roll(1)], lambda n: n, 1),
    (lambda x: torch.softmax(x, 1), lambda n: n, 1),
    (lambda x: torch.einsum("nchw,ndhw->ncd", x, x).softmax(-1).mean(2)[..., None, None] * x, lambda n: n, 1),
    (lambda x: x.roll(1, 1), lambda n: n, 1),
    (lambda x: torch.stack([x, -x], 2).flatten(1, 2), lambda n: 2 * n, 1),
]  # fmt: skip


def bare(count: int, draw: random.Random) -> Part:
    able = [(run, size) for run, size, least in BARE if count >= least and (least in (1, 3) or count % least == 0)]
    run, size = draw.choice(able)
    return Forward(lambda _, x: run(x)), size(count)


PARTS = {
    make.__name__: make for make in (conv, up, norm, bend, gain, residual, squeeze, linear, attention, recurrent, bare)
}


def network(kinds: list[str], seed: int) -> nn.Module:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    parts: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1)]
    count = 8
    for kind in kinds:
        part, count = PARTS[kind](count, draw)
        parts.append(part)
    ends = [Forward(lambda _, x: x.mean((2, 3))), nn.Linear(count, 3)]
    if draw.random() < 0.5:
        ends = [nn.Flatten(), nn.Linear(count * SIDE**2, 3)]
    return nn.Sequential(*parts, nn.Conv2d(count, count, 1), *ends).eval()


# Two widths of which the code takes one for the other, and that lost as many when they were tried.
@example(["gain", "up", "residual", "attention", "squeeze"], 532380, 0.7640285546194616)
@example(["recurrent", "gain", "bend", "residual", "up", "attention"], 641090, 0.5631883490536671)
@given(st.lists(st.sampled_from([*PARTS]), max_size=6), st.integers(0, 10**6), st.floats(0.1, 0.9))
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
def test_what_goes_is_as_if_silent_and_the_rest_stays(kinds: list[str], seed: int, ratio: float) -> None:
    module, example = network(kinds, seed).double(), (torch.zeros(1, 3, SIDE, SIDE, dtype=torch.float64),)
    found = proven(module, example, dependencies(module, example))
    draw = random.Random(seed)
    chosen = [
        (group, draw.sample(range(len(group.units)), min(len(group.units) - 1, round(ratio * len(group.units)))))
        for group in found.together
    ]
    pruned, silent = copy.deepcopy(module), copy.deepcopy(module)
    found.remove(pruned, chosen)
    if any(gone for _, gone in chosen):
        assert sum(p.numel() for p in pruned.parameters()) < sum(p.numel() for p in module.parameters())
    for batch in (1, 3):
        x = torch.randn(batch, 3, SIDE, SIDE, dtype=torch.float64)
        with torch.no_grad(), silenced(silent, found.dependencies.traced, numbers_of(chosen)):
            wanted = silent(x)
        with torch.no_grad():
            assert comparison.alike([pruned(x)], [wanted], 1e-6)
