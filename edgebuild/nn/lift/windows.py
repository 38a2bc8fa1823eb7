"""Where windows lie on their input: strides, borders and what `auto_pad` and `ceil_mode` make of them."""

from __future__ import annotations

from typing import NamedTuple

from edgebuild.nn.lift.call import Call


class Windows(NamedTuple):
    """Of each axis of places: the window's size, step, distance of its values, and the borders before and after.

    A tuple, for those can stand in generated code.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def symmetric(self) -> bool:
        """Whether borders are the same on both sides, as torch's layers have them."""
        return self.before == self.after

    @property
    def padding(self) -> list[int]:
        """The borders as `functional.pad` has them: last axis first."""
        pairs = list(zip(self.before, self.after, strict=True))
        return [size for pair in reversed(pairs) for size in pair]

    def extent(self, axis: int) -> int:
        """How many places a window reaches over."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1


def windows(call: Call, kernel: tuple[int, ...]) -> Windows:
    """Those of an operator whose input 0 is [N, C, places …]."""
    count = len(kernel)
    stride = call.integers("strides", (1,) * count)
    dilation = call.integers("dilations", (1,) * count)
    pads = call.integers("pads", (0,) * 2 * count)
    plain = Windows(kernel, stride, dilation, pads[:count], pads[count:])
    how = call.word("auto_pad", "NOTSET")
    if how == "NOTSET":
        return plain
    if how == "VALID":
        return Windows(kernel, stride, dilation, (0,) * count, (0,) * count)
    places = call.shape(0)[2:]
    totals = [
        max(0, (-(-size // stride[axis]) - 1) * stride[axis] + plain.extent(axis) - size)
        for axis, size in enumerate(places)
    ]
    less, more = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
    before, after = (less, more) if how == "SAME_UPPER" else (more, less)
    return Windows(kernel, stride, dilation, before, after)


def with_ceiling(wide: Windows, places: tuple[int, ...]) -> Windows:
    """More border behind, so that the last windows, which reach over it, are whole (`ceil_mode`).

    A window must begin in the input or in the border before it.
    """
    after = list(wide.after)
    for axis, size in enumerate(places):
        step, room = wide.stride[axis], size + wide.before[axis] + wide.after[axis] - wide.extent(axis)
        count = -(-room // step) + 1
        if (count - 1) * step >= size + wide.before[axis]:
            count -= 1
        after[axis] += max(0, (count - 1) * step - room)
    return Windows(wide.kernel, wide.stride, wide.dilation, wide.before, tuple(after))
