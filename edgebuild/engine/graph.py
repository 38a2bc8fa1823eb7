"""The graph of a build: nodes are steps with their inputs; two that do the same are one node."""

from __future__ import annotations

import graphlib
import os.path
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from edgebuild.engine import digests
from edgebuild.spec.artifact import Artifact, Step, options

_SCALAR = bool | int | float | str | None


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
        self._earlier: dict[str, set[str]] = {}

    def add_source(self, label: str, artifact: Artifact) -> str:
        """Add bytes that no step makes, and return their id."""
        self.sources[artifact.digest] = artifact
        return self._label(artifact.digest, label)

    def add(self, label: str, node: Node) -> str:
        """Add a node, or one more label for the node that does the same already, and return its id."""
        missing = [role for role in node.step.uses() if role not in node.inputs]
        if missing:
            raise ValueError(f"{label}: inputs {missing} are not connected")
        unknown = [role for role, item in node.inputs.items() if item not in self.nodes and item not in self.sources]
        if unknown:
            raise ValueError(f"{label}: inputs {unknown} come from nowhere")
        identity = node.identity
        self.nodes.setdefault(identity, node)
        return self._label(identity, label)

    def follow(self, later: str, earlier: str) -> None:
        """Let one node run after another that gives it nothing: a trial ahead of costly work. No part of a key."""
        self._earlier.setdefault(later, set()).add(earlier)

    def keep(self, goals: Iterable[str]) -> None:
        """Drop every node that none of these needs or follows."""
        kept, open_ = set[str](), [*goals]
        while open_:
            if (name := open_.pop()) not in kept:
                kept.add(name)
                open_ += self.before(name)
        for name in self.nodes.keys() - kept:
            del self.nodes[name], self.labels[name]

    def before(self, identity: str) -> set[str]:
        """Nodes that must have run before this one: those that give it something, and those that it follows."""
        takes = {item for item in self.nodes[identity].inputs.values() if item in self.nodes}
        return takes | self._earlier.get(identity, set())

    def may_be_known_elsewhere(self, identity: str) -> bool:
        """Whether another machine can have the node's key: not where a measurement of this one is among its inputs."""
        takes = (self.nodes[item] for item in self.nodes[identity].inputs.values() if item in self.nodes)
        return all(node.step.shared != "no" for node in (self.nodes[identity], *takes))

    def _label(self, identity: str, label: str) -> str:
        known = self.labels.setdefault(identity, [])
        if label not in known:
            known.append(label)
        return identity

    def label(self, identity: str) -> str:
        """The first label of a node or source."""
        return self.labels[identity][0]

    def label_near(self, identity: str, other: str) -> str:
        """The label that shares most with that of `other`: the same one whatever else is in the graph."""
        return max(self.labels[identity], key=lambda label: len(os.path.commonpath([label, self.label(other)])))

    def kind(self, identity: str) -> str:
        """What the node or source gives."""
        return self.nodes[identity].kind if identity in self.nodes else self.sources[identity].kind

    def order(self) -> list[str]:
        """Node ids so that each comes after all that it needs."""
        needs = {name: sorted(self.before(name)) for name in self.nodes}
        return list(graphlib.TopologicalSorter(needs).static_order())

    def fingerprint(self, identity: str) -> dict[str, str]:
        """What measured this node's output or what it is made of; facts of several devices stand side by side."""
        facts: dict[str, list[str]] = {}
        for item in [*self.upstream(identity), identity]:
            for name, text in self.nodes[item].facts.items():
                known = facts.setdefault(name, [])
                known += [] if text in known else [text]
        return {name: " and ".join(texts) for name, texts in sorted(facts.items())}

    def upstream(self, identity: str) -> Iterable[str]:
        """Ids of all nodes that this one depends on, each after all that it needs, whatever else is in the graph."""
        seen: dict[str, None] = {}

        def visit(name: str) -> None:
            for _, item in sorted(self.nodes[name].inputs.items()):
                if item in self.nodes and item not in seen:
                    visit(item)
                    seen[item] = None

        visit(identity)
        return list(seen)


def option_parts(node: Node) -> dict[str, str]:
    """The options of a node's step as named parts of its key, nested ones by dotted name."""
    parts: dict[str, str] = {}
    for name, value in options(node.step).items():
        parts |= _flatten(f"option.{name}", value)
    return parts


def _flatten(name: str, value: Any) -> dict[str, str]:
    if is_dataclass(type(value)):
        kind = type(value)
        parts = {f"{name}.class": f"{kind.__module__}.{kind.__qualname__}"}
        nested = {f"{name}.{key}": item for key, item in options(value).items()}
    elif isinstance(value, Mapping) and value:
        parts, nested = {}, {f"{name}.{_quoted(key)}": item for key, item in value.items()}
    elif isinstance(value, tuple | list) and not all(isinstance(item, _SCALAR) for item in value):
        parts, nested = {}, {f"{name}[{i}]": item for i, item in enumerate(value)}
    else:
        return {name: digests.canonical(digests.plain(value))}
    for key, item in nested.items():
        parts |= _flatten(key, item)
    return parts


def _quoted(key: str) -> str:
    """A mapping's key in a dotted name: one with dots of its own cannot be taken for two."""
    return key if digests.text(key).isidentifier() else digests.canonical(key)
