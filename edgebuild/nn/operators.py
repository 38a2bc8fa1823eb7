"""The names of operators in a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import fx


def operator(node: fx.Node) -> str:
    """The name of an ATen operator without its overload (`conv2d`); empty for any other node."""
    from torch._ops import OpOverload

    return node.target._schema.name.partition("::")[2] if isinstance(node.target, OpOverload) else ""
