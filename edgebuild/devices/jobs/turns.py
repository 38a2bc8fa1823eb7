"""Turns on this machine: builds of all projects and users work side by side, but whatever is timed here runs alone.

The locks are those of the kernel (`flock`) on files that all users share, so none can be left behind. Whoever measures
this machine from elsewhere, by SSH, takes its device's lock there (`supervisor.py`); what is timed here takes it too.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgebuild.spec.waiting import waiting_for
from edgebuild.travels.supervisor import DEVICE, lock_file

THIS = f"device {os.uname().nodename}"  # how messages call this machine
_MACHINE = "edgebuild-machine.lock"  # shared by all that work, held alone by what is timed
_TURN = "edgebuild-turn.lock"  # held while one waits to be alone, so that nobody new comes in before
_POLL_SECONDS = 0.2

Leave = Callable[[], None]


class Machine:
    """The turns of one build."""

    def __init__(self) -> None:
        """Nothing is held, and no file made, before the first turn."""
        self._held: dict[str, int] = {}  # what is held already while others are waited for

    def enter(self, *, alone: bool) -> Leave | None:
        """What ends the turn; None as long as it is another's: ask again. OSError where no file for locks can be made.

        Who has asked to be `alone` keeps others from coming in until it is, or gives up.
        """
        if alone:
            return self._alone()
        turn = _take(_TURN, fcntl.LOCK_SH)
        if turn is None:
            return None
        try:
            machine = _take(_MACHINE, fcntl.LOCK_SH)
        finally:
            os.close(turn)
        return None if machine is None else lambda: os.close(machine)

    def give_up(self) -> None:
        """Wait no longer to be alone."""
        for handle in self._held.values():
            os.close(handle)
        self._held.clear()

    def _alone(self) -> Leave | None:
        for name in (_TURN, _MACHINE, DEVICE):  # always in this order, so that no two wait for each other
            if name not in self._held and (handle := _take(name, fcntl.LOCK_EX)) is not None:
                self._held[name] = handle
            if name not in self._held:
                return None
        os.close(self._held.pop(_TURN))
        held, self._held = self._held, {}

        def leave() -> None:
            for handle in held.values():
                os.close(handle)

        return leave


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Wait for a turn and hold it; who listens (`spec/waiting.py`) is told."""
    machine = Machine()
    try:
        leave = machine.enter(alone=alone)
        if leave is None:
            with waiting_for(THIS):
                while (leave := machine.enter(alone=alone)) is None:
                    time.sleep(_POLL_SECONDS)
    finally:
        machine.give_up()
    try:
        yield
    finally:
        leave()


def _take(name: str, how: int) -> int | None:
    """A handle that holds the lock; None while another does. A file system without locks goes without."""
    handle = lock_file(name)
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        pass
    return handle
