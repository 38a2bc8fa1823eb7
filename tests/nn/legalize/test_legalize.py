"""Rewrites: each finds what it is for and gives the same; what is wrong is left out; TFLite takes all of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import invalidate_caches
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebuild.formats.onnx import Onnx
from edgebuild.formats.tflite import Tflite
from edgebuild.nn.legalize import proof
from edgebuild.nn.legalize.legalize import legal
from edgebuild.spec import plugins
from edgebuild.spec.layout import NHWC
from edgebuild.spec.registry import REWRITES

SIZES = {1: (8, 20), 2: (8, 11, 12), 3: (4, 5, 6, 8)}


class Pair(nn.Module):
    """A bilinear layer of a value and its own tangent."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Bilinear(20, 20, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x, torch.tanh(x))
        return y


def capped(x: Tensor) -> Tensor:
    """Values beyond a limit are the limit."""
    y = x.clone()
    y[y > 1] = 1.0
    y[torch.isnan(y)] = 0.0
    return y


def blanked(x: Tensor) -> Tensor:
    """Rows that hold a large value are another row."""
    y = x * 2
    y[:, y.amax((0, 2, 3)) > 4] = 0.5
    y[y.amax((1, 2, 3)) > 4.5] = torch.arange(12, dtype=x.dtype)
    return y


