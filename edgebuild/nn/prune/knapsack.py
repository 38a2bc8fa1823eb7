"""Chooses widths: the least harm for the most cost that goes (a knapsack on measured curves).

Of all groups the step with the least harm for what it saves is taken, again and again, a step being from what is left
to any smaller width: so a stair of a curve is taken whole or not at all. What was taken and is not needed in the end
comes back, most harm first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebuild.nn.prune.cost import Cost

_NOTHING = 1e-9  # of the whole cost
Harm = Mapping[str, Mapping[int, float]]  # of groups: how much harm each width does, in units that stay


def convex(curve: Mapping[int, float]) -> dict[int, float]:
    """A curve of harm by width that rises ever faster as less is left.

    A model that answers by chance cannot get worse, so measured harm levels off: what is left then is not free.
    """
    result: dict[int, float] = {}
    steepest, harm, before = 0.0, 0.0, None
    for width in sorted(curve, reverse=True):
        if before is not None:
            rise = (curve[width] - curve[before]) / (before - width)
            steepest = max(steepest, rise)
            harm += steepest * (before - width)
        result[width], before = harm, width
    return result


def least(cost: Cost, harm: Harm) -> float:
    """The share of the cost that the smallest widths leave."""
    return cost.share({name: min(curve) for name, curve in harm.items()})


def choose(cost: Cost, harm: Harm, share: float) -> dict[str, int]:
    """How many units of each group stay so that at most `share` of the cost is left, or as little as can be."""
    stay = {name: max(curve) for name, curve in harm.items()}
    while cost.share(stay) > share and (step := _best(cost, harm, stay, cost.share(stay) - share)):
        stay[step[0]] = step[1]
    _give_back(cost, harm, stay, max(share, cost.share(stay)))
    return stay


def _best(cost: Cost, harm: Harm, stay: Mapping[str, int], needed: float) -> tuple[str, int] | None:
    """The step of least harm for what it saves; what it saves beyond need is worth nothing."""
    steps = []
    for name, curve in harm.items():
        for width in sorted(curve):
            if width < stay[name] and (saved := cost.saved(stay, name, width)) > _NOTHING:
                steps.append(((curve[width] - curve[stay[name]]) / min(saved, needed), -saved, name, width))
    return min(steps)[2:] if steps else None


def _give_back(cost: Cost, harm: Harm, stay: dict[str, int], share: float) -> None:
    """Let widths grow while the cost stays within its share."""
    while able := [*_affordable(cost, harm, stay, share - cost.share(stay) + _NOTHING)]:
        _, name, width = max(able)
        stay[name] = width


def _affordable(cost: Cost, harm: Harm, stay: Mapping[str, int], spare: float) -> Iterator[tuple[float, str, int]]:
    """Larger widths that cost no more than is spare, and the harm that each undoes."""
    for name, curve in harm.items():
        for width in curve:
            if width > stay[name] and -cost.saved(stay, name, width) <= spare:
                yield curve[stay[name]] - curve[width], name, width


def interpolated(measured: Mapping[float, float], units: int, allowed: Sequence[int]) -> dict[int, float]:
    """Harm by width from harm by share that goes (0 of it none), by straight lines; never less than none."""
    import numpy as np

    shares = sorted({0.0: 0.0, **measured}.items())
    x, y = [share for share, _ in shares], [max(0.0, harm) for _, harm in shares]
    return {width: float(np.interp(1 - width / units, x, y)) for width in allowed}
