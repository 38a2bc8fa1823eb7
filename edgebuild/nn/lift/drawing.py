"""Inputs for a comparison where nobody has any: of a kind that the file can answer to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.initializers import array

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, Any]

_MOVES = ("Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Expand", "Slice", "Flatten", "Transpose")


def draw(generator: np.random.Generator, kind: np.dtype[Any], shape: list[int], below: int | None) -> Array:
    """Normal floats, or whole numbers below a limit; without one 0 and 1, or any where there are 8 bits."""
    import numpy as np

    if kind.kind == "f":
        return generator.standard_normal(shape).astype(kind)
    most = 256 if kind == np.uint8 else 2
    return generator.integers(0, most if below is None else below, shape).astype(kind)


def vocabularies(graph: onnx.GraphProto) -> Mapping[str, int]:
    """How many numbers an input may choose from: the rows that it picks, or those that it is compared with."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    counts: dict[str, int] = {}
    origin = {value.name: value.name for value in graph.input}
    for node in graph.node:
        names = [origin.get(name) for name in node.input]
        if node.op_type in _MOVES and names[0]:
            origin[node.output[0]] = names[0]
        for place, name in enumerate(names):
            held = [constants[other] for other in node.input if other in constants]
            count = _choice(node.op_type, place, held) if name else None
            if name and count:
                counts[name] = min(count, counts.get(name, count))
    return counts


def _choice(operator: str, place: int, constants: list[onnx.TensorProto]) -> int | None:
    if operator == "Gather" and place == 1 and constants:
        return int(constants[0].dims[0])
    if operator == "OneHot" and place == 0 and constants:
        return int(array(constants[0]).flatten()[0])
    if operator == "Equal" and constants and math.prod(constants[0].dims) > 1:
        return int(array(constants[0]).max()) + 1
    return None
