"""Fourier transforms of a fixed size, as products with cosines and sines; `norm` is as `torch.fft` names it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgebuild.nn.legalize.geometry import cropped
from edgebuild.nn.legalize.pairs import Pair

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2**22  # numbers of a matrix: axes of up to 2048


def half(x: Tensor, size: int, axis: int, norm: str | None) -> Pair:
    """Real values to the frequencies 0 to size // 2 of an axis, which is cut or filled up with zeros to `size`."""
    cosines, sines = _waves(size // 2 + 1, size, x, _factor(size, norm, inverse=False))
    last = cropped(x.movedim(axis, -1), [0], [size])
    return Pair((last @ cosines.T).movedim(-1, axis), -(last @ sines.T).movedim(-1, axis))


def back(pair: Pair, size: int, axis: int, norm: str | None) -> Tensor:
    """Frequencies 0 to size // 2 of an axis to so many real values; what is imaginary in the first does not count."""
    cosines, sines = _halves(size, pair.real, norm)
    real, imag = (cropped(part.movedim(axis, -1), [0], [len(cosines)]) for part in pair)
    values: Tensor = real @ cosines - imag @ sines
    return values.movedim(-1, axis)


def whole(pair: Pair, size: int, axis: int, norm: str | None, *, inverse: bool) -> Pair:
    """All frequencies of an axis, forth or back."""
    cosines, sines = _waves(size, size, pair.real, _factor(size, norm, inverse=inverse))  # their own transposes
    sines = -sines if inverse else sines
    real = cropped(pair.real.movedim(axis, -1), [0], [size])
    turned = Pair(real @ cosines, -(real @ sines))
    if pair.imag is not None:
        imag = cropped(pair.imag.movedim(axis, -1), [0], [size])
        turned = Pair(turned.real + imag @ sines, turned.imag + imag @ cosines)
    return Pair(*(part.movedim(-1, axis) for part in turned))


def joined(pair: Pair, size: int, hop: int, window: Tensor, norm: str | None) -> tuple[Tensor, Tensor]:
    """Spectra […, size // 2 + 1, frames] as frames, each times the window [size] and added up where they overlap, and
    the sum of squared windows at each place of them.
    """
    import torch
    from torch.nn import functional

    (cosines, sines), window = _halves(size, pair.real, norm), window.to(pair.real.dtype)
    values = torch.cat([part.reshape(-1, *part.shape[-2:]) for part in pair], 1)
    kernel = torch.cat([cosines, -sines]) * window
    signal = functional.conv_transpose1d(values, kernel.unsqueeze(1), stride=hop)
    every = torch.ones(1, 1, values.shape[-1], dtype=values.dtype)
    squares = functional.conv_transpose1d(every, window.square().reshape(1, 1, -1), stride=hop)
    return signal.reshape(*pair.real.shape[:-2], -1), squares.flatten()


def _factor(size: int, norm: str | None, *, inverse: bool) -> float:
    """By which a transform is scaled."""
    scaled = "backward" if inverse else "forward"
    factors = {"ortho": 1 / math.sqrt(size), scaled: 1 / size}
    return factors.get(norm or "backward", 1.0)


def _halves(size: int, like: Tensor, norm: str | None) -> tuple[Tensor, Tensor]:
    """[size // 2 + 1, size]: what each frequency adds to real values; most stand for a negative one too."""
    import torch

    count = size // 2 + 1
    single = (0,) if size % 2 else (0, count - 1)
    times = torch.tensor([[1.0 if row in single else 2.0] for row in range(count)], dtype=like.dtype)
    cosines, sines = _waves(count, size, like, _factor(size, norm, inverse=True))
    return times * cosines, times * sines


def _waves(count: int, size: int, like: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """[count, size]: cosines and sines of so many frequencies, as constants of the type of `like`."""
    import torch

    turns = [[row * column % size for column in range(size)] for row in range(count)]  # exact, also far along
    once = [2 * math.pi * turn / size for turn in range(size)]
    cosines, sines = ([scale * function(angle) for angle in once] for function in (math.cos, math.sin))
    made = ([[values[turn] for turn in row] for row in turns] for values in (cosines, sines))
    cosine, sine = (torch.tensor(rows, dtype=like.dtype) for rows in made)
    return cosine, sine
