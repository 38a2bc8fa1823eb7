"""ResNet-20 for CIFAR-10 with shortcut A (He et al. 2016, section 4.2), keys as in its public weights.

It needs torch and nothing of ours: the other tool imports it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions; the shortcut takes every second place and fills channels up with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.fill = (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] → [N, outputs, H / stride, W / stride]."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.fill:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.fill, self.fill))
        return functional.relu(y + x)


class ResNet20(nn.Module):
    """Pixels as PyTorch normalizes those of ImageNet → logits of ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, 1)
        self.layer2 = _stage(16, 32, 2)
        self.layer3 = _stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, 32, 32] → [N, 10]."""
        x = self.layer3(self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x))))))
        logits: Tensor = self.linear(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, outputs, stride), Block(outputs, outputs, 1), Block(outputs, outputs, 1))


def trained(file: Path | None) -> ResNet20:
    """With the public weights, or drawn ones where there is no file."""
    torch.manual_seed(0)
    net = ResNet20()
    if file is not None:
        held = torch.load(file, map_location="cpu", weights_only=True)
        weights: Mapping[str, Tensor] = held.get("state_dict", held)
        net.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()}, strict=False)
    return net.eval()


def inner(net: ResNet20) -> list[Block]:
    """The blocks, whose first convolution alone can be narrowed by a tool that cannot follow the shortcuts."""
    return [block for stage in (net.layer1, net.layer2, net.layer3) for block in stage]  # type: ignore[misc]


def narrowed(weights: Mapping[str, Tensor]) -> ResNet20:
    """A network whose blocks are as wide inside as these weights say."""
    net = ResNet20()
    for name, block in net.named_modules():
        if isinstance(block, Block):
            width, inputs = weights[f"{name}.conv1.weight"].shape[:2]
            outputs, stride = block.conv2.out_channels, block.conv1.stride[0]
            block.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
            block.bn1 = nn.BatchNorm2d(width)
            block.conv2 = nn.Conv2d(width, outputs, 3, 1, 1, bias=False)
    net.load_state_dict(dict(weights))
    return net.eval()