# By rewrite: layers over so many axes, which a TFLite file has not, has slowly or has wrongly.
LAYERS: dict[str, list[tuple[int, Callable[[], nn.Module]]]] = {
    "string_padding": [
        (1, lambda: nn.Conv1d(8, 6, 4, padding="same")),
        (1, lambda: nn.Conv1d(8, 8, 3, padding="same", dilation=2, groups=4, bias=False)),
        (1, lambda: nn.Conv1d(8, 6, 3, padding="valid")),
    ],
    "output_padding": [
        (1, lambda: nn.ConvTranspose1d(8, 6, 3, 4, 1, 3)),
        (2, lambda: nn.ConvTranspose2d(8, 6, 3, 2, 1, 1)),
        (2, lambda: nn.ConvTranspose2d(8, 6, 3, (2, 1), 1, (1, 0), bias=False)),
    ],
    "transposed_groups": [
        (1, lambda: nn.ConvTranspose1d(8, 16, 5, 3, 2, 1, groups=2)),
        (2, lambda: nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8)),
        (2, lambda: nn.ConvTranspose2d(8, 12, 3, (2, 3), 1, (1, 2), groups=4)),
    ],
    "transposed_apart": [
        (1, lambda: nn.ConvTranspose1d(8, 6, 3, 2, 1, 1, dilation=2)),
        (2, lambda: nn.ConvTranspose2d(8, 6, 3, 2, 1, dilation=2, groups=2)),
        (3, lambda: nn.ConvTranspose3d(4, 6, 3, 2, 1, 1)),
    ],
    "grouped_conv3d": [(3, lambda: nn.Conv3d(4, 8, 3, padding=1, groups=4))],
    "strided_conv3d": [
        (3, lambda: nn.Conv3d(4, 8, 3, (1, 2, 2), 1)),
        (3, lambda: nn.Conv3d(4, 6, (3, 1, 3), 2, (1, 0, 1))),
    ],
    "ceil_pools": [(2, lambda: nn.MaxPool2d(3, 2, ceil_mode=True)), (2, lambda: nn.MaxPool2d(5, 4, ceil_mode=True))],
    "dilated_pools": [
        (2, lambda: nn.MaxPool2d(3, 2, 1, dilation=(2, 3), ceil_mode=True)),
        (1, lambda: nn.MaxPool1d(3, 1, dilation=2)),
    ],
    "expanded": [
        (2, lambda: Call(lambda x: torch.cat([x, x.mean((1, 3), keepdim=True).expand(-1, 1, -1, 12)], 1))),
        (2, lambda: Call(lambda x: x * x.amax((2, 3), keepdim=True).expand_as(x))),
        (2, lambda: Call(lambda x: x + x * (1 - x.amax(1, keepdim=True).expand_as(x)).sqrt().exp())),
        (2, lambda: Call(lambda x: torch.relu(x.amax(1).unsqueeze(-1) * torch.ones(1, 1, 1, 2, dtype=x.dtype)))),
        (2, lambda: Call(lambda x: torch.relu(x.amax(1).unsqueeze(-1).expand(-1, -1, -1, 2)))),
    ],
    "powers": [(2, lambda: Call(lambda x: (x.unsqueeze(1) - 1).pow(2) - x.unsqueeze(1) ** 3))],
    "masked_writes": [(2, lambda: Call(capped)), (2, lambda: Call(blanked))],
    "assertions": [(1, lambda: Call(asserted))],
    "elementary": [
        (2, lambda: Call(lambda x: x.exp2() + x.erfc())),
        (2, lambda: Call(lambda x: torch.lerp(x, x.relu(), -1.5))),
    ],
    "hypotenuses": [
        (2, lambda: Call(lambda x: torch.hypot(x, x.flip(2)))),
        (2, lambda: Call(lambda x: torch.copysign(x, x.flip(2) * 0.0) + torch.copysign(x.exp(), -1.0))),
    ],
    "squeezes": [(2, lambda: Call(lambda x: x.squeeze(1) * 2)), (2, lambda: Call(lambda x: x.squeeze((0, 1)) * 2))],
    "identity_matrix": [(1, lambda: Call(lambda x: x + torch.eye(8, 20, dtype=x.dtype)))],
    "average_counts": [
        (1, lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False)),
        (2, lambda: nn.AvgPool2d(3, 2, (1, 0), count_include_pad=False, ceil_mode=True)),
        (2, lambda: nn.AvgPool2d(2, divisor_override=3)),
    ],
    "adaptive_max": [
        (1, lambda: nn.AdaptiveMaxPool1d(5)),
        (2, lambda: nn.AdaptiveMaxPool2d((1, 3))),
        (2, lambda: nn.AdaptiveMaxPool2d(5)),
    ],
    "adaptive_mean": [
        (1, lambda: nn.AdaptiveAvgPool1d(7)),
        (2, lambda: nn.AdaptiveAvgPool2d((5, 4))),
        (3, lambda: nn.AdaptiveAvgPool3d((2, 4, 8))),
    ],
    "nearest": [
        (2, lambda: nn.Upsample(scale_factor=1.5)),
        (2, lambda: nn.Upsample(scale_factor=0.5)),
        (2, lambda: nn.Upsample(size=(17, 12))),
    ],
    "borders": [
        (1, lambda: nn.ReflectionPad1d((2, 3))),
        (2, lambda: nn.Conv2d(8, 6, 3, padding=(2, 1), padding_mode="circular")),
        (3, lambda: nn.ReplicationPad3d((1, 0, 2, 1, 0, 1))),
    ],
    "pools_3d": [
        (3, lambda: nn.MaxPool3d(3, 2, 1, ceil_mode=True)),
        (3, lambda: nn.AvgPool3d((2, 3, 3), (1, 2, 2), (0, 1, 1))),
        (2, lambda: nn.LocalResponseNorm(3, 0.1)),
    ],
    "resize_products": [
        (2, lambda: nn.Upsample(scale_factor=1.5, mode="bicubic")),
        (1, lambda: nn.Upsample(size=33, mode="linear", align_corners=True)),
        (3, lambda: nn.Upsample(scale_factor=(1, 2, 0.5), mode="trilinear")),
    ],
    "bilinear_scales": [(2, lambda: nn.Upsample(scale_factor=1.7, mode="bilinear"))],
    "spectra": [
        (1, lambda: Call(lambda x: framed(x).abs())),
        (1, lambda: Call(lambda x: torch.view_as_real(torch.fft.rfft(x, 24, 1, "ortho")))),
        (1, lambda: Call(lambda x: torch.fft.rfft(x * TAPER).real + torch.fft.rfft(x, norm="forward").imag)),
    ],
    "complex_numbers": [
        (
            1,
            lambda: Call(
                lambda x: (
                    turned(x) + torch.fft.irfft(torch.fft.rfft(x, 24) * torch.fft.rfft(x, 24).conj().roll(1, 1), 20)
                )
            ),
        ),
        (1, lambda: Call(whispered)),
        (2, lambda: Call(lambda x: mixed(x) + torch.fft.fftshift(torch.fft.fft2(x, norm="ortho"), -1).abs().mean())),
    ],
    "pooled_places": [
        (2, lambda: Call(lambda x: functional.max_pool2d(x, (3, 2), return_indices=True)[1] * 1.0)),
        (2, lambda: Call(lambda x: unpooled(x, 2))),
    ],
    "patches": [
        (2, lambda: nn.Unfold((3, 2), 1, 1, (2, 1))),
        (1, lambda: nn.Fold((7, 10), 2, padding=(1, 0), stride=2)),
    ],
    "bilinear": [(1, Pair)],
    "rrelu": [(1, nn.RReLU)],
    "single_rows": [
        (2, lambda: Rows(nn.Linear(8, 5))),
        (2, lambda: Rows(Product("matmul"))),
        (2, lambda: Rows(Product("abcd,de->abce"))),
    ],
    "ordering": [
        (1, lambda: Call(lambda x: x.topk(3, 1)[0])),
        (2, lambda: Call(lambda x: torch.cat([x.sort(-1)[0], x.sort(-1, descending=True)[0]], 1))),
        (2, lambda: Call(lambda x: x.gather(2, x.argsort(2, descending=True)))),
    ],
    "order_statistics": [
        (1, lambda: Call(lambda x: x.median(-1)[0])),
        (2, lambda: Call(lambda x: x.kthvalue(4, 1, keepdim=True)[0])),
        (1, lambda: Call(lambda x: x * x.quantile(0.3, dim=1, keepdim=True) + x.quantile(0.5))),
    ],
    "running": [
        (1, lambda: Call(lambda x: torch.cat([x.cumprod(1), x.logcumsumexp(2)], 1))),
        (2, lambda: Call(lambda x: x.cummax(2)[0] + x.cummax(2)[1])),
        (2, lambda: Call(lambda x: x.cummin(-1)[0] + x.cummin(-1)[1])),
    ],
    "buckets": [
        (1, lambda: Call(lambda x: torch.bucketize(x, torch.linspace(-1, 1, 7, dtype=x.dtype)) * x)),
        (1, lambda: Call(lambda x: torch.searchsorted(torch.linspace(-1, 1, 7, dtype=x.dtype), x, right=True) * x)),
    ],
    "scattered_sums": [
        (1, lambda: Call(lambda x: torch.zeros_like(x[:, :5]).scatter_add(1, fifths(x), x))),
        (1, lambda: Call(lambda x: x.new_zeros(len(x), 5, 20).scatter_add_(1, fifths(x), x) * 2)),
        (2, lambda: Call(lambda x: x[:, :5].index_add(1, torch.arange(8) % 4, x, alpha=0.5))),
    ],
    "scattered_means": [
        (1, lambda: Call(lambda x: x[:, 1:7].scatter_reduce(1, fifths(x), x, "mean", include_self=False))),
        (1, lambda: Call(lambda x: x[:, 1:7].scatter_reduce(1, fifths(x), x, "mean"))),
        (1, lambda: Call(lambda x: x[:, 1:7].scatter_reduce(1, fifths(x), x, "amax", include_self=False))),
        (1, lambda: Call(lambda x: x.new_zeros(len(x), 5, 20).scatter_reduce_(1, fifths(x), x, "amin"))),
    ],
    "embedding_bags": [
        (1, lambda: Bags(nn.EmbeddingBag(4, 5, mode="mean"))),
        (1, lambda: Bags(nn.EmbeddingBag(4, 5, mode="max", padding_idx=0))),
        (1, lambda: Bags(nn.EmbeddingBag(4, 5, mode="mean", padding_idx=0))),
    ],
    "grid_samples": [
        (2, lambda: Call(lambda x: placed(x, 2, mode="nearest"))),
        (2, lambda: Call(lambda x: placed(x, 2, mode="nearest", padding_mode="reflection"))),
        (3, lambda: Call(lambda x: placed(x, 3, align_corners=True))),
        (3, lambda: Call(lambda x: placed(x, 3, padding_mode="reflection", align_corners=True))),
        (3, lambda: Call(lambda x: placed(x, 3, mode="nearest", padding_mode="border"))),
    ],
    "doubles": [
        (1, lambda: Call(lambda x: (x.double().cumsum(1) * torch.linspace(0, 1, 20, dtype=torch.float64)).float())),
        (1, lambda: Call(lambda x: (x * torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(10)).float())),
    ],
    "projected_lstm": [
        (1, lambda: Recurrent(nn.LSTM(20, 6, 2, proj_size=3, bidirectional=True, batch_first=True))),
        (1, lambda: Recurrent(nn.LSTM(20, 4, proj_size=2, bias=False))),
    ],
    "one_hot": [(1, lambda: Call(lambda x: functional.one_hot(x.argmax(-1), 20).to(x.dtype) * x))],
    "windows": [(1, lambda: Call(lambda x: x.unfold(-1, 5, 3))), (2, lambda: Call(lambda x: x.unfold(2, 4, 2)))],
    "distances": [
        (1, lambda: Call(lambda x: torch.cdist(x, x[:, :3] + 1))),
        (1, lambda: Call(lambda x: torch.cdist(x, x + 1, p=1.0))),
    ],
    "nearest_exact": [(2, lambda: nn.Upsample(scale_factor=(2, 3), mode="nearest-exact"))],
}


