"""Which operators of an ONNX file compute roots, quotients, exponentials or what goes into them: 8 bits lose those.

Norms and softmaxes that an exporter spelled out in such operators are no single one that could be told by its kind. Of
a variance near 0 nothing is left of 256 steps of the largest one, and its root is in the denominator: Magika (a layer
norm of ten operators, twice) agreed with its float file on 1 % of its answers, and does on all with these left float.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

# What may stand behind a layer, with constants alone beside it, and is a part of it.
_BELONGING = ("Add", "Sub", "Relu", "Clip", "LeakyRelu", "PRelu", "Reshape", "Transpose", "Squeeze", "Unsqueeze")
_STEEP = ("Sqrt", "Reciprocal", "Exp", "Log")


def exact(model: onnx.ModelProto, layers: Iterable[str]) -> list[str]:
    """Names of the nodes that are better left float: from the layers before such an operator to those behind it.

    `layers` are the names of the nodes that have weights. On the way up the first operator that reads a layer is the
    last one taken, so that a chain of residual sums is not followed to its beginning.
    """
    weighted = {*layers}
    others = [node for node in model.graph.node if node.name not in weighted]
    constants = {"", *(tensor.name for tensor in model.graph.initializer)}
    by_layers = set[str]()
    for node in model.graph.node:
        if node.name in weighted or _follows(node, constants, by_layers):
            by_layers.update(node.output)
    taken = {node.name for node in others if _steep(node, constants)}
    needed = {name for node in others if node.name in taken for name in node.input}
    for node in reversed(others):  # operators are in order of execution
        if node.name in taken or needed.intersection(node.output):
            taken.add(node.name)
            needed |= set() if by_layers.intersection(node.input) else {*node.input}
    computed = {name for node in others if node.name in taken for name in node.output}
    for node in others:
        if node.name in taken or computed.intersection(node.input):
            taken.add(node.name)
            computed.update(node.output)
    return [node.name for node in others if node.name in taken]


def _follows(node: onnx.NodeProto, constants: set[str], by_layers: set[str]) -> bool:
    """Whether it is a layer's bias, its activation, or another shape of what comes out of it."""
    computed = [name for name in node.input if name not in constants]
    return node.op_type in _BELONGING and len(computed) == 1 and computed[0] in by_layers


def _steep(node: onnx.NodeProto, constants: set[str]) -> bool:
    return node.op_type in _STEEP or (node.op_type == "Div" and node.input[1] not in constants)
