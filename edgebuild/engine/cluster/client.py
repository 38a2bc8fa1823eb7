"""A build's side: the workers of a Dask scheduler, which of them may run a step, and what became of what was sent."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from edgebuild.engine.cluster import work
from edgebuild.engine.cluster.work import Answer, News, Profile, Refused, Work
from edgebuild.spec.errors import DeviceError, StepError

_CONNECT_SECONDS = 5.0
_FIRST_SECONDS = 10.0  # that the first worker is waited for
_LOOK_SECONDS = 0.5  # between two looks at who is there
_RESULT_SECONDS = 1.0

Part = tuple[str, str]  # of a key: its name and value


@dataclass(slots=True)
class Counts:
    """What a cluster did for a build: steps that ran there, how often one was begun again, workers that were lost."""

    ran: int = 0
    again: int = 0
    lost: int = 0


@dataclass(slots=True)
class Cluster:
    """One command's use of a cluster whose workers share through the cache `shown`. `tell` gets a line for the user.

    Nobody is called, and nothing imported, before a step is missing.
    """

    address: str
    shown: str
    tell: Callable[[str], None]
    counts: Counts = field(default_factory=Counts)
    topic: str = field(default_factory=lambda: f"edgebuild-{os.urandom(8).hex()}")
    _client: Any = None
    _gone: bool = False
    _running: bool = True
    _looked: float = 0.0
    _seen: float = 0.0  # when a worker was there last
    _workers: dict[str, Profile] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)  # every worker that was met, and why it gets no work
    _unfit: dict[str, set[Part]] = field(default_factory=dict)  # by worker, the parts of keys that are others there
    _told: set[str] = field(default_factory=set)
    _heard: deque[str] = field(default_factory=deque)
    _begun: dict[str, int] = field(default_factory=dict)
    bell: int = field(default_factory=lambda: os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))  # rings for an answer

    def join(self) -> None:
        """Call the scheduler, once; DeviceError where it does not answer, or no worker there is like this machine."""
        if self._client is not None or self._gone:
            return
        self._client = _called(self.address)
        self._listen()
        until = time.monotonic() + _FIRST_SECONDS
        while not self.workers() and time.monotonic() < until and not any(self._known.values()):
            time.sleep(_LOOK_SECONDS / 5)
        if not self._workers:
            raise self._nobody()

    def _nobody(self) -> DeviceError:
        refused = "; ".join(f"worker {address} {why}" for address, why in self._known.items() if why)
        hint = None if refused else f"start some: edgebuild worker {self.address}"
        return DeviceError(refused or f"no worker has joined {self.address}", key="--cluster", hint=hint)

    def workers(self) -> Mapping[str, Profile]:
        """Those that are there and may get work."""
        if self._client is None or self._gone:
            return {}
        running = self._client.status == "running"
        if self._client.status == "closed":
            self._gone = True
            self._workers.clear()
            self._tell_once(f"the scheduler {self.address} is gone: the build goes on here")
        elif running and not self._running:  # another scheduler, at the same address
            self._listen()
        elif running and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        self._running = running
        return self._workers

    def _listen(self) -> None:
        self._client.subscribe_topic(self.topic, lambda event: self._heard.append(event[1]))

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            cluster = self._client.scheduler_info(n_workers=-1)
        except Exception as error:  # Dask has several for a connection that is closed
            if self._connected(error):
                raise
            return
        there = cluster["workers"]
        if len(there) != cluster["n_workers"]:  # what Dask keeps at hand, without workers: it could not ask just now
            return
        for address in self._workers.keys() - there.keys():
            del self._workers[address]
            self.counts.lost += 1
            self.tell(f"worker {address} is gone: what it ran runs elsewhere")
        for address in there.keys() - self._known.keys():
            self._known[address] = _why_not(there[address].get(work.NAME), work.profile(self.shown, 0))
        for address in there.keys() - self._workers.keys():
            if not self._known[address]:
                self._workers[address] = work.read(Profile, work.write(there[address][work.NAME]))
        if self._workers:
            self._seen = self._looked
            for address, why in self._known.items():
                if why:
                    self._tell_once(f"worker {address} {why}")

    def fit(self, parts: Iterable[Part]) -> list[str]:
        """The workers on which, as far as is known, none of these parts of a key would be another."""
        needed = {*parts}
        return [address for address in self.workers() if not needed & self._unfit.get(address, set())]

    def expects(self) -> bool:
        """Whether no worker is there but one may be back soon."""
        return not self.workers() and not self._gone and time.monotonic() - self._seen < _FIRST_SECONDS

    def slots(self) -> int:
        """How many steps may be with the workers now."""
        return sum(profile.slots for profile in self.workers().values()) if self._running else 0

    def refused(self, label: str, mine: Mapping[str, str], refusal: Refused) -> None:
        """A worker found that a step would be another one there: nothing with these parts is sent to it again."""
        theirs, address = refusal.parts, refusal.worker
        names = {name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)}
        if refusal.why:
            names = {"step"}
        self._unfit.setdefault(address, set()).update((name, mine.get(name, "")) for name in names)
        first = min(names, key=lambda name: (name.startswith("code."), name), default="step")
        there, here = (_short(parts.get(first, "nothing")) for parts in (theirs, mine))
        why = refusal.why or f"there {first} is {there}, here {here}"
        self._tell_once(f"worker {address} gets no step such as {label}: {why}")

    def submit(self, document: Work, addresses: list[str]) -> Any:
        """Have it done on one of these; what can be asked for its `status`. None where the scheduler is just going."""
        from edgebuild.engine.cluster.calling import perform

        name = f"edgebuild-{document.key}-{os.urandom(4).hex()}"
        options = {"workers": addresses, "allow_other_workers": False, "pure": False}
        try:
            future = self._client.submit(perform, work.write(document), key=name, **options)
            future.add_done_callback(lambda _: os.eventfd_write(self.bell, 1))
            return future
        except Exception as error:
            if self._connected(error):
                raise
            return None

    def _connected(self, error: Exception) -> bool:
        """Whether an error is none of a connection that was lost, of which the client's status tells."""
        return not isinstance(error, OSError | TimeoutError) and self._client.status == "running"

    def answer(self, future: Any) -> Answer | str | None:
        """What came of it; None as long as nothing did; a text where it is to be done elsewhere or here."""
        if future.status == "pending":
            return None
        if future.status not in ("finished", "error"):
            return "lost"
        try:
            if future.status == "error":
                return self._mishap(future.exception(timeout=_RESULT_SECONDS))
            return work.read(Answer, future.result(timeout=_RESULT_SECONDS))
        except (OSError, TimeoutError):  # whoever had it has just died; it is made again, and then found in the cache
            return None
        except StepError:
            raise
        except Exception as error:  # Dask's CancelledError among them, where the scheduler is gone
            return f"lost: {type(error).__name__}"

    def _mishap(self, error: Exception) -> str:
        """Dask itself could not run it; StepError where that is the step's own doing."""
        if type(error).__name__ == "KilledWorker":
            raise StepError("several workers died while they ran it")
        self._tell_once(f"cluster {self.address}: {type(error).__name__}: {' '.join(str(error).split())}")
        return "here"

    def news(self) -> list[News]:
        """What workers have said of steps since this was last asked."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.bell)
        messages = [work.read(News, self._heard.popleft()) for _ in range(len(self._heard))]
        for each in messages:
            if not each.note:
                self._begun[each.key] = self._begun.get(each.key, 0) + 1
        self.counts.again = sum(self._begun.values()) - len(self._begun)
        return messages

    def close(self) -> None:
        """Leave; what still runs there for this build is given up."""
        if self._client is not None:
            client, self._client, self._gone = self._client, None, True
            client.close(timeout=1)

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self.tell(line)


def _called(address: str) -> Any:
    """A Dask client; DeviceError where there is none to be had."""
    try:
        from distributed import Client
    except ImportError as error:
        reason = f"distributed is not installed: {error}"
        raise DeviceError(reason, key="--cluster", hint="pip install 'edgebuild[cluster]'") from None
    from edgebuild.engine.cluster.calling import quiet, unreachable

    quiet()
    try:
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False, name="edgebuild")
    except (OSError, TimeoutError, ValueError, ImportError) as error:  # the last: versions of Dask that do not mix
        raise unreachable(address, error) from None


def _why_not(profile: Any, own: Profile) -> str:
    """Why a worker gets no work: what it runs and what is here; nothing where they are alike."""
    try:
        theirs = work.read(Profile, work.write(profile))
    except ValueError:
        return "is none of edgebuild's, or of another version"
    if theirs.shown != own.shown:
        return f"runs {theirs.shown}, here it is {own.shown}"
    if theirs.cache != own.cache:
        return f"shares through {theirs.cache}, here it is {own.cache}"
    return ""


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
