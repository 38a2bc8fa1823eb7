"""A build as it runs: who listens, what ran and why, and the run itself."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from edgebuild.engine import files
from edgebuild.engine.scheduler import Events
from edgebuild.engine.store import Store
from edgebuild.spec import documents
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import Project

if TYPE_CHECKING:
    from edgebuild.engine.cluster.client import Cluster
    from edgebuild.engine.graph import Graph
    from edgebuild.engine.scheduler import Attempt, Scheduler
    from edgebuild.engine.sharing import Sharing
    from edgebuild.engine.store import Action
    from edgebuild.engine.task import Limits
    from edgebuild.spec.cache import Place


SEVERAL = 3


class Listener(Events, Protocol):
    """Who listens to a whole build: to its steps, and to what the user should know before they run."""

    def notice(self, text: str) -> None:
        """Something the user should know, such as a device that is not there."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A step that ran and why; when it has ended, how long it took and whether its bytes are those of before."""

    step: str
    reason: str
    seconds: float | None = field(default=None, metadata=documents.named("seconds"))
    same_bytes: bool | None = field(default=None, metadata=documents.named("same_bytes"))


@dataclass(slots=True)
class Journal:
    """A listener that remembers what ran and why, and what the user was told, and passes everything on."""

    onward: Listener
    ran: list[Ran] = field(default_factory=list)
    reused: int = 0
    fetched_steps: list[str] = field(default_factory=list)
    sharing: Sharing | None = None
    cluster: Cluster | None = None
    notices: list[str] = field(default_factory=list)

    def notice(self, text: str) -> None:
        """Keep it for the end of the build, where it will be looked for; told once."""
        if text not in self.notices:
            self.notices.append(text)
            self.onward.notice(text)

    def cached(self, label: str) -> None:
        """Count it."""
        self.reused += 1
        self.onward.cached(label)

    def fetched(self, label: str, source: str) -> None:
        """Keep it."""
        self.fetched_steps.append(label)
        self.onward.fetched(label, source)

    def started(self, label: str, reason: str) -> None:
        """Note the reason."""
        self.ran.append(Ran(label, reason))
        self.onward.started(label, reason)

    def progress(self, label: str, done: float, note: str) -> None:
        """Pass it on."""
        self.onward.progress(label, done, note)

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        """Note the time."""
        self.ran = [
            replace(each, seconds=seconds, same_bytes=unchanged) if each.step == label else each for each in self.ran
        ]
        self.onward.finished(label, seconds, unchanged)

    def waiting(self, label: str, why: str) -> None:
        """Pass it on."""
        self.onward.waiting(label, why)


@contextmanager
def shared(place: Place | None, journal: Journal) -> Iterator[None]:
    """Share results through the cache for as long; at the end, what is still being sent is waited for."""
    if place is None:
        yield
        return
    from edgebuild.devices.jobs.turns import Machine
    from edgebuild.engine.sharing import Sharing

    journal.sharing = sharing = Sharing(place, journal.notice, Machine())
    try:
        yield
    except BaseException as error:
        sharing.close(waiting=None if isinstance(error, KeyboardInterrupt) else partial(_sending, journal))
        raise
    sharing.close(waiting=partial(_sending, journal))


def _sending(journal: Journal, left: int) -> None:
    journal.waiting("cache", f"{left} results are still being sent")


@contextmanager
def clustered(address: str | None, journal: Journal) -> Iterator[None]:
    """Have steps run by the workers of this scheduler for as long; results are shared already."""
    if address is None:
        yield
        return
    from edgebuild.engine.cluster.client import Cluster

    assert journal.sharing is not None  # whoever asked has made sure
    journal.cluster = Cluster(address, journal.sharing.place.shown, journal.notice)
    try:
        yield
    finally:
        journal.cluster.close()


def bring_up(store: Store, graph: Graph, jobs: int, journal: Journal, limits: Limits) -> dict[str, Action]:
    """Run what is not up to date; what ran is kept for `explain` whatever happens."""
    scheduler = _scheduler(store, graph, jobs, journal, limits)
    try:
        return scheduler.build()
    finally:
        _keep_journal(store, journal)


def attempt(store: Store, graph: Graph, jobs: int, journal: Journal, limits: Limits, until: float) -> Attempt:
    """Run what is not up to date, as far as it goes before `until` (s, monotonic clock): a step that fails takes only
    those with it that need it.
    """
    return _scheduler(store, graph, jobs, journal, limits, least=1).attempt(until)


def _scheduler(
    store: Store, graph: Graph, jobs: int, journal: Journal, limits: Limits, least: int = SEVERAL
) -> Scheduler:
    from edgebuild.devices.jobs.turns import Machine
    from edgebuild.engine.scheduler import Scheduler

    def ahead(names: Collection[str]) -> None:
        from edgebuild.verbs import preloading

        preloading.preload(graph, store, names, least)

    how = partial(Scheduler, graph, store, jobs=jobs, events=journal, limits=limits, turns=Machine())
    return how(sharing=journal.sharing, cluster=journal.cluster, ahead=ahead)


def last_build(project: Project) -> tuple[Ran, ...]:
    """What the last build ran and why; empty when there was none."""
    try:
        lines = json.loads((project.store / "last-build.json").read_text())
        return tuple(documents.from_json(Ran, line, file="last-build.json") for line in lines)
    except (OSError, ValueError, TypeError, UsageError):
        return ()


def _keep_journal(store: Store, journal: Journal) -> None:
    if journal.ran:
        text = json.dumps(documents.to_json(journal.ran), indent=1, ensure_ascii=False)
        with suppress(OSError):  # the build's own error, if there is one, is the one to tell
            files.write_file(store.root / "last-build.json", text.encode(), store.scratch("journal"))
