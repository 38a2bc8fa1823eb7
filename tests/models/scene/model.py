"""Two inputs of different types and three outputs of different shapes, of which one has no task."""

import numpy as np
import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Convolutions of the picture, an embedding of the words, and a layer behind both."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.features = nn.Conv2d(32, 8, 1)
        self.words = nn.Embedding(20, 16)
        self.inner = nn.Linear(88, 32)
        self.kind = nn.Linear(32, 4)
        self.place = nn.Linear(72, 2)

    def forward(self, picture: Tensor, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = torch.relu(self.features(self.convs(picture)))
        seen = features.flatten(1)
        both = torch.relu(self.inner(torch.cat([seen, self.words(words).mean(1)], 1)))
        return self.kind(both), features, self.place(seen)


def build() -> nn.Module:
    """[N, 1, 12, 12] and [N, 3] -> [N, 4], [N, 8, 3, 3] and [N, 2]."""
    return Net()


def load() -> dict[str, object]:
    """512 examples to learn from and 300 to be judged by."""
    return {"train": _examples(512, 1), "test": _examples(300, 2)}


def _examples(count: int, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    places, words = rng.uniform(-1, 1, (count, 2)), rng.integers(0, 20, (count, 3))
    rows, columns = np.mgrid[-1:1:12j, -1:1:12j]
    far = (rows - places[:, :1, None]) ** 2 + (columns - places[:, 1:, None]) ** 2
    pictures = np.exp(-6 * far) + rng.normal(0, 0.02, far.shape)
    kinds = 2 * (places[:, 0] > 0) + (words.mean(1) > 9.5)
    return (pictures[:, None].astype(np.float32), words), {"place": places.astype(np.float32), "kind": kinds}
