"""Convolutions, to either side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.call import Call
from edgebuild.nn.lift.windows import Windows, windows

if TYPE_CHECKING:
    from torch import fx


def convolution(call: Call) -> Any:
    """A layer where the weight is a constant; borders that differ between the sides are put on before it."""
    from torch import nn
    from torch.nn import functional

    wide, groups, shape = windows(call, call.shape(1)[2:]), call.integer("group", 1), call.shape(1)
    values = call.tensor(0)
    if not wide.symmetric:
        values = call.emit(functional.pad, values, wide.padding)
    padding = wide.before if wide.symmetric else (0,) * len(wide.kernel)
    where = (wide.stride, padding, wide.dilation)
    rank = len(wide.kernel)
    call.need(rank in (1, 2, 3), f"torch has no convolution over {rank} axes")
    if not _held(call):
        function = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
        return call.emit(function, values, call.tensor(1), _bias(call), *where, groups)
    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    layer = kind(shape[1] * groups, shape[0], wide.kernel, *where, groups, call.has(2), device="meta")
    _fill(call, layer)
    return call.layer(layer, 1, 2, values)


def transposed(call: Call) -> Any:
    """A transposed convolution; what its borders cut off unequally is cut off behind it."""
    from torch import nn
    from torch.nn import functional

    shape, groups = call.shape(1), call.integer("group", 1)
    more = list(call.integers("output_padding", (0,) * (len(shape) - 2)))
    wide = _cropped(call, windows_of(call), more)
    padding = wide.before if wide.symmetric else (0,) * len(wide.kernel)
    rank = len(wide.kernel)
    call.need(rank in (1, 2, 3), f"torch has no convolution over {rank} axes")
    spare = [m >= max(s, d) for m, s, d in zip(more, wide.stride, wide.dilation, strict=True)]
    call.need(not any(spare), "its output is larger than its windows reach")
    if _held(call):
        kind: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[rank - 1]
        where = (wide.stride, padding, tuple(more), groups, call.has(2), wide.dilation)
        layer = kind(shape[0], shape[1] * groups, wide.kernel, *where, device="meta")
        _fill(call, layer)
        result = call.layer(layer, 1, 2, call.tensor(0))
    else:
        called = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[rank - 1]
        places = (wide.stride, padding, tuple(more), groups, wide.dilation)
        result = call.emit(called, call.tensor(0), call.tensor(1), _bias(call), *places)
    if wide.symmetric:
        return result
    return call.emit(functional.pad, result, [-size for size in wide.padding])


def windows_of(call: Call) -> Windows:
    """The windows of a transposed convolution as its attributes have them, `auto_pad` left aside."""
    kernel = call.shape(1)[2:]
    count, pads = len(kernel), call.integers("pads", (0,) * 2 * (len(kernel)))
    stride, dilation = call.integers("strides", (1,) * count), call.integers("dilations", (1,) * count)
    return Windows(kernel, stride, dilation, pads[:count], pads[count:])


def _cropped(call: Call, wide: Windows, more: list[int]) -> Windows:
    """With the borders that give the size which the file asks for (ONNX: ConvTranspose, `output_shape`)."""
    how, places = call.word("auto_pad", "NOTSET"), call.shape(0)[2:]
    if how == "VALID" and call.attribute("output_shape") is None:
        return Windows(wide.kernel, wide.stride, wide.dilation, (0,) * len(places), (0,) * len(places))
    sizes = call.integers("output_shape")[-len(places) :]
    if how in ("SAME_UPPER", "SAME_LOWER") and not sizes:
        sizes = tuple(size * step for size, step in zip(places, wide.stride, strict=True))
    if not sizes:
        return wide
    before, after = [], []
    for axis, size in enumerate(places):
        total = wide.stride[axis] * (size - 1) + more[axis] + wide.extent(axis) - sizes[axis]
        more[axis] += max(0, -total)
        half, rest = max(0, total) // 2, max(0, total) - max(0, total) // 2
        before.append(half if how == "SAME_UPPER" else rest)
        after.append(rest if how == "SAME_UPPER" else half)
    return Windows(wide.kernel, wide.stride, wide.dilation, tuple(before), tuple(after))


def _held(call: Call) -> bool:
    return call.is_constant(1) and (not call.has(2) or call.is_constant(2))


def _bias(call: Call) -> fx.Node | None:
    return call.tensor(2) if call.has(2) else None


def _fill(call: Call, layer: Any) -> None:
    layer.weight = call.parameter(1)
    if call.has(2):
        layer.bias = call.parameter(2)


OPERATORS: Mapping[str, Callable[[Call], Any]] = {"Conv": convolution, "ConvTranspose": transposed}
