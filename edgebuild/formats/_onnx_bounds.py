"""What ReLUs and clips hold back in an ONNX file, for a quantizer that removes them.

ONNX Runtime's trusts the ends of the result's range to do their work: a range that reaches further lets it through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgebuild.spec.quantization import NO_RANGE, Range

if TYPE_CHECKING:
    import onnx


def bounds(model: onnx.ModelProto, constants: Mapping[str, Any]) -> dict[str, Range]:
    """What the results of ReLUs and clips lie between, by name; infinite where a clip is open or its end computed."""
    known: dict[str, Range] = {}
    for node in model.graph.node:
        if node.op_type == "Relu":
            known[node.output[0]] = (0.0, NO_RANGE[1])
        elif node.op_type == "Clip":
            low, high = (*node.input[1:], "", "")[:2]
            known[node.output[0]] = (
                float(constants.get(low, NO_RANGE[0])),
                float(constants.get(high, NO_RANGE[1])),
            )
    return known


def within(ends: Range, limits: Range) -> Range:
    """The part of a range that lies between limits; it holds 0 all the same."""
    return min(0.0, max(ends[0], limits[0])), max(0.0, min(ends[1], limits[1]))


def away_from_0(model: onnx.ModelProto, known: Mapping[str, Range]) -> list[str]:
    """Names of the clips whose work no range does, since every range holds 0: they stay, and stay float."""
    names = {name for name, (low, high) in known.items() if low > 0 or high < 0 or low == high}
    return [node.name for node in model.graph.node if names.intersection(node.output)]
