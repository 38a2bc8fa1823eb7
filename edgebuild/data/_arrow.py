"""Columns of Arrow, in Parquet files and in streams on disk, some rows at a time; no code that a file names is run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from edgebuild.data._sheet import Cells, Wrong

    Values = np.ndarray[Any, Any]

REQUIRES, EXTRA = ("pyarrow",), "parquet"
_BYTES, _ROWS = 2**24, 4096  # that memory holds at a time


class _OddError(ValueError):
    """A cell that is no number, word or file, in words; `row` is counted from the beginning of its block."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


@dataclass(frozen=True, slots=True)
class Arrow:
    """Files of the same columns that follow each other: Parquet, or Arrow's own, as a file or a stream."""

    name: str
    files: tuple[Path, ...]
    wrong: Wrong

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the first file."""
        names = tuple(self._schema().names)
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise self.wrong(f"{self.name} has two columns {twice!r}")
        return names

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Cells]]:
        """Numbers as arrays, words and files as lists; UsageError for cells that are neither, or empty."""
        start = 0
        for path in self.files:
            for batch in self._batches(path, columns):
                for begin in range(0, batch.num_rows, rows := _rows(batch)):
                    part = batch.slice(begin, rows)
                    yield [self._cells(part, column, start) for column in columns]
                    start += part.num_rows

    def place(self, row: int) -> str:
        """By its number."""
        return f"{self.name} row {row}"

    def classes(self, column: str) -> tuple[str, ...]:
        """The names of a ClassLabel, as Hugging Face's `datasets` writes them beside the columns."""
        try:
            written = json.loads((self._schema().metadata or {})[b"huggingface"])
            names = written["info"]["features"][column]["names"]
            return tuple(map(str, names))
        except (KeyError, ValueError, TypeError):
            return ()

    def files_of(self, column: str) -> bool:
        """Whether a column holds files in bytes, such as pictures."""
        import pyarrow as pa

        kind = self._schema().field(column).type
        if pa.types.is_struct(kind):
            return bool(kind.get_field_index("bytes") >= 0)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def _schema(self) -> pa.Schema:
        """Of the first file."""
        if not self.files:
            raise self.wrong(f"{self.name} has no files of rows")
        if find_spec("pyarrow") is None:
            raise self.wrong(f"{self.name} needs pyarrow, which is not installed", f"pip install 'edgebuild[{EXTRA}]'")
        import pyarrow as pa
        from pyarrow import parquet

        path = self.files[0]
        return self._read(path, lambda: parquet.read_schema(path) if _parquet(path) else _opened(pa, path).schema)

    def _batches(self, path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """One after another, with these columns alone."""
        import pyarrow as pa
        from pyarrow import parquet

        def parts() -> Iterator[pa.RecordBatch]:
            if not _parquet(path):
                opened = _opened(pa, path)
                several = (opened.get_batch(k) for k in range(opened.num_record_batches)) if _is_file(path) else opened
                yield from (batch.select(list(columns)) for batch in several)
                return
            with parquet.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
                size = sum(file.metadata.row_group(k).total_byte_size for k in range(file.metadata.num_row_groups))
                row = size // max(file.metadata.num_rows, 1)
                rows = min(max(_BYTES // max(row, 1), 1), _ROWS)
                yield from file.iter_batches(rows, columns=list(columns), use_threads=False)

        several = parts()
        while (batch := self._read(path, lambda: next(several, None))) is not None:
            if missing := [name for name in columns if name not in batch.schema.names]:
                raise self.wrong(f"{path.name!r} of {self.name} has no column {missing[0]!r}, as the first file has")
            yield batch

    def _read(self, path: Path, read: Any) -> Any:
        """What `read` gives; UsageError for a file that Arrow does not read."""
        import pyarrow as pa

        try:
            return read()
        except (OSError, pa.ArrowException, KeyError, EOFError) as error:
            if isinstance(error, pa.ArrowMemoryError):
                raise
            reason = str(error).strip().strip("'").partition("\n")[0]
            raise self.wrong(f"{path.name!r} of {self.name} cannot be read: {reason}") from None

    def _cells(self, batch: pa.RecordBatch, column: str, start: int) -> Cells:
        try:
            return _values(batch.column(batch.schema.get_field_index(column)))
        except _OddError as odd:
            raise self.wrong(f"{self.place(start + odd.row)} {odd} in column {column!r}") from None


def _values(cells: pa.Array) -> Cells:
    """Numbers [n, …] of numbers and of lists of equal length, words, and what files hold."""
    import numpy as np
    import pyarrow as pa

    kind = pa.types
    while isinstance(cells, pa.ExtensionArray):
        cells = cells.storage
    if kind.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if kind.is_string(cells.type) or kind.is_large_string(cells.type):
        return [text or "" for text in cells.to_pylist()]
    if kind.is_struct(cells.type) and cells.type.get_field_index("bytes") >= 0:
        cells = cells.field("bytes")  # a picture or recording of `datasets`, whose other field is where it came from
    if kind.is_binary(cells.type) or kind.is_large_binary(cells.type):
        return [content or b"" for content in cells.to_pylist()]
    if cells.null_count:
        raise _OddError(int(np.flatnonzero(cells.is_null().to_numpy(zero_copy_only=False))[0]), "has no value")
    if kind.is_boolean(cells.type):
        return np.asarray(cells.to_numpy(zero_copy_only=False), np.uint8)
    if kind.is_decimal(cells.type):
        cells = cells.cast(pa.float64())
    if kind.is_integer(cells.type) or kind.is_floating(cells.type):
        return np.asarray(cells.to_numpy(zero_copy_only=False))
    if kind.is_list(cells.type) or kind.is_large_list(cells.type) or kind.is_fixed_size_list(cells.type):
        return _lists(cells)
    raise _OddError(0, f"is of type {cells.type}, which is neither numbers, words nor files")


def _lists(cells: pa.Array) -> Values:
    """Lists of equal lengths as [n, length, …]."""
    import numpy as np

    lengths = np.asarray(cells.value_lengths().to_numpy(zero_copy_only=False))
    if len(odd := np.flatnonzero(lengths != lengths[:1])):
        raise _OddError(int(odd[0]), f"has {lengths[odd[0]]} values, and the rows before it have {lengths[0]}")
    length = int(lengths[0]) if len(lengths) else 0
    try:
        inner = _values(cells.flatten())
    except _OddError as error:
        raise _OddError(error.row // max(length, 1), str(error)) from None
    if not isinstance(inner, np.ndarray):
        raise _OddError(0, "has a list of words, and only lists of numbers are read")
    values: Values = inner.reshape(len(lengths), length, *inner.shape[1:])
    return values


def _rows(batch: pa.RecordBatch) -> int:
    """How many rows of a batch memory may hold as values of their own."""
    return min(max(_BYTES * int(batch.num_rows) // max(int(batch.nbytes), 1), 1), _ROWS)


def _parquet(path: Path) -> bool:
    return _begins(path, b"PAR1")


def _begins(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def _is_file(path: Path) -> bool:
    """Whether it is a file of Arrow's, and not a stream."""
    return _begins(path, b"ARROW1")


def _opened(pa: Any, path: Path) -> Any:
    """Memory-mapped."""
    mapped = pa.memory_map(str(path))
    return pa.ipc.open_file(mapped) if _is_file(path) else pa.ipc.open_stream(mapped)
