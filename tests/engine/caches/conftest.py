"""What the tests of caches share: a server, and machines that build the same toys in stores of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgebuild.engine.remote import Patience
from edgebuild.engine.scheduler import Scheduler
from edgebuild.engine.sharing import Counts, Sharing
from edgebuild.engine.store import Action, Store
from edgebuild.engine.task import Limits
from edgebuild.spec.artifact import Step
from edgebuild.spec.cache import place
from tests.engine import toys
from tests.engine.caches.server import Served, serving
from tests.engine.conftest import fork_server, mark, runs, start
from tests.engine.toybox import Listener, Toybox
from tests.memory import tmp_path

__all__ = ["fork_server", "mark", "runs", "start", "tmp_path"]


@dataclass
class Machine:
    """A machine with a store of its own: what its last build ran, took and was told."""

    store: Store
    url: str
    patience: Patience = field(default_factory=Patience)
    read_only: bool = False
    told: list[str] = field(default_factory=list)
    heard: Listener = field(default_factory=Listener)
    counts: Counts = field(default_factory=Counts)

    def build(self, *steps: Step, then: Step | None = None) -> dict[str, Action]:
        """Build these, and one that joins them; the actions by label."""
        box, self.heard, self.told = Toybox(self.store), Listener(), []
        parts = {f"part{number}": box.add(f"part{number}", step) for number, step in enumerate(steps)}
        if then is not None:
            box.add("then", then, **parts)
        sharing = Sharing(place(self.url, read_only=self.read_only), self.told.append, patience=self.patience)
        try:
            limits = Limits(seconds=60.0)
            ahead = self.heard.foresee(box.graph)
            build = Scheduler(
                box.graph, self.store, jobs=2, events=self.heard, limits=limits, sharing=sharing, ahead=ahead
            )
            done = build.build()
        finally:
            sharing.close(waiting=lambda left: None)
            self.counts = sharing.counts
        return {label: action for name, action in done.items() for label in box.graph.labels[name]}

    @property
    def took(self) -> list[str]:
        """Labels of what came from the cache."""
        return sorted(label for label, _ in self.heard.fetches)

    def text(self, action: Action) -> str:
        """What a toy wrote."""
        return (self.store.path(action.output) / "text.txt").read_text()


@pytest.fixture
def served() -> Iterator[Served]:
    """A server with nothing in it."""
    with serving() as server:
        yield server


@pytest.fixture
def machine(served: Served, tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Makes machines that share through the server."""
    machines: list[Machine] = []

    def new(url: str | None = None, **options: object) -> Machine:
        store = Store(tmp_path / f"machine{len(machines)}")
        machines.append(Machine(store, url or served.url, **options))  # type: ignore[arg-type]
        return machines[-1]

    yield new
    for each in machines:
        each.store.close()


HELLO = toys.Write("hello")
