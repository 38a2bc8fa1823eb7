"""A regression for tests: where the bright spot of a picture is."""

import numpy as np
import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Two convolutions and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU())
        self.inner = nn.Linear(144, 32)
        self.head = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.inner(self.convs(x).flatten(1))))


def build() -> nn.Module:
    """[N, 1, 12, 12] -> [N, 2]."""
    return Net()


def load() -> dict[str, object]:
    """512 pictures to learn from and 300 to be judged by, of which the upper half is a slice."""
    test = _pictures(300, 2)
    return {"train": _pictures(512, 1), "test": test, "slices": {"upper": test[1][:, 0] < 0}}


def _pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1, 1, (count, 2))
    rows, columns = np.mgrid[-1:1:12j, -1:1:12j]
    far = (rows - places[:, :1, None]) ** 2 + (columns - places[:, 1:, None]) ** 2
    pictures = np.exp(-6 * far) + rng.normal(0, 0.02, far.shape)
    return pictures[:, None].astype(np.float32), places.astype(np.float32)
