"""Constants of a time model, fitted to published figures: the fewest terms that forecast what was left out.

Decided before any figure of the Cortex-A76's set "test" was compared:

- Terms: the cycles of the pipelines, as they are, the last cache's misses by `dram`, a cost of each parallel region
  (`fork_join`), and cycles for a miss of the cache before the last. All other misses are hidden.
- They are fitted to the set "fit" by least squares of log errors; none is below zero, and `dram` is no faster than
  the memory's nominal rate (without that bound the six figures of the Pi 4 ask for a memory without end).
- `SETS` are tried in their order, and the first is taken whose root mean square of leave-one-out log errors is at most
  `ENOUGH` times the least of all sets.
- The band of a core for a format and a number of threads comes from the errors of its figures of these that were
  predicted without being fitted to (`_bands.py`): leave-one-out errors of the set "fit", and "test". Those of the same
  kernel library alone, where there are `SAME` of them, for those of others err by what their kernels differ too; else
  all. Whether the figures of "test" lie inside is asked of the band of the leave-one-out errors alone.

Of the Cortex-A72 and A53 less was decided blindly. `SAME` came when two of the A72's figures by ncnn had been compared
and its others had been read. The A53's pipelines were chosen in sight of its figures. After the comparison:

- XNNPACK's figures of the A53, of a build for 32 bits, count as of the same library; else its band of four threads
  would be 45 %, not 28 %.
- int8 figures of other libraries make no band. On four threads of one Pi 4 ncnn takes 1.7 times what XNNPACK takes for
  MobileNetV1 in int8 (as published, clocks made equal), so they are of other work; without this the band of one thread
  of the A72 would be 55 %, not 17 %.
- ncnn's figures of MobileNetV2 and V3 are of networks of its own. The papers' had been counted for them, which made the
  A72's band of one thread 27 %; that they differ was found when it was asked which figures make that band wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgebuild.devices.timing import predicted
from edgebuild.spec.core import TimeModel
from edgebuild.spec.evidence import Counted

Terms = tuple[str, ...]
SETS: tuple[Terms, ...] = (("dram",), ("dram", "fork_join"), ("dram", "fork_join", "misses"))
ENOUGH, SAME = 1.05, 5
_START = {"fork_join": 1e-5, "misses": 2.0}
_UNIT = {"dram": 1e9, "fork_join": 1e-6, "misses": 1.0}


@dataclass(frozen=True, slots=True)
class Point:
    """A file whose work was counted and whose time was published, for so many threads at `clock` Hz."""

    name: str
    counted: Counted
    milliseconds: float
    threads: int
    clock: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A model whose `terms` were fitted, and the log errors of each point predicted from all others."""

    terms: Terms
    model: TimeModel
    unseen: tuple[float, ...]

    @property
    def spread(self) -> float:
        """The root mean square of the leave-one-out log errors."""
        return math.sqrt(sum(each**2 for each in self.unseen) / len(self.unseen))


def seconds(point: Point, model: TimeModel) -> float:
    """What the model predicts of a point."""
    return predicted.seconds(point.counted, model, point.clock, point.threads)


def log_error(point: Point, model: TimeModel) -> float:
    """The logarithm of predicted over published."""
    return math.log(1e3 * seconds(point, model) / point.milliseconds)


def candidates(points: Sequence[Point], model: TimeModel, memory: float) -> list[Fit]:
    """A fit with each set of terms that there are enough points for; `memory` is its nominal rate, bytes a second."""
    return [_fit(points, model, terms, memory) for terms in SETS if len(points) > len(terms) + 1]


def chosen(fits: Sequence[Fit]) -> Fit:
    """The first, with the fewest terms, that forecasts about as well as the best."""
    least = min(fit.spread for fit in fits)
    return next(fit for fit in fits if fit.spread <= ENOUGH * least)


def _fit(points: Sequence[Point], model: TimeModel, terms: Terms, memory: float) -> Fit:
    rest = [[other for other in points if other is not point] for point in points]
    models = [_fitted(others, model, terms, memory) for others in rest]
    unseen = [log_error(point, each) for point, each in zip(points, models, strict=True)]
    return Fit(terms, _fitted(points, model, terms, memory), tuple(unseen))


def _fitted(points: Sequence[Point], model: TimeModel, terms: Terms, memory: float) -> TimeModel:
    """The model with the constants of least squares; those that are no terms cost nothing."""
    from scipy.optimize import least_squares

    def misfit(logs: Sequence[float]) -> list[float]:
        tried = _with(model, dict(zip(terms, map(math.exp, logs), strict=True)))
        return [log_error(point, tried) for point in points]

    start = {**_START, "dram": memory / 2}
    low = [math.log(1e-3 * _UNIT[term]) for term in terms]
    high = [math.log(memory) if term == "dram" else math.inf for term in terms]
    found = least_squares(misfit, [math.log(start[term]) for term in terms], bounds=(low, high))
    return _with(model, dict(zip(terms, map(math.exp, found.x), strict=True)))


def _with(model: TimeModel, values: dict[str, float]) -> TimeModel:
    last = max(name for name in model.miss_cycles if name != "l1i")  # what misses there goes to the last cache
    misses = {name: values.get("misses", 0.0) if name == last else 0.0 for name in model.miss_cycles}
    return replace(model, dram=values["dram"], fork_join=values.get("fork_join"), miss_cycles=misses)
