"""What layers of a model take on a target's core at several widths: by shape, for a layer's time asks no weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class LayerShape:
    """A layer and what it reads in one inference.

    kind: a convolution, a transposed one, or a product with a matrix
    inputs, outputs: all channels or features, of all groups together
    kernel, stride, padding, dilation: by axis of space; empty for a product
    places: sizes of those axes of what it reads; of a product the number of rows
    """

    kind: Literal["convolution", "transposed", "product"]
    inputs: int
    outputs: int
    places: tuple[int, ...]
    groups: int = 1
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        channels = self.inputs * self.outputs // self.groups
        if self.kind == "convolution":
            sides = zip(self.places, self.kernel, self.stride, self.padding, self.dilation, strict=True)
            return channels * math.prod(self.kernel) * math.prod(_made(*side) for side in sides)
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
    """The curves of all layers of a model on one runtime of a core."""

    curves: tuple[WidthCurve, ...]


def _made(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return max(1, (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
