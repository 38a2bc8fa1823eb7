"""What a user sees while a build runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.markup import escape

from edgebuild.spec.units import show_seconds

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from edgebuild.verbs.journal import Listener


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
        self._say(f"done  {label}  {_ended(seconds, unchanged)}")

    def notice(self, text: str) -> None:
        """A line of its own."""
        self._say(f"note  {text}")

    def waiting(self, label: str, why: str) -> None:
        """Another build has the step, or what it needs for itself."""
        self._say(f"wait  {label}  ({why})")


class Bars:
    """A bar for each running step."""

    def __init__(self, display: Progress) -> None:
        """Draw on `display`."""
        self._display = display
        self._bars: dict[str, TaskID] = {}

    def cached(self, label: str) -> None:
        """Nothing: what did not run is not news."""

    def fetched(self, label: str, source: str) -> None:
        """A line: it was there before anything moved."""
        self._display.console.print(
            f"[green]↓[/] {escape(label)}  [dim]from cache {escape(source)}[/]", highlight=False
        )

    def started(self, label: str, reason: str) -> None:
        """Show a bar that does not know its length yet."""
        self._bars[label] = self._display.add_task(escape(label), total=None, note=escape(reason))

    def progress(self, label: str, done: float, note: str) -> None:
        """Move the bar."""
        self._display.update(self._bars[label], total=1.0, completed=done, note=escape(note))

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        """Replace the bar by a line."""
        self._display.remove_task(self._bars.pop(label))
        self._display.refresh()  # else the line is printed above a frame that still has the bar
        self._display.console.print(
            f"[green]✓[/] {escape(label)}  [dim]{_ended(seconds, unchanged)}[/]", highlight=False
        )

    def notice(self, text: str) -> None:
        """A line of its own."""
        self._display.console.print(f"[yellow]![/] {escape(text)}", highlight=False)

    def waiting(self, label: str, why: str) -> None:
        """Another build has the step, or what it needs for itself."""
        self._display.console.print(f"[yellow]…[/] {escape(label)}  [dim]{escape(why)}[/]", highlight=False)


def _ended(seconds: float, unchanged: bool) -> str:
    return show_seconds(seconds) + (", same bytes as before" if unchanged else "")


@contextmanager
def display(stream: TextIO) -> Iterator[Listener]:
    """A listener that shows a build on `stream`."""
    if not stream.isatty():
        yield Lines(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    # What is short keeps its width; the note, which may be long, gets what is left of the line.
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    note = TextColumn("[dim]{task.fields[note]}", table_column=rest)
    with Progress(*columns, note, console=Console(file=stream), transient=True, expand=True) as bars:
        yield Bars(bars)
