"""Integers in the place of floats: what a quantized file computes, which cannot be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_LIMITS = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}


def quantize(call: Call) -> Any:
    """round(x / scale) + zero point, between the type's limits."""
    import torch

    kind = call.trial(2).dtype if call.has(2) else torch.uint8
    call.need(
        str(kind).removeprefix("torch.") in _LIMITS and not call.integer("block_size"),
        "its type is not of 8 or 16 bits, or it has blocks",
    )
    zero = call.tensor(2) if call.has(2) else None
    return call.emit(rounded, call.tensor(0), call.tensor(1), zero, call.integer("axis", 1), kind)


def rounded(values: Tensor, scale: Tensor, zero: Tensor | None, axis: int, kind: torch.dtype) -> Tensor:
    """Integers of a type."""
    import torch

    low, high = _LIMITS[str(kind).removeprefix("torch.")]
    steps = torch.round(values / _along(scale, values, axis))
    if zero is not None:
        steps = steps + _along(zero, values, axis).to(values.dtype)
    return steps.clamp(low, high).to(kind)


def dequantize(call: Call) -> Any:
    """(q − zero point) · scale."""
    call.need(not call.integer("block_size"), "it has blocks")
    zero = call.tensor(2) if call.has(2) else None
    return call.emit(widened, call.tensor(0), call.tensor(1), zero, call.integer("axis", 1))


def widened(values: Tensor, scale: Tensor, zero: Tensor | None, axis: int) -> Tensor:
    """Floats of integers."""
    floats = values.to(scale.dtype)
    if zero is not None:
        floats = floats - _along(zero, values, axis).to(scale.dtype)
    return floats * _along(scale, values, axis)


def _along(options: Tensor, values: Tensor, axis: int) -> Tensor:
    """One number for all, or one a place of an axis."""
    if options.numel() == 1:
        return options.reshape(())
    return options.reshape([-1 if k == axis % values.ndim else 1 for k in range(values.ndim)])


OPERATORS: Mapping[str, Callable[[Call], Any]] = {"DequantizeLinear": dequantize, "QuantizeLinear": quantize}
