"""A model of token numbers for tests."""

import numpy as np
import torch
from torch import Tensor, nn


class Words(nn.Module):
    """Embedding, mean, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.inner = nn.Linear(16, 32)
        self.head = nn.Linear(32, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(torch.relu(self.inner(self.embedding(words).mean(1))))


def build() -> nn.Module:
    """[N, 7] -> [N, 2]."""
    return Words()


def load() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sentences of words 0 to 49; large ones have a mean above 24.5."""
    sentences = np.random.default_rng(0).integers(0, 50, (240, 7))
    labels = (sentences.mean(1) > 24.5).astype(np.int64)
    return {"train": (sentences[:200], labels[:200]), "test": (sentences[200:], labels[200:])}
