"""What a module costs as a function of how many units of each group stay: seconds by measured curves, or operations.

A layer's cost is that of all of it × the share that is left by its outputs × the share that is left by its inputs, each
share read from a curve. That is exact where a kernel's time is a product of the two, as in matrix products.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebuild.spec.evidence import LayerShape, Width, WidthCurve

if TYPE_CHECKING:
    from edgebuild.nn.prune.units import Units
    from edgebuild.nn.prune.work import LayerWork

_MOST = 8  # widths of a curve
_LINE = ((0.0, 0.0), (1.0, 1.0))
Points = tuple[tuple[float, float], ...]  # share of the channels, share of the cost; both rising to 1


def widths(channels: int, multiple: int) -> tuple[int, ...]:
    """Which widths of a layer are measured: multiples, all of a narrow one and eight of a wide one, and all of it."""
    every = [*range(multiple, channels, multiple)]
    step = -(-len(every) // (_MOST - 1)) if len(every) >= _MOST else 1
    return (*every[step - 1 :: step], channels)


@dataclass(frozen=True, slots=True)
class Curve:
    """The cost of a layer with all its channels, and the shares of it that fewer outputs and fewer inputs leave."""

    whole: float
    outputs: Points
    inputs: Points

    @classmethod
    def measured(cls, curve: WidthCurve) -> Curve:
        """From seconds at several widths."""
        whole = curve.outputs[-1].seconds
        return cls(whole, _points(curve.outputs, whole), _points(curve.inputs, whole))

    @classmethod
    def of_operations(cls, shape: LayerShape) -> Curve:
        """Multiply-accumulates fall with every channel."""
        return cls(float(shape.macs), _LINE, _LINE)

    def at(self, outputs: float, inputs: float) -> float:
        """The cost with these shares of the outputs and inputs."""
        return self.whole * _read(self.outputs, outputs) * _read(self.inputs, inputs)


@dataclass(frozen=True, slots=True)
class _Side:
    """What of an axis goes with each unit of a group, as a share of the axis."""

    group: str
    each: float


@dataclass(frozen=True, slots=True)
class _Layer:
    curves: tuple[Curve, ...]
    weights: tuple[float, ...]
    outputs: tuple[_Side, ...]
    inputs: tuple[_Side, ...]

    def cost(self, gone: Mapping[str, int]) -> float:
        left = [1 - sum(one.each * gone.get(one.group, 0) for one in axis) for axis in (self.outputs, self.inputs)]
        return sum(weight * curve.at(*left) for weight, curve in zip(self.weights, self.curves, strict=True))


class Cost:
    """The cost of a module as shares of the whole: the mean over `runtimes`, each a curve for every shape."""

    def __init__(
        self,
        work: Sequence[LayerWork],
        units: Sequence[Units],
        lengths: Mapping[str, Sequence[int]],
        runtimes: Sequence[Mapping[LayerShape, Curve]],
    ) -> None:
        """`lengths` are those of the axes of each parameter."""
        self._stay = {one.name: len(one.members) for one in units}
        sums = [sum(curves[one.shape].whole for one in work) for curves in runtimes]
        weights = tuple(1 / (total or 1.0) / len(runtimes) for total in sums)
        sides = _sides(units, lengths)
        self._layers = [
            _Layer(
                tuple(curves[one.shape] for curves in runtimes),
                weights,
                sides.get((one.parameter, one.outward), ()),
                sides.get((one.parameter, one.inward), ()),
            )
            for one in work
        ]
        self._touching: dict[str, list[_Layer]] = {name: [] for name in self._stay}
        for layer in self._layers:
            for name in {side.group for side in (*layer.outputs, *layer.inputs)}:
                self._touching[name].append(layer)

    def share(self, stay: Mapping[str, int]) -> float:
        """What is left of the cost when so many units of each group stay."""
        gone = self._gone(stay)
        return sum(layer.cost(gone) for layer in self._layers)

    def saved(self, stay: Mapping[str, int], name: str, fewer: int) -> float:
        """What goes when this group has `fewer` units and all others stay as they are."""
        before = self._gone(stay)
        after = before | {name: self._stay[name] - fewer}
        return sum(layer.cost(before) - layer.cost(after) for layer in self._touching[name])

    def _gone(self, stay: Mapping[str, int]) -> dict[str, int]:
        return {name: count - stay.get(name, count) for name, count in self._stay.items()}


def _sides(units: Sequence[Units], lengths: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], tuple[_Side, ...]]:
    """By parameter and axis, what goes along it with each group's units."""
    sides: dict[tuple[str, int], tuple[_Side, ...]] = {}
    for one in units:
        for member in one.group.members:
            covered = sum(map(len, member.places)) / len(member.places)
            side = _Side(one.name, covered / lengths[member.parameter][member.axis])
            key = (member.parameter, member.axis)
            sides[key] = (*sides.get(key, ()), side)
    return sides


def _points(curve: Sequence[Width], whole: float) -> Points:
    if not curve:
        return _LINE
    top, most = curve[-1].channels, whole or 1.0
    return ((0.0, 0.0), *((one.channels / top, min(1.0, one.seconds / most)) for one in curve[:-1]), (1.0, 1.0))


def _read(points: Points, share: float) -> float:
    """By straight lines between the points."""
    place = min(max(bisect_left(points, (share, -1.0)), 1), len(points) - 1)
    (low, below), (high, above) = points[place - 1], points[place]
    return below + (above - below) * min(1.0, (share - low) / (high - low))
