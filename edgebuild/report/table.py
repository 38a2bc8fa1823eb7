"""Prints a table: fitted to a terminal; elsewhere one line a row, so that a program or a log gets every word."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len, set_cell_size

_GAP = "  "


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    colours: Mapping[str, str] | None = None,
) -> None:
    """Print rows below the columns' names; `colours` are by the text of a cell. No text is taken for markup."""
    lines = [tuple(row) for row in rows]
    if sys.stdout.isatty():
        _fitted(columns, lines, title, colours or {})
    else:
        _plain(columns, lines, title)


def _fitted(columns: Sequence[str], rows: list[tuple[str, ...]], title: str, colours: Mapping[str, str]) -> None:
    """Broken into as many lines as the width asks for; nothing is left out."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    heads = [Column(Text(name), overflow="fold") for name in columns]
    drawn = Table(*heads, title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(cell, colours.get(cell, "")) for cell in row))
    Console().print(drawn)


def _plain(columns: Sequence[str], rows: list[tuple[str, ...]], title: str) -> None:
    """Aligned, never wrapped or cut."""
    if title:
        print(title)
    lines = [tuple(columns), *rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print(_GAP.join(map(set_cell_size, line, widths)).rstrip())
