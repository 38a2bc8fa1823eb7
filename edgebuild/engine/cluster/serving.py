"""A worker's side: has a step's inputs from the cache, runs it as a build would, and sends the result to the cache.

What is sent here names a step, a key and digests. The worker reckons the key by itself, from its own code and tools,
and runs nothing where it comes to another: the result would lie under a key that it is not of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from edgebuild.engine import entry as entries
from edgebuild.engine import keys
from edgebuild.engine.cluster import parcels, spelling, work
from edgebuild.engine.cluster.work import Answer, Done, Failed, News, Refused, Unserved, Work
from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.remote import Damaged, Patience, Remote
from edgebuild.engine.scheduler import Scheduler, Turns
from edgebuild.engine.sharing import entry_of, machine_of
from edgebuild.engine.store import Action, Store
from edgebuild.engine.task import Limits
from edgebuild.spec.artifact import Step
from edgebuild.spec.cache import CacheError, Place
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError, EdgebuildError, StepError, UsageError

_NEWS_SECONDS = 1.0  # between two words about a step
_STOP_SECONDS = 10.0
Tell = Callable[[News], None]


@dataclass(frozen=True, slots=True)
class Serving:
    """What a worker runs steps with: its store and cache, turns beside the builds of its machine, and the most that a
    step may use here. `turn` is held while bytes are moved.
    """

    address: str
    store: Store
    place: Place
    turns: Callable[[], Turns]
    turn: Callable[[], AbstractContextManager[None]]
    limits: Limits
    _builds: set[Scheduler] = field(default_factory=set)

    def stop(self) -> None:
        """End what runs; its scratch goes, and what was finished stays."""
        until = time.monotonic() + _STOP_SECONDS
        for build in [*self._builds]:
            build.give_up()
        while self._builds and time.monotonic() < until:
            time.sleep(0.05)

    def answer(self, text: str, tell: Callable[[str, str], None]) -> str:
        """What came of the work in `text`; `tell` gets a topic and news. ValueError for what is no work."""
        assignment = work.read(Work, text)
        result = self._result(assignment, lambda news: tell(assignment.topic, work.write(news)))
        return work.write(Answer(assignment.key, result))

    def _result(self, assignment: Work, tell: Tell) -> Done | Refused | Unserved | Failed:
        try:
            node = _as_here(assignment)
            other = self._other(node, assignment)
            return other or self._made(node, assignment, tell)
        except (Damaged, CacheError) as error:
            return Unserved(self.address, f"cache {self.place.shown}: {error}")
        except EdgebuildError as error:
            return Failed(error.with_hint(f"it ran on {self.address}").to_json())
        except (ValueError, ImportError) as error:  # what this machine lacks altogether
            return Refused(self.address, {}, " ".join(str(error).split()))

    def _other(self, node: Node, assignment: Work) -> Refused | None:
        """The parts of the key as they are here, where the step would be another one."""
        parts = keys.parts(node, assignment.inputs, self.store.code)
        machine = machine_of(node)
        if machine == assignment.machine and keys.of(parts) == assignment.key:
            return None
        return Refused(self.address, {**parts, work.PROCESSOR: str(machine)})

    def _made(self, node: Node, assignment: Work, tell: Tell) -> Done:
        remote = Remote(self.place.open(), self.place.secret, Patience(), _in_time)
        try:
            with self.turn():
                if (known := _known(remote, node, assignment)) is not None:
                    return known
                for artifact in {each.digest: each for each in assignment.inputs.values()}.values():
                    parcels.take(self.store, artifact, remote)
            tell(News(assignment.key, self.address))
            action = self._run(node, assignment, tell)
            with self.turn():
                folder = self.store.path(action.output)
                remote.send(entry_of(node, action, assignment.machine, folder), folder, set())
            return Done(action.output.digest, action.seconds)
        finally:
            remote.cache.close()

    def _run(self, node: Node, assignment: Work, tell: Tell) -> Action:
        graph = Graph()
        inputs = {
            role: graph.add_source(f"{assignment.label}/{role}", item) for role, item in assignment.inputs.items()
        }
        name = graph.add(assignment.label, replace(node, inputs=inputs))
        most = Limits(min(assignment.memory, self.limits.memory), min(assignment.seconds, self.limits.seconds))
        listener = _Listener(assignment.key, self.address, tell)
        build = Scheduler(graph, self.store, jobs=1, events=listener, limits=most, turns=self.turns())
        self._builds.add(build)
        try:
            done = build.build()
        finally:
            self._builds.discard(build)
        if name not in done:
            raise StepError(f"step {assignment.label} was stopped: its worker was told to end")
        if done[name].key != assignment.key:
            raise StepError(f"step {assignment.label} ran under another key than it was asked for")
        return done[name]


def _as_here(assignment: Work) -> Node:
    """The step as a node of a plan on this machine; ValueError where it cannot be one here."""
    step = spelling.step(assignment.step)
    inputs = {role: item.digest for role, item in assignment.inputs.items()}
    return Node(step, inputs, assignment.kind, assignment.code, assignment.tools, _facts(step, assignment.facts))


def _facts(step: Step, recorded: Mapping[str, str]) -> dict[str, str]:
    """The facts in the key as they are here: of those about a device, what this machine's own says."""
    facts = dict(recorded)
    for device in _devices(step) if facts else ():
        if (why := device.why_unusable()) is not None:
            raise ValueError(f"{device.transport}: {why}")
        try:
            facts |= {name: text for name, text in device.fingerprint().items() if name in facts}
        except (DeviceError, UsageError) as error:
            raise ValueError(str(error)) from None
    return facts


def _devices(step: Step) -> Iterator[Device]:
    """The devices among a step's options."""
    values: list[Any] = [step]
    while values:
        value = values.pop()
        if isinstance(value, tuple | list):
            values += value
        elif is_dataclass(value) and not isinstance(value, type):
            if Device in type(value).__mro__:
                yield value  # type: ignore[misc]
            values += [getattr(value, item.name) for item in fields(value)]


def _known(remote: Remote, node: Node, assignment: Work) -> Done | None:
    """The result, where another worker has made it meanwhile, such as one that died before it could say so."""
    try:
        entry = remote.look(entries.name(assignment.key, node.step.shared, assignment.machine))
    except Damaged:
        return None
    return None if entry is None else Done(entry.output, entry.seconds)


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise CacheError("does not answer in time")


class _Listener:
    """Passes on how far the step is, not more often than anybody reads."""

    def __init__(self, key: str, address: str, tell: Tell) -> None:
        self._key, self._address, self._tell, self._last = key, address, tell, 0.0

    def progress(self, label: str, done: float, note: str) -> None:
        if time.monotonic() - self._last >= _NEWS_SECONDS:
            self._last = time.monotonic()
            self._tell(News(self._key, self._address, done, note))

    def waiting(self, label: str, why: str) -> None:
        self._tell(News(self._key, self._address, 0.0, why))

    def cached(self, label: str) -> None:
        pass

    def fetched(self, label: str, source: str) -> None:
        pass

    def started(self, label: str, reason: str) -> None:
        pass

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        pass
