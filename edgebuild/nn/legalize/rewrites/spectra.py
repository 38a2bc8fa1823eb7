"""Spectra of sound: their values are complex numbers, which TFLite's converter does not know."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn.legalize.geometry import argument
from edgebuild.spec.rewrite import Rewrite, Trouble

if TYPE_CHECKING:
    from torch import Tensor, fx

_MAKE = ("aten.stft.default", "aten.fft_rfft.default")
_READ = ("view_as_real.default", "abs.default", "real.default", "imag.default", "angle.default")
_MOST = 2**22  # numbers of a matrix


class Spectra(Rewrite):
    """Fourier transforms are products with cosines and sines, of which magnitudes, angles and both parts are taken."""

    operators: ClassVar[tuple[str, ...]] = ("stft.default", "fft_rfft.default", *_READ)
    formats: ClassVar[Mapping[str, Trouble]] = {"tflite": "refused"}

    @staticmethod
    def instead(node: fx.Node) -> Callable[..., Any] | None:
        """Where nothing but these reads the complex numbers: between the two goes a last axis of both parts."""
        if str(node.target) in _MAKE:
            return _made(node) if _readable(node) else None
        source: Any = argument(node, 0, "self", None)
        if str(getattr(source, "target", "")) not in _MAKE or not _readable(source) or _made(source) is None:
            return None
        return PARTS[str(node.target).removeprefix("aten.")]


def taken(node: fx.Node) -> bool:
    """Whether this operator is one of a spectrum that is read off at once."""
    name = str(node.target)
    source: Any = node if name in _MAKE else argument(node, 0, "self", None)
    return str(getattr(source, "target", "")) in _MAKE and _readable(source) and _made(source) is not None


def _readable(node: fx.Node) -> bool:
    return all(str(user.target).removeprefix("aten.") in _READ for user in node.users)


def _made(node: fx.Node) -> Callable[..., Any] | None:
    """What makes the spectrum; None for kinds that are not of real values to half of the frequencies."""
    return frames(node) if str(node.target) == _MAKE[0] else _rfft(node)


def frames(node: fx.Node) -> Callable[..., Any] | None:
    """What makes the spectra of frames, with both parts in a last axis; None where they are not half of all."""
    size, hop, length = (
        argument(node, 1 + k, key, None) for k, key in enumerate(("n_fft", "hop_length", "win_length"))
    )
    hop, length, scaled = hop or size // 4, length or size, argument(node, 5, "normalized", False)
    if argument(node, 6, "onesided", None) is False or not argument(node, 7, "return_complex", None) or size**2 > _MOST:
        return None
    waves, before = _waves(size, size**-0.5 if scaled else 1.0), (size - length) // 2

    def transform(x: Tensor, *others: Any, **named: Any) -> Tensor:
        import torch
        from torch.nn import functional

        window: Tensor | None = named.get("window", others[3] if len(others) > 3 else None)
        basis = torch.tensor(waves, dtype=x.dtype)
        if window is not None:
            basis = basis * functional.pad(window, (before, size - length - before))
        elif length < size:
            basis = functional.pad(basis[:, before : before + length], (before, size - length - before))
        values = functional.conv1d(x.reshape(-1, 1, x.shape[-1]), basis.unsqueeze(1), stride=hop)
        parts = values.reshape(*x.shape[:-1], 2, basis.shape[0] // 2, values.shape[-1])
        return parts.movedim(-3, -1)

    return transform


def _rfft(node: fx.Node) -> Callable[..., Any] | None:
    shape, axis = argument(node, 0, "self", None).meta["val"].shape, argument(node, 2, "dim", -1)
    size, norm = argument(node, 1, "n", None) or shape[axis], argument(node, 3, "norm", None) or "backward"
    if size**2 > _MOST:
        return None
    waves = _waves(size, {"backward": 1.0, "ortho": size**-0.5, "forward": 1 / size}[norm])

    def transform(x: Tensor, *_: Any, **__: Any) -> Tensor:
        import torch
        from torch.nn import functional

        last = x.movedim(axis, -1)[..., :size]
        values = functional.pad(last, (0, size - last.shape[-1])) @ torch.tensor(waves, dtype=x.dtype).T
        parts = values.reshape(*values.shape[:-1], 2, values.shape[-1] // 2)
        return parts.movedim(-2, -1).movedim(-2, axis if axis >= 0 else axis - 1)

    return transform


def _waves(size: int, factor: float) -> list[list[float]]:
    """[2 · (size // 2 + 1), size]: cosines and negative sines of each frequency."""
    import torch

    turns = torch.outer(torch.arange(size // 2 + 1), torch.arange(size)) % size  # exact, also far along
    angles = turns.double() * (2 * math.pi / size)
    rows: list[list[float]] = (torch.cat([angles.cos(), -angles.sin()]) * factor).tolist()
    return rows


def _both(z: Tensor) -> Tensor:
    return z


def _magnitude(z: Tensor) -> Tensor:
    return z.square().sum(-1).sqrt()


def _real(z: Tensor) -> Tensor:
    return z[..., 0]


def _imaginary(z: Tensor) -> Tensor:
    return z[..., 1]


def _angle(z: Tensor) -> Tensor:
    import torch

    return torch.atan2(z[..., 1], z[..., 0])


PARTS: Mapping[str, Callable[[Tensor], Tensor]] = dict(
    zip(_READ, (_both, _magnitude, _real, _imaginary, _angle), strict=True)
)
