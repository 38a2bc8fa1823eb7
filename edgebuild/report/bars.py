"""What a user sees on a terminal while a build runs: a bar for each step that does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from rich.markup import escape

from edgebuild.report.lines import ended

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bars:
    """A bar for each running step, on what `open_display` gives: asked once there is something to show."""

    def __init__(self, open_display: Callable[[], Progress]) -> None:
        """Nothing is shown yet."""
        self._open = open_display
        self._bars: dict[str, TaskID] = {}

    @cached_property
    def _display(self) -> Progress:
        return self._open()

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
            f"[green]✓[/] {escape(label)}  [dim]{ended(seconds, unchanged)}[/]", highlight=False
        )

    def notice(self, text: str) -> None:
        """A line of its own."""
        self._display.console.print(f"[yellow]![/] {escape(text)}", highlight=False)

    def waiting(self, label: str, why: str) -> None:
        """Another build has the step, or what it needs for itself."""
        self._display.console.print(f"[yellow]…[/] {escape(label)}  [dim]{escape(why)}[/]", highlight=False)


def opened(stream: TextIO) -> Progress:
    """The display on `stream`; a context manager."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    # What is short keeps its width; the note, which may be long, gets what is left of the line.
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    note = TextColumn("[dim]{task.fields[note]}", table_column=rest)
    return Progress(*columns, note, console=Console(file=stream), transient=True, expand=True)
