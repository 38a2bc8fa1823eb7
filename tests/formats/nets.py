"""Small nets of different kinds with random weights, and examples for them: for what a quantizer does with each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from edgebuild.spec.registry import FORMATS

Sample = tuple[np.ndarray, ...]
NETS = ("residual", "depthwise", "transformer", "recurrent")


@cache
def net(name: str) -> Any:
    """The torch module, in eval mode."""
    import torch

    torch.manual_seed(7)
    torch.set_num_threads(1)
    return {"residual": _residual, "depthwise": _depthwise, "transformer": _transformer, "recurrent": _recurrent}[
        name
    ]().eval()


@cache
def file(name: str, format_name: str) -> bytes:
    """The float file of a net."""
    import torch

    converted: bytes = FORMATS.get(format_name)().convert(net(name), (torch.from_numpy(samples(name, 1)[0][0]),))
    return converted


def samples(name: str, count: int, seed: int = 0) -> list[Sample]:
    """Inputs that the net takes."""
    rng = np.random.default_rng(seed)
    if name == "transformer":
        return [(rng.integers(0, 40, (1, 8)),) for _ in range(count)]
    shape = (1, 6, 8) if name == "recurrent" else (1, 3, 12, 12)
    return [(rng.normal(size=shape).astype(np.float32),) for _ in range(count)]


def torch_answers(name: str, given: list[Sample]) -> np.ndarray:
    """What the net answers."""
    import torch

    with torch.no_grad():
        return np.concatenate([net(name)(*map(torch.from_numpy, sample)).numpy() for sample in given])


def answers(format_name: str, model: bytes, given: list[Sample]) -> np.ndarray:
    """What a file answers in its runtime."""
    return np.concatenate([first[0] for first in FORMATS.get(format_name)().run(model, given)])


def distance(wanted: np.ndarray, given: np.ndarray) -> float:
    """Root of the mean squared error as a share of the answers' spread."""
    return float(np.sqrt(((given - wanted) ** 2).mean()) / wanted.std())


def _residual() -> Any:
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, 1, 1)
            self.inner = nn.Conv2d(8, 8, 3, 1, 1)
            self.head = nn.Linear(8, 4)

        def forward(self, x: Any) -> Any:
            x = self.stem(x).relu()
            return self.head((x + self.inner(x)).relu().mean((2, 3)))

    return Residual()


def _depthwise() -> Any:
    from torch import nn

    def block(inputs: int, outputs: int) -> Iterator[Any]:
        yield from (nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs), nn.ReLU6())
        yield from (nn.Conv2d(inputs, outputs, 1), nn.ReLU6())

    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), *block(8, 16), *block(16, 16), *pooled)


def _transformer() -> Any:
    from torch import nn

    class Attention(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
            self.up, self.down = nn.Linear(width, 64), nn.Linear(64, width)

        def heads(self, layer: Any, x: Any) -> Any:
            return layer(x).reshape(1, 8, 2, 16).transpose(1, 2)

        def forward(self, x: Any) -> Any:
            y = self.norm1(x)
            q, k, v = (self.heads(layer, y) for layer in (self.q, self.k, self.v))
            mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 8, 32)
            x = x + self.out(mixed)
            return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(40, 32)
            self.blocks = nn.Sequential(Attention(32), Attention(32))
            self.head = nn.Linear(32, 4)

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks(self.words(x)).mean(1))

    return Transformer()


def _recurrent() -> Any:
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 16, batch_first=True)
            self.head = nn.Linear(16, 4)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0][:, -1])

    return Recurrent()
