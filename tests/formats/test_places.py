"""Numbers of places stay float in int8 files: where a grid is sampled, which entry of a codebook is the nearest."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebuild.formats import _places
from edgebuild.formats._masks import Operation
from edgebuild.formats.onnx import Onnx
from edgebuild.formats.tflite import Tflite
from edgebuild.spec.quantization import Quantization


class Sampled(nn.Module):
    """A picture at the places that a layer finds in it."""

    def __init__(self) -> None:
        super().__init__()
        self.find = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        places = self.find(x).tanh().permute(0, 2, 3, 1)
        return functional.grid_sample(x, places, align_corners=False)


class Nearest(nn.Module):
    """Every value of eight channels as the entry of a codebook that is nearest to it."""

    def __init__(self) -> None:
        super().__init__()
        self.book = nn.Embedding(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 3, 1).reshape(-1, 8)
        far = (rows**2).sum(1, keepdim=True) + (self.book.weight**2).sum(1) - 2 * rows @ self.book.weight.t()
        return self.book(far.argmin(1))


def samples(*shape: int) -> list[tuple[np.ndarray, ...]]:
    """Noise: another place has another value."""
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(1, *shape)).astype(np.float32),) for _ in range(8)]


def agreement(answer: np.ndarray, expected: np.ndarray) -> float:
    """The cosine between the two."""
    return float(np.sum(answer * expected) / np.linalg.norm(answer) / np.linalg.norm(expected))


def test_places_of_a_grid_are_not_rounded_to_8_bits() -> None:
    torch.manual_seed(0)
    module, given = Sampled().eval(), samples(3, 16, 16)
    file = Tflite().convert(module, (torch.zeros(1, 3, 16, 16),))
    small = Tflite().quantize(file, Quantization("static", operators="all"), given)
    (answer,) = next(iter(Tflite().run(small, given)))
    wanted = module(torch.from_numpy(given[0][0])).detach().numpy()
    assert agreement(answer, wanted) > 0.9


def test_distances_to_a_codebook_are_not_rounded_to_8_bits() -> None:
    torch.manual_seed(0)
    module, given = Nearest().eval(), samples(8, 8, 8)
    file = Onnx().convert(module, (torch.zeros(1, 8, 8, 8),))
    small = Onnx().quantize(file, Quantization("static", operators="all"), given)
    (answer,) = next(iter(Onnx().run(small, given)))
    wanted = module(torch.from_numpy(given[0][0])).detach().numpy()
    assert agreement(answer, wanted) > 0.99


def test_what_is_reckoned_ends_at_layers_and_at_what_is_looked_up() -> None:
    graph = [
        Operation("CONV_2D", ("x", "w"), ("c",)),
        Operation("MUL", ("c", "two"), ("m",)),
        Operation("FLOOR", ("m",), ("f",)),
        Operation("SUB", ("m", "f"), ("rest",)),
        Operation("CAST", ("f",), ("number",)),
        Operation("GATHER", ("x", "number"), ("value",)),
        Operation("MUL", ("value", "rest"), ("y",)),
    ]
    assert {one.outputs[0] for one in _places.reckoning(graph, {"c"})} == {"m", "f", "rest", "number"}


def test_a_layer_whose_values_are_only_compared_is_reckoned_with() -> None:
    graph = [
        Operation("Conv", ("x", "w"), ("c",)),
        Operation("MatMul", ("c", "book"), ("product",)),
        Operation("Neg", ("product",), ("n",)),
        Operation("ArgMax", ("n",), ("number",)),
        Operation("Gather", ("book", "number"), ("value",)),
        Operation("MatMul", ("value", "u"), ("y",)),
    ]
    kept = _places.reckoning(graph, {"c", "product", "value", "y"})
    assert {one.outputs[0] for one in kept} == {"product", "n", "number"}


def test_nothing_is_reckoned_where_words_are_looked_up() -> None:
    graph = [Operation("Gather", ("book", "words"), ("e",)), Operation("MatMul", ("e", "w"), ("y",))]
    assert _places.reckoning(graph, {"e", "y"}) == []
