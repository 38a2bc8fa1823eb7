"""How many units stay: a ratio is a promise about all of them together, kept as nearly as multiples allow.

Never more goes than was asked. Each group takes the nearest count that its multiple allows, those whose nearest count
takes more than their share only while what others leave makes up for it: nearest to their share first, as seats go by
the method of largest remainders (Hamilton).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgebuild.nn.prune.units import Units

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDING = 9  # decimals: 10 × (1 − 0.7) is 3, not 3.0000000000000004
Counts = Mapping[str, float]  # of units, by name


def shares(candidates: Sequence[Units], ratios: Mapping[str, float], of: Mapping[str, int]) -> dict[str, float]:
    """How many units of each group the ratios leave, before rounding; `of` are the numbers that the ratios are of."""
    return {units.name: of[units.name] * (1 - ratios[units.name]) for units in candidates}


def rounded(candidates: Sequence[Units], targets: Counts, *, up: bool = False) -> dict[str, int]:
    """As many units of each group as are to stay, channels and heads apart; one multiple at least.

    With `up` each group by itself keeps at least its share: for what comes before the last of several rounds.
    """
    stays = {units.name: _above(units, targets[units.name]) for units in candidates}
    for noun in () if up else sorted({units.noun for units in candidates}):
        alike = [units for units in candidates if units.noun == noun]
        spare = sum(_channels(units, stays[units.name] - targets[units.name]) for units in alike)
        for units in sorted(alike, key=lambda units: (_remainder(units, targets[units.name]), units.name)):
            share, below = targets[units.name], _below(units, targets[units.name])
            cost = _channels(units, stays[units.name] - below)
            if share - below <= stays[units.name] - share and cost <= round(spare, _ROUNDING):
                stays[units.name], spare = below, spare - cost
    return stays


def nearest(units: Units, share: float) -> int:
    """The allowed count that is nearest to a share of one group by itself; the larger of two equally near."""
    above, below = _above(units, share), _below(units, share)
    return below if share - below < above - share else above


def competing(candidates: Sequence[Units], scores: Mapping[str, Tensor], targets: Counts) -> dict[str, float]:
    """How many units of each group are among the best of all of a noun, as many as are to stay together."""
    import torch

    stay: dict[str, float] = {}
    for noun in sorted({units.noun for units in candidates}):
        alike = [units for units in candidates if units.noun == noun]
        count = math.ceil(round(sum(targets[units.name] for units in alike), _ROUNDING))
        flat = torch.cat([scores[units.name] for units in alike])
        best = torch.zeros(len(flat), dtype=torch.bool)
        best[flat.argsort(stable=True)[max(0, len(flat) - count) :]] = True
        parts = torch.split(best, [len(units.members) for units in alike])
        stay |= {units.name: float(part.sum()) for units, part in zip(alike, parts, strict=True)}
    return stay


def _above(units: Units, share: float) -> int:
    """The least allowed count that keeps the share."""
    needed = math.ceil(round(share / units.multiple, _ROUNDING)) * units.multiple
    return min(max(needed, units.multiple), len(units.members))


def _below(units: Units, share: float) -> int:
    """The largest allowed count that does not exceed the share, or the least of all."""
    if share >= len(units.members):
        return len(units.members)
    return max(math.floor(round(share / units.multiple, _ROUNDING)) * units.multiple, units.multiple)


def _remainder(units: Units, share: float) -> float:
    """How far, in multiples, the next lower count is from the share."""
    return round((share - _below(units, share)) / units.multiple, _ROUNDING)


def _channels(units: Units, count: float) -> float:
    return count * units.size / len(units.members)
