"""Which of the steps that may run begins first: the one with the longest way from it to the end of the build.

Steps that follow each other bound how fast several workers can be: one that many others wait behind, in time and not in
number, must not stand in line (list scheduling by critical path, Adam, Chandy & Dickson 1974).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebuild.engine.graph import Graph
    from edgebuild.engine.store import Store

# Seconds that are reckoned with for a step of a kind that has never run here.
_UNKNOWN, _TRAINING = 1.0, 60.0


def order(graph: Graph, store: Store) -> list[str]:
    """Node ids in the order in which they are to begin as soon as they may; each comes after all that it needs."""
    return by_longest_way(graph, lambda name: _expected(graph, store, name))


def by_longest_way(graph: Graph, seconds: Callable[[str], float]) -> list[str]:
    """Node ids, those first from which the steps that follow each other take longest, themselves among them."""
    names = graph.order()
    ways = dict.fromkeys(names, 0.0)  # of what follows a node, until the node's own time is added
    for name in reversed(names):
        ways[name] += seconds(name)
        for earlier in graph.before(name):
            ways[earlier] = max(ways[earlier], ways[name])
    return sorted(names, key=lambda name: -ways[name])


def _expected(graph: Graph, store: Store, name: str) -> float:
    """What the step took last under its label, if it was of the same kind, or else what such steps take (s)."""
    step, last = graph.nodes[name].step, store.last(graph.label(name))
    kind = f"{type(step).__module__}.{type(step).__qualname__}"
    if last is not None and last.parts.get("step") == kind:
        return last.seconds
    usual = store.durations.of(kind)
    return usual if usual is not None else _TRAINING if step.trains else _UNKNOWN
