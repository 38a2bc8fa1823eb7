"""What a user sees while a build runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TextIO

from edgebuild.report.lines import Lines

if TYPE_CHECKING:
    from edgebuild.verbs.journal import Listener


@contextmanager
def display(stream: TextIO) -> Iterator[Listener]:
    """A listener that shows a build on `stream`."""
    if not stream.isatty():
        yield Lines(stream)
        return
    from edgebuild.report.bars import Bars, opened

    with ExitStack() as shown:
        yield Bars(lambda: shown.enter_context(opened(stream)))
