"""Shares results with other machines through a cache: what may be shared, asking for it, and sending what was made.

A cache that is slow, broken or lies costs time and nothing else: whatever it gives that is not believed is a miss. All
that goes to and fro is moved by threads beside the steps, and never while a step measures this machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgebuild.spec import unshared

if TYPE_CHECKING:
    from edgebuild.engine.entry import Entry
    from edgebuild.engine.graph import Node
    from edgebuild.engine.remote import Patience, Remote
    from edgebuild.engine.store import Action, Store
    from edgebuild.engine.transfers import Job, Transfers
    from edgebuild.spec.artifact import Artifact
    from edgebuild.spec.cache import Place

_MOST_FAILURES = 3  # in a row, after which a cache is asked no more
_LAST_SECONDS = 120.0  # that the end of a command waits for what is still being sent
_POLL_SECONDS = 0.1


class Turns(Protocol):
    """Who says when anything may go on beside the other builds of this machine."""

    def enter(self, *, alone: bool) -> Callable[[], None] | None:
        """What ends the turn; None as long as it is another's."""


@dataclass(slots=True)
class Counts:
    """What a cache did for a build: results taken, not there, not believed, and sent."""

    hits: int = 0
    misses: int = 0
    unbelieved: int = 0
    sent: int = 0


@dataclass(slots=True)
class _Question:
    """What was asked for a key: the answer, once it is known, is the output and its entry, or None."""

    done: bool = False
    answer: tuple[Artifact, Entry] | None = None


@dataclass(slots=True)
class Parcel:
    """An artifact on its way to the cache: whether that is over, and whether it is there then."""

    done: bool = False
    there: bool = False


