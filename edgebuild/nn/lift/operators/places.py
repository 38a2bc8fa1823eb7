"""Operators that move values between channels and places, and turn sequences about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call

if TYPE_CHECKING:
    from torch import Tensor


def depth_to_space(call: Call) -> Any:
    """Channels become places: the block's number before the channel's (DCR) or after it (CRD, a pixel shuffle)."""
    from torch.nn import functional

    size = call.integer("blocksize")
    if call.word("mode", "DCR") == "CRD":
        return call.emit(functional.pixel_shuffle, call.tensor(0), size)
    return call.emit(deep_to_wide, call.tensor(0), size)


def deep_to_wide(values: Tensor, size: int) -> Tensor:
    """[N, size² C, H, W] → [N, C, size H, size W]."""
    batch, channels, height, width = values.shape
    parts = values.reshape(batch, size, size, channels // size**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, channels // size**2, height * size, width * size)


def space_to_depth(call: Call) -> Any:
    """Places become channels: the block's number before the channel's (DCR) or after it (CRD, a pixel unshuffle)."""
    from torch.nn import functional

    if call.word("mode", "DCR") == "CRD":
        return call.emit(functional.pixel_unshuffle, call.tensor(0), call.integer("blocksize"))
    return call.emit(wide_to_deep, call.tensor(0), call.integer("blocksize"))


def wide_to_deep(values: Tensor, size: int) -> Tensor:
    """[N, C, size H, size W] → [N, size² C, H, W]."""
    batch, channels, height, width = values.shape
    parts = values.reshape(batch, channels, height // size, size, width // size, size).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(batch, channels * size**2, height // size, width // size)


def columns_to_image(call: Call) -> Any:
    """Overlapping columns added up to a picture."""
    from torch.nn import functional

    size, block = call.numbers(1) or (), call.numbers(2) or ()
    call.need(len(size) == 2, "torch folds pictures of two dimensions alone")
    strides, dilations = call.integers("strides", (1, 1)), call.integers("dilations", (1, 1))
    pads = call.integers("pads", (0,) * 4)
    call.need(pads[:2] == pads[2:], "its borders differ between the two sides")
    return call.emit(functional.fold, call.tensor(0), size, block, dilations, pads[:2], strides)


def reverse_sequence(call: Call) -> Any:
    """The first places of each sequence turned about."""
    return call.emit(
        reversed_to, call.tensor(0), call.tensor(1), call.integer("time_axis"), call.integer("batch_axis", 1)
    )


def reversed_to(values: Tensor, lengths: Tensor, time: int, batch: int) -> Tensor:
    """`values` with places 0 … length − 1 along `time` in backward order, by length of each row along `batch`."""
    import torch

    moved = values.movedim((batch, time), (0, 1))
    places, ends = torch.arange(moved.shape[1], device=values.device)[None], lengths[:, None]
    order = torch.where(places < ends, ends - 1 - places, places)
    order = order.reshape(*order.shape, *[1] * (moved.ndim - 2)).expand(moved.shape)
    return moved.gather(1, order).movedim((0, 1), (batch, time))


OPERATORS: Mapping[str, Callable[[Call], Any]] = {
    "Col2Im": columns_to_image,
    "DepthToSpace": depth_to_space,
    "ReverseSequence": reverse_sequence,
    "SpaceToDepth": space_to_depth,
}
