"""What the memory rate of a time model would be if it were fitted to published figures, and how it fares on others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgebuild.devices.timing import predicted
from edgebuild.spec.core import TimeModel
from edgebuild.spec.evidence import Counted

_RATES = [each * 1e7 for each in range(100, 701)]  # 1.00 to 7.00 GB/s


@dataclass(frozen=True, slots=True)
class Point:
    """A file whose work was counted and whose time was published."""

    name: str
    counted: Counted
    milliseconds: float
    threads: int


def error(point: Point, model: TimeModel, clock: float) -> float:
    """Predicted over published, less one."""
    return 1e3 * predicted.seconds(point.counted, model, clock, point.threads) / point.milliseconds - 1


def fitted(points: Sequence[Point], model: TimeModel, clock: float) -> TimeModel:
    """The model with the memory rate that has the least squares of log errors."""

    def misfit(rate: float) -> float:
        return sum(math.log1p(error(point, replace(model, dram=rate), clock)) ** 2 for point in points)

    return replace(model, dram=min(_RATES, key=misfit))


def left_out(points: Sequence[Point], model: TimeModel, clock: float) -> list[tuple[TimeModel, float]]:
    """For each point the model fitted to all others, and its error on this one."""
    models = [fitted([other for other in points if other is not point], model, clock) for point in points]
    return [(found, error(point, found, clock)) for point, found in zip(points, models, strict=True)]
