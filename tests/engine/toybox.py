"""Builds graphs of toy steps in real child processes, and looks at what they left in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from edgebuild.engine import digests
from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.scheduler import Attempt, Scheduler, Turns
from edgebuild.engine.sharing import Sharing
from edgebuild.engine.store import Action, Store
from edgebuild.engine.task import Limits
from edgebuild.spec.artifact import Step


@dataclass
class Listener:
    """Remembers what a build tells."""

    ran: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    fetches: list[tuple[str, str]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    news: list[tuple[str, float, str]] = field(default_factory=list)
    unchanged: dict[str, bool] = field(default_factory=dict)
    waited: list[tuple[str, str]] = field(default_factory=list)
    foreseen: list[list[str]] = field(default_factory=list)
    when_waiting: Callable[[], None] = lambda: None

    def foresee(self, graph: Graph) -> Callable[[Collection[str]], None]:
        """What is told before the first step runs of which nodes may have to, by label."""
        return lambda names: self.foreseen.append(sorted(map(graph.label, names)))

    def cached(self, label: str) -> None:
        self.reused.append(label)

    def fetched(self, label: str, source: str) -> None:
        self.fetches.append((label, source))

    def started(self, label: str, reason: str) -> None:
        self.reasons[label] = reason

    def progress(self, label: str, done: float, note: str) -> None:
        self.news.append((label, done, note))

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        self.ran.append(label)
        self.unchanged[label] = unchanged

    def waiting(self, label: str, why: str) -> None:
        self.waited.append((label, why))
        self.when_waiting()


class Toybox:
    """A graph of toys in a store; `build` runs it."""

    def __init__(self, store: Store) -> None:
        self.store, self.graph, self.heard = store, Graph(), Listener()
        self.when_waiting: Callable[[], None] = lambda: None

    def add(self, label: str, step: Step, /, *, records: bool = False, **inputs: str) -> str:
        """Add a toy; its id."""
        return self.graph.add(label, Node(step, inputs, "toy", records=records))

    def build(
        self,
        *,
        jobs: int = 2,
        memory: int = Limits().memory,
        seconds: float = 60.0,
        turns: Turns | None = None,
        sharing: Sharing | None = None,
    ) -> dict[str, Action]:
        """Build the graph; the actions by label. What the build told is in `heard`."""
        self.heard = Listener(when_waiting=self.when_waiting)
        limits = Limits(memory, seconds)
        listener, graph, store = self.heard, self.graph, self.store
        ahead = listener.foresee(graph)
        build = Scheduler(
            graph, store, jobs=jobs, events=listener, limits=limits, turns=turns, sharing=sharing, ahead=ahead
        )
        done = build.build()
        return {label: action for name, action in done.items() for label in self.graph.labels[name]}

    def attempt(self, seconds: float) -> Attempt:
        """Build as much of the graph as can be built in so many seconds."""
        self.heard = Listener(when_waiting=self.when_waiting)
        scheduler = Scheduler(self.graph, self.store, jobs=2, events=self.heard, limits=Limits(seconds=60.0))
        return scheduler.attempt(time.monotonic() + seconds)

    def text(self, action: Action) -> str:
        """What the toy wrote."""
        return (self.store.path(action.output) / "text.txt").read_text()


def unsound(root: Path) -> list[str]:
    """What is wrong with a store that no build works in: damaged entries, half-written ones, scratch that was left."""
    wrong = [str(path) for path in (root / "cas").iterdir() if digests.of_tree(path) != path.name]
    wrong += [str(path) for path in (root / "tmp").glob("*/*")]
    reader = Store(root)
    wrong += [str(path) for path in (root / "actions").iterdir() if reader.find(path.stem) is None]
    reader.close()
    return wrong


def tally(path: Path) -> list[tuple[str, float, float]]:
    """The runs that steps noted in a file: name, start and end."""
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(name, float(start), float(end)) for name, start, end in lines]