class Bags(nn.Module):
    """Of words that values stand for, one of them of padding alone."""

    def __init__(self, layer: nn.EmbeddingBag) -> None:
        super().__init__()
        self.layer = layer
        nn.init.normal_(layer.weight)  # that of padding is 0

    def forward(self, x: Tensor) -> Tensor:
        words = (x[:, :, 0] > 0).long() * 2 + (x[:, :, 1] > 0).long()
        answer: Tensor = self.layer(torch.cat([words, torch.zeros_like(words)]))
        return answer


class Recurrent(nn.Module):
    """What a recurrent layer answers to three steps, each of many operators, and the state that it ends with."""

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        answer, (state, cell) = self.layer(x[:, :3])
        return answer + state.sum() + cell.sum()


class Product(nn.Module):
    """With a matrix, by the operator or the equation."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.matrix = nn.Parameter(torch.randn(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix if self.how == "matmul" else torch.einsum(self.how, x, self.matrix)


class Rows(nn.Module):
    """The layer on the means of each channel, as rows alone in their axis."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        means = x.flatten(2).mean(-1).reshape(1, 1, 1, 8)
        answer: Tensor = self.layer(torch.cat([means, means + 1], 1))
        return answer


TAPER = torch.hann_window(20)  # a constant of the model: what a rewrite brings must not be taken for it


