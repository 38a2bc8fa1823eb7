"""A model of two inputs for tests."""

import numpy as np
import torch
from torch import Tensor, nn


class Pair(nn.Module):
    """A convolution of the picture beside a linear layer of the facts."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Conv2d(1, 16, 3, 2, 1)
        self.known = nn.Linear(5, 16)
        self.head = nn.Linear(32, 2)

    def forward(self, picture: Tensor, facts: Tensor) -> Tensor:
        both = torch.cat([torch.relu(self.seen(picture)).mean((2, 3)), torch.relu(self.known(facts))], 1)
        return self.head(both)


def build() -> nn.Module:
    """[N, 1, 8, 8] and [N, 5] -> [N, 2]."""
    return Pair()


def load() -> dict[str, tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """Whether the picture is brighter than the facts are large."""
    return {"train": _examples(96, 1), "test": _examples(64, 2)}


def _examples(count: int, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    level, facts = rng.normal(size=(count, 1, 1, 1)), rng.normal(size=(count, 5)).astype(np.float32)
    pictures = (level + rng.normal(0, 0.1, (count, 1, 8, 8))).astype(np.float32)
    return (pictures, facts), (level[:, 0, 0, 0] > facts.mean(1)).astype(np.int64)
