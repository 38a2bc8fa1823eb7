"""Fourier transforms: of an axis, and of windows of a signal. Complex numbers are the pairs of a last axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    from torch import Tensor


def transform(call: Call) -> Any:
    """Of one axis, which an input names since opset 20; half of it where it is real and one side is enough."""
    (axis,) = (call.numbers(2) or (-2,)) if call.version >= 20 else (call.integer("axis", 1),)
    (length,) = call.numbers(1) or (None,) if call.has(1) else (None,)
    back, half = bool(call.integer("inverse")), bool(call.integer("onesided"))
    call.need(axis % call.rank(0) != call.rank(0) - 1, "its axis is that of pairs")
    return call.emit(transformed, call.tensor(0), length, axis % call.rank(0), back, half)


def transformed(values: Tensor, length: int | None, axis: int, back: bool, half: bool) -> Tensor:
    """[… axis … 1 or 2] → [… axis … 2]; half of the axis of what is real, or what is real of half, where `half`."""
    import torch

    real = values.shape[-1] == 1
    plain = values.squeeze(-1) if real else torch.view_as_complex(values.contiguous())
    if half and back:
        whole: Tensor = torch.fft.irfft(plain, length, axis)
        return whole.unsqueeze(-1)
    if half:
        return torch.view_as_real(torch.fft.rfft(plain.real if not real else plain, length, axis))
    function = torch.fft.ifft if back else torch.fft.fft
    return torch.view_as_real(function(plain, length, axis))


def windowed(call: Call) -> Any:
    """Of windows of a signal [N, T, 1 or 2], which may be multiplied with one."""
    (step,) = call.numbers(1) or (0,)
    lengths = call.numbers(3) if call.has(3) else None
    length = lengths[0] if lengths else call.shape(2)[0]
    window = call.tensor(2) if call.has(2) else None
    half = bool(call.integer("onesided", 1)) and call.shape(0)[-1:] == (1,)
    return call.emit(spectrogram, call.tensor(0), window, step, length, half)


def spectrogram(values: Tensor, window: Tensor | None, step: int, length: int, half: bool) -> Tensor:
    """[N, windows, frequencies, 2]."""
    import torch

    real = values.ndim == 2 or values.shape[-1] == 1
    plain = values.reshape(values.shape[:2]) if real else torch.view_as_complex(values.contiguous())
    parts = plain.unfold(1, length, step)
    parts = parts if window is None else parts * window
    return torch.view_as_real(torch.fft.rfft(parts) if half else torch.fft.fft(parts))


OPERATORS: Mapping[str, Callable[[Call], Any]] = {"DFT": transform, "STFT": windowed}
