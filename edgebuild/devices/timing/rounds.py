"""The time of models that answer together, each as often as it runs, from rounds in which every one of them ran."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgebuild.devices.timing.latency import Timings
from edgebuild.devices.timing.process import UnitProcess

PATH = "-path"  # behind a whole's name: what single inferences take, not the mean of a round


def together(timings: Timings, wholes: Mapping[str, Mapping[str, float]]) -> Timings:
    """The timings with those of each whole, by name: `wholes` has the share of all examples that each model runs in."""
    return replace(timings, processes=tuple(_with(process, wholes) for process in timings.processes))


def _with(process: UnitProcess, wholes: Mapping[str, Mapping[str, float]]) -> UnitProcess:
    values = dict(process.values)
    for name, shares in wholes.items():
        rounds = list(zip(*(process.values[model] for model in shares), strict=True))
        values[name], values[name + PATH] = joined(rounds, [*shares.values()])
    return replace(process, values=values)


def joined(rounds: Sequence[Sequence[int]], shares: Sequence[float]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Nanoseconds of the whole in each round, from those of its parts, which run in these shares of all examples.

    The mean of a round, and one inference: a part's share of the rounds has its time in it.
    """
    mean = tuple(round(sum(value * share for value, share in zip(each, shares, strict=True))) for each in rounds)
    path = tuple(
        sum(value for value, share in zip(each, shares, strict=True) if _runs_in(place, share))
        for place, each in enumerate(rounds)
    )
    return mean, path


def _runs_in(place: int, share: float) -> bool:
    """Whether a part that runs in this share of all rounds runs in this one: as evenly as may be, in the first too."""
    return math.ceil((place + 1) * share - 1e-9) > math.ceil(place * share - 1e-9)
