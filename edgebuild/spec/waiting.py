"""Who is told that something waits for its turn, such as a job for a device that another build uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str | None], None]


def _nobody(what: str | None) -> None:
    """Nobody listens."""


_listener: ContextVar[Listener] = ContextVar("listener", default=_nobody)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let `listener` know what is waited for, and by None that it has come, as long as this lasts."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


@contextmanager
def waiting_for(what: str, by: str = "") -> Iterator[None]:
    """Tell the listener that `what` is waited for, who has it where that is known, and in the end that it is over."""
    listener = _listener.get()
    listener(f"waiting for {what}, which is in use" + (f" by {by}" if by else ""))
    try:
        yield
    finally:
        listener(None)
