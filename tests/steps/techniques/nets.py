"""Networks of kinds that pruning must know, untrained: the file is the source of checkpoints of its own builders."""

import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Self-attention that splits its heads in one of the ways that people write."""

    def __init__(self, width: int, heads: int, split: str) -> None:
        super().__init__()
        self.heads, self.split = heads, split
        if split in ("apart", "by hand"):
            self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        else:
            self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        many, long, _ = x.shape
        if self.split in ("apart", "by hand"):
            q, k, v = (f(x).reshape(many, long, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        elif self.split == "chunk":
            q, k, v = (y.reshape(many, long, self.heads, -1).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
        else:
            q, k, v = self.qkv(x).reshape(many, long, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        if self.split == "by hand":
            y = torch.softmax(q @ k.transpose(2, 3) * k.shape[3] ** -0.5, 3) @ v
        else:
            y = functional.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(many, long, -1))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, split: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, split)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.outer(functional.gelu(self.inner(self.norm2(x))))


class Transformer(nn.Module):
    """[N, 6, 8] -> [N, 4]: two blocks, learnt positions."""

    def __init__(self, split: str = "chunk") -> None:
        super().__init__()
        self.embed, self.places = nn.Linear(8, 32), nn.Parameter(torch.randn(1, 6, 32))
        self.blocks = nn.Sequential(Block(32, 4, split), Block(32, 4, split))
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x) + self.places).mean(1))


class Depthwise(nn.Module):
    """[N, 1, 8, 8] -> [N, 4]: an inverted residual with linear bottlenecks, then a grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.inverted = nn.Sequential(
            nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6(),
            nn.Conv2d(32, 32, 3, 1, 1, groups=32, bias=False), nn.BatchNorm2d(32), nn.ReLU6(),
            nn.Conv2d(32, 16, 1, bias=False), nn.BatchNorm2d(16),
        )  # fmt: skip
        self.grouped = nn.Conv2d(16, 32, 3, 1, 1, groups=4)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(self.grouped(x + self.inverted(x)))
        return self.head(x.mean((2, 3)))


class Recurrent(nn.Module):
    """[N, 6, 8] -> [N, 4]: LSTM and GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LSTM(8, 16, batch_first=True), nn.GRU(16, 16, batch_first=True)
        self.inner, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x)[0])[0]
        return self.head(torch.relu(self.inner(x.mean(1))))


class Library(nn.Module):
    """[N, 6, 8] -> [N, 4]: PyTorch's own encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(x)).mean(1))


class Stuck(Transformer):
    """A transformer whose head count is written into its code, not kept as a number that could be changed."""

    def __init__(self) -> None:
        super().__init__()
        for block in self.blocks:
            block.attention = StuckAttention()


class StuckAttention(nn.Module):
    """Four heads, always."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        many, long, _ = x.shape
        q, k, v = (y.reshape(many, long, 4, 8).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(many, long, -1))


def apart() -> nn.Module:
    return Transformer("apart")


def by_hand() -> nn.Module:
    return Transformer("by hand")


def fused() -> nn.Module:
    return Transformer("fused")


SHAPES = {"Depthwise": (1, 8, 8)}  # of one example; the others take six vectors of eight


def save(builder: str, folder: Path) -> Path:
    """A checkpoint of the untrained network that this builder makes."""
    from edgebuild.nn import checkpoint
    from edgebuild.nn.model_code import ModelCode
    from edgebuild.spec.signature import TensorSpec

    (folder / "source").mkdir(parents=True)
    (folder / "model").mkdir()
    shutil.copyfile(__file__, folder / "source" / "model.py")
    source, inputs = ModelCode(folder / "source", "models/m"), (TensorSpec("x", SHAPES.get(builder, (6, 8))),)
    torch.manual_seed(1)
    module = source.build(builder, inputs)
    checkpoint.save(checkpoint.Checkpoint(module, source, builder, inputs), folder / "model")
    return folder / "model"


def data(builder: str, folder: Path) -> Path:
    """128 random examples with random labels, as a data artifact."""
    from edgebuild.spec import dataset
    from edgebuild.spec.rows import Split

    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, *SHAPES.get(builder, (6, 8)))).astype(np.float32)
    folder.mkdir(parents=True)
    for name in ("train", "validation", "test"):
        dataset.write(folder, name, Split((x,), (rng.integers(0, 4, 128),)))
    return folder
