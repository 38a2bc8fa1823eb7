"""A residual CNN for tests, and pictures in which one quarter is bright."""

import numpy as np
import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions beside a strided shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(inner + self.shortcut(x))


class Net(nn.Module):
    """Stem, two residual blocks, global average pooling, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, 1, 1)
        self.blocks = nn.Sequential(Residual(16, 32), Residual(32, 64))
        self.spread = nn.Conv2d(64, 64, 3, 1, 0)
        self.head = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.spread(self.blocks(torch.relu(self.stem(x)))))
        return self.head(x.flatten(1))


def build() -> nn.Module:
    """[N, 1, 12, 12] -> [N, 4]."""
    return Net()


def load() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """512 pictures to learn from, 48 to choose by and 400 to be judged by."""
    return {"train": _pictures(512, 1), "validation": _pictures(48, 3), "test": _pictures(400, 2)}


def _pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    pictures = rng.normal(0, 0.3, (count, 1, 12, 12)).astype(np.float32)
    for picture, label in zip(pictures, labels, strict=True):
        row, column = 6 * (label // 2), 6 * (label % 2)
        picture[0, row : row + 6, column : column + 6] += 1
    return pictures, labels
