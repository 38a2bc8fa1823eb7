"""A detection for tests: one to three squares in a picture, in the form of YOLO: boxes in pixels beside scores."""

import numpy as np
import torch
from torch import Tensor, nn

SIDE, CELL = 32, 8


class Net(nn.Module):
    """Three convolutions, and one for each part of the answer."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for wide, out in ((1, 16), (16, 24), (24, 32)):
            parts += [nn.Conv2d(wide, out, 3, 2, 1), nn.BatchNorm2d(out), nn.ReLU()]
        self.body = nn.Sequential(*parts, nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU())
        cells = torch.arange(0.0, SIDE, CELL) - CELL / 2
        places = torch.stack([cells[None].expand(4, 4), cells[:, None].expand(4, 4)])
        self.register_buffer("places", places[None].contiguous(), persistent=False)
        self.there, self.box, self.kind = (nn.Conv2d(32, count, 1) for count in (1, 4, 2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        box = self.box(y).sigmoid()
        centre = box[:, :2] * 2 * CELL + self.places
        scores = torch.cat([self.there(y), self.kind(y)], 1).sigmoid()
        return torch.cat([centre, box[:, 2:] * SIDE, scores], 1).flatten(2)


def build() -> nn.Module:
    """[N, 1, 32, 32] -> [N, 7, 16]."""
    return Net()


def load() -> dict[str, object]:
    """256 pictures to learn from, 64 to be judged by; labels as edgebuild's spec/boxes.py has them."""
    return {"train": _pictures(256, 1), "test": _pictures(64, 2)}


def _pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pictures = rng.normal(0, 0.1, (count, 1, SIDE, SIDE)).astype(np.float32)
    labels = np.zeros((count, 3, 5), np.float32)
    labels[..., 0] = -1
    for picture, rows in zip(pictures, labels, strict=True):
        for row in rows[: rng.integers(1, 4)]:
            side, kind = int(rng.integers(7, 13)), int(rng.integers(0, 2))
            x, y = rng.integers(0, SIDE - side, 2).tolist()
            picture[0, y : y + side, x : x + side] = 1.0 if kind else -1.0
            row[:] = (kind, x / SIDE, y / SIDE, (x + side) / SIDE, (y + side) / SIDE)
    return pictures, labels
