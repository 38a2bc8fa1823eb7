"""Which values of a graph an integer file quantizes, and which of them share one range."""

from __future__ import annotations

import operator as python
from typing import TYPE_CHECKING, Any

from edgebuild.nn.graph import OUTPUT_AXIS, is_float, walk
from edgebuild.nn.operators import operator
from edgebuild.spec.spread import Spread

if TYPE_CHECKING:
    from torch import Tensor, fx

# What moves, repeats or leaves out values: both formats give its output the range of its input.
_MOVES = {
    *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "movedim", "unsqueeze", "squeeze"),
    *("select", "slice", "chunk", "split", "split_with_sizes", "unbind", "expand", "contiguous", "clone", "alias"),
    *("dropout", "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool2d", "pad", "constant_pad_nd"),
    *("pixel_shuffle", "upsample_nearest2d", "repeat", "flip", "to", "expand_as"),
}
# Both formats compute these together with what stands before them.
_FUSED = {"relu", "relu6", "hardtanh"}
_FUSE = {*OUTPUT_AXIS, "batch_norm", "add", "sub", "mul"}


def from_input(graph: fx.GraphModule) -> set[fx.Node]:
    """The nodes whose tensors depend on the inputs, not on parameters and sizes alone."""
    varying: set[fx.Node] = set()
    for node in graph.graph.nodes:
        if _is_tensor(node) and (node.op == "placeholder" or varying & {*node.all_input_nodes}):
            varying.add(node)
    return varying


def _is_tensor(node: fx.Node) -> bool:
    from torch import Tensor

    value: Any = node.meta.get("val")
    return any(isinstance(item, Tensor) for item in (value if isinstance(value, list | tuple) else [value]))


def owners(graph: fx.GraphModule) -> dict[fx.Node, fx.Node]:
    """{node: the node whose range it has} for all values that an integer file holds.

    Left out are whole numbers, floats of half the width, which stay what they are, and what is computed together with
    its one user: a convolution before its batch norm, a sum before its ReLU.
    """
    owned: dict[fx.Node, fx.Node] = {}
    varying = from_input(graph)
    for node in graph.graph.nodes:
        if node not in varying or _is_fused(node) or _is_half(node):
            continue
        if _moves(node) and node.args[0] in owned:
            owned[node] = owned[node.args[0]]
        elif is_float(node):
            owned[node] = node
    return owned


def _is_half(node: fx.Node) -> bool:
    return is_float(node) and node.meta["val"].dtype.itemsize < 4


def _moves(node: fx.Node) -> bool:
    return operator(node) in _MOVES or node.target is python.getitem


def _is_fused(node: fx.Node) -> bool:
    if len(node.users) != 1 or operator(node) not in _FUSE:
        return False
    (user,) = node.users
    return operator(user) in _FUSED or (operator(user) == "batch_norm" and operator(node) in OUTPUT_AXIS)


def observe(graph: fx.GraphModule, batches: list[tuple[Tensor, ...]]) -> dict[str, tuple[float, float]]:
    """{node: (minimum, maximum)} over all batches, of every node that has a range of its own.

    Left out are values that no example makes anything but zero, exact at any scale, and those that hold a mask.
    """
    own = {node for node, owner in owners(graph).items() if node is owner}
    seen: dict[str, Spread] = {}

    def see(node: fx.Node, value: Any) -> Any:
        if node in own:
            seen.setdefault(node.name, Spread()).add(value.detach().numpy())
        return value

    for batch in batches:
        walk(graph, batch, see)
    return {name: spread.ends for name, spread in seen.items() if any(spread.ends) and not spread.masked}


def place(node: fx.Node) -> str:
    """A value as messages name it: its operator, and the sub-module that computes it."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next((path for path, _ in reversed(list(stack.values()))), "")
    return f"{operator(node) or node.name!r} in {path!r}" if path else repr(node.name)
