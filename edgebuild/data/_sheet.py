"""Rows of named columns as a file has them: what reads one kind of file is a `Sheet`, read some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]
    Cells = Sequence[str | bytes] | Values  # of one column: words, encoded files, or numbers [n, …]
    Wrong = Callable[..., UsageError]  # (reason, hint=…, key=…)
    Read = Callable[[list[Cells], Values], Values]


class Sheet(Protocol):
    """A file, or several that follow each other."""

    @property
    def name(self) -> str:
        """As messages show it."""

    @property
    def columns(self) -> Sequence[str]:
        """Their names, in order."""

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Cells]]:
        """These columns, some rows at a time; UsageError for what cannot be read."""

    def place(self, row: int) -> str:
        """How messages call a row, counted from 0."""

    def classes(self, column: str) -> tuple[str, ...]:
        """What the whole numbers of a column stand for, where the file says it."""


def present(sheet: Sheet, column: str, wrong: Wrong, key: str) -> None:
    """UsageError for a column that is not there."""
    if column not in sheet.columns:
        raise wrong(f"{sheet.name} has no column {column!r}", suggest(column, sheet.columns), key)


def whole(sheet: Sheet, columns: Sequence[str]) -> list[Cells]:
    """All cells of some columns, in memory; each empty for a sheet without rows."""
    import numpy as np

    parts = [*sheet.blocks(columns)]
    if not parts:
        return [[] for _ in columns]
    return [
        np.concatenate(own) if isinstance(own[0], np.ndarray) else [cell for part in own for cell in part]
        for own in zip(*parts, strict=True)
    ]


def numbers(sheet: Sheet, column: str, cells: Cells, rows: Values, wrong: Wrong) -> Values:
    """Numbers [n, …]; UsageError for the first cell, each of its row [n], that is none, NaN or infinite."""
    import numpy as np

    values = cells if isinstance(cells, np.ndarray) else _read(sheet, column, cells, rows, wrong)
    if values.dtype.kind == "f" and len(odd := np.argwhere(~np.isfinite(values))):
        message = f"{sheet.place(rows[odd[0][0]])} has {values[tuple(odd[0])]} in column {column!r}"
        raise wrong(message, "fill in such cells, or leave their rows out")
    return values


def _read(sheet: Sheet, column: str, cells: Sequence[str | bytes], rows: Values, wrong: Wrong) -> Values:
    import numpy as np

    values = np.empty(len(cells), np.float64)
    for place, text in enumerate(cells):
        try:
            values[place] = float(text)
        except ValueError:
            message = f"{sheet.place(rows[place])} has {_shown(text)} in column {column!r}, which is no number"
            hint = None if isinstance(text, bytes) else f"name its words: categories = {{{column} = [...]}}"
            raise wrong(message, hint) from None
    return values


def words(cells: Cells) -> list[str]:
    """Texts [n], of numbers as they are written."""
    return [_text(cell) for cell in cells]


def chosen(sheet: Sheet, column: str, cells: Cells, rows: Values, known: Sequence[str], wrong: Wrong) -> Values:
    """The number of each word among those that are known, int64 [n]; UsageError for one that is not."""
    import numpy as np

    places, texts = {word: number for number, word in enumerate(known)}, words(cells)
    for place, text in enumerate(texts):
        if text not in places:
            message = f"{sheet.place(rows[place])} has {_shown(text)} in column {column!r}"
            raise wrong(message, suggest(text, known))
    return np.array([places[text] for text in texts], np.int64)


@dataclass(frozen=True, slots=True)
class Picked:
    """An input as Blocks: what `read` makes of columns (cells and their rows, [n]), in the rows of a mask [N].

    The first rows say what shape and type are; UsageError for later ones that are unlike them.
    """

    sheet: Sheet
    columns: tuple[str, ...]
    read: Read
    like: Values
    wrong: Wrong
    mask: Values

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, …]."""
        return (int(self.mask.sum()), *self.like.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the first rows."""
        dtype: np.dtype[Any] = self.like.dtype
        return dtype

    def blocks(self) -> Iterator[Values]:
        """Read from the start to the end; what is not of the mask is not prepared."""
        import numpy as np

        start = 0
        for cells in self.sheet.blocks(self.columns):
            rows = np.flatnonzero(self.mask[start : start + len(cells[0])])
            if len(rows):
                yield self._checked(self.read([_taken(each, rows) for each in cells], start + rows), start + rows[0])
            start += len(cells[0])

    def place(self, row: int) -> str:
        """As the sheet calls it."""
        return self.sheet.place(int(self.mask.nonzero()[0][row]))

    def _checked(self, values: Values, row: int) -> Values:
        if values.shape[1:] != self.like.shape[1:]:
            message = f"{self.sheet.place(row)} and those behind it have {list(values.shape[1:])} values"
            raise self.wrong(f"{message} in column {self.columns[0]!r}, the first rows {list(self.like.shape[1:])}")
        return values.astype(self.dtype, copy=False)


def picked(sheet: Sheet, columns: Sequence[str], read: Read, wrong: Wrong, mask: Values) -> Picked:
    """An input of these columns; UsageError for a sheet without rows."""
    import numpy as np

    first = next(sheet.blocks(columns), None)
    if first is None:
        raise wrong(f"{sheet.name} has no rows")
    return Picked(sheet, tuple(columns), read, read([cells[:1] for cells in first], np.zeros(1, np.int64)), wrong, mask)


def _taken(cells: Cells, rows: Values) -> Cells:
    import numpy as np

    if len(rows) == len(cells):
        return cells
    return cells[rows] if isinstance(cells, np.ndarray) else [cells[row] for row in rows]


def _text(cell: object) -> str:
    import numpy as np

    value = cell.item() if isinstance(cell, np.generic) else cell
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _shown(cell: object) -> str:
    return "encoded bytes" if isinstance(cell, bytes) else repr(cell)
