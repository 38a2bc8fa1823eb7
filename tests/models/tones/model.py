"""PyTorch's own recurrent layer for tests, and made-up tones that rise, fall, stay or swing."""

import numpy as np
import torch
from torch import Tensor, nn

STEPS, UNITS = 6, 64


class Net(nn.Module):
    """A GRU (Cho et al. 2014, arXiv 1406.1078), and a hidden layer behind its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.inner, self.head = nn.GRU(3, UNITS, batch_first=True), nn.Linear(UNITS, 64), nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.inner(self.gru(x)[0][:, -1])))


def build() -> nn.Module:
    """[N, 6, 3] -> [N, 4]."""
    return Net()


def load() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """1,024 tones to learn from and 400 to be judged by."""
    return {"train": _tones(1024, 1), "test": _tones(400, 2)}


def _tones(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How loud three strings are, step by step: all of them do the same, each from its own level."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    steps = np.arange(STEPS) - STEPS / 2
    courses = np.stack([0.3 * steps, -0.3 * steps, 0 * steps, np.where(steps % 2 == 0, 0.5, -0.5)])[labels]
    tones = courses[:, :, None] + rng.normal(size=(count, 1, 3)) + rng.normal(0, 0.4, (count, STEPS, 3))
    return tones.astype(np.float32), labels
