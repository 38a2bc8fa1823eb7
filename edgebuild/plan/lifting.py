"""Finds out what is known of a lift: whether it was tried, and why there is no module where it was refused."""

from __future__ import annotations

from pathlib import Path

from edgebuild.engine import keys
from edgebuild.engine.graph import Graph
from edgebuild.engine.resolve import Resolver
from edgebuild.engine.store import Store
from edgebuild.steps import lift_file


def artifact(graph: Graph, store: Store, node: str) -> Path | None:
    """Where the node's output is, if it is up to date with all that it needs."""
    resolver = Resolver(graph, store)
    for name in (*graph.upstream(node), node):
        action = store.find(keys.of(resolver.parts(name)))
        if action is None:
            return None
        resolver.done[name] = action
    return store.path(resolver.done[node].output)


def refusal(folder: Path | None) -> str | None:
    """Why a lift ended without a module; None where it has one, or has not been tried."""
    return None if folder is None else lift_file.refusal(folder)
