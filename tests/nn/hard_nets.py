"""Small networks whose channels take ways that are hard to follow: classic shortcuts, shuffles, splits, gates."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(inputs: int, outputs: int, side: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and batch norm."""
    layer = nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class OptionA(nn.Module):
    """[N, 3, 16, 16] -> [N, 4]: CIFAR's classic ResNet; where it widens, the shortcut is strided and padded with 0."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = conv(3, 16), nn.Linear(32, 4)
        self.blocks = nn.ModuleList([Classic(16, 16), Classic(16, 32), Classic(32, 32)])

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Classic(nn.Module):
    """A basic block with He et al.'s shortcut A."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.more, self.stride = (outputs - inputs) // 2, 1 + (inputs != outputs)
        self.conv1, self.conv2 = conv(inputs, outputs, 3, self.stride), conv(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        beside = x
        if self.more:
            beside = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        return torch.relu(self.conv2(torch.relu(self.conv1(x))) + beside)


class Doubled(nn.Module):
    """[N, 3, 8, 8] -> [N, 4]: a concatenation that holds the same tensor twice, and one with the raw input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.dense = conv(3, 16), conv(32, 24, 1), conv(24 + 16 + 3, 32)
        self.inner, self.head = nn.Linear(32 + 3, 24), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        stem = torch.relu(self.stem(x))
        twice = torch.relu(self.twice(torch.cat([stem, stem.flip(3)], 1)))
        dense = torch.relu(self.dense(torch.cat([twice, stem, x], 1)))
        return self.head(torch.relu(self.inner(torch.cat([dense.mean((2, 3)), x.mean((2, 3))], 1))))


class Subpixel(nn.Module):
    """[N, 3, 8, 8] -> [N, 4]: four channels before a pixel shuffle are one behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide, self.enlarge = conv(3, 16), nn.Conv2d(16, 32, 3, padding=1), nn.PixelShuffle(2)
        self.last, self.head = conv(8, 16, stride=2), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enlarge(self.wide(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.last(torch.relu(x))).mean((2, 3)))


class Gain(nn.Module):
    """[N, 3, 8, 8] -> [N, 4]: PReLU, a gain for each channel and a map of places, as bare parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.slope = nn.Conv2d(3, 16, 3, 2, 1), nn.PReLU(16)
        self.gain = nn.Parameter(torch.linspace(0.5, 2.0, 16)[None, :, None, None])
        self.places = nn.Parameter(torch.randn(1, 16, 4, 4))
        self.second, self.head = nn.Conv2d(16, 32, 3, 2, 1), nn.Linear(32 * 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.slope(self.first(x)) * self.gain + self.places
        return self.head(torch.relu(self.second(x)).flatten(1))


class Shuffle(nn.Module):
    """[N, 3, 8, 8] -> [N, 4]: a unit of ShuffleNet V2, half of the channels passed by, all shuffled by a reshape."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.deep = conv(3, 32), conv(16, 16, 1), conv(16, 16, groups=16)
        self.two, self.last, self.head = conv(16, 16, 1), conv(32, 24, 1), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        passed, y = x.chunk(2, 1)
        y = torch.relu(self.two(self.deep(torch.relu(self.one(y)))))
        x = torch.cat([passed, y], 1)
        x = x.reshape(len(x), 2, -1, *x.shape[2:]).transpose(1, 2).reshape(x.shape)
        return self.head(torch.relu(self.last(x)).mean((2, 3)))


class Split(nn.Module):
    """[N, 3, 8, 8] -> [N, 4]: C2f, whose halves and what was made of one of them are all put side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = conv(3, 16), conv(16, 32, 1)
        self.inner, self.outer = conv(16, 16), conv(16, 16)
        self.last, self.head = conv(48, 24, 1), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(torch.relu(self.first(torch.relu(self.stem(x)))).chunk(2, 1))
        parts.append(parts[-1] + torch.relu(self.outer(torch.relu(self.inner(parts[-1])))))
        return self.head(torch.relu(self.last(torch.cat(parts, 1))).mean((2, 3)))


class Gated(nn.Module):
    """[N, 6, 16] -> [N, 4]: a gated linear unit, one half of a layer times the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.head = (
            nn.Linear(16, 24), nn.Linear(24, 64), nn.Linear(32, 24), nn.Linear(24, 4),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.second(torch.relu(self.first(x))).chunk(2, -1)
        return self.head(torch.relu(self.third(value * torch.sigmoid(gate))).mean(1))


class Squeezed(nn.Module):
    """[N, 3, 8, 8] -> [N, 4]: an inverted residual with squeeze and excitation, and a layer normed over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide, self.deep = conv(3, 16), conv(16, 32, 1), conv(32, 32, groups=32)
        self.narrow, self.widen, self.back = nn.Conv2d(32, 8, 1), nn.Conv2d(8, 32, 1), conv(32, 16, 1)
        self.norm, self.inner, self.head = nn.LayerNorm(16), nn.Linear(16, 24), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        y = functional.relu6(self.deep(functional.relu6(self.wide(x))))
        y = y * torch.sigmoid(self.widen(torch.relu(self.narrow(y.mean((2, 3), keepdim=True)))))
        return self.head(torch.relu(self.inner(self.norm((x + self.back(y)).mean((2, 3))))))


class Recurrent(nn.Module):
    """[N, 6, 16] -> [N, 4]: an LSTM between linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.lstm = nn.Linear(16, 24), nn.LSTM(24, 16, batch_first=True)
        self.inner, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.inner(self.lstm(torch.relu(self.first(x)))[0].mean(1))))


PICTURE, ROWS = (3, 8, 8), (6, 16)
NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "option A": (OptionA, (3, 16, 16)),
    "doubled": (Doubled, PICTURE),
    "subpixel": (Subpixel, PICTURE),
    "gain": (Gain, PICTURE),
    "shuffle": (Shuffle, PICTURE),
    "split": (Split, PICTURE),
    "gated": (Gated, ROWS),
    "squeezed": (Squeezed, PICTURE),
    "recurrent": (Recurrent, ROWS),
}
