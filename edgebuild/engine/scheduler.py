"""Brings a graph up to date: uses what the store has, runs the rest in workers, several at a time.

It keeps no state that the store does not have: a build that is killed at any moment is resumed by the next one.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgebuild.engine import files, keys, precedence
from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.resolve import Resolver
from edgebuild.engine.store import Action, Store, disk_error
from edgebuild.spec.artifact import Artifact, needs_machine
from edgebuild.spec.cores import Cores
from edgebuild.spec.errors import EdgebuildError

if TYPE_CHECKING:
    from edgebuild.engine.cluster.away import Away
    from edgebuild.engine.cluster.client import Cluster
    from edgebuild.engine.entry import Entry
    from edgebuild.engine.sharing import Sharing
    from edgebuild.engine.task import Limits
    from edgebuild.engine.worker import Worker

_POLL_SECONDS = 0.1


class Events(Protocol):
    """Who listens to a build: a progress display, or a test."""

    def cached(self, label: str) -> None:
        """A step's output was in the store."""

    def fetched(self, label: str, source: str) -> None:
        """A step's output came from a cache."""

    def started(self, label: str, reason: str) -> None:
        """A step runs, for this reason."""

    def progress(self, label: str, done: float, note: str) -> None:
        """A running step says how far it is (0 to 1)."""

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        """A step ended well; `unchanged` when it made the same bytes as before."""

    def waiting(self, label: str, why: str) -> None:
        """A step waits: another build runs it, or uses what it needs for itself."""


class Turns(Protocol):
    """Who says when a step may run beside the other builds of this machine."""

    def enter(self, *, alone: bool) -> Callable[[], None] | None:
        """What ends the turn; None as long as it is another's. OSError where it cannot be known."""

    def give_up(self) -> None:
        """No step waits to be alone any more."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a graph as far as it got: the action of every node that is done, and why others failed, by id."""

    done: Mapping[str, Action]
    failed: Mapping[str, EdgebuildError]


@dataclass(frozen=True, slots=True)
class _Run:
    """A step that is running: its worker, the key that it will be stored under, its core, and the locks it holds."""

    node: Node
    worker: Worker
    key: str
    parts: dict[str, str]
    release: Callable[[], None]
    before: Action | None


