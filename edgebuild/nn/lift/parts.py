"""Slices that cut a tensor into equal parts become one `chunk`, whose parts shrink together when channels go."""

from __future__ import annotations

import operator
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import fx

_RANGE = "range"


class _Range(NamedTuple):
    first: int
    last: int
    size: int


def remember(node: fx.Node, first: int, last: int, size: int) -> None:
    """Note which places of an axis of this size a slice takes; its arguments are the tensor, the axis, the range."""
    node.meta[_RANGE] = _Range(first, last, size)


def join(graph: fx.Graph) -> None:
    """Replace (in place) all slices of a tensor along an axis where they are its equal parts, each taken once or more.

    With steps of 1, as their last argument says.
    """
    import torch

    groups: dict[tuple[fx.Node, int], list[fx.Node]] = defaultdict(list)
    for node in graph.nodes:
        if _RANGE in node.meta and node.args[-1] == 1:
            groups[node.args[0], node.args[1]].append(node)
    for (values, axis), slices in groups.items():
        count = _equal_parts([node.meta[_RANGE] for node in slices])
        if not count:
            continue
        with graph.inserting_before(slices[0]):
            chunk = graph.call_function(torch.chunk, (values, count, axis))
        for node in slices:
            place = node.meta[_RANGE].first * count // node.meta[_RANGE].size
            with graph.inserting_before(node):
                node.replace_all_uses_with(graph.call_function(operator.getitem, (chunk, place)))
            graph.erase_node(node)


def _equal_parts(ranges: list[_Range]) -> int:
    """How many equal parts the ranges are of their axis, all of them; 0 where they are none."""
    each, size = ranges[0].last - ranges[0].first, ranges[0].size
    if each <= 0 or size % each or size == each:
        return 0
    return size // each if {*ranges} == {_Range(k, k + each, size) for k in range(0, size, each)} else 0
