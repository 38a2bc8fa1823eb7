"""Where a file reckons numbers of places that it then looks up (samples of a grid, the nearest entry of a codebook).

Such numbers are whole: a step of an 8-bit range is several places of a long axis, and another place has another value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgebuild.formats._masks import Operation

# Where the numbers stand among the inputs of what looks values up.
_NUMBERS: Mapping[str, int] = {
    **dict.fromkeys(("Gather", "GatherElements", "GatherND", "GridSample", "GATHER", "GATHER_ND"), 1),
    "EMBEDDING_LOOKUP": 0,
}
_CHOOSING = ("ArgMax", "ArgMin", "ARG_MAX", "ARG_MIN")


def reckoning(operations: Sequence[Operation], layers: set[str]) -> list[Operation]:
    """The operations between the tensors that `layers` write and numbers of places, and those on nothing but their
    results (how far a place is from the next); operations come in order of execution.

    A layer whose values are only compared (distances to a codebook) is among them.
    """
    needed = {one.inputs[_NUMBERS[one.kind]] for one in operations if one.kind in _NUMBERS}
    before: list[Operation] = []
    compared: set[str] = set()
    for one in reversed(operations):
        if not needed.intersection(one.outputs) or (layers.intersection(one.outputs) and not compared & {*one.outputs}):
            continue
        before.append(one)
        if not layers.intersection(one.outputs):
            needed.update(one.inputs)
            compared.update(one.inputs if one.kind in _CHOOSING or compared & {*one.outputs} else ())
    reckoned = {name for one in before for name in one.outputs}
    made = {name for one in operations for name in one.outputs}
    behind = []
    for one in operations:
        takes = made.intersection(one.inputs)
        free = one.kind not in _NUMBERS and not layers.intersection(one.outputs)
        if takes and takes <= reckoned and free and not reckoned.intersection(one.outputs):
            reckoned.update(one.outputs)
            behind.append(one)
    return [*before, *behind]
