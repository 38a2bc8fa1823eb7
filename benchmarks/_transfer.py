"""How far off a core's time is where no figure of it is known, and constants come from another core by a rule.

The rule was decided before it was tried: the same share of the nominal rate of the memory, as many cycles for each
parallel region and for each miss. Every calibrated core stands for every other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

from benchmarks._bands import band
from benchmarks._calibrating import Calibration, fitted_error
from benchmarks._published import MEMORY
from edgebuild.spec.core import TimeModel


@dataclass(frozen=True, slots=True)
class Transfer:
    """Figures of the target `to` as the constants of another target predict them: relative errors."""

    source: str
    to: str
    model: TimeModel
    errors: tuple[float, ...]


def transfers(calibrations: Sequence[Calibration]) -> list[Transfer]:
    """For every pair of cores in either order."""
    return [_transfer(source, to) for source, to in permutations(calibrations, 2)]


def transferred(source: Calibration, clock: float, model: TimeModel, memory: float) -> TimeModel:
    """`model`, of a target with this clock and nominal rate of memory, with the constants of `source` by the rule."""
    known = source.chosen.model
    regions = None if known.fork_join is None else known.fork_join * source.target.hardware.core_clock / clock
    miss = max(known.miss_cycles.values())
    last = max(cache for cache in model.miss_cycles if cache != "l1i")
    misses = {cache: miss if cache == last else 0.0 for cache in model.miss_cycles}
    rate = known.dram / MEMORY[source.target.name] * memory
    return replace(model, dram=rate, fork_join=regions, miss_cycles=misses)


def widest(every: Sequence[Transfer]) -> tuple[float, int]:
    """The band that the errors of all pairs support, and how many they are."""
    errors = [math.log1p(error) for transfer in every for error in transfer.errors]
    return band(errors)[0], len(errors)


def widest_ratio(every: Sequence[Transfer]) -> float:
    """The band of the ratio of two files, from every pair of figures that one core's constants predict of another."""
    logs = [[math.log1p(error) for error in transfer.errors] for transfer in every]
    return band([one - other for each in logs for one, other in combinations(each, 2)])[0]


def _transfer(source: Calibration, to: Calibration) -> Transfer:
    clock, memory = to.target.hardware.core_clock, MEMORY[to.target.name]
    model = transferred(source, clock, to.chosen.model, memory)
    return Transfer(source.target.name, to.target.name, model, tuple(fitted_error(each, model) for each in to.left_out))
