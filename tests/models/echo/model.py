"""A stateful model for tests: its state is large after some steps and never on the first."""

import numpy as np
import torch
from torch import Tensor, nn


class Net(nn.Module):
    """A leaky memory of what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.hear, self.say = nn.Linear(4, 16), nn.Linear(16, 2)
        self.keep = nn.Linear(16, 16, bias=False)

    def forward(self, sound: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        left = self.hear(sound).relu() + self.keep(memory)
        return self.say(left), left


def build() -> nn.Module:
    """[N, 4], [N, 16] -> [N, 2], [N, 16]."""
    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        net.keep.weight.copy_(0.95 * torch.eye(16))
    return net


def load() -> dict[str, object]:
    """Streams of 40 steps: 8 to learn from, 12 to be judged by. Nobody has labels."""
    streams = {"train": np.repeat(np.arange(8), 40), "test": np.repeat(np.arange(12), 40)}
    return {"train": (_sound(320, 1), None), "test": (_sound(480, 2), None), "streams": streams}


def _sound(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 1, (count, 4)).astype(np.float32)
