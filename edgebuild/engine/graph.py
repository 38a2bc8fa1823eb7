"""The graph of a build: nodes are steps with their inputs; two that do the same are one node."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgebuild.engine import digests
from edgebuild.spec.artifact import Artifact, Step, options


@dataclass(frozen=True, slots=True)
class Node:
    """A step with its inputs: role → id of the node or source that it comes from.

    `code` and `tools` name modules and distributions that count beside the step's own; `facts` are named parts of
    the key that are no option (the fingerprint of the machine, for a measurement); `records` gives the step the
    provenance of all that it depends on, and makes it part of the key.
    """

    step: Step
    inputs: Mapping[str, str]
    kind: str
    code: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    records: bool = False

    @property
    def identity(self) -> str:
        """Equal for two nodes that do the same thing to the same inputs."""
        step = type(self.step)
        parts = [step.__module__, step.__qualname__, repr(self.step), dict(self.inputs), self.kind]
        return digests.of_json([*parts, self.code, self.tools, dict(self.facts), self.records])


class Graph:
    """Nodes and sources by id. A node may carry several labels, one for each target that wants it."""

    def __init__(self) -> None:
        """An empty graph."""
        self.nodes: dict[str, Node] = {}
        self.sources: dict[str, Artifact] = {}
        self.labels: dict[str, list[str]] = {}

    def add_source(self, label: str, artifact: Artifact) -> str:
        """Add bytes that no step makes, and return their id."""
        self.sources[artifact.digest] = artifact
        return self._label(artifact.digest, label)

    def add(self, label: str, node: Node) -> str:
        """Add a node, or one more label for the node that does the same already, and return its id."""
        missing = [role for role in node.step.needs if role not in node.inputs]
        if missing:
            raise ValueError(f"{label}: inputs {missing} are not connected")
        self.nodes.setdefault(node.identity, node)
        return self._label(node.identity, label)

    def _label(self, identity: str, label: str) -> str:
        known = self.labels.setdefault(identity, [])
        if label not in known:
            known.append(label)
        return identity

    def label(self, identity: str) -> str:
        """The first label of a node or source."""
        return self.labels[identity][0]

    def kind(self, identity: str) -> str:
        """What the node or source gives."""
        return self.nodes[identity].kind if identity in self.nodes else self.sources[identity].kind

    def order(self) -> list[str]:
        """Node ids so that each comes after all that it needs."""
        needs = {name: set(node.inputs.values()) for name, node in self.nodes.items()}
        return [name for name in graphlib.TopologicalSorter(needs).static_order() if name in self.nodes]

    def upstream(self, identity: str) -> Iterable[str]:
        """Ids of all nodes that this one depends on, in build order."""
        wanted, waiting = set(), list(self.nodes[identity].inputs.values())
        while waiting:
            name = waiting.pop()
            if name in self.nodes and name not in wanted:
                wanted.add(name)
                waiting.extend(self.nodes[name].inputs.values())
        return [name for name in self.order() if name in wanted]


def option_parts(node: Node) -> dict[str, str]:
    """The options of a node's step as named parts of its key, nested ones by dotted name."""
    parts: dict[str, str] = {}
    for name, value in options(node.step).items():
        parts |= _flatten(f"option.{name}", digests.plain(value))
    return parts


def _flatten(name: str, value: object) -> dict[str, str]:
    if isinstance(value, dict):
        nested = [_flatten(f"{name}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        nested = [_flatten(f"{name}[{i}]", item) for i, item in enumerate(value)]
    else:
        return {name: digests.canonical(value)}
    return {key: text for part in nested for key, text in part.items()} or {name: digests.canonical(value)}
