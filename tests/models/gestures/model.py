"""A recurrent net for tests, its cell made of linear layers, and made-up gestures."""

import numpy as np
import torch
from torch import Tensor, nn

STEPS, UNITS = 6, 192


class Cell(nn.Module):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078) of linear layers, its reset behind the product."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.update, self.reset, self.new = (nn.Linear(inputs, units) for _ in range(3))
        self.update_state, self.reset_state, self.new_state = (nn.Linear(units, units) for _ in range(3))

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        keep = torch.sigmoid(self.update(x) + self.update_state(state))
        reset = torch.sigmoid(self.reset(x) + self.reset_state(state))
        new = torch.tanh(self.new(x) + reset * self.new_state(state))
        return new + keep * (state - new)


class Net(nn.Module):
    """The state starts from the first step; what it is after the last decides."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.cell, self.head = nn.Linear(2, UNITS), Cell(2, UNITS), nn.Linear(UNITS, 4)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.tanh(self.first(x[:, 0]))
        for step in range(1, STEPS):
            state = self.cell(x[:, step], state)
        return self.head(state)


def build() -> nn.Module:
    """[N, 6, 2] -> [N, 4]."""
    return Net()


def load() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """1,024 gestures to learn from and 400 to be judged by."""
    return {"train": _gestures(1024, 1), "test": _gestures(400, 2)}


def _gestures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps (right, up) that go straight, turn left, turn right, or go to and fro, from any direction."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    steps = np.arange(STEPS)
    turns = np.stack([0 * steps, 0.5 * steps, -0.5 * steps, np.pi * (steps % 2)])[labels]
    angles = turns + rng.uniform(0, 2 * np.pi, (count, 1))
    paths = np.stack([np.cos(angles), np.sin(angles)], 2)
    return (paths + rng.normal(0, 0.2, paths.shape)).astype(np.float32), labels
