"""What a user sees while a search runs: how far it is, and the best so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from edgebuild.report import searched

if TYPE_CHECKING:
    from rich.status import Status

    from edgebuild.search.record import Result
    from edgebuild.verbs.search import Watcher


class Lines:
    """A line for each batch of recipes, and one for the long steps before the first."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream, self._reasons = stream, set[str]()

    def say(self, text: str) -> None:
        """Write a line."""
        print(text, file=self._stream, flush=True)

    def notice(self, text: str) -> None:
        """A line of its own."""
        self.say(f"note  {text}")

    def advanced(self, result: Result, allowed: int, left: float) -> None:
        """How far it is, and the best so far."""
        self.say(f"done  {_so_far(result, allowed, left)}")

    def cached(self, label: str) -> None:
        """Nothing: what did not run is not news."""

    def fetched(self, label: str, source: str) -> None:
        """Nothing, either."""

    def started(self, label: str, reason: str) -> None:
        """Nothing: a recipe has twenty steps."""

    def progress(self, label: str, done: float, note: str) -> None:
        """Nothing."""

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        """Nothing."""

    def waiting(self, label: str, why: str) -> None:
        """Another build has the step, or what it needs for itself; told once, for recipes have many steps."""
        if why not in self._reasons:
            self._reasons.add(why)
            self.say(f"wait  {label}  ({why})")


class Live(Lines):
    """One line that changes on a terminal: what runs, how far it is, and the best so far."""

    def __init__(self, stream: TextIO, status: Status) -> None:
        """Show it in `status`."""
        super().__init__(stream)
        self._status, self._line = status, ""

    def say(self, text: str) -> None:
        """Write a line above the one that changes."""
        from rich.text import Text

        self._status.console.print(Text(text))

    def advanced(self, result: Result, allowed: int, left: float) -> None:
        """How far it is, and the best so far."""
        self._line = _so_far(result, allowed, left)
        self._show("")

    def started(self, label: str, reason: str) -> None:
        """What runs."""
        self._show(label.removeprefix("search/"))

    def _show(self, label: str) -> None:
        from rich.markup import escape

        self._status.update(escape(" · ".join(part for part in (self._line, label) if part)))


def _so_far(result: Result, allowed: int, left: float) -> str:
    passing = sum(trial.passes for trial in result.trials)
    head = f"{len(result.trials)} of {allowed} recipes, {passing} pass, {searched.span(left)} left"
    if result.front:
        return f"{head}; best {searched.in_short(result.front[0])}: {result.told(result.front[0].number)}"
    missed = result.missed
    return f"{head}; nearest {searched.name(missed)}: {missed.misses[0]}" if missed else head


@contextmanager
def display(stream: TextIO) -> Iterator[Watcher]:
    """A watcher that shows a search on `stream`."""
    if not stream.isatty():
        yield Lines(stream)
        return
    from rich.console import Console

    console = Console(file=stream)
    with console.status("the float model", spinner="dots") as status:
        yield Live(stream, status)
