"""Complex numbers as pairs of real ones: a real and an imaginary part, on which formats without complex values work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Pair(NamedTuple):
    """Both parts, of one shape; `imag` is None where it is 0 everywhere."""

    real: Any
    imag: Any = None


def together(pair: Pair) -> Tensor:
    """[…, 2], as `torch.view_as_real` lays complex numbers out."""
    import torch

    real = pair.real
    return torch.stack([real, torch.zeros_like(real) if pair.imag is None else pair.imag], -1)


def apart(values: Tensor) -> Pair:
    """Of what `together` gives."""
    return Pair(values[..., 0], values[..., 1])


def bilinear(operator: Callable[..., Any], one: Pair, other: Pair) -> Pair:
    """What is linear in both of its operands: (a + bi)(c + di) = (ac − bd) + (ad + bc)i."""
    (a, b), (c, d) = one, other
    if b is None or d is None:
        return Pair(operator(a, c), operator(b, c) if d is None and b is not None else operator(a, d))
    return Pair(operator(a, c) - operator(b, d), operator(a, d) + operator(b, c))


def _times(one: Pair, other: Pair) -> Pair:
    return bilinear(lambda a, b: a * b, one, other)


def _plus(one: Pair, other: Pair) -> Pair:
    return Pair(one.real + other.real, _sum(one.imag, other.imag, one.real + other.real))


def _minus(one: Pair, other: Pair) -> Pair:
    return _plus(one, _negative(other))


def _sum(one: Any, other: Any, like: Any) -> Any:
    """Of two imaginary parts, in the shape of the real one."""
    import torch

    parts = [part for part in (one, other) if part is not None]
    return torch.broadcast_to(sum(parts[1:], parts[0]), like.shape) if parts else None


def _negative(pair: Pair) -> Pair:
    return Pair(-pair.real, None if pair.imag is None else -pair.imag)


def _over(one: Pair, other: Pair) -> Pair:
    if other.imag is None:
        return Pair(one.real / other.real, None if one.imag is None else one.imag / other.real)
    up, down = _times(one, conjugate(other)), other.real * other.real + other.imag * other.imag
    return Pair(up.real / down, up.imag / down)


def conjugate(pair: Pair) -> Pair:
    """The same with the sign of its imaginary part changed."""
    return Pair(pair.real, None if pair.imag is None else -pair.imag)


def polar(magnitude: Tensor, angle: Tensor) -> Pair:
    """Of real magnitudes and angles in radians."""
    return Pair(magnitude * angle.cos(), magnitude * angle.sin())


def magnitude(pair: Pair) -> Tensor:
    """Their distances from 0."""
    values: Tensor = (pair.real.square() + pair.imag.square()).sqrt()
    return values


def angle(pair: Pair) -> Tensor:
    """In radians, −π to π."""
    import torch

    return torch.atan2(pair.imag, pair.real)


def _sign(pair: Pair) -> Pair:
    size = magnitude(pair)
    size = size + (size == 0).to(size.dtype)  # the sign of 0 is 0
    return Pair(pair.real / size, pair.imag / size)


# By operator: functions of pairs that give a pair, or a tensor where what comes out is real.
BINARY: Mapping[str, Callable[[Pair, Pair], Pair]] = {
    "mul.Tensor": _times,
    "add.Tensor": _plus,
    "sub.Tensor": _minus,
    "div.Tensor": _over,
}
UNARY: Mapping[str, Callable[[Pair], Pair | Tensor]] = {
    "_conj.default": conjugate,
    "conj.default": conjugate,
    "conj_physical.default": conjugate,
    "neg.default": _negative,
    "exp.default": lambda pair: polar(pair.real.exp(), pair.imag),
    "log.default": lambda pair: Pair(magnitude(pair).log(), angle(pair)),
    "square.default": lambda pair: _times(pair, pair),
    "reciprocal.default": lambda pair: _over(Pair(pair.real * 0 + 1), pair),
    "sgn.default": _sign,
    "mT.default": lambda pair: Pair(pair.real.mT, pair.imag.mT),
    "t.default": lambda pair: Pair(pair.real.t(), pair.imag.t()),
    "abs.default": magnitude,
    "angle.default": angle,
}
