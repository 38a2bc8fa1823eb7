"""MobileNet V1, V2 and V3 at 224, and a CNN for digits, with seeded random weights.

Speed depends on shapes alone, so no trained weights are needed: XNNPACK's published figures used random ones too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks._published import NETS, Net

SHAPES = {"tiny": (1, 28, 28)}
_PHOTOGRAPH = (3, 224, 224)

# Channels and stride of V1's separable layers (Howard et al. 2017, table 1).
_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
# Expansion, channels, repeats, stride (Sandler et al. 2018, table 2).
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# Kernel, expanded channels, channels, squeeze and excitation?, hard swish?, stride (Howard et al. 2019, tables 1, 2).
_V3_LARGE = (
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
    (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1),
    (5, 960, 160, 1, 1, 1),
)  # fmt: skip
# ncnn's MobileNetV3: as the paper's first edition has it, where the stride comes a block later, with more channels.
_V3_LARGE_FIRST = (
    *_V3_LARGE[:12], (5, 672, 160, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1),
)  # fmt: skip
_V3_SMALL = (
    (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1),
    (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1),
    (5, 576, 96, 1, 1, 1),
)  # fmt: skip
_ROUNDS, _FEW_ROUNDS, _BATCH = 10, 2, 4


def shape(name: str) -> tuple[int, ...]:
    """Of one input of the network, without the batch axis."""
    if name in SHAPES or name in MAKERS:
        return SHAPES.get(name, _PHOTOGRAPH)
    return 3, NETS[name].side, NETS[name].side


def network(name: str, seed: int) -> nn.Module:
    """The network in evaluation mode; its batch norms have seen noise, so that activations are of the usual size."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    own = name in MAKERS
    made = (MAKERS[name]() if own else _of_library(NETS[name])).train()
    with torch.no_grad():
        for _ in range(_ROUNDS if own else _FEW_ROUNDS):
            made(torch.randn(_BATCH, *shape(name)))
    return made.eval()


def _of_library(net: Net) -> nn.Module:
    """A network as torchvision or timm builds it by its name, with random weights."""
    from edgebuild.nn import compiled_torchvision

    compiled_torchvision.stand_in()
    if net.library == "timm":
        import timm

        built: nn.Module = timm.create_model(net.name, pretrained=False)
        return built
    from torchvision import models

    options = {"aux_logits": False, "init_weights": True} if net.auxiliary else {}
    made: nn.Module = models.get_model(net.name, weights=None, **options)
    return made


class Pool(nn.Module):
    """The mean over height and width: [n, c, h, w] → [n, c]."""

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        return x.mean((2, 3))


class Squeeze(nn.Module):
    """Squeeze and excitation: channels scaled by what their means say."""

    def __init__(self, channels: int, exactly: bool = False) -> None:
        """With a quarter of the channels in between, rounded to a multiple of 8 unless `exactly`."""
        super().__init__()
        narrow = channels // 4 if exactly else _rounded(channels // 4)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, channels, 1), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of `x`."""
        gated: Tensor = x * self.gate(x.mean((2, 3), keepdim=True))
        return gated


class Residual(nn.Module):
    """What is inside, added to what came in."""

    def __init__(self, inside: nn.Module) -> None:
        """`inside` keeps the shape."""
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of `x`."""
        added: Tensor = x + self.inside(x)
        return added


def _conv(
    inputs: int, outputs: int, kernel: int, act: type[nn.Module] | None, stride: int = 1, groups: int = 1
) -> nn.Module:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), *([act()] if act else []))


def _bottleneck(
    inputs: int,
    hidden: int,
    outputs: int,
    kernel: int,
    stride: int,
    act: type[nn.Module],
    squeeze: nn.Module | None = None,
    always: bool = False,
) -> nn.Module:
    """Expand (`always`: also to as many channels), filter each channel, project back: V2's and V3's block."""
    parts = [_conv(inputs, hidden, 1, act)] if always or hidden != inputs else []
    parts.append(_conv(hidden, hidden, kernel, act, stride, hidden))
    parts += [squeeze] if squeeze else []
    block = nn.Sequential(*parts, _conv(hidden, outputs, 1, None))
    return Residual(block) if stride == 1 and inputs == outputs else block


def _v1() -> nn.Module:
    layers, channels = [_conv(3, 32, 3, nn.ReLU6, 2)], 32
    for wide, stride in _V1:
        layers += [_conv(channels, channels, 3, nn.ReLU6, stride, channels), _conv(channels, wide, 1, nn.ReLU6)]
        channels = wide
    return nn.Sequential(*layers, Pool(), nn.Linear(channels, 1000))


def _v2(always: bool = False) -> nn.Module:
    """`always`: the first block expands too, as the port to Caffe does that ncnn measures."""
    blocks, channels = [_conv(3, 32, 3, nn.ReLU6, 2)], 32
    for expansion, wide, repeats, stride in _V2:
        for step in (stride, *[1] * (repeats - 1)):
            blocks.append(_bottleneck(channels, channels * expansion, wide, 3, step, nn.ReLU6, always=always))
            channels = wide
    return nn.Sequential(*blocks, _conv(channels, 1280, 1, nn.ReLU6), Pool(), nn.Linear(1280, 1000))


def _v3(rows: tuple[tuple[int, ...], ...], last: int, wide: int, exactly: bool = False) -> nn.Module:
    blocks, channels = [_conv(3, 16, 3, nn.Hardswish, 2)], 16
    for kernel, hidden, outputs, squeeze, swish, stride in rows:
        act = nn.Hardswish if swish else nn.ReLU
        gate = Squeeze(hidden, exactly) if squeeze else None
        blocks.append(_bottleneck(channels, hidden, outputs, kernel, stride, act, gate))
        channels = outputs
    head = [Pool(), nn.Linear(last, wide), nn.Hardswish(), nn.Linear(wide, 1000)]
    return nn.Sequential(*blocks, _conv(channels, last, 1, nn.Hardswish), *head)


def _tiny() -> nn.Module:
    """Two convolutions: small enough that a runtime's own bookkeeping shows in its counts."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32)):
        layers += [_conv(inputs, outputs, 3, nn.ReLU), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))


def _rounded(channels: int) -> int:
    """To a multiple of 8, by at most a tenth downwards, as the reference code of V2 and V3 does."""
    near = max(8, (channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "tiny": _tiny,
    "v1": _v1,
    "v2": _v2,
    "v2-expanded": partial(_v2, always=True),
    "v3-large": partial(_v3, _V3_LARGE, 960, 1280),
    "v3-large-first": partial(_v3, _V3_LARGE_FIRST, 960, 1280, exactly=True),
    "v3-small": partial(_v3, _V3_SMALL, 576, 1024),
}
