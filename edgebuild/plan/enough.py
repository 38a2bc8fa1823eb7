"""Tells before a build what its gates can never decide, where the examples have been counted by an earlier one."""

from __future__ import annotations

from edgebuild.engine import keys
from edgebuild.engine.graph import Graph
from edgebuild.engine.resolve import Resolver
from edgebuild.engine.store import Store
from edgebuild.plan.weights import Weights
from edgebuild.spec import dataset
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Gate, Target


def notices(
    graph: Graph, store: Store, target: Target, model: ModelSpec, gates: tuple[Gate, ...], weights: Weights
) -> list[str]:
    """A line for each gate that will be inconclusive, because fewer examples are held out than it ever needs.

    The build goes on: its bundle is a candidate, and everything else about it is found out.
    """
    resolver = Resolver(graph, store)
    action = store.find(keys.of(resolver.parts(weights.data))) if resolver.ready(weights.data) else None
    if action is None:
        return []
    examples = dataset.examples(store.path(action.output))["test"]
    lines = []
    for gate in gates:
        least = GATES.get(gate.metric).least(gate)
        if examples < least:
            needs = (
                f"{gate.metric} {gate.limit!r} needs {least} held-out examples or more, and {model.name} has {examples}"
            )
            lines.append(f"{target.name}: {needs}: the verdict will be inconclusive")
    return lines
