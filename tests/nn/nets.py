"""Small networks, each with what is hard for a technique that rewrites weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgebuild.spec.signature import TensorSpec

IMAGE = (TensorSpec("x", (3, 8, 8)),)
ROWS = (TensorSpec("x", (6, 16)),)


class Forward(nn.Module):
    """Sub-modules by name, and a forward pass given as a function of them and the input."""

    def __init__(self, forward: Callable[[Forward, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def convolutions() -> nn.Module:
    """Convolution, depthwise and grouped convolution, each with a batch norm; ReLU in place; a transposed one."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, groups=8, padding=1), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 12, 1, groups=4, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.ConvTranspose2d(12, 6, 2, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4),
    )  # fmt: skip


def attention() -> nn.Module:
    """An encoder layer that normalizes first, and the mean over its rows."""
    layer = nn.TransformerEncoderLayer(16, 2, 32, norm_first=True, batch_first=True, activation="gelu")
    return Forward(lambda net, x: net.head(net.layer(x).mean(1)), layer=layer, head=nn.Linear(16, 3))


def recurrent() -> nn.Module:
    """An LSTM's last output and a linear layer."""
    lstm = nn.LSTM(16, 8, batch_first=True)
    return Forward(lambda net, x: net.head(net.lstm(x)[0][:, -1]), lstm=lstm, head=nn.Linear(8, 3))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[TensorSpec, ...]]] = {
    "convolutions": (convolutions, IMAGE),
    "attention": (attention, ROWS),
    "recurrent": (recurrent, ROWS),
}


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in eval mode with random statistics, scales and biases, as if it had been trained."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return module.eval()


def build(name: str, seed: int = 0) -> tuple[nn.Module, tuple[TensorSpec, ...], tuple[Tensor]]:
    """A lively network, its inputs, and 5 examples."""
    torch.manual_seed(seed)
    make, inputs = NETS[name]
    return lively(make(), seed), inputs, (torch.randn(5, *inputs[0].shape),)
