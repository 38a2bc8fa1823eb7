"""Which operators of a transformer lose more in 8-bit integers than they win, in an ONNX file.

Counted on ViT-Tiny with 197 tokens: whole in integers its answers have a cosine of 0.91 with the float file's, without
these operators 0.999, in less time, since none of them has an integer kernel that is worth its conversions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_SUMS = ("Add", "Concat")

# What gives some or all of the values that it is given, in another shape or order.
_MOVING = ("Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")


def costly(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that are better left float.

    A layer norm scales each token by its own deviation, and with it the rounding of the sum that it reads: what is one
    step of the largest token is all that a small one has (a class token often is). Of a softmax over many tokens most
    values are less than a step of the largest; its products with activations then sum up what was rounded to nothing.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    normed = _normed(model)
    joined = _joined(model, normed, constants)
    return [
        node.name
        for node in model.graph.node
        if node.op_type in ("LayerNormalization", "Softmax")
        or (node.op_type in (*_SUMS, *_MOVING) and normed.intersection(node.output))
        or joined.intersection(node.output)
        or (node.op_type == "MatMul" and not constants.intersection(node.input))
    ]


def _normed(model: onnx.ModelProto) -> set[str]:
    """What layer norms read, and what moves or joins into that: a class token is cut out of the sum of all tokens, and
    is the small one there (XCiT, CaiT).
    """
    names: set[str] = set()
    for node in reversed(model.graph.node):  # operators are in order of execution
        if node.op_type == "LayerNormalization":
            names.add(node.input[0])
        elif node.op_type in (*_MOVING, "Concat") and names.intersection(node.output):
            names.update(node.input if node.op_type == "Concat" else node.input[:1])
    return names


def _joined(model: onnx.ModelProto, normed: set[str], constants: set[str]) -> set[str]:
    """What is joined to become a part of such a sum, up to the sum: what was made of a class token, beside the tokens
    themselves.
    """
    sums = [node for node in model.graph.node if node.op_type == "Add" and normed.intersection(node.output)]
    parts = {name for node in sums for name in node.input}
    for node in reversed(model.graph.node):
        if parts.intersection(node.output) and (node.op_type == "Concat" or _scales(node, constants)):
            parts.update(node.input)
    joined: set[str] = set()
    for node in model.graph.node:
        if parts.intersection(node.output) and (
            node.op_type == "Concat" or (_scales(node, constants) and joined.intersection(node.input))
        ):
            joined.update(node.output)
    return joined


def _scales(node: onnx.NodeProto, constants: set[str]) -> bool:
    """Whether it moves values, or multiplies them by constants."""
    return node.op_type in _MOVING or (node.op_type == "Mul" and bool(constants.intersection(node.input)))
