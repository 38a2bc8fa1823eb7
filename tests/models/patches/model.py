"""A transformer on patches for tests, and pictures of strokes in four directions."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, SIDE, PATCH = 64, 4, 12, 3


class Attention(nn.Module):
    """Multi-head self-attention, Vaswani et al. 2017 (arXiv 1706.03762), with queries, keys and values apart."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = HEADS
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self._by_head(layer(x)) for layer in (self.query, self.key, self.value))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _by_head(self, x: Tensor) -> Tensor:
        """[N, T, features] -> [N, heads, T, features of a head]."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class Block(nn.Module):
    """Attention, then two linear layers; each normalized first and added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.inner, self.outer = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.outer(functional.gelu(self.inner(self.norm2(x))))


class Net(nn.Module):
    """Patches, learnt places, two blocks, mean, linear (Dosovitskiy et al. 2021, arXiv 2010.11929)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, PATCH, PATCH)
        self.places = nn.Parameter(torch.randn(1, (SIDE // PATCH) ** 2, WIDTH) / 10)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def build() -> nn.Module:
    """[N, 1, 12, 12] -> [N, 4]."""
    return Net()


def load() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """1,024 pictures to learn from, 96 to choose by and 400 to be judged by."""
    return {"train": _pictures(1024, 1), "validation": _pictures(96, 3), "test": _pictures(400, 2)}


def _pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    pictures = rng.normal(0, 0.2, (count, 1, SIDE, SIDE)).astype(np.float32)
    steps = np.arange(8)
    for picture, label, corner in zip(pictures, labels, rng.integers(0, 5, (count, 2)), strict=True):
        across, down = ((1, 0), (0, 1), (1, 1), (1, -1))[label]
        picture[0, corner[1] + (down * steps) % 8, corner[0] + across * steps] += 1
    return pictures, labels