class Scheduler:
    """One build of one graph in one store, on this machine."""

    def __init__(
        self,
        graph: Graph,
        store: Store,
        *,
        jobs: int,
        events: Events,
        limits: Limits,
        turns: Turns | None = None,
        sharing: Sharing | None = None,
        cluster: Cluster | None = None,
        ahead: Callable[[Collection[str]], None] | None = None,
    ) -> None:
        """`jobs` is how many steps, of one compute thread each, may run side by side; without `turns`, no other build
        is heeded; `sharing` is the use of a cache, and `cluster` that of machines that share it; `ahead` is told before
        the first step runs here which nodes may have to.
        """
        self._turns, self._sharing, self._ahead = turns, sharing, ahead
        self._resolver = Resolver(graph, store)
        self._graph, self._store, self._jobs = graph, store, jobs
        self._cores = Cores(store.scratch("cores"), jobs)
        self._events, self._limits = events, limits
        self._running: dict[str, _Run] = {}
        self._keys: dict[str, tuple[str, dict[str, str]]] = {}
        self._missing: set[str] = set()
        self._failed: dict[str, EdgebuildError] | None = None  # where a failure is no end of the whole
        self._told: set[tuple[str, str]] = set()
        self._waiting: list[str] = []
        self._until = math.inf
        self._away: Away | None = None
        if cluster is not None and sharing is not None:
            from edgebuild.engine.cluster.away import Away

            self._away = Away(cluster, sharing, graph, store, self._resolver, limits)

    def build(self) -> dict[str, Action]:
        """Run what must run; the action of every node by id. Raises the first error after stopping the others."""
        self._go_through(math.inf)
        return self._resolver.done

    def attempt(self, until: float) -> Attempt:
        """Run what can be run before `until` (s, monotonic clock): a step that fails stops only those that need it, and
        one that refused the same before is not asked again.
        """
        self._failed = {}
        self._go_through(until)
        return Attempt(self._resolver.done, self._failed)

    def give_up(self) -> None:
        """End soon, as if time were up; any thread may say so."""
        self._until = -math.inf

    def _go_through(self, until: float) -> None:
        self._until = min(until, self._until)
        try:
            self._waiting = self._not_here()
            while (self._waiting or self._running or self._away) and time.monotonic() < self._until:
                started = {name for name in self._waiting if self._resolver.ready(name) and self._advance(name)}
                self._waiting = [name for name in self._waiting if name not in started and not self._lost(name)]
                if not started:
                    self._wait()
                self._collect()
        finally:
            self._stop()

    def _not_here(self) -> list[str]:
        """Take all that is in the store; the rest, in the order in which it is to begin."""
        left = {name for name in self._graph.order() if not self._is_here(name)}
        return [name for name in precedence.order(self._graph, self._store) if name in left] if left else []

    def _is_here(self, name: str) -> bool:
        if not self._resolver.ready(name) or time.monotonic() >= self._until:
            return False
        action = self._store.find(self._key(name)[0])
        return action is not None and self._reuse(name, action)

    def _lost(self, name: str) -> bool:
        """Whether something that must come before the node has failed, so that it has as well."""
        for item in self._graph.before(name) if self._failed else ():
            if self._failed is not None and item in self._failed:
                self._failed[name] = self._failed[item]
                return True
        return False

    def _advance(self, name: str) -> bool:
        """Take a node's output from the store, or start it where there is room; whether either was done."""
        key, parts = self._key(name)
        if name not in self._missing:  # once: whoever makes it meanwhile is met again at its lock
            if (action := self._store.find(key)) is not None:
                return self._reuse(name, action)
            self._missing.add(name)
            if self._failed is not None and (error := self._store.refused(key)) is not None:
                self._failed[name] = error
                return True
            if self._away is not None:
                self._away.join()
        if self._sharing is not None and self._graph.may_be_known_elsewhere(name):
            if self._sharing.awaits(self._store, self._graph.nodes[name], key):
                return False
            if (answer := self._sharing.take(key)) is not None:
                return self._receive(name, key, parts, *answer)
        if self._away is not None and self._away.may_go(name, parts):
            return self._away.has_room() and self._send_away(self._away, name, key, parts)
        return self._room(self._graph.nodes[name]) and (self._run_here(name, key, parts) or self._give_way())

    def _key(self, name: str) -> tuple[str, dict[str, str]]:
        """The node's key and its parts, reckoned once: a node may be ready long before there is room for it."""
        if name not in self._keys:
            parts = self._resolver.parts(name)
            self._keys[name] = keys.of(parts), parts
        return self._keys[name]

    def _run_here(self, name: str, key: str, parts: dict[str, str]) -> bool:
        """Start a node, or take what another build has just made; False while something that it needs is another's."""
        if (core := self._cores.take()) is None:  # a step that runs has taken more than one, and gives them back soon
            return False
        claimed = self._claim(name, key)
        if claimed is None:
            core.release()
            return False

        def release() -> None:
            core.release()
            claimed()

        if (action := self._store.find(key)) is not None:  # the build that held the lock has just made it
            release()
            return self._reuse(name, action)
        self._start(name, key, parts, release)
        return True

    def _send_away(self, away: Away, name: str, key: str, parts: dict[str, str]) -> bool:
        """Have a worker run a node; False while another build on this machine runs it, or where it must run here."""
        release = self._lock(name, key)
        if release is None:
            return False
        if (action := self._store.find(key)) is not None:
            release()
            return self._reuse(name, action)
        if not away.send(name, key, parts, release):
            release()
            return False
        self._events.started(self._graph.label(name), self._resolver.reason(name, parts))
        return True

    def _reuse(self, name: str, action: Action) -> bool:
        if needs_machine(self._graph.nodes[name].step):
            if self._turns is not None:
                self._turns.give_up()
            self._give_way()
        self._resolver.accept(name, action)
        self._events.cached(self._graph.label(name))
        return True

    def _receive(self, name: str, key: str, parts: dict[str, str], output: Artifact, entry: Entry) -> bool:
        """Take a node's output from the cache; it is in the store already, and proved."""
        assert self._sharing is not None
        source = self._sharing.place.shown
        action = Action(key, self._graph.label(name), parts, output, entry.seconds, source)
        self._store.record(action)
        self._resolver.accept(name, action)
        self._events.fetched(action.label, source)
        return True

    def _room(self, node: Node) -> bool:
        if node.step.exclusive or any(run.node.step.exclusive for run in self._running.values()):
            return not self._running and self._is_still(node)
        return len(self._running) < self._jobs

    def _is_still(self, node: Node) -> bool:
        """Whether nothing is moved to or from a cache; nothing will be until it is resumed."""
        return self._sharing is None or not needs_machine(node.step) or self._sharing.quiet()

    def _give_way(self) -> bool:
        """What was to run alone cannot yet: let the cache go on meanwhile."""
        if self._sharing is not None:
            self._sharing.resume()
        return False

    def _start(self, name: str, key: str, parts: dict[str, str], release: Callable[[], None]) -> None:
        from edgebuild.engine.task import Task
        from edgebuild.engine.worker import Worker

        node, label = self._graph.nodes[name], self._graph.label(name)
        if self._ahead is not None:
            self._ahead(self._may_run())
            self._ahead = None
        self._events.started(label, self._resolver.reason(name, parts))
        provenance = self._resolver.provenance(name) if node.records else ()
        before = self._store.last(label)
        try:
            folder, curves = self._store.scratch(label), self._store.curves(label)
            places = self._store.partial(key), self._cores, self._store.kept(keys.but_for_inputs(parts))
            task = Task(label, node.step, self._resolver.inputs(name), folder, curves, provenance, *places)
            self._running[name] = _Run(node, Worker(task, self._limits), key, parts, release, before)
        except BaseException:
            release()
            raise

    def _may_run(self) -> set[str]:
        """What is missing and no cache can still turn out to have, and all that is made of it."""
        names = set[str]()
        for name in self._graph.order():
            known = name in self._resolver.done or (self._resolver.ready(name) and self._may_be_taken(name))
            if not known and (self._resolver.ready(name) or not names.isdisjoint(self._graph.before(name))):
                names.add(name)
        return names

    def _may_be_taken(self, name: str) -> bool:
        key, _ = self._key(name)
        if self._sharing and self._graph.may_be_known_elsewhere(name) and self._sharing.may_have(key):
            return True
        return name not in self._missing and self._store.find(key) is not None

    def _claim(self, name: str, key: str) -> Callable[[], None] | None:
        """What gives back all that the node needs for itself, or None while another build has some of it."""
        unlock = self._lock(name, key)
        if unlock is None:
            return None
        leave = self._enter(name)
        if leave is None:
            unlock()
            return None

        def release() -> None:
            leave()
            unlock()

        return release

    def _lock(self, name: str, key: str) -> Callable[[], None] | None:
        """What lets other builds run the node, or None while one of them does."""
        from filelock import Timeout

        lock = self._store.claim(key)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            self._tell_once(name, "another build runs it")
            return None
        except OSError as error:
            raise disk_error(error, self._store.root) from None
        return lock.release

    def _enter(self, name: str) -> Callable[[], None] | None:
        """The node's turn on this machine, which it has for itself alone where it measures time here."""
        if self._turns is None:
            return _nothing
        alone = needs_machine(self._graph.nodes[name].step)
        try:
            leave = self._turns.enter(alone=alone)
        except OSError as error:
            raise disk_error(error, Path(error.filename or "")) from None
        if leave is None:
            self._tell_once(name, f"waiting for device {os.uname().nodename}, which another build uses")
        return leave

    def _tell_once(self, name: str, why: str) -> None:
        if (name, why) not in self._told:
            self._told.add((name, why))
            self._events.waiting(self._graph.label(name), why)

    def _wait(self) -> None:
        """Sleep until a step ends, but wake to pass on progress and to see what another build has finished."""
        from multiprocessing import connection  # whoever waits has started a step, or asked a cache

        sentinels = [run.worker.sentinel for run in self._running.values()]
        sentinels += self._sharing.bell if self._sharing else []
        sentinels += [self._away.bell] if self._away is not None else []
        if sentinels:
            connection.wait(sentinels, timeout=_POLL_SECONDS)
        else:
            time.sleep(_POLL_SECONDS)

    def _collect(self) -> None:
        if self._sharing is not None:
            self._sharing.tend()
        if self._away is not None:
            self._welcome(self._away)
        for name, run in list(self._running.items()):
            if (news := run.worker.progress()) is not None:
                self._events.progress(self._graph.label(name), *news)
            if (why := run.worker.waits()) is not None:
                self._events.waiting(self._graph.label(name), why)
            if run.worker.ended:
                self._end(name, run)
            elif run.worker.late:
                self._fail(name, run, run.worker.too_late())

    def _welcome(self, away: Away) -> None:
        """Take what came back from workers: results, errors, and steps that are to be run again."""
        for name, done, note in away.progress():
            self._events.progress(self._graph.label(name), done, note)
        for back in away.collect():
            label = self._graph.label(back.name)
            before = self._store.last(label)
            if back.action is not None:
                self._store.record(back.action)
                self._resolver.accept(back.name, back.action)
                same = before is not None and before.output == back.action.output
                self._events.finished(label, back.action.seconds, same)
            elif back.error is None:
                self._waiting.insert(0, back.name)  # it began before all that wait
            elif self._failed is None:
                raise back.error
            else:
                self._failed[back.name] = back.error
                self._events.finished(label, 0.0, False)

    def _end(self, name: str, run: _Run) -> None:
        if (error := run.worker.outcome()) is not None:
            self._fail(name, run, error)
            return
        task = run.worker.task
        output = self._store.put(task.folder / "output", run.node.kind)
        action = Action(run.key, task.label, run.parts, output, round(run.worker.seconds, 3))
        self._store.record(action)
        self._resolver.accept(name, action)
        files.remove_tree(task.folder)
        files.remove_tree(self._store.partial(run.key))
        self._running.pop(name).release()
        if self._sharing is not None:
            self._sharing.resume()
            if self._graph.may_be_known_elsewhere(name):
                self._sharing.offer(self._store, run.node, action)
        self._events.finished(task.label, action.seconds, run.before is not None and run.before.output == output)

    def _fail(self, name: str, run: _Run, error: EdgebuildError) -> None:
        """Raise the error with the path of the step's log, which outlives the build; or keep it for who asked to."""
        run.worker.kill()
        task = run.worker.task
        log = self._store.keep_log(task.label, task.folder / "log.txt")
        if run.worker.refused and run.node.step.deterministic != "no":
            self._store.refuse(run.key, error)
        if self._failed is None:
            raise error if log is None else error.with_hint(f"log: {log}")
        self._failed[name] = error
        self._give_way()
        files.remove_tree(task.folder)
        self._running.pop(name).release()
        self._events.finished(task.label, run.worker.seconds, False)

    def _stop(self) -> None:
        """End what still runs, and take away all that was not finished."""
        for run in self._running.values():
            run.worker.kill()
            files.remove_tree(run.worker.task.folder)
            run.release()
        self._running.clear()
        if self._away is not None:
            self._away.stop()
        if self._sharing is not None:
            self._sharing.leave(self._store)
        if self._turns is not None:
            self._turns.give_up()
        if self._cores.folder is not None:
            files.remove_tree(self._cores.folder)


def _nothing() -> None:
    """Nothing is held."""
