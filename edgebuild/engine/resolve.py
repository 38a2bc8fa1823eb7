"""What is known of a graph in a store: which nodes are up to date, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebuild.engine import digests, keys
from edgebuild.engine.graph import Graph
from edgebuild.engine.store import Action, Store
from edgebuild.spec import calibration, documents, notes
from edgebuild.spec.artifact import Artifact, Input, Record
from edgebuild.spec.errors import EdgebuildError


class Resolver:
    """Grows the set of nodes whose action is known; a node's key can be told once all its inputs are."""

    def __init__(self, graph: Graph, store: Store) -> None:
        """Nothing is known yet but the graph's sources."""
        self.graph, self.store = graph, store
        self.done: dict[str, Action] = {}

    def ready(self, name: str) -> bool:
        """Whether all that must come before the node is known."""
        return all(item in self.done for item in self.graph.before(name))

    def parts(self, name: str) -> dict[str, str]:
        """The named parts of the node's key; its inputs must be known."""
        node = self.graph.nodes[name]
        parts = keys.parts(node, {r: self._artifact(i) for r, i in node.inputs.items()}, self.store.code)
        if node.records:
            parts["provenance"] = digests.of_json(documents.to_json(self.provenance(name)))
        return parts

    def accept(self, name: str, action: Action) -> None:
        """This action is the node's; remember it under each of the node's labels."""
        self.done[name] = action
        for label in self.graph.labels[name]:
            self.store.remember(label, action)

    def inputs(self, name: str) -> dict[str, Input]:
        """The node's inputs by role, with the folders where they are."""
        artifacts = {role: self._artifact(item) for role, item in self.graph.nodes[name].inputs.items()}
        return {role: Input(a.kind, a.digest, self.store.path(a)) for role, a in artifacts.items()}

    def provenance(self, name: str) -> tuple[Record, ...]:
        """What was done to make the node's inputs, step by step in build order."""
        return tuple(self._record(item, self.graph.label_near(item, name)) for item in self.graph.upstream(name))

    def _record(self, name: str, label: str) -> Record:
        action = self.done[name]
        return Record(
            step=label,
            key=action.key,
            output=action.output.digest,
            deterministic=self.graph.nodes[name].step.deterministic,
            parts={part: text for part, text in action.parts.items() if not part.startswith("code.")},
            notes=tuple(notes.read(self.store.path(action.output))),
            calibration=calibration.read(self.store.path(action.output)),
        )

    def reason(self, name: str, parts: Mapping[str, str]) -> str:
        """Why a node must run: the parts of its key that changed since it was last used under its label."""
        last = self.store.last(self.graph.label(name))
        if last is None:
            return "never built here"
        return keys.reason(last.parts, parts) or "its output is not in the store"

    def _artifact(self, name: str) -> Artifact:
        return self.done[name].output if name in self.done else self.graph.sources[name]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a build would do with a node: nothing (`current`), run it, or run it if its inputs come out different."""

    label: str
    state: str
    reason: str
    action: Action | None


def outlook(graph: Graph, store: Store) -> list[Outlook]:
    """What a build would do now, node by node in build order, without running anything."""
    resolver = Resolver(graph, store)
    return [_foresee(resolver, name) for name in graph.order()]


def _foresee(resolver: Resolver, name: str) -> Outlook:
    graph, label = resolver.graph, resolver.graph.label(name)
    last = resolver.store.last(label)
    if not resolver.ready(name):
        waits = sorted({graph.label(item) for item in graph.before(name) if item not in resolver.done})
        return Outlook(label, "depends", f"after {', '.join(waits)}", last)
    parts = resolver.parts(name)
    action = resolver.store.find(keys.of(parts))
    if action is None:
        return Outlook(label, "run", resolver.reason(name, parts), last)
    resolver.done[name] = action
    source = f", from cache {action.source}" if action.source else ""
    return Outlook(label, "current", f"nothing changed{source}", action)


def refusals(graph: Graph, store: Store) -> dict[str, EdgebuildError]:
    """By id the nodes whose step has refused exactly what it would be given now, as far as all before it is up to date;
    and with which error.
    """
    resolver, errors = Resolver(graph, store), dict[str, EdgebuildError]()
    for name in graph.order():
        if not resolver.ready(name):
            continue
        key = keys.of(resolver.parts(name))
        if (action := store.find(key)) is not None:
            resolver.done[name] = action
        elif (error := store.refused(key)) is not None:
            errors[name] = error
    return errors
