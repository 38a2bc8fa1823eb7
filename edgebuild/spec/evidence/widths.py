"""What layers of a model take on a target's core at several widths: by shape, for a layer's time asks no weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class LayerShape:
    """A layer and what it reads in one inference.

    kind: a convolution, a transposed one, a product with a matrix, an activation (what it takes beyond a rectifier),
        or a gate by channel (a mean over the places, two products, and one with what it was given)
    inputs, outputs: all channels or features, of all groups together; of a gate the channels, and the width within it
    kernel, stride, padding, dilation: by axis of space; empty for a product
    places: sizes of those axes of what it reads; of a product the number of rows
    function: the class of torch.nn of an activation
    """

    kind: Literal["convolution", "transposed", "product", "activation", "gate"]
    inputs: int
    outputs: int
    places: tuple[int, ...]
    groups: int = 1
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    function: str = ""

    @property
    def flat(self) -> bool:
        """Whether it works on rows: a product, or an activation of one."""
        return self.kind == "product" or (self.kind == "activation" and len(self.places) == 1)

    @property
    def made(self) -> tuple[int, ...]:
        """Sizes of the axes of space of what a convolution gives."""
        sides = zip(self.places, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple(_made(*side) for side in sides)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        if self.kind == "activation":
            return 0
        if self.kind == "gate":
            return 2 * self.inputs * (self.outputs + math.prod(self.places))
        channels = self.inputs * self.outputs // self.groups
        if self.kind == "convolution":
            return channels * math.prod(self.kernel) * math.prod(self.made)
        return channels * math.prod(self.kernel) * math.prod(self.places)


@dataclass(frozen=True, slots=True)
class LayerShapes:
    """The layers of a model, each shape once."""

    shapes: tuple[LayerShape, ...]


@dataclass(frozen=True, slots=True)
class Width:
    """A layer's seconds with so many channels."""

    channels: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WidthCurve:
    """Seconds of a layer with fewer outputs and all inputs, and with fewer inputs and all outputs; rising widths.

    Of a layer with groups, `outputs` are of fewer whole groups, which take their inputs with them; `inputs` is empty.
    """

    shape: LayerShape
    outputs: tuple[Width, ...]
    inputs: tuple[Width, ...]


@dataclass(frozen=True, slots=True)
class WidthCurves:
    """The curves of all layers of a model on one runtime of a core.

    error: relative error of the ratio of two of these times
    noise: seconds that a difference of two must have to be any
    """

    curves: tuple[WidthCurve, ...]
    error: float = 0.0
    noise: float = 0.0


def _made(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return max(1, (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
