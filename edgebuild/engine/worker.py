"""Runs one step in processes of its own, with limits and a log; heavy imports are paid once a build.

They are forked from a server that has imported the heavy packages. The step writes into a scratch folder and says on
a line how it ended; one that dies without a word is a crash, and the build lives on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from multiprocessing import connection, forkserver, resource_tracker, spawn
from typing import Any

from edgebuild.engine import child
from edgebuild.engine.task import Limits, Task
from edgebuild.spec.errors import EdgebuildError, StepError, from_json
from edgebuild.spec.surroundings import AHEAD, PROGRAM

_SILENCE = object()


class Worker:
    """A running step; poll `progress`, wait on `sentinel`, then ask for the `outcome`."""

    def __init__(self, task: Task, limits: Limits) -> None:
        """Start the step's processes; the error to show when that cannot be."""
        self.task, self.limits, self.started = task, limits, time.monotonic()
        self._news: tuple[float, str] | None = None
        self._waits: str | None = None
        self._waits_since: float | None = None
        self._waited = 0.0
        self._said: Any = _SILENCE
        self.refused = False  # whether the step itself has ended with a UsageError, as it would again
        try:
            for name in ("output", "scratch"):
                (task.folder / name).mkdir()
            self._line, theirs = multiprocessing.Pipe()
            with theirs:
                self._start(theirs)
        except OSError as error:
            raise child.disk_or_step(error, task.label) from None
        except EOFError:
            raise StepError(f"step {task.label} cannot start: the server that it is forked from was killed") from None

    def _start(self, line: Any) -> None:
        try:
            self._process = started(child.watch, (self.task, self.limits, line), self.task.label)
        except BaseException:
            self._line.close()  # which ends the step, should it be there
            raise

    @property
    def sentinel(self) -> int:
        """Ready when the step and all that it started have ended (for `multiprocessing.connection.wait`)."""
        sentinel: int = self._process.sentinel
        return sentinel

    @property
    def ended(self) -> bool:
        """Whether the step and all that it started have."""
        return bool(connection.wait([self.sentinel], timeout=0))

    @property
    def seconds(self) -> float:
        """Wall time since the start, without what it waited for its turn on a device."""
        now = time.monotonic()
        waits = now - self._waits_since if self._waits_since is not None else 0.0
        return now - self.started - self._waited - waits

    def progress(self) -> tuple[float, str] | None:
        """The newest word of the step about itself: share done and a note; None when there is no news."""
        self._listen()
        news, self._news = self._news, None
        return news

    def waits(self) -> str | None:
        """What the step has begun to wait for since this was last asked."""
        self._listen()
        news, self._waits = self._waits, None
        return news

    def _wait(self, what: str | None) -> None:
        now = time.monotonic()
        if self._waits_since is not None:
            self._waited += now - self._waits_since
        self._waits, self._waits_since = what or self._waits, now if what else None

    def _listen(self) -> None:
        try:
            while self._line.poll():
                kind, body = self._line.recv()
                if kind == "progress":
                    self._news = body
                elif kind == "waiting":
                    self._wait(body)
                else:
                    self._said, self.refused = body, kind == "refused"
        except (EOFError, OSError):
            pass  # nobody is left to say anything

    @property
    def late(self) -> bool:
        """Whether the step has used up its time."""
        return self.seconds > self.limits.seconds

    def kill(self) -> None:
        """End the step and all that it started; nothing happens when it has ended."""
        self._line.close()
        end(self._process)

    def outcome(self) -> EdgebuildError | None:
        """None when the step ended well, else the error to show, which names the step and the cause."""
        self._process.join()
        self._listen()
        if self._said is _SILENCE:
            why = cause(self._process.exitcode, self.limits)
            return StepError(f"step {self.task.label} crashed: its process {why}")
        return from_json(self._said) if self._said else None

    def too_late(self) -> StepError:
        """The error for a step that was stopped because its time was up."""
        return StepError(f"step {self.task.label} was stopped: still running after {self.limits.seconds:g} s")


def started(target: Callable[..., object], arguments: tuple[Any, ...], name: str | None = None) -> Any:
    """The process, forked from the server, that calls `target`; OSError or EOFError where it cannot be started."""
    process = multiprocessing.get_context("forkserver").Process(target=target, args=arguments, name=name)
    resource_tracker.ensure_running()  # first: it would clear the mask
    with _undisturbed():
        process.start()
    return process


def end(process: Any) -> None:
    """See to it that a process ends whose line is closed; it has some seconds to end what it started."""
    process.join(5)
    if process.is_alive():
        process.kill()
        process.join(5)


def preload(modules: Collection[str]) -> None:
    """Name the modules that the fork server imports before its first child; missing ones are passed over.

    While no step runs. A server that runs already and lacks one of them makes way for one that has them all.
    """
    server: Any = forkserver._forkserver  # of all that it has, types know only what is public
    if server._forkserver_pid is not None:
        known = os.environ.get(AHEAD, "").split(",")
        if {*modules} <= {*known}:
            return
        modules = dict.fromkeys((*known, *modules))
        server._stop()
    os.environ[AHEAD] = ",".join(modules)
    os.environ[PROGRAM] = spawn.get_preparation_data("").get("init_main_from_path", "")
    multiprocessing.get_context("forkserver").set_forkserver_preload(["edgebuild.engine.ahead", __name__])


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a Ctrl-C wait: the fork server, when it starts here, is deaf to it, and no request to it is cut short.

    What tells a build to end waits too, but is not blocked: what steps start would be deaf to it, and pools end their
    processes by it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    late: list[int] = []
    here = threading.current_thread() is threading.main_thread()
    handlers = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    handlers = {one: handler for one, handler in handlers.items() if here and callable(handler)}
    for one in handlers:
        signal.signal(one, lambda number, frame: late.append(number))
    try:
        yield
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in late:
            signal.raise_signal(number)


def cause(exitcode: int | None, limits: Limits | None = None) -> str:
    """How a process ended that said nothing; the limit on memory that it had is told where that may be why."""
    if exitcode is None or exitcode >= 0:
        return f"ended with code {exitcode} and said nothing"
    known = {item.value: item.name for item in signal.Signals}
    # The kernel kills, and compiled code (Rust, C++) aborts, where memory cannot be had.
    starved = limits is not None and -exitcode in (signal.SIGKILL, signal.SIGABRT)
    hint = f"; perhaps out of memory, its limit is {limits.memory / 2**30:.3g} GiB" if starved and limits else ""
    if exitcode == -signal.SIGBUS:  # of a mapped file
        hint = "; perhaps a disk is full, or a file was cut short while it was read"
    return f"was ended by {known.get(-exitcode, f'signal {-exitcode}')}{hint}"
