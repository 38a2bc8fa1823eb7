"""What a log gets while a build runs: a line when a step starts and one when it ends. Needs no package for it."""

from __future__ import annotations

from typing import TextIO

from edgebuild.spec.units import show_seconds


class Lines:
    """One line when a step starts and one when it ends."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def cached(self, label: str) -> None:
        """Nothing: what did not run is not news."""

    def fetched(self, label: str, source: str) -> None:
        """The step and the cache that had it."""
        self._say(f"fetch {label}  (from cache {source})")

    def started(self, label: str, reason: str) -> None:
        """The step and why it runs."""
        self._say(f"run   {label}  ({reason})")

    def progress(self, label: str, done: float, note: str) -> None:
        """Nothing: a log is no place for a moving bar."""

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        """The step and how long it took."""
        self._say(f"done  {label}  {ended(seconds, unchanged)}")

    def notice(self, text: str) -> None:
        """A line of its own."""
        self._say(f"note  {text}")

    def waiting(self, label: str, why: str) -> None:
        """Another build has the step, or what it needs for itself."""
        self._say(f"wait  {label}  ({why})")


def ended(seconds: float, unchanged: bool) -> str:
    """How long a step took, and whether it was for nothing."""
    return show_seconds(seconds) + (", same bytes as before" if unchanged else "")
