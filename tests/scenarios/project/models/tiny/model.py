"""Bars at four places: a task that a few hundred weights learn in a second."""

import numpy as np
import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Two convolutions and a linear layer on pictures of 8 × 8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, padding=1, stride=2)
        self.head = nn.Linear(2 * width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.head(x.amax((2, 3)))


def build() -> nn.Module:
    return Net(64)


def build_teacher() -> nn.Module:
    return Net(24)


def load() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {"train": examples(512, 0), "test": examples(600, 1)}


def examples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright bar: horizontal or vertical, thin or thick."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 0.3, (count, 1, 8, 8)), rng.integers(0, 4, count)
    for picture, label in zip(x, y, strict=True):
        at, thick = rng.integers(0, 6), 1 + label // 2
        rows = picture[0] if label % 2 else picture[0].T
        rows[at : at + thick] = 1.0
    return x.astype(np.float32), y
