"""Where masks of attention go through a file: tensors that no integer holds, and what stays float for them.

A mask is added to the scores before a softmax. What it holds (-1e9, -inf, the float32 minimum) leaves no step of an
8-bit range for the scores, and clipped to their range it hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edgebuild.spec.quantization import NO_RANGE, Range

# What gives such values on: through anything else, above all a softmax, they come to an end.
_PASSING = {
    *("Add", "Sub", "Mul", "Div", "Neg", "Where", "Min", "Max", "Expand", "Tile", "Reshape", "Unsqueeze", "Squeeze"),
    *("Transpose", "Slice", "Concat", "Cast", "Identity", "Gather", "Split"),
    *("ADD", "SUB", "MUL", "DIV", "NEG", "SELECT", "SELECT_V2", "MINIMUM", "MAXIMUM", "BROADCAST_TO", "TILE"),
    *("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "CONCATENATION", "CAST", "GATHER"),
    "SPLIT",
}


class Operation(NamedTuple):
    """An operator of a file, with the names of the tensors that it reads and writes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def with_masks(
    ranges: Mapping[str, Range], operations: Iterable[Operation], infinite: set[str], far: set[str]
) -> dict[str, Range]:
    """The ranges, less those of tensors that hold a mask which calibration may not have seen at work.

    `infinite` and `far` name constants of nothing but 0 and values that stand for none. Where a far one was seen to
    make ordinary values it is taken for a number; operations come in order of execution.
    """
    carried: set[str] = set()
    for operation in operations:
        if operation.kind not in _PASSING:
            continue
        reads = {*operation.inputs}
        for name in operation.outputs:
            idle = ranges.get(name) == (0.0, 0.0)
            if name in ranges and (reads & (carried | infinite) or (idle and reads & far)):
                carried.add(name)
    return {**ranges, **dict.fromkeys(sorted(carried), NO_RANGE)}


def touching(ranges: Mapping[str, Range], operations: Iterable[Operation]) -> list[Operation]:
    """The operations that read or write a tensor without a range."""
    none = {name for name, ends in ranges.items() if ends == NO_RANGE}
    return [one for one in operations if none & {*one.inputs, *one.outputs}]


def usable(ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges for a quantizer: ±1 where there is none, and where nothing but 0 was seen, which any scale keeps.

    (Not so the ends of ±1, where the range stands in for a ReLU: a quantizer that removes it must cut them.)
    """
    return {name: (-1.0, 1.0) if ends in (NO_RANGE, (0.0, 0.0)) else ends for name, ends in ranges.items()}
