"""Widths that code takes for heads × their size: what reads `C` from a shape and splits it into heads loses both.

Attention often reshapes what its heads made to the width that it was given (`reshape(B, N, C)`). Then neither heads nor
channels can go alone. Where both were refused, each head is tied to as many of the channels as it has places.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from edgebuild.nn.prune.dependencies import Dependencies, Group, built

if TYPE_CHECKING:
    from edgebuild.nn.prune.trace.numbers import Numbers

    Tie = tuple[Group, list[Group]]


def tied(dependencies: Dependencies, refused: Collection[Group]) -> Dependencies | None:
    """The same with heads and widths tied, where attention that reads a width was refused as well as the width."""
    ties = [*_ties(refused)]
    if not ties:
        return None
    traced = replace(dependencies.traced, numbers=copy.deepcopy(dependencies.traced.numbers))
    for width, heads in ties:
        _unite(traced.numbers, width, heads)
    return built(traced)


def _unite(numbers: Numbers, width: Group, heads: Collection[Group]) -> None:
    import numpy as np

    for group in heads:
        each = len(width.units) // len(group.units)
        numbers.unite(
            np.asarray(width.units), np.repeat(np.asarray(group.units), each), "a width that is split into heads"
        )


def _ties(refused: Collection[Group]) -> Iterator[Tie]:
    """Refused widths, and the refused heads whose layers read them: as many in each, the commonest number."""
    for width in (group for group in refused if group.kind == "channels"):
        reading = [group for group in refused if group.kind == "heads" and _reads(group, width)]
        counts: Mapping[int, list[Group]] = {
            count: [group for group in reading if len(group.units) == count]
            for count in {len(group.units) for group in reading}
        }
        fitting = {count: groups for count, groups in counts.items() if len(width.units) % count == 0}
        if fitting:
            yield width, max(fitting.values(), key=len)


def _reads(heads: Group, width: Group) -> bool:
    """Whether a layer that makes the heads reads all of the width, as many channels with each unit."""
    sides = [one for one in width.members if one.parameter in heads.layers and one.role == "reads"]
    return any(len({len(places) for places in side.places}) == 1 and side.places[0] for side in sides)