def asserted(x: Tensor) -> Tensor:
    """As it is, where it is no number without end."""
    torch._assert_async((x.abs() < 1e9).all(), "too large")
    return x * 1


def fifths(x: Tensor) -> Tensor:
    """A number from 0 to 4 for every value."""
    return torch.arange(8).view(1, 8, 1).expand(len(x), 8, 20) % 5


def placed(x: Tensor, axes: int, align_corners: bool = False, **how: str) -> Tensor:
    """At places some of which lie outside."""
    return functional.grid_sample(x, x[:, :axes].movedim(1, -1).sin() * 1.7, align_corners=align_corners, **how)


def framed(x: Tensor) -> Tensor:
    """Of short windows that overlap."""
    window = torch.hann_window(8).to(x.dtype)
    return torch.stft(x[:, 0], 10, 4, 8, window, center=False, normalized=True, return_complex=True)


def whispered(x: Tensor) -> Tensor:
    """Out of the spectrum and back again, as a network that takes noise out of speech has it."""
    window = torch.hamming_window(8).to(x.dtype)
    spectrum = torch.stft(x[:, 0], 8, 2, window=window, center=False, return_complex=True)
    mask = torch.sigmoid(spectrum.abs())
    masked = torch.polar(spectrum.abs() * mask, spectrum.angle())
    return (
        torch.istft(masked, 8, 2, window=window, center=False) + torch.istft(masked * mask, 8, 2, 6, length=12).mean()
    )


def turned(x: Tensor) -> Tensor:
    """By angles, as rotary positions are, and a correlation."""
    numbers = torch.view_as_complex(x.unflatten(-1, (10, 2)))
    rotated = torch.view_as_real(numbers * torch.polar(x[..., ::2].abs(), x[..., 1::2])).flatten(-2)
    both = torch.fft.rfft(x, 24) * torch.fft.rfft(x, 24).conj().roll(1, 1)
    return rotated + torch.fft.irfft(both, 20)


def mixed(x: Tensor) -> Tensor:
    """Products of matrices, quotients and exponentials, moved about."""
    numbers = torch.complex(x[:, :4], x[:, 4:])
    every = torch.einsum("bcij,bdjk->bdcik", numbers.mT.contiguous(), numbers / (numbers.conj() + 3.0 + 1.0j))
    rows = torch.cat(
        [every.sum(1), torch.exp(-numbers.roll(1, -1)).transpose(1, -1)[:, :4, :, :4].repeat(1, 1, 1, 3)], 2
    )
    return torch.fft.irfftn(torch.fft.ifft(rows.permute(0, 2, 3, 1), 6, 1), (10, 7), dim=(1, 2)) + rows.imag.mean()


