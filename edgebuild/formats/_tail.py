"""What follows the last layers of a file on the way to an output whose values are of several kinds.

A detector's boxes and scores, joined in one output, would share one integer scale: boxes in pixels leave no step for
scores. Left in float, each part keeps the scale of the layer that makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgebuild.formats._masks import Operation


def tail(operations: Sequence[Operation], outputs: Iterable[str], layers: set[str]) -> list[Operation]:
    """The operations between `outputs` and the tensors that `layers` write; operations come in order of execution."""
    needed, between = {*outputs}, []
    for operation in reversed(operations):
        if needed.intersection(operation.outputs) and not layers.intersection(operation.outputs):
            between.append(operation)
            needed.update(operation.inputs)
    return between
