"""Operators that put borders on, and cut them off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    from torch import Tensor

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def pad(call: Call) -> Any:
    """Borders put on, or with negative numbers cut off."""
    pads = call.numbers(1, "pads")
    if pads is None:
        pads = call.integers("paddings")
    axes = call.numbers(3) or tuple(range(call.rank(0)))
    value = call.operand(2) if call.has(2) else call.number("value", 0.0)
    both: list[tuple[int, int]] = [(0, 0)] * call.rank(0)
    for place, axis in enumerate(axes):
        both[axis] = (pads[place], pads[place + len(axes)])
    mode = _MODES[call.word("mode", "constant")]
    flat = [size for sides in reversed(both) for size in sides]
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        del flat[-2:]
    if mode == "constant":
        from torch.nn import functional

        call.need(isinstance(value, int | float | bool), "the value of its border is computed")
        return call.emit(functional.pad, call.tensor(0), flat, mode, value)
    return call.emit(bordered, call.tensor(0), tuple(both), mode)


def bordered(values: Tensor, pads: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    """Borders that repeat what is inside, on any axis: each by its own choice of places."""
    import torch

    for axis, (before, after) in enumerate(pads):
        size = values.shape[axis]
        if before or after:
            places = torch.arange(-before, size + after, device=values.device)
            if mode == "replicate":
                places = places.clamp(0, size - 1)
            elif mode == "circular":
                places = places.remainder(size)
            else:
                places = size - 1 - (size - 1 - places.remainder(max(1, 2 * size - 2))).abs()
            values = values.index_select(axis, places)
    return values


def center_crop_pad(call: Call) -> Any:
    """The middle cut out, or put into the middle of zeros."""
    from torch.nn import functional

    sizes = call.numbers(1) or ()
    axes = call.integers("axes", tuple(range(call.rank(0))))
    sides = [0] * (2 * call.rank(0))
    for axis, size in zip((axis % call.rank(0) for axis in axes), sizes, strict=True):
        more, last = size - call.shape(0)[axis], 2 * (call.rank(0) - 1 - axis)
        before = more // 2 if more > 0 else -(-more // 2)
        sides[last : last + 2] = [before, more - before]
    return call.emit(functional.pad, call.tensor(0), sides)


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "CenterCropPad": center_crop_pad,
    "Pad": pad,
}