@dataclass(slots=True)
class Sharing:
    """One command's use of a cache. `tell` gets a line for the user, each but once; nobody is asked before a step is
    missing here, and nothing imported for it.
    """

    place: Place
    tell: Callable[[str], None]
    turns: Turns | None = None
    patience: Patience | None = None
    counts: Counts = field(default_factory=Counts)
    _asked: dict[str, _Question] = field(default_factory=dict)
    _parcels: dict[str, Parcel] = field(default_factory=dict)
    _damaged: set[str] = field(default_factory=set)
    _lines: dict[str, str] = field(default_factory=dict)  # by what they are about; told when they are emptied
    _told: set[str] = field(default_factory=set)
    _failures: int = 0  # one after another
    _trouble: str = ""  # the last of them that did not end the cache's use
    _off: bool = False
    _mute: bool = False
    _quiet: bool = False
    _leave: Callable[[], None] | None = None
    _transfers: Transfers | None = None
    _remote: Callable[[Job], Remote] | None = None

    def awaits(self, store: Store, node: Node, key: str) -> bool:
        """Whether the answer for this key is still to come; asks where nobody has."""
        if key not in self._asked:
            self._asked[key] = question = _Question()
            name = self._name(node, key)
            if name is None or self._off:
                question.done = True
            else:
                self._start().add(self._job(partial(self._fetch, question, store, name, node.kind)))
                self.tend()
        return not (self._asked[key].done or self._off)

    def may_have(self, key: str) -> bool:
        """Whether it is not known yet that the cache has nothing for this key."""
        question = self._asked.get(key, _Question())
        return not self._off and (not question.done or question.answer is not None)

    def take(self, key: str) -> tuple[Artifact, Entry] | None:
        """The answer for a key, once: the output, which is in the store now, and what the cache says of it."""
        question = self._asked[key]
        answer, question.answer = question.answer, None
        return answer

    def offer(self, store: Store, node: Node, action: Action) -> None:
        """Send what a step has made, unless others may not have it, or the cache is only read."""
        folder = store.path(action.output)
        if self.place.read_only or self._off or self._mute or unshared.is_marked(folder):
            return
        if (machine := machine_of(node)) is not None:
            self._start().add(self._job(partial(self._send, node, action, machine, folder), sends=True))
            self.tend()

    def again(self, key: str) -> None:
        """Somebody else has made the result meanwhile: ask once more."""
        self._asked.pop(key, None)

    @property
    def carries(self) -> bool:
        """Whether things get from here to other machines and back."""
        return not (self.place.read_only or self._off or self._mute)

    def parcel(self, store: Store, artifact: Artifact) -> Parcel:
        """Send an artifact for whoever runs a step on it, by its digest; each but once."""
        if artifact.digest not in self._parcels:
            self._parcels[artifact.digest] = parcel = Parcel()
            self._start().add(self._job(partial(self._send_parcel, parcel, artifact, store.path(artifact))))
            self.tend()
        return self._parcels[artifact.digest]

    @property
    def bell(self) -> list[int]:
        """What can be waited on for news."""
        return [self._transfers.bell] if self._transfers else []

    def tend(self) -> None:
        """Let transfers go on while nothing on this machine is measured, and tell what is to be told; call it often."""
        if self._transfers is None:
            return
        self._transfers.hear()
        if self._transfers.overdue():
            self._failed("does not answer in time", final=True)
        if self._leave is None and self._transfers.left and not self._quiet:
            self._leave = self._enter()
        elif self._leave is not None and not self._transfers.left:
            self._end_turn()
        self._transfers.gate(is_open=self._leave is not None and not self._quiet)
        for about in self._lines.keys() - self._told:
            self._told.add(about)
            self.tell(f"cache {self.place.shown} {self._lines[about]}")

    def quiet(self) -> bool:
        """Whether nothing moves, and nothing will until `resume`: a step is to measure this machine."""
        self._quiet = True
        if self._transfers is None:
            return True
        self._transfers.gate(is_open=False)
        if self._transfers.active:
            return False
        self._end_turn()
        return True

    def resume(self) -> None:
        """Go on after `quiet`."""
        self._quiet = False

    def leave(self, store: Store) -> None:
        """Nobody waits for an answer any more, and the store is about to close."""
        if self._transfers is not None:
            self._transfers.drop(sends=False)
        self._asked = {key: question for key, question in self._asked.items() if question.done}
        self._parcels = {digest: parcel for digest, parcel in self._parcels.items() if parcel.there}
        self.resume()

    def close(self, *, waiting: Callable[[int], None] | None = None) -> None:
        """Wait until all is sent, where `waiting` is told how much is left, and end; without, at once."""
        if self._transfers is None:
            return
        from multiprocessing import connection

        began, announced = time.monotonic(), False
        while waiting and self._transfers.left and time.monotonic() - began < _LAST_SECONDS:
            self.tend()
            if not announced and time.monotonic() - began > 1:
                announced = True
                waiting(self._transfers.left)
            connection.wait(self.bell, timeout=_POLL_SECONDS)
        if waiting and self._transfers.left:
            self._lines["late"] = f"was too slow: {self._transfers.left} results were not sent"
        self._transfers.close()
        if self._trouble and not self._off:
            self._lines["trouble"] = f"{self._trouble}: the build did without it there"
        self.tend()
        self._end_turn()

    def _start(self) -> Transfers:
        """The threads; the first time the cache is opened as well. UsageError where it cannot be one."""
        if self._transfers is None:
            from edgebuild.engine.remote import Patience, Remote
            from edgebuild.engine.transfers import Transfers

            cache, patience = self.place.open(), self.patience or Patience()
            self._remote = lambda job: Remote(cache, self.place.secret, patience, partial(_going, job))
            self._transfers = Transfers(cache.close)
        return self._transfers

    def _job(self, work: Callable[[Job], None], *, sends: bool = False) -> Job:
        from edgebuild.engine.transfers import Job

        return Job(partial(self._safely, work), sends)

    def _safely(self, work: Callable[[Job], None], job: Job) -> None:
        """Do it; what goes wrong is told, and is no error."""
        from edgebuild.engine.remote import Damaged
        from edgebuild.spec.cache import CacheError

        try:
            work(job)
            self._failures = 0
        except Damaged as error:
            self.counts.unbelieved += 1
            self._damaged |= {error.digest} if error.digest else set()
            self._lines["damaged"] = f"gave what is not believed: {error}; the step runs here"
        except CacheError as error:
            if not job.given_up:
                self._failed(str(error), final=error.refused, mute=job.sends)
        except Exception as error:  # of the store, such as a full disk, which whoever runs the step will tell of
            self._failed(f"is not used: {type(error).__name__}: {error}", final=False)

    def _failed(self, reason: str, *, final: bool, mute: bool = False) -> None:
        """Something is wrong with the cache itself: after a few times it is asked no more, or sent nothing."""
        self._failures += 1
        if final and mute:
            self._mute = True
            self._lines["mute"] = f"takes nothing: {reason} (--cache-read-only, if that is meant so)"
            self._drop(sends=True)
        elif final or self._failures >= _MOST_FAILURES:
            self._off = True
            self._lines["off"] = f"{reason}: the build goes on without it"
            self._drop(sends=True)
            self._drop(sends=False)
        else:
            self._trouble = reason

    def _drop(self, *, sends: bool) -> None:
        if self._transfers is not None:
            self._transfers.drop(sends=sends)

    def _fetch(self, question: _Question, store: Store, name: str, kind: str, job: Job) -> None:
        """Have a result in the store, or find that there is none."""
        from edgebuild.engine import files
        from edgebuild.engine.remote import Damaged

        assert self._remote is not None
        try:
            folder = store.scratch("fetched")
            try:
                entry = self._remote(job).fetch(name, folder)
                if entry is None:
                    return
                if entry.kind != kind:
                    raise Damaged("the entry is about another kind of output")
                _going(job, job.until)
                question.answer = (store.put(folder, kind), entry)
            finally:
                files.remove_tree(folder)
        finally:
            question.done = True
            self.counts.hits += question.answer is not None
            self.counts.misses += question.answer is None

    def _send(self, node: Node, action: Action, machine: str, folder: Path, job: Job) -> None:
        assert self._remote is not None
        self._remote(job).send(entry_of(node, action, machine, folder), folder, self._damaged)
        self.counts.sent += 1

    def _send_parcel(self, parcel: Parcel, artifact: Artifact, folder: Path, job: Job) -> None:
        from edgebuild.engine.cluster import parcels

        assert self._remote is not None
        try:
            self._remote(job).send(parcels.entry(artifact, folder), folder, self._damaged)
            parcel.there = True
        finally:
            parcel.done = True

    def _name(self, node: Node, key: str) -> str | None:
        """Where the result lies if another machine has made it; None for what no other machine can know."""
        from edgebuild.engine import entry

        machine = machine_of(node)
        return None if machine is None else entry.name(key, node.step.shared, machine)

    def _enter(self) -> Callable[[], None] | None:
        """A turn beside other builds; a machine without a folder for locks goes without."""
        if self.turns is None:
            return _nothing
        try:
            return self.turns.enter(alone=False)
        except OSError:
            return _nothing

    def _end_turn(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None


def entry_of(node: Node, action: Action, machine: str, folder: Path) -> Entry:
    """What a cache is to say of a node's result, which is in `folder` and holds on these machines."""
    from edgebuild.engine import entry

    output, blobs = action.output, entry.blobs(folder)
    parts = (action.key, action.parts["step"], node.step.shared, machine, output.kind, output.digest)
    return entry.Entry(*parts, blobs, action.seconds)


def machine_of(node: Node) -> str | None:
    """On which machines the node's result holds: "" for all, else what they have in common; None for no other one."""
    from edgebuild.engine import processor

    if node.step.shared == "everywhere":
        return ""
    return processor.fingerprint((*node.step.tools, *node.tools)) if node.step.shared == "same-cpu" else None


def _going(job: Job, until: float) -> None:
    """Note until when the work must be done; CacheError where that is over, or nobody waits for it."""
    from edgebuild.spec.cache import CacheError

    job.until = until
    if job.given_up or time.monotonic() > until:
        raise CacheError("does not answer in time")


def _nothing() -> None:
    """Nothing is held."""
