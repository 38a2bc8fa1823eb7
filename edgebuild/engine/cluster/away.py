"""The steps of a build that run elsewhere: each is followed from its inputs' way to the cache to its result from there.

What a worker says of a result is only where to look for it: it is taken from the cache, and believed as all that comes
from there. A step that no worker may run, or that a worker could not be served with, runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from edgebuild.engine.cluster import spelling, work
from edgebuild.engine.cluster.client import Cluster, Part
from edgebuild.engine.cluster.work import Answer, Done, Failed, Refused, Work
from edgebuild.engine.graph import Graph
from edgebuild.engine.resolve import Resolver
from edgebuild.engine.sharing import Parcel, Sharing, machine_of
from edgebuild.engine.store import Action, Store
from edgebuild.engine.task import Limits
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import EdgebuildError, StepError, from_json


@dataclass(slots=True)
class _Trip:
    """A step that is away: what was sent of it, to whom, its inputs' way there, and what it holds here."""

    document: Work
    parts: dict[str, str]
    parcels: list[Parcel]
    release: Callable[[], None]
    workers: list[str] = field(default_factory=list)
    future: Any = None
    done: Done | None = None


@dataclass(frozen=True, slots=True)
class Back:
    """A step that is away no more: its result, or its error; with neither it is to be run, here or elsewhere."""

    name: str
    action: Action | None = None
    error: EdgebuildError | None = None


class Away:
    """Those of one graph. They need a cache that takes what is sent."""

    def __init__(
        self, cluster: Cluster, sharing: Sharing, graph: Graph, store: Store, resolver: Resolver, limits: Limits
    ) -> None:
        """Nothing is away yet."""
        self._cluster, self._sharing = cluster, sharing
        self._graph, self._store, self._resolver, self._limits = graph, store, resolver, limits
        self._trips: dict[str, _Trip] = {}
        self._here: set[str] = set()
        self._needed: dict[str, set[Part]] = {}

    def __len__(self) -> int:
        """How many steps are away."""
        return len(self._trips)

    @property
    def bell(self) -> int:
        """What can be waited on for answers of workers."""
        return self._cluster.bell

    def may_go(self, name: str, parts: dict[str, str]) -> bool:
        """Whether the step is for a worker: bytes that do not speak of this machine, and somebody to make them."""
        node = self._graph.nodes[name]
        if name in self._here or node.records or node.step.stays or not self._graph.may_be_known_elsewhere(name):
            return False
        if name not in self._needed:
            self._needed[name] = {*parts.items(), (work.PROCESSOR, machine_of(node) or "")}
        return self._sharing.carries and (bool(self._cluster.fit(self._needed[name])) or self._cluster.expects())

    def join(self) -> None:
        """Something is missing: call the scheduler. DeviceError where nobody there can help."""
        self._cluster.join()

    def has_room(self) -> bool:
        """Whether a worker has nothing to do."""
        return sum(trip.done is None for trip in self._trips.values()) < self._cluster.slots()

    def send(self, name: str, key: str, parts: dict[str, str], release: Callable[[], None]) -> bool:
        """Begin with a step; False for one that cannot be written down, which runs here."""
        node, label = self._graph.nodes[name], self._graph.label(name)
        try:
            spelled = spelling.spell(node.step)
            if spelling.step(spelled) != node.step:
                raise TypeError("it is not the same when it is read")
        except (TypeError, ValueError):
            self._here.add(name)
            return False
        inputs = {role: Artifact(item.kind, item.digest) for role, item in self._resolver.inputs(name).items()}
        machine, limits = machine_of(node) or "", self._limits
        what = (label, spelled, key, node.kind, inputs, node.code, node.tools, node.facts, machine)
        document = Work(*what, limits.memory, limits.seconds, self._cluster.topic)
        parcels = [self._sharing.parcel(self._store, each) for each in inputs.values()]
        self._trips[name] = _Trip(document, parts, parcels, release)
        return True

    def progress(self) -> Iterator[tuple[str, float, str]]:
        """By name, how far steps are and where they run, since this was last asked."""
        names = {trip.document.key: name for name, trip in self._trips.items()}
        for news in self._cluster.news():
            if news.key in names:
                yield names[news.key], news.done, f"{news.note} on {news.worker}".strip()

    def collect(self) -> list[Back]:
        """What came back since this was last asked."""
        backs = [back for name, trip in [*self._trips.items()] if (back := self._follow(name, trip)) is not None]
        for back in backs:
            self._trips.pop(back.name).release()
        return backs

    def stop(self) -> None:
        """Nobody waits any more."""
        for trip in self._trips.values():
            if trip.future is not None:
                trip.future.release()
            trip.release()
        self._trips.clear()

    def _follow(self, name: str, trip: _Trip) -> Back | None:
        if trip.done is not None:
            return self._taken(name, trip, trip.done)
        if trip.future is None:
            return self._depart(name, trip)
        if not {*trip.workers} & {*self._cluster.workers()}:
            trip.future.release()  # of those that might have run it, nobody is left
            return self._lost(name, trip)
        try:
            answer = self._cluster.answer(trip.future)
        except StepError as error:
            return Back(name, error=StepError(f"step {trip.document.label}: {error.reason}"))
        return None if answer is None else self._hear(name, trip, answer)

    def _depart(self, name: str, trip: _Trip) -> Back | None:
        """Send it as soon as its inputs are in the cache."""
        if not all(parcel.done for parcel in trip.parcels) and self._sharing.carries:
            return None
        if not all(parcel.there for parcel in trip.parcels):
            return self._stay(name)
        trip.workers = self._cluster.fit(self._needed[name])
        if not trip.workers:
            return Back(name)
        trip.future = self._cluster.submit(trip.document, trip.workers)
        return None

    def _hear(self, name: str, trip: _Trip, answer: Answer | str) -> Back | None:
        if not isinstance(answer, Answer):
            return self._stay(name) if answer == "here" else self._lost(name, trip)
        match answer.result:
            case Done() as done:
                trip.done = done
                self._sharing.again(trip.document.key)
                return self._taken(name, trip, done)
            case Failed(error):
                return Back(name, error=from_json(dict(error)))
            case Refused() as refusal:
                mine = trip.parts | {work.PROCESSOR: trip.document.machine}
                self._cluster.refused(trip.document.label, mine, refusal)
                return Back(name)
            case unserved:
                self._cluster.tell(f"worker {unserved.worker} could not run {trip.document.label}: {unserved.unserved}")
                return self._stay(name)

    def _taken(self, name: str, trip: _Trip, done: Done) -> Back | None:
        """The result, once it has come from the cache as whatever comes from there; where it does not, it runs here."""
        node, key = self._graph.nodes[name], trip.document.key
        if self._sharing.awaits(self._store, node, key):
            return None
        answer = self._sharing.take(key)
        if answer is None or answer[0].digest != done.output:
            return self._stay(name)
        self._cluster.counts.ran += 1
        source = self._sharing.place.shown
        return Back(name, Action(key, trip.document.label, trip.parts, answer[0], done.seconds, source))

    def _stay(self, name: str) -> Back:
        self._here.add(name)
        return Back(name)

    def _lost(self, name: str, trip: _Trip) -> Back:
        """Whoever ran it may have sent the result before it died."""
        self._sharing.again(trip.document.key)
        return Back(name)
