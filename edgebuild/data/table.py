"""Rows of a CSV or TSV file: columns are inputs, the label, and perhaps the split, the group and the slice of a row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from edgebuild.data import _seen
from edgebuild.data._columns import ByColumn, Loading
from edgebuild.spec.data import DataRequest, Guess, Loaded
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    from edgebuild.data._sheet import Cells, Wrong

_KEY = "data.file"
_ROWS = 4096  # that memory holds at a time
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(ByColumn):
    """A file whose first line names its columns; .tsv is split at tabs, any other at `separator`."""

    file: Annotated[str, Field(description="from the model's folder, or absolute")]
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """A file of lines."""
        if place.suffix not in (".csv", ".tsv") or not place.is_file():
            return None
        separator = _separator(place)
        lines = Lines(repr(place.name), place, separator, _seen.wrong(place))
        return _seen.table(
            lines, inputs, {"file": place} | ({"separator": separator} if separator != "," else {}), "a table"
        )

    def reads(self) -> Mapping[str, str]:
        """The file."""
        return {_KEY: self.file}

    def place(self, origin: str) -> tuple[str, str]:
        """The file, as model.toml names it."""
        return f"{origin}/model.toml", _KEY

    def load(self, request: DataRequest) -> Loaded:
        """Rows by split; UsageError for columns that are not there, and for what is no number, with its line."""
        wrong = request.wrong(_KEY)
        lines = Lines(repr(self.file), Path(request.reads[0].place), self.separator, wrong)
        return Loading(self, request, {"train": lines}, wrong).loaded()


@dataclass(frozen=True, slots=True)
class Lines:
    """A file of lines, whose cells are words."""

    name: str
    file: Path
    separator: str
    wrong: Wrong

    @property
    def columns(self) -> tuple[str, ...]:
        """The first line."""
        names = tuple(next(self._lines(), ()))
        if len(names) == 1 and (other := next((each for each in _SEPARATORS if each in names[0]), None)):
            message = f"{self.name} has one column, {_short(names[0])}"
            raise self.wrong(message, f"separator = {json.dumps(other)}", "data.separator")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise self.wrong(f"{self.name} names the column {twice!r} twice")
        return names

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Cells]]:
        """The lines behind the first; UsageError for one with another number of cells."""
        names, number = self.columns, 0
        places = [names.index(name) for name in columns]
        lines = islice(self._lines(), 1, None)
        while block := [*islice(lines, _ROWS)]:
            for row, line in enumerate(block, number):
                if len(line) != len(names):
                    message = f"{self.place(row)} has {len(line)} columns, the first line {len(names)}"
                    raise self.wrong(message)
            yield [[line[place] for line in block] for place in places]
            number += len(block)

    def place(self, row: int) -> str:
        """By its line, where no cell has several."""
        return f"{self.name} line {row + 2}"

    def classes(self, column: str) -> tuple[str, ...]:
        """Nothing of that kind is said."""
        return ()

    def _lines(self) -> Iterator[list[str]]:
        tab = "\t" if self.file.suffix.lower() == ".tsv" else self.separator
        empty = 0
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as file:
                for line in csv.reader(file, delimiter=tab):
                    if line:
                        yield from ([] for _ in range(empty))
                        yield line
                    empty = 0 if line else empty + 1  # those at the end are no rows
        except UnicodeDecodeError as error:
            message = f"{self.name} is no text in UTF-8: byte {error.object[error.start]:#04x} at {error.start}"
            raise self.wrong(message, "save it in UTF-8") from None
        except (OSError, ValueError, csv.Error) as error:
            raise self.wrong(f"{self.name} is no table that can be read: {error}") from None


def _separator(file: Path) -> str:
    """What splits the first line: the comma, unless there is none and another that is usual."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            first = opened.readline()
    except (OSError, ValueError):
        return ","  # which is told when it is read
    return next((each for each in _SEPARATORS if each in first), ",")


def _short(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:40]}…")