def unpooled(x: Tensor, size: int) -> Tensor:
    """As a network that mirrors its pools has it."""
    values, places = functional.max_pool2d(x, size, return_indices=True)
    return functional.max_unpool2d(values, places, size, output_size=x.shape[2:])


class Call(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Every(nn.Module):
    """All layers side by side, each with an answer of its own."""

    def __init__(self, layers: list[tuple[int, Callable[[], nn.Module]]]) -> None:
        super().__init__()
        self.axes = [axes for axes, _ in layers]
        self.layers = nn.ModuleList([build() for _, build in layers])

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        given = {1: a, 2: b, 3: c}
        return tuple(layer(given[axes]) for axes, layer in zip(self.axes, self.layers, strict=True))


def example() -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    return tuple(torch.randn(1, *size) for size in SIZES.values())


def test_there_is_a_layer_for_every_rewrite_of_ours() -> None:
    assert {*REWRITES.usable()} == {*LAYERS}


@pytest.mark.parametrize("name", LAYERS)
def test_a_rewrite_finds_each_of_its_layers_and_answers_the_same_in_double_precision(name: str) -> None:
    torch.use_deterministic_algorithms(False)  # another test may have trained
    module = Every(LAYERS[name]).eval()
    format_name = [*REWRITES.get(name).formats][-1]
    found = legal(module, example(), format_name)
    line = found.lines[0]  # what it is made of may be rewritten in its turn
    assert line.startswith(f"rewritten for {format_name} (")
    assert all(f"'layers.{k}" in line for k in range(min(3, len(LAYERS[name]))))
    assert proof.distance(module, found.module, example()) < (1e-6 if name == "doubles" else 1e-12)
    again = legal(found.module, example(), format_name)
    assert again.module is found.module  # nothing is left to be rewritten


class Operator(nn.Module):
    """A layer of a Fourier neural operator: complex weights for the lowest frequencies, the others written over."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 6, 5, dtype=torch.cfloat))

    def forward(self, x: Tensor) -> Tensor:
        frequencies = torch.zeros(len(x), 6, 11, dtype=torch.cfloat)
        frequencies[:, :, :5] = torch.einsum("nif,iof->nof", torch.fft.rfft(x)[:, :, :5], self.weight)
        return torch.fft.irfft(frequencies, x.shape[-1])


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_complex_weights_become_real_ones_and_what_is_written_into_zeros_stays(name: str) -> None:
    module, given = Operator().eval(), example()[:1]
    found = legal(module, given, name)
    assert [tuple(value.shape) for value in found.module.parameters()] == [(8, 6, 5, 2)]
    assert proof.distance(module, found.module, given) < 1e-6
    assert "Complex numbers" in found.lines[0]


def test_onnx_has_no_operator_for_maxima_of_uneven_windows() -> None:
    found = legal(nn.AdaptiveMaxPool2d((5, 7)), example()[1:2], "onnx")
    assert found.lines[0].startswith("rewritten for onnx (refused otherwise)")


def test_onnx_answers_as_torch_does_to_what_it_has_not_or_has_wrongly() -> None:
    names = ("scattered_means", "projected_lstm", "squeezes", "hypotenuses")
    module, given = Every([LAYERS[name][0] for name in names]).eval(), example()
    file = Onnx().convert(legal(module, given, "onnx").module, given)
    (answers,) = Onnx().run(file, [tuple(values.numpy() for values in given)])
    for one, other in zip(answers, module(*given), strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other)


def test_what_is_read_off_a_spectrum_at_once_is_left_to_onnx() -> None:
    module = Call(lambda x: framed(x).abs())
    assert legal(module, example()[:1], "onnx").module is module


def test_it_is_the_same_where_training_wants_the_same_bytes() -> None:
    """Max-unpooling has no deterministic form, and could not even be traced."""
    torch.use_deterministic_algorithms(True)
    try:
        module = Every(LAYERS["pooled_places"]).eval()
        assert len(legal(module, example(), "tflite").lines) == 1
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(8, 6, 3, padding=1),
        nn.Conv2d(8, 6, 4, padding="same"),
        nn.ConvTranspose2d(8, 6, 4, 2, 1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Upsample(scale_factor=2),
    ],
    ids=str,
)
def test_what_a_format_takes_is_left_alone(layer: nn.Module) -> None:
    given = (torch.randn(1, 8, 12) if isinstance(layer, nn.Conv1d) else torch.randn(1, 8, 12, 12),)
    found = legal(layer, given, "tflite")
    assert found.module is layer
    assert found.lines == ()


def test_sizes_that_only_the_file_will_know_are_nothing_to_a_rewrite() -> None:
    module = Call(lambda x: (x[:, :, (x[0, :, 0, 0] > 0).nonzero()[:, 0]] @ torch.ones(12, 5)).sum(2)).eval()
    assert legal(module, (torch.randn(1, 8, 8, 12),), "tflite").module is module


def test_no_other_format_is_rewritten_for_what_tflite_lacks() -> None:
    layer = nn.ConvTranspose2d(8, 6, 3, 2, 1, 1)
    assert legal(layer, example()[1:2], "onnx").module is layer


OUTSIDE = """
import torch
from edgebuild.spec.rewrite import Rewrite

class Tanh(Rewrite):
    \"\"\"A hyperbolic tangent by way of a sigmoid.\"\"\"
    operators = ("tanh.default",)
    formats = {"tflite": "slow"}

    @staticmethod
    def instead(node):
        return lambda x: 2 * torch.sigmoid(2 * x) - FACTOR
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Installs a rewrite of somebody else's that takes so much away."""

    def clear() -> None:
        plugins.forget()
        invalidate_caches()

    def install(factor: str) -> None:
        info = tmp_path / "said-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: said\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[edgebuild.rewrites]\ntanh = said_otherwise:Tanh\n")
        (tmp_path / "said_otherwise.py").write_text(OUTSIDE.replace("FACTOR", factor))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "said_otherwise", raising=False)
        clear()

    yield install
    clear()


