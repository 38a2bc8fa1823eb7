"""A depthwise-separable CNN for tests, and pictures of four shapes."""

import numpy as np
from torch import nn

SIDE = 16


def separable(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Depthwise, then pointwise convolution (MobileNet, Howard et al. 2017, arXiv 1704.04861)."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU6(),
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6(),
    )  # fmt: skip


def build() -> nn.Module:
    """[N, 3, 16, 16] -> [N, 4]."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(),
        separable(16, 64, 1), separable(64, 128, 2), separable(128, 128, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 4),
    )  # fmt: skip


def load() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """1,024 pictures to learn from and 400 to be judged by."""
    return {"train": _pictures(1024, 1), "test": _pictures(400, 2)}


def _pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    down, across = (places[:, :, None, None] for places in rng.uniform(5, 10, (2, count, 1)))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    y, x = np.abs(rows - down), np.abs(columns - across)
    far = np.hypot(x, y)
    shapes = [np.maximum(x, y) < 4, far < 4.5, (far > 2) & (far < 4.5), (np.minimum(x, y) < 1.2) & (far < 5)]
    shape = np.choose(labels[:, None, None, None], shapes)
    colours = rng.uniform(0.5, 1, (count, 3, 1, 1))
    return (shape * colours + rng.normal(0, 0.3, (count, 3, SIDE, SIDE))).astype(np.float32), labels
