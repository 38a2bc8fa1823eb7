"""Threads that move results to and from a cache beside the steps of a build, while their gate is open.

What is asked for goes before what is sent. One that hangs is given up: the build goes on without it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

_THREADS = 8  # a cache is waited for more than it is read from
_SENDING = 2
_GRACE_SECONDS = 0.5  # for work to see by itself that its time is up


@dataclass(slots=True, eq=False)
class Job:
    """Work for a thread, which looks at `given_up` between pieces. `until` (s, monotonic clock) is set by the work."""

    work: Callable[[Job], None]
    sends: bool
    until: float = float("inf")
    given_up: bool = False
    done: bool = False


class Transfers:
    """Starts its threads with the first job; `bell` is a file that can be read from when a job is done."""

    def __init__(self, at_end: Callable[[], None]) -> None:
        """The gate is shut. Every thread calls `at_end` when it ends."""
        self._at_end = at_end
        self._changed = threading.Condition()
        self._waiting: dict[bool, deque[Job]] = {False: deque(), True: deque()}
        self._active: list[Job] = []
        self._threads: list[threading.Thread] = []
        self._open = self._closed = False
        self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def add(self, job: Job) -> None:
        """Have it done when its turn comes."""
        with self._changed:
            self._waiting[job.sends].append(job)
            if len(self._threads) < _THREADS:
                self._threads.append(threading.Thread(target=self._work, daemon=True, name="edgebuild-cache"))
                self._threads[-1].start()
            self._changed.notify()

    def gate(self, *, is_open: bool) -> None:
        """Begin jobs from now on, or begin none; what has begun goes on."""
        with self._changed:
            self._open = is_open
            self._changed.notify_all()

    @property
    def active(self) -> int:
        """Jobs that have begun and not ended."""
        return len(self._active)

    @property
    def left(self) -> int:
        """Jobs that have not ended."""
        return self.active + sum(map(len, self._waiting.values()))

    def drop(self, *, sends: bool) -> None:
        """Forget those that wait, and give up what has begun, of what is sent or of what is asked for."""
        with self._changed:
            self._waiting[sends].clear()
            self._give_up([job for job in self._active if job.sends == sends])

    def overdue(self) -> bool:
        """Whether a job has not ended in its time; it is given up."""
        with self._changed:
            late = [job for job in self._active if time.monotonic() > job.until + _GRACE_SECONDS]
            self._give_up(late)
            return bool(late)

    def _give_up(self, jobs: list[Job]) -> None:
        for job in jobs:
            job.given_up = True
            self._active.remove(job)

    def hear(self) -> None:
        """Silence the bell."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.bell)

    def close(self) -> None:
        """End; a thread that hangs dies with the process."""
        for sends in (True, False):
            self.drop(sends=sends)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        until = time.monotonic() + _GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _next(self) -> Job | None:
        sending = sum(job.sends for job in self._active)
        for sends in (False, True):
            if self._open and self._waiting[sends] and not (sends and sending >= _SENDING):
                job = self._waiting[sends].popleft()
                self._active.append(job)
                return job
        return None

    def _await(self) -> Job | None:
        """The next job, when there is one; None at the end."""
        with self._changed:
            while (job := self._next()) is None and not self._closed:
                self._changed.wait()
            return job

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it is for the main thread
        while (job := self._await()) is not None:
            job.work(job)
            with self._changed:
                job.done = True
                if not job.given_up:
                    self._active.remove(job)
                self._changed.notify_all()
            os.eventfd_write(self.bell, 1)
        self._at_end()