def test_a_rewrite_of_somebody_else_is_one_file_and_an_entry_point(outside: Callable[[str], None]) -> None:
    outside("1")
    found = legal(nn.Tanh(), example()[:1], "tflite")
    assert found.lines == ("rewritten for tflite (slow otherwise): A hyperbolic tangent by way of a sigmoid",)


def test_a_rewrite_that_changes_numbers_is_left_out_and_the_others_are_not(outside: Callable[[str], None]) -> None:
    outside("1.0001")
    module = nn.Sequential(nn.Conv1d(8, 6, 4, padding="same"), nn.Tanh())
    found = legal(module, example()[:1], "tflite")
    done, left = found.lines
    assert '`padding="same"`' in done
    assert left.startswith("the rewrite 'tanh' is left out: it changes answers by 1.")
    assert proof.distance(module, found.module, example()[:1]) < 1e-12


def test_tflite_takes_a_layer_of_every_rewrite_and_answers_as_torch_does() -> None:
    layers = [every[0] for every in LAYERS.values()]
    others = [LAYERS[name][place] for name, place in (("output_padding", 1), ("transposed_groups", 1), ("expanded", 2))]
    module, given = Every([*layers, *others]).eval(), example()
    # In one layout: without it the file would be made twice.
    file = Tflite().convert(legal(module, given, "tflite").module, given, NHWC)
    (answers,) = Tflite().run(file, [tuple(values.numpy() for values in given)])
    with torch.no_grad():
        wanted = [value.numpy() for value in module(*given)]
    assert [value.shape for value in answers] == [value.shape for value in wanted]
    far = [np.abs(one - other).max() / np.abs(other).max() for one, other in zip(answers, wanted, strict=True)]
    assert max(far) < 1e-5, dict(enumerate(far))
    assert not {"STABLEHLO_REDUCE_WINDOW", "GATHER_ND", "STABLEHLO_CONVOLUTION"} & {*Tflite().operators(file)}


def test_what_is_expanded_meets_a_picture_behind_other_arithmetic() -> None:
    """Between convolutions, as a decoder trusts what it was surer of; made in three axes it was mixed up there."""
    before, x = nn.Conv2d(6, 6, 1), torch.randn(1, 6, 5, 4)
    module = Call(lambda x: before(x) + x * (1 - before(x).amax(1, keepdim=True).expand_as(x))).eval()
    (answer,) = next(Tflite().run(Tflite().convert(legal(module, (x,), "tflite").module, (x,)), [(x.numpy(),)]))
    np.testing.assert_allclose(answer, module(x).detach().numpy(), atol=1e-5)


def test_a_network_may_end_in_an_expand() -> None:
    module, given = Call(lambda x: x.amax(1).unsqueeze(-1).expand(-1, -1, -1, 2)), example()[1:2]
    file = Tflite().convert(legal(module, given, "tflite").module, given)
    ((answer,),) = Tflite().run(file, [tuple(values.numpy() for values in given)])
    assert np.array_equal(answer, module(*given).numpy())
